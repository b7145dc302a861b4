package ice

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// TestTwoAgents lets agents of all kinds meet over a network of all kinds.
func TestTwoAgents(t *testing.T) {
	v4, v6 := []string{"192.0.2.1"}, []string{"2001:db8::1"}
	both := []string{"192.0.2.1", "2001:db8::1", "192.0.2.2"}
	for _, c := range []struct {
		name          string
		parts         int
		offer, answer []string
		offerCfg      Config
		answerCfg     Config
		prepare       func(*network)
		within        time.Duration
	}{
		{name: "full and full", parts: 2, offer: v4, answer: []string{"198.51.100.1"}, within: time.Second},
		{name: "RTCP multiplexed", parts: 1, offer: v4, answer: []string{"198.51.100.1"}, within: 500 * time.Millisecond},
		{name: "IPv6", parts: 2, offer: v6, answer: []string{"2001:db8::2"}, within: time.Second},
		{name: "several addresses", parts: 2, offer: both, answer: []string{"198.51.100.1", "2001:db8::2"}, within: 2 * time.Second},
		{name: "one common family", parts: 2, offer: both, answer: []string{"2001:db8::2"}, within: time.Second},
		{name: "the answerer is lite", parts: 2, offer: both, answer: []string{"198.51.100.1"}, answerCfg: Config{Lite: true},
			within: time.Second},
		{name: "the offerer is lite", parts: 2, offer: v4, answer: []string{"198.51.100.1"}, offerCfg: Config{Lite: true},
			within: time.Second},
		{name: "both are lite", parts: 2, offer: both, answer: []string{"198.51.100.1"}, offerCfg: Config{Lite: true},
			answerCfg: Config{Lite: true}, within: time.Millisecond},
		{name: "both say they control", parts: 2, offer: v4, answer: []string{"198.51.100.1"},
			answerCfg: Config{Controlling: true}, within: time.Second},
		{name: "a third of all packets is lost", parts: 2, offer: both, answer: []string{"198.51.100.1", "2001:db8::2"},
			prepare: func(n *network) { n.loss = 0.33 }, within: 20 * time.Second},
		{name: "packets overtake one another", parts: 2, offer: both, answer: []string{"198.51.100.1", "2001:db8::2"},
			prepare: func(n *network) { n.jitter = 400 * time.Millisecond }, within: 10 * time.Second},
		{name: "a slow path", parts: 2, offer: v4, answer: []string{"198.51.100.1"},
			prepare: func(n *network) { n.delay = 900 * time.Millisecond }, within: 8 * time.Second},
		{name: "one of several addresses is dead", parts: 2, offer: v4, answer: []string{"198.51.100.1", "198.51.100.2"},
			prepare: func(n *network) {
				n.drop = func(from, to netip.AddrPort, _ []byte) bool {
					dead := netip.MustParseAddr("198.51.100.1")
					return from.Addr() == dead || to.Addr() == dead
				}
			}, within: 2 * time.Second},
		{name: "the offerer is behind a symmetric NAT", parts: 2, offer: []string{"10.0.0.9"}, answer: []string{"198.51.100.1"},
			prepare: func(n *network) {
				n.nats = append(n.nats, &nat{inside: netip.MustParseAddr("10.0.0.9"),
					public: netip.MustParseAddr("203.0.113.77"), symmetric: true})
			}, within: 2 * time.Second},
		{name: "the offerer is behind a symmetric NAT and the answerer is lite", parts: 2, offer: []string{"10.0.0.9"},
			answer: []string{"198.51.100.1"}, answerCfg: Config{Lite: true},
			prepare: func(n *network) {
				n.nats = append(n.nats, &nat{inside: netip.MustParseAddr("10.0.0.9"),
					public: netip.MustParseAddr("203.0.113.77"), symmetric: true})
			}, within: 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t)
			if c.prepare != nil {
				c.prepare(n)
			}
			c.offerCfg.Controlling = true
			a := n.party("offerer", c.parts, c.offerCfg, c.offer...)
			b := n.party("answerer", c.parts, c.answerCfg, c.answer...)
			meet(a, b)
			n.until(c.within, "both completed", in(Completed, a, b))
			if a.Controlling() == b.Controlling() {
				t.Errorf("both agents have the same role: controlling is %v", a.Controlling())
			}
			agree(t, n, a, b, c.parts)
			n.loss = 0
			n.run(2 * time.Minute)
			if a.State() != Completed || b.State() != Completed {
				t.Errorf("two minutes later: %v and %v", a.State(), b.State())
			}
			agree(t, n, a, b, c.parts)
		})
	}
}

// agree demands that both sides send media to where the other one listens.
func agree(t *testing.T, n *network, a, b *party, parts int) {
	t.Helper()
	for component := 1; component <= parts; component++ {
		p, ok := a.Selected(component)
		q, ok2 := b.Selected(component)
		if !ok || !ok2 || !p.Nominated || !q.Nominated {
			t.Fatalf("component %d: %+v and %+v", component, p, q)
		}
		if p.Remote != q.Local || q.Remote != p.Local && len(n.nats) == 0 {
			t.Errorf("component %d: one uses %v to %v, the other %v to %v", component, p.Local, p.Remote, q.Local, q.Remote)
		}
	}
}

// TestAnyNetwork draws networks and agents by chance: whatever is lost, late or rewritten, both sides complete on the same
// pairs and stay there.
func TestAnyNetwork(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			n := newNetwork(t)
			n.random = rand.New(rand.NewPCG(seed, 7))
			chance := func(one int) bool { return n.random.IntN(one) == 0 }
			n.loss = n.random.Float64() * 0.4
			n.jitter = time.Duration(n.random.IntN(600)) * time.Millisecond
			n.delay = time.Duration(n.random.IntN(300)) * time.Millisecond
			addrs := func(list ...string) []string { return list[:1+n.random.IntN(len(list))] }
			parts := 1 + n.random.IntN(2)
			lite := n.random.IntN(4) // of the answerer, one in four
			a := n.party("offerer", parts, Config{Controlling: !chance(3)}, addrs("10.0.0.9", "2001:db8::1", "10.0.0.10")...)
			b := n.party("answerer", parts, Config{Lite: lite == 0, Controlling: lite != 0 && chance(3)},
				addrs("198.51.100.1", "198.51.100.2", "2001:db8::2")...)
			if chance(3) {
				n.nats = append(n.nats, &nat{inside: netip.MustParseAddr("10.0.0.9"), public: netip.MustParseAddr("203.0.113.77"),
					symmetric: chance(2)})
			}
			if chance(2) {
				meet(a, b)
			} else { // the answer takes its time
				must(t, b.SetRemote(a.describe()))
				n.run(time.Duration(n.random.IntN(60)) * time.Second)
				must(t, a.SetRemote(b.describe()))
			}
			n.until(2*time.Minute, "both completed", in(Completed, a, b))
			n.loss = 0
			n.run(20 * time.Second) // nominations that crossed are over
			if a.Controlling() == b.Controlling() {
				t.Errorf("both agents have the same role: controlling is %v", a.Controlling())
			}
			agree(t, n, a, b, parts)
		})
	}
}
