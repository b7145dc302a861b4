package call_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/sdp"
)

const (
	iceOffer = "a=ice-ufrag:aaaa\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n" +
		"a=candidate:f1 1 UDP 2130706431 192.0.2.7 4000 typ host\r\na=candidate:f1 2 UDP 2130706430 192.0.2.7 4001 typ host\r\n"
	iceAnswer  = "a=ice-ufrag:bbbb\r\na=ice-pwd:bbbbbbbbbbbbbbbbbbbbbbbb\r\na=candidate:f2 1 UDP 2130706431 192.0.2.8 4000 typ host\r\n"
	iceRestart = "a=ice-ufrag:cccc\r\na=ice-pwd:cccccccccccccccccccccccc\r\n"
	trickle    = "a=ice-options:trickle\r\n"
)

func mode(m call.ICEMode) call.Options { return call.Options{ICE: call.ICEControl{Mode: m}} }

// exchange is an offer or an answer of a call between a and b, both on the interface with two addresses.
func exchange(t *testing.T, m *call.Manager, answer bool, from, to, more string, o call.Options) *sdp.Description {
	t.Helper()
	req := request(t, "ice", from, to, describe("127.0.0.1", 4000)+more)
	req.Options = o
	req.FromInterface, req.ToInterface = "caller", "caller"
	if answer {
		return must(t)(m.Answer(req))
	}
	return must(t)(m.Offer(req))
}

func media0(t *testing.T, m *call.Manager, tag string) *call.Media {
	t.Helper()
	snap, err := m.Query("ice", "", "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range snap.Parties {
		if p.Party.Tag == tag {
			return p.Party.Media[0]
		}
	}
	t.Fatalf("there is no party %q", tag)
	return nil
}

func TestWhoIsToldOfICE(t *testing.T) {
	type step struct {
		answer bool
		says   string
		o      call.Options
		told   bool
	}
	reset := mode(call.ICEForce)
	reset.Reset = true
	rejected := mode(call.ICEDefault)
	rejected.ICE.Reject = true
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"nobody who does not offer it", []step{{false, "", mode(call.ICEDefault), false}, {true, "", mode(call.ICEForce), false}}},
		{"both who do it", []step{{false, iceOffer, mode(call.ICEDefault), true}, {true, iceAnswer, mode(call.ICEDefault), true}}},
		{"the answerer alone", []step{{false, "", mode(call.ICEForce), true}, {true, iceAnswer, mode(call.ICEDefault), false},
			{false, "", mode(call.ICEDefault), true}}},
		{"the offerer alone", []step{{false, iceOffer, mode(call.ICERemove), false}, {true, "", mode(call.ICEDefault), true},
			{false, iceOffer, mode(call.ICEDefault), false}}},
		{"nobody after removal in the answer", []step{{false, iceOffer, mode(call.ICEDefault), true}, {true, iceAnswer, mode(call.ICERemove), false}}},
		{"optional is force without an offer", []step{{false, "", mode(call.ICEOptional), true}, {true, "", mode(call.ICEOptional), false}}},
		{"rejected at once", []step{{false, iceOffer, rejected, false}, {true, "", mode(call.ICEDefault), false}}},
		{"not again who declined, until that is forgotten", []step{{false, "", mode(call.ICEForce), true}, {true, "", mode(call.ICEDefault), false},
			{false, "", mode(call.ICEForce), false}, {true, "", mode(call.ICEDefault), false}, {false, "", reset, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			for i, s := range c.steps {
				to := "b"
				if i == 0 {
					to = ""
				}
				got := exchange(t, m, s.answer, "a", to, s.says, s.o).Media()[0]
				if told := got.ICE.Given(); told != s.told || told != (len(got.Candidates) > 0) {
					t.Fatalf("message %d: told of ICE: %v with %d candidates, want %v", i+1, told, len(got.Candidates), s.told)
				}
				if got.ICE.Ufrag == "aaaa" || got.ICE.Ufrag == "bbbb" {
					t.Errorf("message %d: told of the other party's session", i+1)
				}
			}
		})
	}
}

