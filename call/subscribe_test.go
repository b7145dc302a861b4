package call_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/sdp"
)

// subscribed has a phone hear parties of call "c" and returns what it was offered.
func subscribe(t *testing.T, m *call.Manager, carol phone, change func(*call.SubscribeRequest)) (*call.Subscribed, *sdp.Description) {
	t.Helper()
	req := &call.SubscribeRequest{Request: call.Request{CallID: "c", ToTag: "carol", Options: call.Options{ToInterface: "caller"}}}
	if change != nil {
		change(req)
	}
	got, err := m.Subscribe(req)
	if err != nil {
		t.Fatal(err)
	}
	answer := describe("127.0.0.1", carol.port, "a=recvonly")
	if err := m.SubscribeAnswer(request(t, "c", "", got.ToTag, answer), false); err != nil {
		t.Fatal(err)
	}
	return got, parse(t, got.SDP)
}

func TestSubscriberHearsOneParty(t *testing.T) {
	m, alice, bob, toBob, toAlice := established(t)
	carol := newPhone(t)
	got, offer := subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = "alice" })
	if len(got.Sources) != 1 || got.Sources[0].Tag != "alice" || got.ToTag != "carol" {
		t.Errorf("got %+v", got)
	}
	section := offer.Media()[0]
	if len(offer.Media()) != 1 || section.Direction != sdp.SendOnly {
		t.Errorf("carol is offered\n%s", got.SDP)
	}
	alice.say(t, toBob, 1)
	bob.wants(t, true)
	if port := carol.hears(t, soon); port != section.Port {
		t.Errorf("carol hears from port %d, want %d", port, section.Port)
	}
	bob.say(t, toAlice, 1)
	alice.wants(t, true)
	carol.wants(t, false)
	carol.say(t, section.Port, 1)
	alice.wants(t, false)
}

func TestSubscriptionIsReplacedOnTheSamePorts(t *testing.T) {
	m, _, bob, _, toAlice := established(t)
	carol := newPhone(t)
	_, first := subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = "bob" })
	_, again := subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = "bob"; r.Inactive = true })
	if a, b := first.Media()[0], again.Media()[0]; a.Port != b.Port || b.Direction != sdp.Inactive {
		t.Errorf("port %d became %d, direction %v", a.Port, b.Port, b.Direction)
	}
	bob.say(t, toAlice, 1)
	carol.wants(t, true)
}

