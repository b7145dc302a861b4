package ice

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// TestRestart: media stays where it was, old checks are answered, and the new session completes.
func TestRestart(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 2, Config{Controlling: true}, "192.0.2.1")
	b := n.party("answerer", 2, Config{}, "198.51.100.1")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))
	before, _ := a.Selected(RTP)

	must(t, a.Restart(NewCredentials(), nil))
	if a.State() != New {
		t.Errorf("after the restart: %v", a.State())
	}
	if now, ok := a.Selected(RTP); !ok || now != before {
		t.Errorf("media moved to %v", now)
	}
	if len(a.LocalCandidates()) != 2 || a.RemoteCandidates() != nil {
		t.Error("the new offer is about the old session")
	}
	n.run(40 * time.Second) // the answer takes its time; the old session lives on at the other side
	if b.State() != Completed {
		t.Errorf("the other side lost us before it answered: %v", b.State())
	}
	refused := a.Counters().Unauthenticated

	must(t, b.Restart(NewCredentials(), nil))
	meet(a, b)
	n.until(time.Second, "completed again", in(Completed, a, b))
	agree(t, n, a, b, 2)
	if a.Counters().Unauthenticated != refused {
		t.Error("checks of the new session were refused")
	}
	n.run(time.Minute)
	if !in(Completed, a, b)() {
		t.Errorf("%v and %v", a.State(), b.State())
	}
}

// TestRestartOnOtherPorts: the new session is on new sockets.
func TestRestartOnOtherPorts(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 1, Config{Controlling: true}, "192.0.2.1")
	b := n.party("answerer", 1, Config{}, "198.51.100.1")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))
	moved := Base{Component: RTP, Addr: netip.MustParseAddrPort("192.0.2.1:9000"), Foundation: "f", Socket: 10}
	n.routes[moved.Addr] = socket{a, 10}
	a.addr[10] = moved.Addr
	must(t, a.Restart(NewCredentials(), []Base{moved}))
	must(t, b.Restart(NewCredentials(), nil))
	meet(a, b)
	n.until(time.Second, "completed again", in(Completed, a, b))
	if p, _ := b.Selected(RTP); p.Remote != moved.Addr {
		t.Errorf("the other side sends to %v", p.Remote)
	}
}

// TestNewAnswerer: another branch of a forked call answers with other credentials, and we keep ours.
func TestNewAnswerer(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 1, Config{Controlling: true}, "192.0.2.1")
	b := n.party("first branch", 1, Config{}, "198.51.100.1")
	c := n.party("second branch", 1, Config{}, "198.51.100.2")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))
	meet(a, c)
	n.until(time.Second, "completed", in(Completed, a, c))
	agree(t, n, a, c, 1)
}

// TestTrickle: candidates come one by one, the one that works last.
func TestTrickle(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 1, Config{Controlling: true}, "192.0.2.1")
	b := n.party("answerer", 1, Config{}, "198.51.100.1")
	a.AddRemoteCandidate(b.LocalCandidates()[0]) // too early: nobody knows whose it is
	if len(a.pairs) != 0 {
		t.Error("a candidate before the description counts")
	}
	must(t, b.SetRemote(Remote{Credentials: a.Credentials()}))
	must(t, a.SetRemote(Remote{Credentials: b.Credentials()}))
	n.run(time.Second)
	for _, dead := range []string{"198.51.100.66:1", "198.51.100.67:1"} {
		a.AddRemoteCandidate(Candidate{Component: RTP, Foundation: "x", Priority: 1 << 30, Addr: netip.MustParseAddrPort(dead)})
		n.run(time.Second)
	}
	if a.State() != Checking {
		t.Fatalf("%v without a candidate that works", a.State())
	}
	a.AddRemoteCandidate(b.LocalCandidates()[0])
	a.EndOfCandidates()
	n.until(2*time.Second, "completed", in(Completed, a, b))
}

