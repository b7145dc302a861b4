package media

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestLearning(t *testing.T) {
	ap := netip.MustParseAddrPort
	signalled := ap("192.0.2.1:4000")
	sameAddr, sameAddr2 := ap("192.0.2.1:5000"), ap("192.0.2.1:5001")
	samePort := ap("198.51.100.1:4000")
	near := ap("198.51.100.9:9000")
	other, other2 := ap("203.0.113.7:7000"), ap("203.0.113.8:8000")
	var none netip.AddrPort

	type step struct {
		at     time.Duration // since the settings were applied
		from   netip.AddrPort
		want   verdict
		source netip.AddrPort // afterwards
		closed bool
	}
	// repeat is n packets, 20 ms apart.
	repeat := func(n int, s step) (all []step) {
		for range n {
			all = append(all, s)
			s.at += 20 * time.Millisecond
		}
		return all
	}
	for _, c := range []struct {
		name     string
		settings Settings
		steps    []step
	}{
		{"heuristic: five packets from exactly the signalled source close", Settings{Signalled: signalled}, append(
			repeat(4, step{0, signalled, accept, signalled, false}),
			step{time.Second, signalled, accept, signalled, true},
			step{time.Second, other, refuse, signalled, true},
		)},
		{"heuristic: a better source displaces a worse one, step by step", Settings{Signalled: signalled, Near: near.Addr()}, slices.Concat(
			repeat(4, step{0, other, early, none, false}), repeat(1, step{0, other, accept, other, false}),
			repeat(4, step{1, samePort, early, other, false}),
			repeat(1, step{1, samePort, accept, samePort, false}),
			[]step{
				{2, near, accept, near, false},
				{3, sameAddr, accept, sameAddr, false},
				{4, signalled, accept, signalled, false},
				{5, sameAddr, refuse, signalled, false},
				{6, samePort, refuse, signalled, false},
				{7, near, refuse, signalled, false},
				{8, other, refuse, signalled, false},
			},
		)},
		{"heuristic: nobody knows of a NAT, and the first packet counts", Settings{Signalled: signalled}, []step{
			{0, other, accept, other, false},
			{1, samePort, accept, samePort, false},
			{2, other, refuse, samePort, false},
		}},
		{"heuristic: a few packets of a stranger find nobody", Settings{Signalled: signalled, Near: near.Addr()}, slices.Concat(
			repeat(4, step{0, other, early, none, false}),
			repeat(1, step{time.Second, signalled, accept, signalled, false}),
			repeat(9, step{time.Second, other, refuse, signalled, false}),
		)},
		{"heuristic: scans do not add up", Settings{Signalled: signalled, Near: near.Addr()}, slices.Concat(
			repeat(4, step{0, other, early, none, false}),
			repeat(4, step{4 * time.Second, other, early, none, false}),
			repeat(4, step{8 * time.Second, other, early, none, false}),
		)},
		{"heuristic: of strangers, one of whom may be the peer, the one that sends most is taken",
			Settings{Signalled: signalled, Near: near.Addr()}, slices.Concat(
				repeat(3, step{0, other, early, none, false}),
				repeat(3, step{0, other2, early, none, false}),
				repeat(4, step{0, other2, early, none, false}),
				repeat(1, step{0, other2, accept, other2, false}),
				repeat(9, step{0, other, refuse, other2, false}),
			)},
		{"heuristic: the first one stays among equals", Settings{Signalled: signalled}, []step{
			{0, sameAddr, accept, sameAddr, false},
			{1, sameAddr2, refuse, sameAddr, false},
			{2, sameAddr, accept, sameAddr, false},
		}},
		{"heuristic: the window closes 3 s after the first packet with the best source", Settings{Signalled: signalled}, []step{
			{10 * time.Second, sameAddr, accept, sameAddr, false},
			{12999 * time.Millisecond, sameAddr, accept, sameAddr, false},
			{13 * time.Second, sameAddr, accept, sameAddr, true},
			{14 * time.Second, signalled, refuse, sameAddr, true},
		}},
		{"heuristic: one early stranger does not shut out a late peer", Settings{Signalled: signalled}, []step{
			{0, other, accept, other, false},
			{20 * time.Second, signalled, accept, signalled, true},
			{21 * time.Second, other, refuse, signalled, true},
		}},
		{"heuristic: without a signalled peer all sources are equal", Settings{}, []step{
			{0, other, accept, other, false},
			{1, other2, refuse, other, false},
			{3 * time.Second, other, accept, other, true},
		}},
		{"open: foreign sources are relayed and not learnt from", Settings{Signalled: signalled, Open: true}, []step{
			{0, samePort, accept, samePort, false},
			{1, other, accept, samePort, false},
			{2, sameAddr, accept, sameAddr, false},
			{3 * time.Second, sameAddr, accept, sameAddr, true},
			{4 * time.Second, other, accept, sameAddr, true},
		}},
		{"open and off: everybody is relayed, nobody learnt from", Settings{Signalled: signalled, Learning: LearnOff, Open: true}, []step{
			{0, other, accept, none, false},
			{1, signalled, accept, none, false},
		}},
		{"handover: a later source takes over, before closing among equals, then from anywhere",
			Settings{Signalled: signalled, Handover: true}, []step{
				{0, sameAddr, accept, sameAddr, false},
				{1, sameAddr2, accept, sameAddr2, false},
				{2, other, refuse, sameAddr2, false},
				{3 * time.Second, sameAddr2, accept, sameAddr2, true},
				{4 * time.Second, other, accept, other, true},
				{5 * time.Second, other2, accept, other2, true},
			}},
		{"off: only the signalled source", Settings{Signalled: signalled, Learning: LearnOff}, []step{
			{0, other, refuse, none, false},
			{1, sameAddr, refuse, none, false},
			{2, signalled, accept, none, false},
			{9 * time.Second, other, refuse, none, false},
		}},
		{"off: nobody when nothing is signalled", Settings{Learning: LearnOff}, []step{
			{0, other, refuse, none, false},
		}},
		{"off: handover does not open it", Settings{Signalled: signalled, Learning: LearnOff, Handover: true}, []step{
			{0, signalled, accept, none, false},
			{1, other, refuse, none, false},
		}},
		{"off and asymmetric: only the signalled source",
			Settings{Signalled: signalled, Learning: LearnOff, Asymmetric: true}, []step{
				{0, other, refuse, none, false},
				{1, signalled, accept, none, false},
			}},
		{"delayed and asymmetric: everybody is relayed meanwhile, then the first source is taken",
			Settings{Signalled: signalled, Learning: LearnDelayed, Asymmetric: true}, []step{
				{0, other, accept, none, false},
				{1, signalled, accept, none, false},
				{3 * time.Second, other, accept, other, true},
				{3 * time.Second, signalled, refuse, other, true},
			}},
		{"immediate: the first source, whatever is signalled", Settings{Signalled: signalled, Learning: LearnImmediate}, []step{
			{0, other, accept, other, true},
			{1, signalled, refuse, other, true},
		}},
		{"delayed: the signalled address is relayed meanwhile, then the first source is taken",
			Settings{Signalled: signalled, Learning: LearnDelayed}, []step{
				{0, signalled, accept, none, false},
				{1, sameAddr, accept, none, false},
				{2, samePort, early, none, false},
				{3, other, early, none, false},
				{3 * time.Second, other, accept, other, true},
				{4 * time.Second, signalled, refuse, other, true},
			}},
		{"delayed: without a signalled peer nobody is taken early", Settings{Learning: LearnDelayed}, []step{
			{0, other, early, none, false},
			{3 * time.Second, other2, accept, other2, true},
		}},
		{"muted before the peer has spoken: nothing is learnt", Settings{Muted: true}, []step{
			{0, other, accept, none, false},
			{9 * time.Second, other2, accept, none, false},
		}},
		{"muted later on: learning goes on", Settings{Muted: true, Signalled: signalled}, append(
			repeat(4, step{0, signalled, accept, signalled, false}),
			step{time.Second, signalled, accept, signalled, true},
		)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const began = time.Hour
			p := newPlan(c.settings, ap("10.0.0.1:30000"), nil, began)
			var l learner
			l.restart(p)
			for i, s := range c.steps {
				source, closed := l.source, l.closed
				got, changed := l.see(p, s.from, began+s.at)
				if got != s.want || l.source != s.source || l.closed != s.closed {
					t.Fatalf("step %d, packet from %v: verdict %v, source %v, closed %v; want %v, %v, %v",
						i, s.from, got, l.source, l.closed, s.want, s.source, s.closed)
				}
				if changed != (source != l.source || closed != l.closed) {
					t.Fatalf("step %d: reported as changed: %v", i, changed)
				}
			}
		})
	}
}

