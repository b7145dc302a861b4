package call_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// party is a phone that is in a call, and the port it sends to.
type party struct {
	phone
	to uint16
}

func (p party) says(t *testing.T) { t.Helper(); p.say(t, p.to, 1) }

// dial makes a call between two phones.
func dial(t *testing.T, m *call.Manager, id, from, to string) (a, b party) {
	t.Helper()
	a, b = party{phone: newPhone(t)}, party{phone: newPhone(t)}
	b.to = must(t)(m.Offer(request(t, id, from, "", describe("127.0.0.1", a.port)))).Media()[0].Port
	a.to = must(t)(m.Answer(request(t, id, from, to, describe("127.0.0.1", b.port)))).Media()[0].Port
	return a, b
}

// reach checks who hears somebody.
func reach(t *testing.T, who party, hears []party, not ...party) {
	t.Helper()
	who.says(t)
	for _, p := range hears {
		p.wants(t, true)
	}
	for _, p := range not {
		p.wants(t, false)
	}
}

func TestConnectTransfersACallAcrossCalls(t *testing.T) {
	m, _ := newManager(t, nil)
	a, b := dial(t, m, "one", "a", "b")
	c, d := dial(t, m, "two", "c", "d")
	if err := m.Connect(&call.ConnectRequest{CallID: "one", Sources: call.Selection{FromTag: "a"}, ToTag: "c", ToCallID: "two"}); err != nil {
		t.Fatal(err)
	}
	reach(t, a, []party{c}, b, d)
	reach(t, c, []party{a}, b, d)
	reach(t, b, nil, a, c, d)
	for _, id := range []string{"one", "two"} {
		snap, err := m.Query(id, "", "")
		if err != nil || len(snap.Parties) != 4 || snap.CallID != "one" || len(snap.Aliases) != 1 {
			t.Fatalf("%s: %+v, %v", id, snap, err)
		}
	}
	if st := m.Stats(); st.Live != 1 || st.EndedBy[call.ReasonMerged] != 1 || len(m.List(10)) != 2 {
		t.Errorf("%+v, ids %v", st, m.List(10))
	}
	now := time.Duration(0)
	if _, err := m.Delete(&call.DeleteRequest{CallID: "two", Delay: &now}); err != nil {
		t.Fatal(err)
	}
	if ids := m.List(10); len(ids) != 0 {
		t.Errorf("%v are left", ids)
	}
}

func TestConnectAddsFlows(t *testing.T) {
	m, _ := newManager(t, nil)
	a, b := dial(t, m, "one", "a", "b")
	c, d := dial(t, m, "two", "c", "d")
	if err := m.Connect(&call.ConnectRequest{
		CallID: "two", Sources: call.Selection{All: true}, ToTag: "b", ToCallID: "one", Directional: true, Bidirectional: true,
	}); err != nil {
		t.Fatal(err)
	}
	reach(t, b, []party{a, c, d})
	reach(t, a, []party{b}, c, d)
	reach(t, c, []party{b, d}, a)
	if err := m.Unsubscribe(&call.UnsubscribeRequest{CallID: "one", FromTag: "d", ToTag: "b", Bidirectional: true}); err != nil {
		t.Fatal(err)
	}
	reach(t, b, []party{a, c}, d)
	reach(t, d, []party{c}, a, b)
}