func TestCandidatesOnEveryAddress(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*call.Options)
		want   []string // component, priority, address
	}{
		{"both components", nil, []string{"1 2130706431 127.0.0.1", "1 2130706175 ::1", "2 2130706430 127.0.0.1", "2 2130706174 ::1"}},
		{"muxed", func(o *call.Options) { o.RTCPMux.Require = true }, []string{"1 2130706431 127.0.0.1", "1 2130706175 ::1"}},
		{"the wanted family first", func(o *call.Options) { o.Family = 6 },
			[]string{"1 2130706431 ::1", "1 2130706175 127.0.0.1", "2 2130706430 ::1", "2 2130706174 127.0.0.1"}},
		{"another address is told", func(o *call.Options) { o.MediaAddress, o.RTCPMux.Require = netip.MustParseAddr("203.0.113.5"), true },
			[]string{"1 2130706431 203.0.113.5", "1 2130706175 203.0.113.5"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, plane := newManager(t, nil)
			o := mode(call.ICEForce)
			if c.change != nil {
				c.change(&o)
			}
			got := exchange(t, m, false, "a", "", "", o).Media()[0]
			var list []string
			ports := map[uint16]bool{}
			for _, line := range got.Candidates {
				words := strings.Fields(line.String())
				list = append(list, strings.Join([]string{words[1], words[3], words[4]}, " "))
				ports[line.Port] = true
				if len(line.Foundation) != 16 || line.Type != "host" {
					t.Errorf("candidate %v", line)
				}
			}
			if !slices.Equal(list, c.want) {
				t.Errorf("got %q, want %q", list, c.want)
			}
			if !ports[got.Port] {
				t.Errorf("port %d of the section is no candidate", got.Port)
			}
			used := 0
			for _, p := range plane.Pools() {
				used += p.Used
			}
			if used != 3 {
				t.Errorf("%d pairs of ports are open, want one towards the offerer and two towards the other", used)
			}
		})
	}
}

func TestOneAddressOnly(t *testing.T) {
	m, _ := newManager(t, func(c *call.Config) { c.OneAddress = true })
	if got := exchange(t, m, false, "a", "", "", mode(call.ICEForce)).Media()[0].Candidates; len(got) != 2 {
		t.Errorf("got %v, want one address", got)
	}
}

func TestPortsOfICEAreGivenBack(t *testing.T) {
	m, plane := newManager(t, nil)
	exchange(t, m, false, "a", "", iceOffer, mode(call.ICEDefault))
	exchange(t, m, true, "a", "b", "", mode(call.ICERemove))
	if !eventually(func() bool {
		used := 0
		for _, p := range plane.Pools() {
			used += p.Used
		}
		return used == 2
	}) {
		t.Errorf("%+v, want one pair for each party", plane.Pools())
	}
}

func TestSessionsOfICE(t *testing.T) {
	m, _ := newManager(t, nil)
	toB := exchange(t, m, false, "a", "", iceOffer, mode(call.ICEDefault)).Media()[0]
	toA := exchange(t, m, true, "a", "b", iceAnswer, mode(call.ICEDefault)).Media()[0]
	a, b := media0(t, m, "a"), media0(t, m, "b")
	if a.ICE.Controlling || !b.ICE.Controlling {
		t.Errorf("controlling towards the offerer %v, towards the answerer %v", a.ICE.Controlling, b.ICE.Controlling)
	}
	if a.ICE.Remote.Credentials.Ufrag != "aaaa" || len(a.ICE.Remote.Candidates) != 2 || b.ICE.Remote.Credentials.Pwd != strings.Repeat("b", 24) {
		t.Errorf("the plan has %+v and %+v", a.ICE.Remote, b.ICE.Remote)
	}
	again := exchange(t, m, false, "a", "b", iceOffer, mode(call.ICEDefault)).Media()[0]
	if again.ICE != toB.ICE || again.Port != toB.Port {
		t.Errorf("a refresh changes %v, %d to %v, %d", toB.ICE, toB.Port, again.ICE, again.Port)
	}
	if kept := exchange(t, m, true, "a", "b", iceAnswer, mode(call.ICEDefault)).Media()[0]; kept.ICE != toA.ICE {
		t.Errorf("a refresh changes %v to %v", toA.ICE, kept.ICE)
	}
	exchange(t, m, false, "a", "b", iceRestart, mode(call.ICEDefault))
	restarted := exchange(t, m, true, "a", "b", iceAnswer, mode(call.ICEDefault)).Media()[0]
	if restarted.ICE == toA.ICE || restarted.Port != toA.Port {
		t.Errorf("after a restart %v, %d; it was %v, %d", restarted.ICE, restarted.Port, toA.ICE, toA.Port)
	}
	if a := media0(t, m, "a"); a.ICE.Remote.Credentials.Ufrag != "cccc" || len(a.ICE.Remote.Candidates) != 0 {
		t.Errorf("after a restart the plan has %+v", a.ICE.Remote)
	}
}