func TestLearningStartsAgainWithANewEpochOnly(t *testing.T) {
	ap := netip.MustParseAddrPort
	local, source := ap("10.0.0.1:30000"), ap("203.0.113.7:7000")
	first := newPlan(Settings{Epoch: 1, Learning: LearnImmediate}, local, nil, time.Second)
	var l learner
	l.restart(first)
	l.see(first, source, time.Second)
	same := newPlan(Settings{Epoch: 1, Learning: LearnImmediate, TOS: 8}, local, first, time.Minute)
	if same.began != time.Second {
		t.Errorf("the epoch began at %v, want 1s", same.began)
	}
	if l.restart(same); l.source != source || !l.closed {
		t.Errorf("the same epoch forgot the source: %+v", l)
	}
	next := newPlan(Settings{Epoch: 2}, local, same, time.Minute)
	if next.began != time.Minute {
		t.Errorf("the new epoch began at %v, want 1m", next.began)
	}
	if l.restart(next); l.source.IsValid() || l.closed {
		t.Errorf("a new epoch kept the source: %+v", l)
	}
	moved := netip.AddrPortFrom(source.Addr(), 9)
	if v, _ := l.see(next, moved, time.Minute); v != accept || l.source != moved {
		t.Errorf("the address of the epoch before is a stranger's: %v, %+v", v, l)
	}
}