func TestConnectRefuses(t *testing.T) {
	m, _ := newManager(t, nil)
	dial(t, m, "one", "a", "b")
	dial(t, m, "two", "a", "x")
	for name, c := range map[string]struct {
		req  call.ConnectRequest
		want error
	}{
		"an unknown call":       {call.ConnectRequest{CallID: "none", ToTag: "a"}, call.ErrUnknownCall},
		"an unknown other call": {call.ConnectRequest{CallID: "one", ToCallID: "none", ToTag: "a"}, call.ErrUnknownCall},
		"an unknown to-tag":     {call.ConnectRequest{CallID: "one", ToTag: "x"}, call.ErrNoHearer},
		"a tag in both calls":   {call.ConnectRequest{CallID: "one", ToCallID: "two", ToTag: "x"}, call.ErrMerge},
		"a party with itself":   {call.ConnectRequest{CallID: "one", ToTag: "a", Sources: call.Selection{FromTag: "a"}}, call.ErrNoMedia},
		"nobody":                {call.ConnectRequest{CallID: "one", ToTag: "a"}, call.ErrNoMedia},
	} {
		if err := m.Connect(&c.req); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	if st := m.Stats(); st.Live != 2 {
		t.Errorf("%d calls, want two", st.Live)
	}
}

func TestMesh(t *testing.T) {
	m, _ := newManager(t, nil)
	a, b := dial(t, m, "one", "a", "b")
	c, d := dial(t, m, "two", "c", "d")
	everybody := []call.MeshFlow{{From: "a", To: []string{"b", "c"}}, {From: "d", To: []string{"a"}}}
	for name, r := range map[string]struct {
		req  call.MeshRequest
		want error
	}{
		"without a known call": {call.MeshRequest{CallIDs: []string{"none"}}, call.ErrUnknownCall},
		"from nobody":          {call.MeshRequest{CallIDs: []string{"one"}, Flows: []call.MeshFlow{{From: "x"}}}, call.ErrNoSource},
		"to nobody":            {call.MeshRequest{CallIDs: []string{"one"}, Flows: []call.MeshFlow{{From: "a", To: []string{"x"}}}}, call.ErrNoHearer},
	} {
		if err := m.Mesh(&r.req); !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", name, err, r.want)
		}
	}
	if err := m.Mesh(&call.MeshRequest{CallIDs: []string{"none", "one", "two"}, Flows: everybody}); err != nil {
		t.Fatal(err)
	}
	reach(t, a, []party{b, c}, d)
	reach(t, d, []party{c, a}, b)
	if err := m.Mesh(&call.MeshRequest{CallIDs: []string{"two"}, Flows: everybody, Unsubscribe: true}); err != nil {
		t.Fatal(err)
	}
	reach(t, d, []party{a}, b, c)
}

func TestTheEndOfOneOfTwoMergedCallsLeavesTheOther(t *testing.T) {
	m, _ := newManager(t, nil)
	a, b := dial(t, m, "one", "a", "b")
	c, d := dial(t, m, "two", "c", "d")
	conference := []call.MeshFlow{
		{From: "a", To: []string{"b", "c", "d"}}, {From: "b", To: []string{"a", "c", "d"}}, {From: "c", To: []string{"a", "b", "d"}},
	}
	if err := m.Mesh(&call.MeshRequest{CallIDs: []string{"one", "two"}, Flows: conference}); err != nil {
		t.Fatal(err)
	}
	reach(t, a, []party{b, c, d})
	now := time.Duration(0)
	for _, end := range []string{"two", "one"} {
		if _, err := m.Delete(&call.DeleteRequest{CallID: end, Delay: &now}); err != nil {
			t.Fatal(err)
		}
		if end == "two" {
			reach(t, a, []party{b}, c, d)
			if _, err := m.Delete(&call.DeleteRequest{CallID: end, Delay: &now}); !errors.Is(err, call.ErrNoMatch) {
				t.Errorf("the end that has been: %v", err)
			}
		}
	}
	if st := m.Stats(); st.Live != 0 {
		t.Errorf("%d calls are left", st.Live)
	}
}

func TestInjection(t *testing.T) {
	m, _ := newManager(t, nil)
	a, b := dial(t, m, "one", "a", "b")
	c, d := dial(t, m, "two", "c", "d")
	req := call.InjectRequest{CallID: "one", ToTag: "b", SourceCallID: "two", SourceTag: "c"}
	for name, r := range map[string]struct {
		change func(*call.InjectRequest)
		want   error
	}{
		"into nobody":  {func(r *call.InjectRequest) { r.ToTag = "x" }, call.ErrNoHearer},
		"from nobody":  {func(r *call.InjectRequest) { r.SourceTag = "x" }, call.ErrNoSource},
		"into itself":  {func(r *call.InjectRequest) { r.SourceCallID, r.SourceTag = "one", "b" }, call.ErrSelf},
		"never begun":  {func(r *call.InjectRequest) { r.SourceCallID, r.SourceTag, r.Stop = "one", "a", true }, call.ErrNoMedia},
		"that is fine": {func(*call.InjectRequest) {}, nil},
	} {
		bad := req
		r.change(&bad)
		if err := m.Inject(&bad); !errors.Is(err, r.want) {
			t.Errorf("%s: got %v, want %v", name, err, r.want)
		}
	}
	reach(t, c, []party{d, b}, a)
	req.Stop = true
	if err := m.Inject(&req); err != nil {
		t.Fatal(err)
	}
	reach(t, c, []party{d}, a, b)
}

