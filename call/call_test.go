package call_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var loopback = netip.MustParseAddr("127.0.0.1")

// newManager returns a manager on a real userspace plane with two logical interfaces on loopback.
func newManager(t *testing.T, change func(*call.Config)) (*call.Manager, *media.Plane) {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{
			{Name: "caller", Addresses: []media.Address{
				{IP: loopback, PortMin: 41000, PortMax: 41999},
				{IP: netip.IPv6Loopback(), PortMin: 41000, PortMax: 41999},
			}},
			{Name: "callee", Addresses: []media.Address{
				{IP: loopback, Advertised: netip.MustParseAddr("203.0.113.9"), PortMin: 40000, PortMax: 40999},
			}},
		},
		Workers: 1, RTCPInterval: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := call.Config{Plane: plane, MaxSessions: -1, DeleteDelay: call.DefaultDeleteDelay}
	if change != nil {
		change(&cfg)
	}
	m := call.NewManager(cfg)
	t.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, plane
}

// describe writes an SDP of one audio section.
func describe(addr string, port int, more ...string) string {
	family := "IP4"
	if strings.Contains(addr, ":") {
		family = "IP6"
	}
	lines := append([]string{
		"v=0", "o=- 1 1 IN " + family + " " + addr, "s=-", "c=IN " + family + " " + addr, "t=0 0",
		fmt.Sprintf("m=audio %d RTP/AVP 0 8", port),
	}, more...)
	return strings.Join(lines, "\r\n") + "\r\n"
}

func parse(t *testing.T, text string) *sdp.Description {
	t.Helper()
	d, err := sdp.Parse(text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return d
}

func request(t *testing.T, id, from, to, text string) *call.Request {
	t.Helper()
	return &call.Request{
		CallID: id, FromTag: from, ToTag: to, SDP: parse(t, text),
		Options: call.Options{FromInterface: "caller", ToInterface: "callee"},
	}
}

func must(t *testing.T) func(string, error) *sdp.Description {
	return func(text string, err error) *sdp.Description {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, text)
	}
}

// phone is a UDP socket that plays a party.
type phone struct {
	*net.UDPConn
	port int
}

func newPhone(t *testing.T) phone {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return phone{c, c.LocalAddr().(*net.UDPAddr).Port}
}

func (p phone) say(t *testing.T, port uint16, seq int) {
	t.Helper()
	packet := []byte{0x80, 0, byte(seq >> 8), byte(seq), 0, 0, 0, 0, 0, 0, 0, byte(p.port), 'h', 'i'}
	if _, err := p.WriteToUDPAddrPort(packet, netip.AddrPortFrom(loopback, port)); err != nil {
		t.Fatal(err)
	}
}

// hears waits for a packet and returns the port it came from; 0 when none came.
func (p phone) hears(t *testing.T, within time.Duration) uint16 {
	t.Helper()
	buf := make([]byte, 100)
	if err := p.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, from, err := p.ReadFromUDPAddrPort(buf)
	if err != nil {
		return 0
	}
	return from.Port()
}

const soon = 5 * time.Second // far more than it takes; only a failing test waits that long

func TestOfferAndAnswerConnectTwoParties(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob := newPhone(t), newPhone(t)
	toBob := must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", alice.port)))).Media()[0]
	if toBob.Port < 40000 || toBob.Port > 40999 {
		t.Errorf("the port told to the callee is %d, want one of its interface", toBob.Port)
	}
	if got := toBob.Conn.Addr.String(); got != "203.0.113.9" {
		t.Errorf("the callee is told %s, want the advertised address", got)
	}
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]
	if toAlice.Port < 41000 || toAlice.Port > 41999 {
		t.Errorf("the port told to the caller is %d, want one of its interface", toAlice.Port)
	}
	if toAlice.Direction != sdp.SendRecv || toAlice.RTCP == nil || toAlice.RTCP.Port != toAlice.Port+1 {
		t.Errorf("direction %v and a=rtcp %v, want sendrecv and the next port", toAlice.Direction, toAlice.RTCP)
	}
	alice.say(t, toAlice.Port, 1)
	if got := bob.hears(t, soon); got != toBob.Port {
		t.Errorf("bob hears from port %d, want %d", got, toBob.Port)
	}
	bob.say(t, toBob.Port, 1)
	if got := alice.hears(t, soon); got != toAlice.Port {
		t.Errorf("alice hears from port %d, want %d", got, toAlice.Port)
	}
	snap, err := m.Query("c1", "", "")
	if err != nil || snap.State != call.StateAnswered || len(snap.Parties) != 2 {
		t.Fatalf("query: %+v, %v", snap, err)
	}
	counted := func() bool {
		snap, err := m.Query("c1", "", "")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range snap.Parties {
			if st := p.Media[0].Streams[0].Stats; st.In.Packets != 1 || st.Out.Packets != 1 {
				return false
			}
		}
		return true
	}
	if !eventually(counted) { // a packet arrives a moment before it is counted as sent
		t.Error("not every party has one packet in and one out")
	}
}

