package ice

import (
	"net/netip"
	"slices"
	"time"
)

const (
	maxPairs     = 100 // RFC 8445, section 6.1.2.5
	maxRemotes   = 64  // candidates of the peer, signalled and learnt
	maxReflexive = 16  // of these, learnt
)

// pairState is that of RFC 8445, section 6.1.2.6, without Frozen (see the package comment).
type pairState uint8

const (
	waiting pairState = iota
	inProgress
	succeeded
	failed
)

// pair is a candidate pair. It is valid, fit for media, when it has succeeded.
type pair struct {
	base     *base
	remote   *remote
	priority uint64
	state    pairState

	queued        bool          // triggered
	authenticated bool          // the caller has been told of it
	nominate      bool          // controlling: the next check nominates it
	wanted        bool          // controlled: nominated by the peer before our own check was through
	value         uint32        // nomination value that came with that
	nominatedBy   transactionID // the peer's last request that nominated it
	nominatedAt   time.Time     // when it came
	check         check
	heard         time.Time // the last authenticated message
}

func (p *pair) component() int { return p.base.Component }

// sameGroup reports whether two pairs have the same foundation (RFC 8445, section 6.1.2.6), which makes it likely that
// the one works when the other does.
func (p *pair) sameGroup(o *pair) bool {
	return p.base.Foundation == o.base.Foundation && p.remote.Foundation == o.remote.Foundation &&
		p.base.Addr.Addr() == o.base.Addr.Addr()
}

func (a *Agent) baseOf(socket int) *base {
	for _, b := range a.local {
		if b.Socket == socket {
			return b
		}
	}
	return nil
}

func (a *Agent) findPair(b *base, addr netip.AddrPort) *pair {
	if p := a.connecting[b.Component-1].pair; p != nil && p.base == b && p.remote.Addr == addr {
		return p
	}
	for _, p := range a.pairs {
		if p.base == b && p.remote.Addr == addr {
			return p
		}
	}
	return nil
}

func (a *Agent) findRemote(component int, addr netip.AddrPort) *remote {
	for _, r := range a.remotes {
		if r.Component == component && r.Addr == addr {
			return r
		}
	}
	return nil
}

// addRemote takes a signalled candidate and pairs it with each base that can reach it.
func (a *Agent) addRemote(c Candidate) {
	c.Addr = unmapped(c.Addr)
	if !usable(c.Addr) || !slices.ContainsFunc(a.local, func(b *base) bool { return b.Component == c.Component }) {
		a.counters.IgnoredRemote++
		return
	}
	r := a.findRemote(c.Component, c.Addr)
	switch {
	case r != nil && (r.Type != PeerReflexive || c.Type == PeerReflexive):
		return // known
	case r != nil:
		// Learnt from a check that was faster than signalling (RFC 8838, section 11.4).
		r.Candidate = c
		a.rank()
	case len(a.remotes) >= maxRemotes:
		a.counters.IgnoredRemote++
		return
	default:
		r = &remote{Candidate: c}
		a.remotes = append(a.remotes, r)
	}
	for _, b := range a.local {
		if b.Component == c.Component && reachable(b.Addr.Addr(), c.Addr.Addr()) && b.Addr != c.Addr &&
			a.findPair(b, c.Addr) == nil {
			a.addPair(b, r, false)
		}
	}
}

// learn makes a peer-reflexive candidate of the source of a check (RFC 8445, section 7.3.1.3). It returns nil when there
// are too many already.
func (a *Agent) learn(b *base, from netip.AddrPort, priority uint32, ufrag string) *remote {
	if r := a.findRemote(b.Component, from); r != nil {
		return r
	}
	if !usable(from) || !a.makeRoom() {
		a.counters.IgnoredRemote++
		return nil
	}
	r := &remote{
		Candidate: Candidate{
			// Not equal to any signalled one, and the same for both components of a peer behind one address.
			Foundation: "prflx/" + from.Addr().String(),
			Component:  b.Component,
			Priority:   priority,
			Addr:       from,
			Type:       PeerReflexive,
		},
		ufrag: ufrag,
	}
	a.remotes = append(a.remotes, r)
	return r
}

