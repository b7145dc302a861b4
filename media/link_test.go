package media

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/rtp"
)

// checker is a party with ICE: a phone whose socket also does connectivity checks.
type checker struct {
	*phone
	agent *ice.Agent
	media chan []byte // what is not STUN
}

func newChecker(t *testing.T, controlling bool) *checker {
	t.Helper()
	c := &checker{phone: newPhone(t, loopback4), media: make(chan []byte, 16)}
	var err error
	c.agent, err = ice.NewAgent(ice.Config{
		Local: []ice.Base{{Component: 1, Addr: c.addr(), Foundation: "1"}}, Credentials: ice.NewCredentials(), Controlling: controlling,
		Send: func(_ int, pkt []byte, to netip.AddrPort) {
			_, _ = c.conn.WriteToUDPAddrPort(pkt, to) // a lost check is sent again
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.agent.Close)
	return c
}

// run serves the socket and the timer until the test ends.
func (c *checker) run() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			_ = c.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			n, from, err := c.conn.ReadFromUDPAddrPort(buf)
			var failure net.Error
			switch {
			case err == nil && rtp.Classify(buf[:n]) == rtp.STUN:
				c.agent.Handle(0, buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			case err == nil:
				c.media <- append([]byte(nil), buf[:n]...)
			case !errors.As(err, &failure) || !failure.Timeout():
				return
			}
			c.agent.Tick(time.Now())
		}
	}()
	c.t.Cleanup(func() {
		c.conn.Close()
		<-done
	})
}

// remote is what the party's description would say.
func (c *checker) remote() ice.Remote {
	return ice.Remote{Credentials: c.agent.Credentials(), Candidates: c.agent.LocalCandidates(), EndOfCandidates: true}
}

func TestICESelectsTheWay(t *testing.T) {
	for _, c := range []struct {
		name string
		lite bool
		only int // the local address the party knows of: 0 the primary one, 1 the other
	}{
		{"the primary address", false, 0},
		{"another address of the interface", false, 1},
		{"lite", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) {
				cfg.Interfaces = append(cfg.Interfaces, Interface{Name: "other", Addresses: []Address{
					{IP: second4, PortMin: 41000, PortMax: 41999},
				}})
			})
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			other, _, err := r.OpenPair("other", 4, "call")
			if err != nil {
				t.Fatal(err)
			}
			alice, bob, stranger := newChecker(t, true), newPhone(t, loopback4), newPhone(t, loopback4)
			link := r.NewLink()
			defer link.Close()
			own := ice.NewCredentials()
			if err := link.Apply(LinkConfig{RTP: []*Leg{a, other}, ICE: &ICE{Local: own, Lite: c.lite, Remote: alice.remote()}}); err != nil {
				t.Fatal(err)
			}
			a.Apply(Settings{Link: link, Sinks: []Sink{{RTP: b}}})
			other.Apply(Settings{Link: link, Primary: a})
			b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})

			ours := link.Agent().LocalCandidates()
			if len(ours) != 2 {
				t.Fatalf("%d candidates, want one for each local address", len(ours))
			}
			if err := alice.agent.SetRemote(ice.Remote{
				Credentials: own, Candidates: ours[c.only : c.only+1], Lite: c.lite, EndOfCandidates: true,
			}); err != nil {
				t.Fatal(err)
			}
			alice.run()
			r.until("the pair is nominated", func() bool { return link.Agent().State() == ice.Completed })

			way := []*Leg{a, other}[c.only]
			sent := bob.rtp(b)
			if got := <-alice.media; string(got) != string(sent) {
				t.Errorf("got %x, want %x", got, sent)
			}
			stranger.rtp(way)
			bob.wants(b, alice.rtp(way))
			r.until("the stranger is refused", func() bool { return a.Stats().Drops[DropForeign] == 1 })
			if st := a.Stats(); st.Out.Packets != 1 || st.In.Packets != 1 {
				t.Errorf("the primary leg counts %d in, %d out, want one each", st.In.Packets, st.Out.Packets)
			}

			if err := link.Apply(LinkConfig{RTP: []*Leg{a, other}}); err != nil {
				t.Fatal(err)
			}
			if link.Agent() != nil || a.route.Load() != nil || a.allowed.Load() != nil {
				t.Error("what ICE had found outlives it")
			}
		})
	}
}