// eventually waits for something that takes a moment.
func eventually(done func() bool) bool {
	for deadline := time.Now().Add(soon); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func TestNothingIsRelayedForAPartyThatHasNotAnswered(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, stranger := newPhone(t), newPhone(t)
	toBob := must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", alice.port)))).Media()[0]
	stranger.say(t, toBob.Port, 1)
	if got := alice.hears(t, 200*time.Millisecond); got != 0 {
		t.Errorf("alice hears a stranger by port %d", got)
	}
}

func TestAnswererMayReoffer(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob := newPhone(t), newPhone(t)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", alice.port))))
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]
	again := must(t)(m.Offer(request(t, "c1", "b", "a", describe("127.0.0.1", bob.port, "a=sendonly")))).Media()[0]
	if again.Port != toAlice.Port || again.Direction != sdp.SendOnly {
		t.Errorf("alice is shown port %d %v, want %d sendonly", again.Port, again.Direction, toAlice.Port)
	}
	must(t)(m.Answer(request(t, "c1", "b", "a", describe("127.0.0.1", alice.port, "a=recvonly"))))
	if snap, err := m.Query("c1", "", ""); err != nil || snap.State != call.StateHeld {
		t.Errorf("state %v, %v, want held", snap.State, err)
	}
}

func TestHoldByZeroAddress(t *testing.T) {
	m, _ := newManager(t, nil)
	alice := newPhone(t)
	got := must(t)(m.Offer(request(t, "c1", "a", "", describe("0.0.0.0", alice.port)))).Media()[0]
	if !got.Conn.IsZero() || got.Direction != sdp.SendOnly {
		t.Errorf("got %v %v, want an unspecified address and sendonly", got.Conn.Addr, got.Direction)
	}
	req := request(t, "c2", "a", "", describe("0.0.0.0", alice.port))
	req.Replace.ZeroAddress = true
	if got := must(t)(m.Offer(req)).Media()[0]; got.Conn.IsZero() || got.Direction != sdp.SendOnly {
		t.Errorf("with the address replaced: %v %v, want ours and sendonly", got.Conn.Addr, got.Direction)
	}
}

func TestPartyOnHoldMaySendAndIsSentNothing(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob, stranger := newPhone(t), newPhone(t), newPhone(t)
	toBob := must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", alice.port)))).Media()[0]
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]
	for seq := range 10 { // enough to settle where both are
		alice.say(t, toAlice.Port, seq)
		bob.say(t, toBob.Port, seq)
		if bob.hears(t, soon) == 0 || alice.hears(t, soon) == 0 {
			t.Fatal("no audio before the hold")
		}
	}
	must(t)(m.Offer(request(t, "c1", "a", "b", describe("0.0.0.0", alice.port))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port))))
	bob.say(t, toBob.Port, 10)
	if alice.hears(t, 200*time.Millisecond) != 0 {
		t.Error("the party on hold is sent media")
	}
	stranger.say(t, toAlice.Port, 10)
	if bob.hears(t, 200*time.Millisecond) != 0 {
		t.Error("a stranger takes the place of the party on hold")
	}
	alice.say(t, toAlice.Port, 10)
	if bob.hears(t, soon) == 0 {
		t.Error("music on hold is not relayed")
	}
	must(t)(m.Offer(request(t, "c1", "a", "b", describe("127.0.0.1", alice.port))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port))))
	bob.say(t, toBob.Port, 11)
	if alice.hears(t, soon) == 0 {
		t.Error("no audio after the hold")
	}
}