// TestEarlyChecks: the peer checks before its description has come.
func TestEarlyChecks(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 2, Config{Controlling: true}, "192.0.2.1")
	b := n.party("answerer", 2, Config{}, "198.51.100.1")
	must(t, b.SetRemote(a.describe()))
	n.run(3 * time.Second)
	if len(a.authentic) != 2 || a.State() != Checking {
		t.Fatalf("authenticated %v, %v", a.authentic, a.State())
	}
	answer := b.describe()
	answer.Candidates = nil // not one of them need be signalled
	must(t, a.SetRemote(answer))
	n.until(time.Second, "completed", in(Completed, a, b))
}

// TestEarlyStranger: what a branch has learnt that does not get the call is forgotten.
func TestEarlyStranger(t *testing.T) {
	w := newWire(t, Config{Controlling: true})
	w.a.Handle(wireSocket, w.check(controlled), peerAddr)
	if len(w.a.pairs) != 1 {
		t.Fatal("nothing was learnt")
	}
	must(t, w.a.SetRemote(Remote{Credentials: Credentials{"else", "password of somebody else"}}))
	if len(w.a.pairs) != 0 || len(w.a.remotes) != 0 || len(w.a.triggered) != 0 {
		t.Error("it is kept")
	}
}

func controlled(w *writer) { w.uint64(attrControlled, 1) }

// TestSignalledCandidatesNeverAnswer: the peer's candidates are dead, but it sends checks from elsewhere.
func TestSignalledCandidatesNeverAnswer(t *testing.T) {
	for name, weControl := range map[string]bool{"controlling": true, "controlled": false} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			a := n.party("ours", 2, Config{Controlling: weControl}, "192.0.2.1")
			b := n.party("peer", 2, Config{Controlling: !weControl}, "198.51.100.8")
			must(t, b.SetRemote(a.describe()))
			lie := b.describe()
			for i := range lie.Candidates {
				lie.Candidates[i].Addr = netip.AddrPortFrom(netip.MustParseAddr("198.51.100.99"), 2000+uint16(i))
			}
			must(t, a.SetRemote(lie))
			n.until(2*time.Second, "completed", in(Completed, a, b))
			for component := range a.connecting {
				if got := a.connecting[component].nominee.remote.Type; got != PeerReflexive {
					t.Errorf("component %d: a %v candidate", component+1, got)
				}
			}
		})
	}
}

// TestPeerReflexiveIsSignalledLater: a candidate that came by a check first takes the signalled type and priority.
func TestPeerReflexiveIsSignalledLater(t *testing.T) {
	w := newWire(t, Config{})
	w.meetPeer()
	w.a.Handle(wireSocket, w.check(nil), peerAddr)
	learnt := w.a.pairs[0].priority
	w.a.AddRemoteCandidate(peerCandidate)
	if p := w.a.pairs[0]; len(w.a.pairs) != 1 || p.remote.Type != Host || p.remote.Foundation != "1" || p.priority <= learnt {
		t.Errorf("%d pairs, %+v", len(w.a.pairs), w.a.pairs[0].remote)
	}
}

// TestSignalledAfterLearnt: such a candidate is then paired with the other local addresses, too.
func TestSignalledAfterLearnt(t *testing.T) {
	n := newNetwork(t)
	a := n.party("two addresses", 1, Config{}, "192.0.2.1", "192.0.2.2")
	b := n.party("peer", 1, Config{Controlling: true}, "198.51.100.1")
	offer := a.describe()
	offer.Candidates = offer.Candidates[:1]
	must(t, b.SetRemote(offer))
	n.run(time.Second)
	if len(a.pairs) != 1 {
		t.Fatalf("%d pairs learnt", len(a.pairs))
	}
	must(t, a.SetRemote(b.describe()))
	if len(a.pairs) != 2 {
		t.Errorf("%d pairs, want one with each local address", len(a.pairs))
	}
}