func TestPortLatchingIsGivenUp(t *testing.T) {
	m, _ := newManager(t, nil)
	o := mode(call.ICEForce)
	o.NoPortLatching = true
	first := exchange(t, m, false, "a", "", "", o).Media()[0]
	moved := request(t, "ice", "a", "b", describe("127.0.0.1", 4002))
	moved.Options = o
	moved.FromInterface, moved.ToInterface = "caller", "caller"
	if second := must(t)(m.Offer(moved)).Media()[0]; second.Port == first.Port || second.ICE == first.ICE {
		t.Errorf("still %d, %v", second.Port, second.ICE)
	}
}

func TestICELite(t *testing.T) {
	yes := true
	m, _ := newManager(t, nil)
	o := mode(call.ICEForce)
	o.ICE.LiteForward = &yes
	if d := exchange(t, m, false, "a", "", iceOffer, o); !d.Sessions[0].ICELite {
		t.Error("the receiver is not told")
	}
	if d := exchange(t, m, true, "a", "b", "a=ice-lite\r\n"+iceAnswer, mode(call.ICEDefault)); d.Sessions[0].ICELite {
		t.Error("the sender is told")
	}
	if b := media0(t, m, "b"); !b.ICE.Lite || !b.ICE.Remote.Lite {
		t.Errorf("the plan has %+v", b.ICE)
	}
}

func TestTrickleAndICE2(t *testing.T) {
	m, _ := newManager(t, nil)
	o := mode(call.ICEForce)
	o.ICE.Trickle, o.ICE.ICE2 = true, true
	if got := exchange(t, m, false, "a", "", iceOffer+"a=ice-options:ice2\r\n", o).Media()[0]; got.ICE.Options != "trickle ice2" || !got.EndOfCandidates {
		t.Errorf("offered %q, end of candidates %v", got.ICE.Options, got.EndOfCandidates)
	}
	if got := exchange(t, m, true, "a", "b", iceAnswer+trickle, mode(call.ICEDefault)).Media()[0]; got.ICE.Options != "ice2" || got.EndOfCandidates {
		t.Errorf("answered %q, end of candidates %v", got.ICE.Options, got.EndOfCandidates)
	}
	if a, b := media0(t, m, "a"), media0(t, m, "b"); !a.ICE.Remote.EndOfCandidates || b.ICE.Remote.EndOfCandidates {
		t.Error("who trickles has more candidates to come, who does not has none")
	}
}