func TestRejectedMediaKeepItsPlace(t *testing.T) {
	m, plane := newManager(t, nil)
	video := "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000"
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000, video))))
	used := plane.Pools()[0].Used
	got := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4000, strings.Replace(video, "5000", "0", 1))))).Media()
	if len(got) != 2 || got[0].Port == 0 || got[1].Port != 0 || got[1].Type != "video" {
		t.Fatalf("got %+v, want audio and a refused video", got)
	}
	if !eventually(func() bool { return plane.Pools()[0].Used == used-2 }) {
		t.Errorf("%d port pairs in use, want the two of the video given back from %d", plane.Pools()[0].Used, used)
	}
	// An answer that is shorter than the offer says nothing about the rest, which is on hold until it does.
	must(t)(m.Offer(request(t, "c2", "a", "", describe("127.0.0.1", 4000, video))))
	got = must(t)(m.Answer(request(t, "c2", "a", "b", describe("127.0.0.1", 4000)))).Media()
	if len(got) != 2 || got[1].Port == 0 || !got[1].Conn.IsZero() || got[1].Codecs[0].Name != "H264" {
		t.Errorf("a short answer gives %+v, want the video as offered, without address", got)
	}
}

func TestAddressFamilyIsBridged(t *testing.T) {
	m, _ := newManager(t, nil)
	bob := newPhone(t)
	alice, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("no IPv6 on this host: %v", err)
	}
	defer alice.Close()
	port := alice.LocalAddr().(*net.UDPAddr).Port
	toBob := must(t)(m.Offer(request(t, "c1", "a", "", describe("::1", port)))).Media()[0]
	if !toBob.Conn.Addr.Is4() {
		t.Errorf("the callee's interface has IPv4 only, and it is told %v", toBob.Conn.Addr)
	}
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]
	if !toAlice.Conn.Addr.Is6() {
		t.Errorf("the caller is told %v, want IPv6", toAlice.Conn.Addr)
	}
	if _, err := alice.WriteToUDP([]byte{0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}, &net.UDPAddr{IP: net.IPv6loopback, Port: int(toAlice.Port)}); err != nil {
		t.Fatal(err)
	}
	if bob.hears(t, soon) != toBob.Port {
		t.Error("nothing crosses from IPv6 to IPv4")
	}
}

func TestUnknownInterfaceIsTheDefaultOne(t *testing.T) {
	m, _ := newManager(t, nil)
	req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
	req.FromInterface, req.ToInterface = "nowhere", "elsewhere"
	if port := must(t)(m.Offer(req)).Media()[0].Port; port < 41000 || port > 41999 {
		t.Errorf("the port is %d, want one of the default interface", port)
	}
}

func TestLastBranchThatAnswersHasTheCall(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob, carol := newPhone(t), newPhone(t), newPhone(t)
	branch := func(name, to string, port int) *call.Request {
		req := request(t, "c1", "a", to, describe("127.0.0.1", port))
		req.ViaBranch = name
		return req
	}
	toBob := must(t)(m.Offer(branch("1", "", alice.port))).Media()[0]
	toCarol := must(t)(m.Offer(branch("2", "", alice.port))).Media()[0]
	if toBob.Port == toCarol.Port {
		t.Fatalf("two branches share port %d", toBob.Port)
	}
	must(t)(m.Answer(branch("1", "b", bob.port)))
	toAlice := must(t)(m.Answer(branch("2", "c", carol.port))).Media()[0]
	alice.say(t, toAlice.Port, 1)
	if carol.hears(t, soon) == 0 {
		t.Error("the branch that answered last hears nothing")
	}
	if bob.hears(t, 200*time.Millisecond) != 0 {
		t.Error("the other branch still hears the caller")
	}
}

func TestUnknownToTagOfAnAnswerIsAnAlias(t *testing.T) {
	m, _ := newManager(t, nil)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4002))))
	must(t)(m.Answer(request(t, "c1", "a", "b2", describe("127.0.0.1", 4004))))
	snap, err := m.Query("c1", "", "b2")
	if err != nil || len(snap.Parties) != 2 {
		t.Fatalf("query by the alias: %v, %v", snap, err)
	}
}