func TestSeveralSourcesAreSectionsOrOne(t *testing.T) {
	m, alice, bob, toBob, toAlice := established(t)
	carol, dave := newPhone(t), newPhone(t)
	got, err := m.Subscribe(&call.SubscribeRequest{
		Request: call.Request{CallID: "c"}, Sources: call.Selection{All: true}, Labels: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if medias := parse(t, got.SDP).Media(); len(medias) != 2 || medias[0].Label != "0" || medias[1].Label != "1" || len(got.ToTag) != 64 {
		t.Errorf("to-tag %s is offered\n%s", got.ToTag, got.SDP)
	}
	_, mixed := subscribe(t, m, dave, func(r *call.SubscribeRequest) { r.ToTag, r.Sources.All, r.Mix = "dave", true, true })
	if n := len(mixed.Media()); n != 1 {
		t.Errorf("%d sections, want one", n)
	}
	_ = carol
	alice.say(t, toBob, 1)
	dave.wants(t, true)
	bob.say(t, toAlice, 1)
	dave.wants(t, true)
}

func TestAnswerThatRefusesACodecOfTheSource(t *testing.T) {
	m, _, _, _, _ := established(t)
	got, err := m.Subscribe(&call.SubscribeRequest{Request: call.Request{CallID: "c", ToTag: "carol"}, Sources: call.Selection{FromTag: "alice"}})
	if err != nil {
		t.Fatal(err)
	}
	only := strings.Replace(describe("127.0.0.1", 4000), "RTP/AVP 0 8", "RTP/AVP 8", 1)
	if err := m.SubscribeAnswer(request(t, "c", "", got.ToTag, only), false); !errors.Is(err, call.ErrRefused) {
		t.Errorf("got %v, want ErrRefused", err)
	}
	if err := m.SubscribeAnswer(request(t, "c", "", got.ToTag, only), true); err != nil {
		t.Errorf("with transcoding allowed: %v", err)
	}
}

func TestUnsubscribe(t *testing.T) {
	m, alice, bob, toBob, _ := established(t)
	carol := newPhone(t)
	subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = "alice" })
	for _, c := range []struct {
		name string
		req  call.UnsubscribeRequest
		want error
	}{
		{"of nobody", call.UnsubscribeRequest{ToTag: "nobody"}, call.ErrNoHearer},
		{"from nobody", call.UnsubscribeRequest{ToTag: "carol", FromTag: "nobody"}, call.ErrNoSource},
		{"from whom it does not hear", call.UnsubscribeRequest{ToTag: "carol", FromTag: "bob"}, call.ErrNotSubscribed},
		{"from whom it hears", call.UnsubscribeRequest{ToTag: "carol", FromTag: "alice"}, nil},
		{"of who is gone", call.UnsubscribeRequest{ToTag: "carol"}, call.ErrNoHearer},
	} {
		c.req.CallID = "c"
		if err := m.Unsubscribe(&c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	alice.say(t, toBob, 1)
	bob.wants(t, true)
	carol.wants(t, false)
}

func TestRefusedSubscriptionsLeaveTheCallAlone(t *testing.T) {
	m, plane := newManager(t, nil)
	must(t)(m.Offer(request(t, "c", "alice", "", describe("127.0.0.1", 4000))))
	before := plane.Pools()[0].Used
	for name, c := range map[string]struct {
		req  call.SubscribeRequest
		want error
	}{
		"to nobody":                 {call.SubscribeRequest{}, call.ErrNoMedia},
		"to unknown tags":           {call.SubscribeRequest{Sources: call.Selection{FromTags: []string{"x"}}}, call.ErrNoMedia},
		"of a party of a dialogue":  {call.SubscribeRequest{Request: call.Request{ToTag: "alice"}, Sources: call.Selection{All: true}}, call.ErrDialogue},
		"over another kind of port": {call.SubscribeRequest{Request: call.Request{Options: call.Options{Protocol: sdp.ProtoUDPTL}}, Sources: call.Selection{FromTag: "alice"}}, call.ErrRewrite},
	} {
		c.req.CallID = "c"
		if _, err := m.Subscribe(&c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if snap, err := m.Query("c", "", ""); err != nil || len(snap.Parties) != 2 {
		t.Errorf("%+v, %v", snap, err)
	}
	if got := plane.Pools()[0].Used; got != before {
		t.Errorf("%d ports in use, %d before", got, before)
	}
}

func TestPublisherIsHeard(t *testing.T) {
	m, _ := newManager(t, func(c *call.Config) { c.Software, c.MaxSessions = "name-1", 0 })
	alice, carol := newPhone(t), newPhone(t)
	got, err := m.Publish(&call.PublishRequest{Request: *request(t, "c", "", "", describe("127.0.0.1", alice.port, "a=sendonly"))})
	if err != nil {
		t.Fatal(err)
	}
	answer := parse(t, got.SDP)
	s, section := answer.Sessions[0], answer.Media()[0]
	if s.Name != "name-1" || s.Origin.Address != "127.0.0.1" || section.Direction != sdp.RecvOnly || len(section.Codecs) != 1 {
		t.Errorf("the answer is\n%s", got.SDP)
	}
	subscribe(t, m, carol, func(r *call.SubscribeRequest) { r.Sources.FromTag = got.Tag })
	alice.say(t, section.Port, 1)
	carol.wants(t, true)
	if snap, err := m.Query("c", "", ""); err != nil || snap.State != call.StateAnswered || snap.EndsBy != call.ReasonTimeout {
		t.Errorf("%+v, %v: a publisher is alive as long as it sends", snap, err)
	}
}

func TestCodecsOfAPublisher(t *testing.T) {
	const lines = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 100 8 0 101 102\r\n" +
		"a=rtpmap:100 private/8000\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/16000\r\n"
	name := func(names ...string) (specs []call.CodecSpec) {
		for _, n := range names {
			specs = append(specs, call.CodecSpec{Name: n, PayloadType: -1})
		}
		return specs
	}
	for text, c := range map[string]struct {
		accept []call.CodecSpec
		want   string
	}{
		"the first that is known":     {nil, "8 101"},
		"a preference":                {name("PCMU"), "0 101"},
		"the first preference of two": {name("G722", "PCMU"), "0 101"},
		"no preference is there":      {name("G722"), "8 101"},
		"any":                         {name("any"), "100 101"},
		"a preference, else any":      {name("G722", "any"), "100 101"},
		"all that is known":           {name("all"), "8 0 101"},
		"all and any":                 {name("all", "any"), "100 8 0 101 102"},
	} {
		t.Run(text, func(t *testing.T) {
			m, _ := newManager(t, nil)
			req := &call.PublishRequest{Request: *request(t, "c", "alice", "", lines)}
			req.Codecs.Accept = c.accept
			got, err := m.Publish(req)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got.SDP, "RTP/AVP "+c.want+"\r\n") {
				t.Errorf("want %s in\n%s", c.want, got.SDP)
			}
		})
	}
}

func TestPublisherOfNothingKnownIsRefused(t *testing.T) {
	m, _ := newManager(t, nil)
	text := strings.Replace(describe("127.0.0.1", 4000), "RTP/AVP 0 8", "RTP/AVP 100", 1) + "a=rtpmap:100 private/8000\r\n"
	got, err := m.Publish(&call.PublishRequest{Request: *request(t, "c", "alice", "", text)})
	if err != nil || !strings.Contains(got.SDP, "m=audio 0 RTP/AVP 100\r\n") {
		t.Errorf("%v\n%s", err, got.SDP)
	}
}

// Sources that come and go do not make the description of who hears them grow.
func TestSectionsOfSourcesThatAreGoneAreUsedAgain(t *testing.T) {
	m, _ := newManager(t, nil)
	for n := range 2 * call.MaxSections {
		tag := fmt.Sprint("source ", n)
		if _, err := m.Publish(&call.PublishRequest{Request: *request(t, "room", tag, "", describe("127.0.0.1", 4000))}); err != nil {
			t.Fatal(err)
		}
		got, err := m.Subscribe(&call.SubscribeRequest{
			Request: call.Request{CallID: "room", ToTag: "s", Options: call.Options{ToInterface: "callee"}}, Sources: call.Selection{FromTag: tag},
		})
		if err != nil {
			t.Fatal(err)
		}
		if all := parse(t, got.SDP).Media(); len(all) > 2 || all[len(all)-1].Rejected() && all[0].Rejected() {
			t.Fatalf("after %d sources the offer is\n%s", n+1, got.SDP)
		}
		if n > 0 {
			if err := m.Unsubscribe(&call.UnsubscribeRequest{CallID: "room", ToTag: fmt.Sprint("source ", n-1)}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAPartyHearsNoMoreSectionsThanADescriptionMayHave(t *testing.T) {
	m, _ := newManager(t, nil)
	many := describe("127.0.0.1", 4000) + strings.Repeat("m=audio 4002 RTP/AVP 0\r\n", call.MaxSections/2)
	for _, tag := range []string{"p", "q"} {
		if _, err := m.Publish(&call.PublishRequest{Request: *request(t, "room", tag, "", many)}); err != nil {
			t.Fatal(err)
		}
	}
	sub := &call.SubscribeRequest{Request: call.Request{CallID: "room", ToTag: "s"}, Sources: call.Selection{FromTags: []string{"p", "q"}}}
	if _, err := m.Subscribe(sub); !errors.Is(err, call.ErrRewrite) {
		t.Errorf("the error is %v, want %v", err, call.ErrRewrite)
	}
}