func TestFragments(t *testing.T) {
	const line = "a=candidate:f9 1 UDP 2130706431 192.0.2.9 5000 typ host\r\n"
	fragment := func(t *testing.T, m *call.Manager, answer bool, text string) {
		t.Helper()
		d, err := sdp.Options{Fragment: true}.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Fragment(&call.Request{CallID: "ice", FromTag: "a", ToTag: "b", SDP: d}, answer); err != nil {
			t.Fatal(err)
		}
	}
	known := func(t *testing.T, m *call.Manager, tag string) bool {
		return slices.ContainsFunc(media0(t, m, tag).ICE.Remote.Candidates, func(c ice.Candidate) bool {
			return c.Addr == netip.MustParseAddrPort("192.0.2.9:5000")
		})
	}
	offer := func(t *testing.T, m *call.Manager) {
		exchange(t, m, false, "a", "", iceOffer+trickle+"a=mid:x\r\n", mode(call.ICEDefault))
	}
	const section = "m=audio 9 RTP/AVP 0\r\n"
	for _, c := range []struct {
		name, text string
		taken      bool
	}{
		{"by place", section + line, true},
		{"by mid", "a=ice-ufrag:aaaa\r\na=ice-pwd:p\r\n" + section + "a=mid:x\r\n" + line + "a=end-of-candidates\r\n", true},
		{"of another session", "a=ice-ufrag:zzzz\r\na=ice-pwd:p\r\n" + section + line, false},
		{"of no section there is", section + "a=mid:y\r\n" + section + line, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			offer(t, m)
			fragment(t, m, false, c.text)
			if got := known(t, m, "a"); got != c.taken {
				t.Errorf("taken: %v", got)
			}
			if end := media0(t, m, "a").ICE.Remote.EndOfCandidates; end != strings.Contains(c.text, "end-of") {
				t.Errorf("end of candidates: %v", end)
			}
		})
	}
	t.Run("before the offer", func(t *testing.T) {
		m, _ := newManager(t, nil)
		fragment(t, m, false, "a=ice-ufrag:aaaa\r\na=ice-pwd:p\r\n"+section+line)
		offer(t, m)
		if !known(t, m, "a") {
			t.Error("it is lost")
		}
	})
	t.Run("before the answer", func(t *testing.T) {
		m, _ := newManager(t, nil)
		offer(t, m)
		fragment(t, m, true, "a=ice-ufrag:bbbb\r\na=ice-pwd:p\r\n"+section+line)
		exchange(t, m, true, "a", "b", iceAnswer+trickle, mode(call.ICEDefault))
		if !known(t, m, "b") {
			t.Error("it is lost")
		}
	})
	t.Run("before the restart", func(t *testing.T) {
		m, _ := newManager(t, nil)
		offer(t, m)
		exchange(t, m, true, "a", "b", iceAnswer, mode(call.ICEDefault))
		fragment(t, m, false, "a=ice-ufrag:cccc\r\na=ice-pwd:p\r\n"+section+line)
		exchange(t, m, false, "a", "b", iceRestart+trickle, mode(call.ICEDefault))
		if !known(t, m, "a") {
			t.Error("it is lost")
		}
	})
}

func TestPassingThrough(t *testing.T) {
	relayed := "a=candidate:f3 1 UDP 16777215 192.0.2.6 7000 typ relay raddr 192.0.2.5 rport 7001\r\n"
	section := "a=sendonly\r\na=x-own:1\r\n" + iceOffer + relayed + "a=end-of-candidates\r\n"
	on := true
	for _, c := range []struct {
		name        string
		o           call.Options
		says        string
		has, hasNot []string
	}{
		{"optional: our candidates are the worst", mode(call.ICEOptional), strings.Replace(section, relayed, "", 1),
			[]string{"a=x-own:1\r\n", "a=ice-ufrag:aaaa", "192.0.2.7 4001 typ host", " 1 UDP 2097152255 127.0.0.1", " 1 UDP 2097151999 ::1", " 2 UDP 2097152254 127.0.0.1"}, []string{"a=rtpmap", "a=rtcp"}},
		{"relayed: ours take the place of those of the party", mode(call.ICEForceRelay), section,
			[]string{"a=group:BUNDLE 0", "192.0.2.7 4001 typ host", " 1 UDP 16777215 127.0.0.1", "typ relay raddr 127.0.0.1 rport"}, []string{"192.0.2.6"}},
		{"relayed: none without ICE", mode(call.ICEForceRelay), "a=x-own:1\r\n", []string{"a=x-own:1"}, []string{"candidate", "ice-ufrag"}},
		{"on demand: nothing is added", call.Options{Passthrough: &on}, section, []string{"192.0.2.6 7000 typ relay"}, []string{"127.0.0.1 4", "group"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			text := strings.Replace(describe("127.0.0.1", 4000), "m=audio", "a=group:BUNDLE 0\r\nm=audio", 1) + c.says
			req := request(t, "ice", "a", "", text)
			req.Options = c.o
			req.FromInterface, req.ToInterface = "caller", "caller"
			got, err := m.Offer(req)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(c.has, "m=audio 4000 RTP/AVP 0 8", "c=IN IP4 127.0.0.1") {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
			for _, no := range c.hasNot {
				if strings.Contains(got, no) {
					t.Errorf("%q is in\n%s", no, got)
				}
			}
			if strings.Contains(got, "end-of-candidates") && !strings.HasSuffix(got, "a=end-of-candidates\r\n") {
				t.Errorf("candidates follow the end of them in\n%s", got)
			}
			if b := exchange(t, m, true, "a", "b", "a=x-other:1\r\n", call.Options{}).Media()[0]; len(b.Codecs) == 0 || b.Port != 4000 {
				t.Errorf("the answer does not pass: %+v", b)
			}
		})
	}
}