// TestStoppedProcess: an hour without a Tick is no loss of consent.
func TestStoppedProcess(t *testing.T) {
	n := newNetwork(t)
	a := n.party("ours", 1, Config{Controlling: true}, "192.0.2.1")
	b := n.party("peer", 1, Config{}, "198.51.100.1")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))
	n.now = n.now.Add(time.Hour)
	n.run(time.Minute)
	for _, p := range []*party{a, b} {
		if slices.Contains(p.states, Disconnected) {
			t.Errorf("%s: told %v", p.name, p.states)
		}
	}
}

// TestNominationIsLost: the peer answers all but the nomination for a long time.
func TestNominationIsLost(t *testing.T) {
	n := newNetwork(t)
	hidden := true
	n.drop = func(_, _ netip.AddrPort, pkt []byte) bool {
		m, _ := parse(pkt)
		return hidden && m.nominate
	}
	a := n.party("ours", 1, Config{Controlling: true}, "192.0.2.1")
	b := n.party("peer", 1, Config{Lite: true}, "198.51.100.1")
	meet(a, b)
	n.run(2 * time.Minute)
	if !in(Connected, a, b)() {
		t.Errorf("%v and %v", a.State(), b.State())
	}
	hidden = false
	n.until(3*time.Second, "completed", in(Completed, a, b))
}

// TestUselessCandidates: names, other families and the like are ignored and counted.
func TestUselessCandidates(t *testing.T) {
	w := newWire(t, Config{})
	useless := []Candidate{
		{Component: RTP}, // a name of mDNS, or TCP
		{Component: RTP, Addr: netip.MustParseAddrPort("0.0.0.0:9")},
		{Component: RTP, Addr: netip.MustParseAddrPort("198.51.100.7:0")},
		{Component: RTP, Addr: netip.MustParseAddrPort("224.0.0.1:9")},
		{Component: RTP, Addr: netip.MustParseAddrPort("255.255.255.255:9")},
		{Component: RTCP, Addr: netip.MustParseAddrPort("198.51.100.7:9")},
		{Component: 77, Addr: netip.MustParseAddrPort("198.51.100.7:9")},
	}
	w.meetPeer(append(useless, Candidate{Component: RTP, Addr: netip.MustParseAddrPort("[2001:db8::7]:9")})...)
	if got := w.a.Counters().IgnoredRemote; got != uint64(len(useless)) || len(w.a.pairs) != 0 {
		t.Errorf("%d ignored, %d pairs", got, len(w.a.pairs))
	}
	if w.pass(50 * time.Second); w.a.State() != Failed || len(w.sent) != 0 {
		t.Errorf("%v, %d packets", w.a.State(), len(w.sent))
	}
}

// TestFailedAndRevived: nobody answers until all hope is gone; then the peer does.
func TestFailedAndRevived(t *testing.T) {
	n := newNetwork(t)
	dead := true
	n.drop = func(_, _ netip.AddrPort, _ []byte) bool { return dead }
	a := n.party("ours", 2, Config{Controlling: true}, "192.0.2.1")
	b := n.party("peer", 2, Config{}, "198.51.100.1")
	meet(a, b)
	n.run(39 * time.Second)
	if a.State() != Checking {
		t.Errorf("failed too early: %v", a.State())
	}
	n.run(3 * time.Second)
	if !in(Failed, a, b)() {
		t.Fatalf("%v and %v", a.State(), b.State())
	}
	sent := n.sent
	if n.run(time.Minute); n.sent != sent {
		t.Errorf("%d packets of agents that have failed", n.sent-sent)
	}
	dead = false
	must(t, a.SetRemote(b.describe())) // a repeated answer tries again
	n.until(2*time.Second, "completed", in(Completed, a, b))
}