// Calls that are merged from both sides at once, while others ask for them, must neither lock up nor get lost.
func TestMergingBothWaysAtOnce(t *testing.T) {
	m, _ := newManager(t, nil)
	const rounds = 20
	for range rounds {
		dial(t, m, "one", "a", "b")
		dial(t, m, "two", "c", "d")
		var both sync.WaitGroup
		for _, r := range []call.ConnectRequest{
			{CallID: "one", ToCallID: "two", ToTag: "c", Sources: call.Selection{FromTag: "a"}},
			{CallID: "two", ToCallID: "one", ToTag: "b", Sources: call.Selection{FromTag: "d"}},
		} {
			both.Go(func() {
				if err := m.Connect(&r); err != nil {
					t.Error(err)
				}
			})
			both.Go(func() {
				if _, err := m.Query(r.CallID, "", ""); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		now := time.Duration(0)
		if _, err := m.Delete(&call.DeleteRequest{CallID: "one", Delay: &now}); err != nil {
			t.Error(err)
		}
		if st := m.Stats(); st.Live != 0 || len(m.List(10)) != 0 {
			t.Fatalf("%d calls are left, ids %v", st.Live, m.List(10))
		}
	}
}

func TestCreatedPartyIsOfferedAndAnswers(t *testing.T) {
	m, _ := newManager(t, nil)
	alice := newPhone(t)
	got, err := m.Create(&call.CreateRequest{Request: call.Request{Options: call.Options{ToInterface: "caller"}}})
	if err != nil {
		t.Fatal(err)
	}
	offer := parse(t, got.SDP)
	if s := offer.Media()[0]; !strings.Contains(got.SDP, "RTP/AVP 0 8\r\n") || s.Direction != sdp.SendRecv || len(got.CallID) != 64 || len(got.Tag) != 64 {
		t.Errorf("call %s, tag %s:\n%s", got.CallID, got.Tag, got.SDP)
	}
	if err := m.CreateAnswer(request(t, got.CallID, "nobody", "", describe("127.0.0.1", alice.port))); !errors.Is(err, call.ErrNoSource) {
		t.Errorf("answer of nobody: %v", err)
	}
	if err := m.CreateAnswer(request(t, got.CallID, got.Tag, "", describe("127.0.0.1", alice.port))); err != nil {
		t.Fatal(err)
	}
	again, err := m.Create(&call.CreateRequest{Request: call.Request{CallID: got.CallID, FromTag: got.Tag}})
	if err != nil || parse(t, again.SDP).Media()[0].Port != offer.Media()[0].Port {
		t.Errorf("%v, a second offer has other ports:\n%s", err, again.SDP)
	}
	bob, _ := dial(t, m, "other", "b", "c")
	if err := m.Connect(&call.ConnectRequest{CallID: got.CallID, Sources: call.Selection{FromTag: got.Tag}, ToTag: "b", ToCallID: "other"}); err != nil {
		t.Fatal(err)
	}
	reach(t, bob, []party{{phone: alice}})
}

func TestCreatedMediaAndCodecs(t *testing.T) {
	name := func(names ...string) (specs []call.CodecSpec) {
		for _, n := range names {
			specs = append(specs, call.CodecSpec{Name: n, PayloadType: -1})
		}
		return specs
	}
	m, _ := newManager(t, nil)
	req := &call.CreateRequest{Media: []call.CreateMedia{{Type: "audio", Codecs: name("opus", "G722")}, {Type: "video", Codecs: name("VP8")}}}
	got, err := m.Create(req)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		" RTP/AVP 96 9\r\n", "a=rtpmap:96 opus/48000/2\r\n", "a=fmtp:96 useinbandfec=1\r\n", "m=video ", "a=rtpmap:96 VP8/90000\r\n",
	} {
		if !strings.Contains(got.SDP, want) {
			t.Errorf("%q is not in\n%s", want, got.SDP)
		}
	}
}

func TestFailedCreationLeavesNothing(t *testing.T) {
	m, plane := newManager(t, nil)
	before := plane.Pools()[0].Used
	req := &call.CreateRequest{Request: call.Request{CallID: "c", Options: call.Options{Protocol: sdp.ProtoUDPTL}}}
	if _, err := m.Create(req); !errors.Is(err, call.ErrRewrite) {
		t.Errorf("got %v", err)
	}
	if m.Stats().Live != 0 || plane.Pools()[0].Used != before {
		t.Errorf("%d calls, %d ports", m.Stats().Live, plane.Pools()[0].Used)
	}
}

func TestTransform(t *testing.T) {
	m, _ := newManager(t, func(c *call.Config) { c.Learning = media.LearnImmediate })
	from, to := newPhone(t), newPhone(t)
	pcma := sdp.Codec{PayloadType: 8, Name: "PCMA", ClockRate: 8000, Channels: 1}
	pcmu := sdp.Codec{PayloadType: 0, Name: "PCMU", ClockRate: 8000, Channels: 1}
	req := &call.TransformRequest{CallID: "c", Interface: "caller", Media: []call.TransformMedia{{
		Type: "audio", Codecs: []call.CodecPair{{From: pcma, To: pcma}},
	}}}
	if _, err := m.Transform(req); !errors.Is(err, call.ErrConversion) {
		t.Errorf("without a destination: %v", err)
	}
	req.Media[0].Destination = netip.AddrPortFrom(loopback, uint16(to.port))
	got, err := m.Transform(req)
	if err != nil || len(got.Ports) != 1 {
		t.Fatal(got, err)
	}
	from.say(t, got.Ports[0].Port(), 1)
	if port := to.hears(t, soon); port != got.Ports[0].Port() {
		t.Errorf("heard from port %d, want %d", port, got.Ports[0].Port())
	}
	req.Media[0].Codecs = []call.CodecPair{{From: pcma, To: pcmu}}
	if _, err := m.Transform(req); !errors.Is(err, call.ErrConversion) {
		t.Errorf("what takes a codec: %v", err)
	}
}

// Parties that were connected have their sections in different orders, and offer again.
func TestOffersAfterConnectingFindTheOtherSidesSections(t *testing.T) {
	m, _ := newManager(t, nil)
	audio, video := "m=audio %d RTP/AVP 0\r\n", "m=video %d RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
	text := func(lines string, ports ...any) string {
		return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"+lines, ports...)
	}
	av, va := text(audio+video, 4000, 4002), text(video+audio, 5000, 5002)
	must(t)(m.Offer(request(t, "c", "a", "", av)))
	must(t)(m.Answer(request(t, "c", "a", "b", av)))
	must(t)(m.Offer(request(t, "c", "c", "", va)))
	toC := must(t)(m.Answer(request(t, "c", "c", "d", va))).Media()
	if err := m.Connect(&call.ConnectRequest{CallID: "c", Sources: call.Selection{FromTag: "a"}, ToTag: "c"}); err != nil {
		t.Fatal(err)
	}
	offered := must(t)(m.Offer(request(t, "c", "a", "c", av))).Media()
	if len(offered) != 2 || offered[0].Type != "video" || offered[1].Type != "audio" || offered[1].Port != toC[1].Port {
		t.Errorf("c is offered %+v", offered)
	}
	if answered := must(t)(m.Answer(request(t, "c", "a", "c", va))).Media(); len(answered) != 2 || answered[0].Type != "audio" {
		t.Errorf("a is answered %+v", answered)
	}
}