func TestRefusals(t *testing.T) {
	m, _ := newManager(t, nil)
	must(t)(m.Offer(request(t, "known", "a", "", describe("127.0.0.1", 4000))))
	noAddress := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	fax := request(t, "s", "a", "", describe("127.0.0.1", 4000))
	fax.Protocol = sdp.ProtoUDPTL
	for _, c := range []struct {
		name string
		want error
		do   func() error
	}{
		{"an answer to an unknown call", call.ErrUnknownCall, func() error {
			_, err := m.Answer(request(t, "nobody", "a", "b", describe("127.0.0.1", 4000)))
			return err
		}},
		{"an answer to somebody who did not offer", call.ErrDialogue, func() error {
			_, err := m.Answer(request(t, "known", "x", "b", describe("127.0.0.1", 4000)))
			return err
		}},
		{"an offer to oneself", call.ErrDialogue, func() error {
			_, err := m.Offer(request(t, "known", "a", "a", describe("127.0.0.1", 4000)))
			return err
		}},
		{"an offer without an address", call.ErrIncompleteSDP, func() error {
			_, err := m.Offer(request(t, "new", "a", "", noAddress))
			return err
		}},
		{"an offer of speech as fax", call.ErrRewrite, func() error {
			_, err := m.Offer(fax)
			return err
		}},
		{"a query of an unknown call", call.ErrUnknownCall, func() error {
			_, err := m.Query("nobody", "", "")
			return err
		}},
		{"a delete of an unknown call", call.ErrNoMatch, func() error {
			_, err := m.Delete(&call.DeleteRequest{CallID: "nobody"})
			return err
		}},
		{"a delete with a tag nobody has", call.ErrNoMatch, func() error {
			_, err := m.Delete(&call.DeleteRequest{CallID: "known", FromTag: "x"})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.do(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if ids := m.List(10); len(ids) != 1 {
		t.Errorf("calls that failed to start are left: %v", ids)
	}
}

func TestFailedReofferLeavesTheCallAsItWas(t *testing.T) {
	m, plane := newManager(t, nil)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4002))))
	before := plane.Pools()[0].Used
	bad := describe("127.0.0.1", 4000, "m=video 5000 RTP/AVP 99", "a=rtpmap:99 H264/90000")
	req := request(t, "c1", "a", "b", bad)
	req.Protocol = sdp.ProtoUDPTL
	if _, err := m.Offer(req); !errors.Is(err, call.ErrRewrite) {
		t.Fatalf("got %v", err)
	}
	snap, err := m.Query("c1", "", "")
	if err != nil || len(snap.Parties[0].Media) != 1 {
		t.Fatalf("the call has %d medias, %v; want the one it had", len(snap.Parties[0].Media), err)
	}
	if now := plane.Pools()[0].Used; now != before {
		t.Errorf("%d port pairs in use, want %d as before", now, before)
	}
}

func TestSessionLimitSparesCallsThatLive(t *testing.T) {
	m, _ := newManager(t, func(c *call.Config) { c.MaxSessions = 1 })
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
	if _, err := m.Offer(request(t, "c2", "a", "", describe("127.0.0.1", 4000))); !errors.Is(err, call.ErrSessionLimit) {
		t.Errorf("a second call: %v, want %v", err, call.ErrSessionLimit)
	}
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4002))))
}

func TestDelete(t *testing.T) {
	m, plane := newManager(t, func(c *call.Config) { c.DeleteDelay = time.Hour })
	now := time.Duration(0)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4002))))
	if _, err := m.Delete(&call.DeleteRequest{CallID: "c1", FromTag: "a"}); err != nil {
		t.Fatal(err)
	}
	snap, err := m.Query("c1", "", "")
	if err != nil || snap.State != call.StateDeleted {
		t.Fatalf("state %v, %v; want deleted and still there", snap, err)
	}
	must(t)(m.Offer(request(t, "c1", "a", "b", describe("127.0.0.1", 4000))))
	if snap, err := m.Query("c1", "", ""); err != nil || snap.State == call.StateDeleted {
		t.Errorf("a message after the delete does not keep the call: %v, %v", snap.State, err)
	}
	if _, err := m.Delete(&call.DeleteRequest{CallID: "c1", Delay: &now}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Query("c1", "", ""); !errors.Is(err, call.ErrUnknownCall) {
		t.Errorf("after a delete without delay: %v, want %v", err, call.ErrUnknownCall)
	}
	if !eventually(func() bool { return plane.Pools()[0].Used == 0 }) {
		t.Errorf("%d port pairs are still in use", plane.Pools()[0].Used)
	}
}

func TestTimeLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*call.Config)
		answer bool
		want   call.Reason
	}{
		{"an offer nobody answers", func(c *call.Config) { c.OfferTimeout = 50 * time.Millisecond }, false, call.ReasonOfferTimeout},
		{"a call without packets", func(c *call.Config) { c.Timeout = 50 * time.Millisecond }, true, call.ReasonTimeout},
		{"a call that is too old", func(c *call.Config) { c.FinalTimeout = 50 * time.Millisecond }, true, call.ReasonFinalTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, c.change)
			must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
			if c.answer {
				must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4002))))
			}
			if !eventually(func() bool { return m.Stats().EndedBy[c.want] == 1 }) {
				t.Errorf("ended by %v, want %v", m.Stats().EndedBy, c.want)
			}
		})
	}
}