// TestSecondComponentIsDead: no RTCP gets through, and the call is none the worse.
func TestSecondComponentIsDead(t *testing.T) {
	for name, lite := range map[string]bool{"full": false, "lite": true} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t)
			n.drop = func(_, to netip.AddrPort, _ []byte) bool { return to.Port() == 5001 }
			a := n.party("offerer", 2, Config{Controlling: true}, "192.0.2.1")
			b := n.party("answerer", 2, Config{Lite: lite}, "198.51.100.1")
			meet(a, b)
			n.until(4*time.Second, "RTP nominated", func() bool {
				p, _ := a.Selected(RTP)
				q, _ := b.Selected(RTP)
				return p.Nominated && q.Nominated
			})
			n.until(time.Minute, "completed", in(Completed, a))
		})
	}
}

// TestPeerMultiplexes: the peer has no candidates for RTCP, or the descriptions agree on one port later.
func TestPeerMultiplexes(t *testing.T) {
	n := newNetwork(t)
	a := n.party("offerer", 2, Config{Controlling: true}, "192.0.2.1", "192.0.2.2")
	b := n.party("answerer", 1, Config{}, "198.51.100.1")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))

	c := n.party("offerer that drops RTCP", 2, Config{Controlling: true}, "192.0.2.11")
	d := n.party("answerer that drops RTCP", 2, Config{}, "198.51.100.11")
	must(t, d.SetRemote(c.describe()))
	n.run(200 * time.Millisecond)
	c.Drop(RTCP)
	d.Drop(RTCP)
	must(t, c.SetRemote(d.describe()))
	n.until(time.Second, "completed", in(Completed, c, d))
	if len(c.LocalCandidates()) != 1 {
		t.Errorf("lists %v", c.LocalCandidates())
	}
	if _, ok := c.Selected(RTCP); ok {
		t.Error("RTCP has a pair")
	}
}

// TestBothComponentsTakeOnePath: of two addresses of the peer the better one answers for RTP only.
func TestBothComponentsTakeOnePath(t *testing.T) {
	n := newNetwork(t)
	n.drop = func(_, to netip.AddrPort, _ []byte) bool { return to == netip.MustParseAddrPort("198.51.100.1:5001") }
	a := n.party("ours", 2, Config{Controlling: true}, "192.0.2.1")
	b := n.party("peer", 2, Config{}, "198.51.100.1", "198.51.100.2")
	meet(a, b)
	n.until(2*time.Second, "completed", in(Completed, a, b))
	for component, want := range []string{"198.51.100.2:5002", "198.51.100.2:5003"} {
		if p, _ := a.Selected(component + 1); p.Remote.String() != want {
			t.Errorf("component %d: %v, want %v", component+1, p.Remote, want)
		}
	}
}

// TestNominationWaitsForBetter: the better pair takes its time, within reason.
func TestNominationWaitsForBetter(t *testing.T) {
	for _, c := range []struct {
		name   string
		takes  time.Duration
		better bool
	}{{"quick enough", 200 * time.Millisecond, true}, {"too slow", 800 * time.Millisecond, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, Config{Controlling: true})
			second := Candidate{Component: RTP, Foundation: "2", Priority: 100, Addr: netip.MustParseAddrPort("198.51.100.9:9")}
			w.meetPeer(peerCandidate, second)
			start := w.now
			for range 40 {
				w.pass(pace)
				for _, p := range w.take() {
					if p.to == second.Addr || w.now.Sub(start) >= c.takes {
						w.a.Handle(wireSocket, respond(p, peerCredentials), p.to)
					}
				}
				if c.better && w.now.Sub(start) == c.takes {
					for _, p := range w.a.pairs {
						if p.remote.Addr == peerAddr && p.check.open {
							w.a.Handle(wireSocket, respond(packet{message: message{id: p.check.id}}, peerCredentials), peerAddr)
						}
					}
				}
			}
			got := w.told[len(w.told)-1]
			if !got.Nominated || (got.Remote == peerAddr) != c.better {
				t.Errorf("nominated %+v", got)
			}
		})
	}
}