// makeRoom drops the learnt candidate that was silent for longest, if there are as many as there may be: a client that
// roams for hours shows up with more addresses than that.
func (a *Agent) makeRoom() bool {
	var oldest *remote
	var silent time.Time
	learnt := 0
	for _, r := range a.remotes {
		if r.Type != PeerReflexive {
			continue
		}
		learnt++
		heard, inUse := a.heard(r)
		if !inUse && (oldest == nil || heard.Before(silent)) {
			oldest, silent = r, heard
		}
	}
	if learnt < maxReflexive && len(a.remotes) < maxRemotes+maxReflexive {
		return true
	}
	if oldest == nil {
		return false
	}
	for _, p := range slices.Clone(a.pairs) {
		if p.remote == oldest {
			a.removePair(p)
		}
	}
	a.remotes = slices.DeleteFunc(a.remotes, func(r *remote) bool { return r == oldest })
	return true
}

func (a *Agent) heard(r *remote) (last time.Time, inUse bool) {
	for _, p := range a.pairs {
		if p.remote == r {
			inUse = inUse || a.inUse(p)
			if p.heard.After(last) {
				last = p.heard
			}
		}
	}
	return last, inUse
}

func (a *Agent) inUse(p *pair) bool {
	c := &a.connecting[p.component()-1]
	return c.pair == p || c.nominee == p
}

// addPair adds a pair in Waiting. Beyond the cap it replaces the pair of lowest priority that does not work yet; it
// returns nil when there is none lower, unless the peer has shown by a check that the new one leads somewhere.
func (a *Agent) addPair(b *base, r *remote, shown bool) *pair {
	p := &pair{base: b, remote: r}
	p.priority = a.priorityOf(p)
	if len(a.pairs) >= maxPairs {
		i := len(a.pairs) - 1
		for i >= 0 && (a.pairs[i].state == succeeded || a.inUse(a.pairs[i])) {
			i--
		}
		if i < 0 || !shown && a.pairs[i].priority >= p.priority {
			a.counters.IgnoredRemote++
			return nil
		}
		a.removePair(a.pairs[i])
	}
	at, _ := slices.BinarySearchFunc(a.pairs, p, byPriority)
	a.pairs = slices.Insert(a.pairs, at, p)
	a.stale = true
	return p
}

func (a *Agent) removePair(p *pair) {
	is := func(o *pair) bool { return o == p }
	a.pairs = slices.DeleteFunc(a.pairs, is)
	a.triggered = slices.DeleteFunc(a.triggered, is)
	c := &a.connecting[p.component()-1]
	if c.pair == p {
		c.pair = nil
	}
	if c.nominee == p {
		c.nominee = nil
	}
	a.stale = true
}

func (a *Agent) priorityOf(p *pair) uint64 {
	return pairPriority(Priority(Host, p.base.preference, p.component()), p.remote.Priority, a.controlling)
}

// rank computes the priorities of all pairs anew.
func (a *Agent) rank() {
	for _, p := range a.pairs {
		p.priority = a.priorityOf(p)
	}
	slices.SortStableFunc(a.pairs, byPriority)
}

func (a *Agent) setRole(controlling bool) {
	if a.controlling == controlling {
		return
	}
	a.controlling = controlling
	// Nominations made in the wrong roles, on both sides perhaps, need not agree: who controls from now on starts over.
	for _, p := range a.pairs {
		p.nominate, p.wanted, p.check.nominates, p.nominatedBy = false, false, false, transactionID{}
	}
	for c := range a.connecting {
		a.connecting[c].nominee, a.connecting[c].value = nil, 0
	}
	a.regular = false
	a.rank()
	a.stale = true
}

// trigger queues a check ahead of the ordinary ones (RFC 8445, section 6.1.4.1).
func (a *Agent) trigger(p *pair) {
	if !p.queued {
		p.queued = true
		a.triggered = append(a.triggered, p)
	}
	a.stale = true
}