func TestSTUNWithoutAnAgentIsDropped(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	a.Apply(Settings{Link: r.NewLink()})
	alice := newChecker(t, true)
	if err := alice.agent.SetRemote(ice.Remote{Credentials: ice.NewCredentials(), Candidates: []ice.Candidate{
		{Foundation: "1", Component: 1, Priority: 1, Addr: a.Local()},
	}}); err != nil {
		t.Fatal(err)
	}
	alice.run()
	r.until("a check is dropped", func() bool { return a.Stats().Drops[DropSTUN] > 0 })
}

func TestMediaFollowsAPeerThatKeepsToAnotherAuthenticatedAddress(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	selected, other := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.1:4002")
	a.setRoute(&route{via: a, to: newEndpoint(selected)})
	for _, step := range []struct {
		at   time.Duration
		from netip.AddrPort
		to   netip.AddrPort
	}{
		{0, selected, selected},
		{1, other, selected},
		{learnWindow, selected, selected}, // back again: no more than a packet that went astray
		{learnWindow + 1, other, selected},
		{2 * learnWindow, other, selected},
		{2*learnWindow + 1, other, other},
		{2*learnWindow + 2, selected, other},
	} {
		a.follow(a, step.from, step.at)
		if got := a.route.Load().to.addr; got != step.to {
			t.Fatalf("at %v, with a packet from %v, media goes to %v, want %v", step.at, step.from, got, step.to)
		}
	}
}

func TestAnAgentThatHasEndedSelectsNothing(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	link := r.NewLink()
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}, ICE: &ICE{Local: ice.NewCredentials()}}); err != nil {
		t.Fatal(err)
	}
	agent := link.Agent()
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}}); err != nil {
		t.Fatal(err)
	}
	// What it had found was on its way when it ended.
	link.selected(agent, ice.Pair{Component: 1, Remote: peerOf(0)})
	link.authenticated(agent, 1, peerOf(0))
	if a.route.Load() != nil || a.allowed.Load() != nil {
		t.Error("packets go where no ICE has them go")
	}
}

func TestAnotherICESessionShutsOutThePeerBeforeOnceItHasAPair(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	link := r.NewLink()
	defer link.Close()
	restart := func() {
		if err := link.Apply(LinkConfig{RTP: []*Leg{a}, ICE: &ICE{Local: ice.NewCredentials()}}); err != nil {
			t.Fatal(err)
		}
	}
	admitted := func(want ...netip.AddrPort) {
		t.Helper()
		if got := a.allowed.Load(); got == nil || !slices.Equal(got.list, want) {
			t.Errorf("packets of %v are let in, want %v", got, want)
		}
	}
	restart()
	link.authenticated(link.Agent(), 1, peerOf(0))
	link.authenticated(link.Agent(), 1, peerOf(1))
	restart()
	admitted(peerOf(0), peerOf(1)) // media goes on meanwhile
	link.authenticated(link.Agent(), 1, peerOf(2))
	link.authenticated(link.Agent(), 1, peerOf(1))
	link.selected(link.Agent(), ice.Pair{Component: 1, Remote: peerOf(1)})
	admitted(peerOf(0), peerOf(2), peerOf(1))
	link.selected(link.Agent(), ice.Pair{Component: 1, Remote: peerOf(1), Nominated: true})
	admitted(peerOf(2), peerOf(1))
	for i := range maxAllowed + 2 {
		link.authenticated(link.Agent(), 1, netip.AddrPortFrom(peerOf(3).Addr(), uint16(1000+i)))
	}
	if n := len(a.allowed.Load().list); n != maxAllowed {
		t.Errorf("%d sources are let in, want at most %d", n, maxAllowed)
	}
}