// TestNominations: which of the peer's nominations counts.
func TestNominations(t *testing.T) {
	high := peerAddr
	low := netip.MustParseAddrPort("198.51.100.9:9")
	type step struct {
		from  netip.AddrPort
		value uint32
		after time.Duration
		want  netip.AddrPort
		check bool // does not nominate
		again bool // the last packet from there once more
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"one", []step{{from: low, want: low}}},
		{"aggressive: the higher priority wins when it comes last", []step{{from: low, want: low}, {from: high, want: high}}},
		{"aggressive: the higher priority wins when it comes first",
			[]step{{from: high, want: high}, {from: low, after: time.Second, want: high}}},
		{"aggressive: the peer has moved", []step{{from: high, want: high}, {from: low, after: 4 * time.Second, want: low}}},
		{"regular: the last one wins", []step{{from: low, check: true}, {from: high, check: true}, {from: high, want: high},
			{from: low, after: time.Second, want: low}, {from: high, want: high}}},
		{"regular: one that was sent again does not win", []step{{from: low, check: true}, {from: high, want: high},
			{from: low, after: time.Second, want: low}, {from: high, again: true, want: low}}},
		{"numbered: the last one wins", []step{{from: high, value: 1, want: high}, {from: low, value: 2, want: low},
			{from: high, value: 3, want: high}}},
		{"numbered: an old one comes late", []step{{from: high, value: 5, want: high}, {from: low, value: 2, want: high}}},
	} {
		for kind, lite := range map[string]bool{"full": false, "lite": true} {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				w := newWire(t, Config{Lite: lite})
				w.meetPeer(peerCandidate, Candidate{Component: RTP, Foundation: "2", Priority: 100, Addr: low})
				w.pass(time.Second)
				for _, p := range w.take() {
					w.a.Handle(wireSocket, respond(p, peerCredentials), p.to)
				}
				last := map[netip.AddrPort][]byte{}
				for i, s := range c.steps {
					w.now = w.now.Add(s.after)
					if !s.again {
						last[s.from] = w.check(func(out *writer) {
							out.begin(bindingRequest, transactionID{byte(i), 2})
							out.text(attrUsername, "weir:peer")
							out.uint32(attrPriority, 1000)
							out.uint64(attrControlling, 1)
							if !s.check {
								out.header(attrUseCandidate, 0)
							}
							if s.value != 0 {
								out.uint32(attrNomination, s.value)
							}
						})
					}
					w.a.Handle(wireSocket, last[s.from], s.from)
					if s.check {
						continue
					}
					if got, _ := w.a.Selected(RTP); got.Remote != s.want || !got.Nominated {
						t.Errorf("after %d nominations: %+v, want %v", i+1, got, s.want)
					}
				}
				if w.a.State() != Completed {
					t.Errorf("%v", w.a.State())
				}
			})
		}
	}
}

// TestNominatedBeforeChecked: a nomination counts when our own check of the pair has come through, not before.
func TestNominatedBeforeChecked(t *testing.T) {
	w := newWire(t, Config{})
	w.meetPeer()
	w.a.Handle(wireSocket, w.check(nominating), peerAddr)
	if _, ok := w.a.Selected(RTP); ok {
		t.Fatal("media goes where nobody has answered")
	}
	sent := w.take()
	check := sent[len(sent)-1]
	w.a.Handle(wireSocket, respond(check, peerCredentials), peerAddr)
	if got, _ := w.a.Selected(RTP); got.Remote != peerAddr || !got.Nominated {
		t.Errorf("selected %+v", got)
	}
}

// TestConsent: the peer falls silent for more than 30 seconds and comes back.
func TestConsent(t *testing.T) {
	n := newNetwork(t)
	dead := false
	n.drop = func(_, _ netip.AddrPort, _ []byte) bool { return dead }
	a := n.party("ours", 2, Config{Controlling: true}, "192.0.2.1")
	b := n.party("peer", 2, Config{}, "198.51.100.1")
	meet(a, b)
	n.until(time.Second, "completed", in(Completed, a, b))
	before, _ := a.Selected(RTP)
	dead = true
	n.run(20 * time.Second)
	if a.State() != Completed {
		t.Errorf("lost too early: %v", a.State())
	}
	n.run(20 * time.Second)
	if !in(Disconnected, a, b)() || a.Counters().ConsentLost != 2 {
		t.Fatalf("%v and %v, %+v", a.State(), b.State(), a.Counters())
	}
	if now, ok := a.Selected(RTP); !ok || now != before {
		t.Error("media was stopped")
	}
	dead = false
	n.run(10 * time.Second)
	if !in(Completed, a, b)() {
		t.Errorf("%v and %v", a.State(), b.State())
	}
	want := []State{Checking, Connected, Completed, Disconnected, Completed}
	if !slices.Equal(a.states, want) {
		t.Errorf("told %v, want %v", a.states, want)
	}
}