func TestPlanTakesOnlySignalledAddressesItCanSendTo(t *testing.T) {
	local4 := netip.MustParseAddrPort("10.0.0.1:30000")
	for _, c := range []struct {
		name, signalled string
		want            bool
	}{
		{"an IPv4 address", "192.0.2.1:4000", true},
		{"an IPv4 address in IPv6 form", "[::ffff:192.0.2.1]:4000", true},
		{"the unspecified address of a call on hold", "0.0.0.0:4000", false},
		{"port 0", "192.0.2.1:0", false},
		{"an address of the other family", "[2001:db8::1]:4000", false},
	} {
		p := newPlan(Settings{Signalled: netip.MustParseAddrPort(c.signalled)}, local4, nil, 0)
		if (p.signalled != nil) != c.want || p.Signalled.IsValid() != c.want {
			t.Errorf("%s: signalled %v, want usable: %v", c.name, p.Signalled, c.want)
		}
	}
}

// FuzzLearning checks what must hold whatever arrives: once closed the source stays, and only an open leg accepts others.
func FuzzLearning(f *testing.F) {
	f.Add(uint8(0), false, []byte{0, 1, 2, 3, 0, 0, 0, 0, 0, 1})
	f.Add(uint8(3), true, []byte{9, 1, 200, 200, 1, 1})
	f.Fuzz(func(t *testing.T, mode uint8, open bool, packets []byte) {
		base := netip.MustParseAddr("192.0.2.0").As4()
		source := func(b byte) netip.AddrPort {
			ip := base
			ip[3] = b & 3
			return netip.AddrPortFrom(netip.AddrFrom4(ip), 4000+uint16(b>>2&3))
		}
		p := newPlan(Settings{Signalled: source(5), Learning: Learning(mode % 4), Open: open},
			netip.MustParseAddrPort("10.0.0.1:30000"), nil, 0)
		var l learner
		l.restart(p)
		var now time.Duration
		for _, b := range packets {
			now += time.Duration(b>>4) * 100 * time.Millisecond
			was := l
			v, _ := l.see(p, source(b), now)
			if was.closed && (l.source != was.source || (v == accept) != (open || source(b) == was.source)) {
				t.Fatalf("closed on %v, packet from %v: %v, now %v", was.source, source(b), v, l.source)
			}
			if mode%4 == uint8(LearnOff) && (v == accept) != (open || source(b) == p.Signalled) {
				t.Fatalf("learning is off, packet from %v: %v", source(b), v)
			}
		}
	})
}