// TestIdleTraffic: a completed full agent sends one check per component in five seconds, a lite one a keepalive in 15.
func TestIdleTraffic(t *testing.T) {
	n := newNetwork(t)
	a := n.party("full", 2, Config{Controlling: true}, "192.0.2.1", "192.0.2.2")
	b := n.party("lite", 2, Config{Lite: true}, "198.51.100.1")
	meet(a, b)
	n.until(2*time.Second, "completed", in(Completed, a, b))
	n.run(time.Second)
	sentA, answers, sentB := a.sent, b.Counters().Requests, b.sent
	n.run(150 * time.Second)
	if got := a.sent - sentA; got < 2*25 || got > 2*37 {
		t.Errorf("the full agent sent %d packets in 150 s", got)
	}
	keepalives := b.sent - sentB - int(b.Counters().Requests-answers)
	if keepalives != 2*10 {
		t.Errorf("the lite agent sent %d keepalives in 150 s", keepalives)
	}
}

// TestCaps: neither descriptions nor the peer's addresses grow beyond their caps, and a roaming peer keeps its call.
func TestCaps(t *testing.T) {
	w := newWire(t, Config{Lite: true})
	var many []Candidate
	for i := range 500 {
		many = append(many, Candidate{Component: RTP, Foundation: "x", Priority: uint32(i),
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 9)})
	}
	w.meetPeer(many...)
	if len(w.a.remotes) != maxRemotes || w.a.Counters().IgnoredRemote != 500-maxRemotes {
		t.Errorf("%d candidates, %d ignored", len(w.a.remotes), w.a.Counters().IgnoredRemote)
	}
	for i := range 200 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, 7}), uint16(1000+i))
		w.now = w.now.Add(5 * time.Second)
		w.a.Handle(wireSocket, w.check(nominating), from)
		if got, _ := w.a.Selected(RTP); got.Remote != from {
			t.Fatalf("the peer roams to %v, media goes to %v", from, got.Remote)
		}
	}
	if len(w.a.remotes) > maxRemotes+maxReflexive || len(w.a.pairs) > maxPairs {
		t.Errorf("%d candidates, %d pairs", len(w.a.remotes), len(w.a.pairs))
	}

	n := newNetwork(t)
	var addrs []string
	for i := range 12 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}).String())
	}
	a := n.party("many addresses", 1, Config{Controlling: true}, addrs...)
	must(t, a.SetRemote(Remote{Credentials: peerCredentials, Candidates: many[:60]}))
	if len(a.pairs) != maxPairs || !slices.IsSortedFunc(a.pairs, byPriority) {
		t.Errorf("%d pairs", len(a.pairs))
	}
}

// TestCallbacksMayCallTheAgent: they run unlocked, and news caused by news come after them.
func TestCallbacksMayCallTheAgent(t *testing.T) {
	var a *Agent
	var told []string
	cfg := Config{
		Lite: true, Local: localBases(1, "192.0.2.1"), Credentials: ownCredentials,
		Send: func(int, []byte, netip.AddrPort) {},
		State: func(s State) {
			told = append(told, s.String())
			if s == Completed {
				must(t, a.Restart(NewCredentials(), nil))
				told = append(told, "restarted")
			}
		},
		Selected: func(p Pair) {
			if got, ok := a.Selected(p.Component); !ok || got != p {
				t.Errorf("told %+v, asked %+v", p, got)
			}
			told = append(told, "selected")
		},
	}
	a, err := NewAgent(cfg)
	must(t, err)
	w := &wire{t: t, a: a}
	a.Handle(10, w.check(nominating), peerAddr)
	if want := []string{"selected", "completed", "restarted", "new"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestSetControlling: the role can be chosen until the peer is known, by a full agent.
func TestSetControlling(t *testing.T) {
	w := newWire(t, Config{})
	w.a.SetControlling(true)
	if !w.a.Controlling() {
		t.Error("the role is not taken")
	}
	w.meetPeer(peerCandidate)
	w.a.SetControlling(false)
	if !w.a.Controlling() {
		t.Error("the role changes in the middle of a session")
	}
	lite := newWire(t, Config{Lite: true})
	lite.a.SetControlling(true)
	lite.meetPeer(peerCandidate)
	if lite.a.Controlling() {
		t.Error("a lite agent controls a full one")
	}
}

// TestRefusedCheck: an error other than a role conflict fails the pair at once, but not one that is in use.
func TestRefusedCheck(t *testing.T) {
	refusal := func(p packet) []byte {
		var out writer
		out.begin(bindingError, p.id)
		out.errorCode(500, "Server Error")
		return out.finish(newIntegrityKey(peerCredentials.Pwd))
	}
	w := newWire(t, Config{})
	w.meetPeer(peerCandidate)
	w.a.Handle(wireSocket, refusal(w.take()[0]), peerAddr)
	if w.a.pairs[0].state != failed {
		t.Error("the check goes on")
	}
	w.a.Handle(wireSocket, w.check(nominating), peerAddr)
	w.pass(2 * pace)
	sent := w.take()
	w.a.Handle(wireSocket, respond(sent[len(sent)-1], peerCredentials), peerAddr)
	if w.a.State() != Completed {
		t.Fatalf("the peer's check does not revive it: %v", w.a.State())
	}
	w.pass(8 * time.Second)
	w.a.Handle(wireSocket, refusal(w.take()[0]), peerAddr)
	if w.a.State() != Completed {
		t.Errorf("a refused consent check ends it: %v", w.a.State())
	}
}

// TestBadRemote: credentials that cannot be are refused and change nothing.
func TestBadRemote(t *testing.T) {
	w := newWire(t, Config{})
	if w.a.SetRemote(Remote{Credentials: Credentials{Ufrag: "x"}}) == nil || w.a.State() != New {
		t.Error("an empty password is accepted")
	}
	if err := w.a.Restart(Credentials{}, nil); !errors.Is(err, ErrConfig) || w.a.Credentials() != ownCredentials {
		t.Errorf("a restart without credentials: %v", err)
	}
	if err := w.a.Restart(NewCredentials(), []Base{{}}); !errors.Is(err, ErrConfig) || w.a.Credentials() != ownCredentials {
		t.Errorf("a restart without addresses: %v", err)
	}
}

// TestClose: a closed agent does nothing any more.
func TestClose(t *testing.T) {
	w := newWire(t, Config{Controlling: true})
	w.meetPeer(peerCandidate)
	pkt := w.check(nil)
	w.a.Close()
	w.take()
	if v := w.a.Handle(wireSocket, pkt, peerAddr); v != Malformed {
		t.Errorf("verdict %v", v)
	}
	must(t, w.a.SetRemote(Remote{Credentials: peerCredentials, Candidates: []Candidate{peerCandidate}}))
	w.a.AddRemoteCandidate(peerCandidate)
	w.a.EndOfCandidates()
	w.a.Drop(RTCP)
	must(t, w.a.Restart(NewCredentials(), nil))
	if next := w.a.Tick(w.now.Add(time.Hour)); !next.IsZero() || len(w.sent) != 0 || w.a.State() != Closed {
		t.Errorf("next %v, %d packets, %v", next, len(w.sent), w.a.State())
	}
}
