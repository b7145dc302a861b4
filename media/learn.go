package media

import (
	"net/netip"
	"slices"
	"time"
)

const (
	learnWindow   = 3 * time.Second // as users of endpoint-learning know it
	confirmations = 5               // packets from exactly the signalled source that end the window early
	probation     = 5               // packets that a source must send more than others if neither address of the peer is its
)

// rank orders sources by how well they fit the signalled one.
type rank uint8

const (
	rankAny rank = iota
	rankPort
	rankNear // an address that is known to be the peer's, but not for media
	rankAddr
	rankExact
)

func rankOf(signalled, source netip.AddrPort) rank {
	switch {
	case !signalled.IsValid():
		return rankAny
	case source == signalled:
		return rankExact
	case source.Addr() == signalled.Addr():
		return rankAddr
	case source.Port() == signalled.Port():
		return rankPort
	}
	return rankAny
}

// rank is rankOf with all that is known of the peer.
func (l *learner) rankOf(p *plan, source netip.AddrPort) rank {
	r := rankOf(p.Signalled, source)
	if addr := source.Addr(); r < rankNear && (addr == p.Near || addr == l.before || addr == l.beside) {
		return rankNear
	}
	return r
}

// verdict is what learning says to a packet.
type verdict uint8

const (
	accept verdict = iota
	refuse         // foreign source
	early          // too early to tell
)

// learner is the state machine that finds a leg's peer. Only the leg's worker uses it; the zero value is ready.
type learner struct {
	epoch  uint32
	source netip.AddrPort // valid once chosen
	rank   rank
	exact  uint8         // packets from exactly the signalled source
	begun  bool          // a packet was ranked
	first  time.Duration // when
	closed bool          // source is final, but for handover

	before netip.Addr // where the peer was found in an epoch before
	beside netip.Addr // where it was found by the leg for RTP, when this is the one for RTCP

	candidate netip.AddrPort // on probation
	votes     int            // how many more packets it has sent than others
	voted     time.Duration  // when the latest of them came
}

// admits tells whether packets of a source pass once learning has closed.
func (l *learner) admits(p *plan, source netip.AddrPort) bool {
	return source == l.source || p.Open || p.Handover && p.Learning != LearnOff || slices.Contains(p.Also, source)
}

// suppose takes a source for the time being when there is none better, and tells whether it did.
func (l *learner) suppose(source netip.AddrPort) bool {
	if l.closed || l.source.IsValid() {
		return false
	}
	l.source, l.rank = source, rankNear
	return true
}

// confirm ends learning with a source that has shown that it has the keys, and tells whether that is news.
func (l *learner) confirm(source netip.AddrPort) bool {
	if l.closed {
		return false
	}
	l.source, l.rank, l.closed = source, rankExact, true
	return true
}

// restart forgets everything if the plan is of another epoch.
func (l *learner) restart(p *plan) {
	if l.epoch != p.Epoch {
		before := l.before
		if l.closed {
			before = l.source.Addr()
		}
		*l = learner{epoch: p.Epoch, before: before}
	}
}

// see judges a packet and learns from it. It reports whether source or closed changed.
func (l *learner) see(p *plan, source netip.AddrPort, now time.Duration) (v verdict, changed bool) {
	if len(p.Also) > 0 && slices.Contains(p.Also, source) {
		return accept, false
	}
	foreign := refuse
	if p.Open {
		foreign = accept
	}
	if p.Learning == LearnOff {
		if source != p.Signalled {
			return foreign, false
		}
		return accept, false
	}
	if l.closed {
		switch {
		case source == l.source:
			return accept, false
		case p.Handover:
			l.source = source
			return accept, true
		}
		return foreign, false
	}
	if addr := source.Addr(); l.beside.IsValid() && addr != l.beside && addr != p.Signalled.Addr() {
		return foreign, false
	}
	if (p.Muted || p.Open) && !p.Signalled.IsValid() {
		return accept, false // the peer has not spoken, so nobody can be told from a stranger
	}
	if p.Learning == LearnHeuristic {
		if v, changed = l.weigh(p, source, now); v != accept && p.Open {
			v = accept
		}
		return v, changed
	}
	if p.Learning == LearnDelayed && now-p.began < learnWindow {
		if p.Asymmetric || p.Open || rankOf(p.Signalled, source) >= rankAddr {
			return accept, false
		}
		return early, false
	}
	l.source, l.closed = source, true
	return accept, true
}

// weigh is see for LearnHeuristic with the window open.
func (l *learner) weigh(p *plan, source netip.AddrPort, now time.Duration) (v verdict, changed bool) {
	if !l.begun {
		l.begun, l.first = true, now
	}
	if source != l.source {
		r := l.rankOf(p, source)
		if l.source.IsValid() && r <= l.rank && !(p.Handover && r == l.rank) {
			return refuse, false
		}
		// Without a further address nobody knows whether the peer is behind a NAT, and its first packet should count.
		if r < rankNear && p.Near.IsValid() && !l.proves(source, now) {
			return early, false
		}
		l.source, l.rank, changed = source, r, true
	}
	if l.rank == rankExact {
		l.exact++
	}
	// The window ends with a packet of the chosen source, not with the clock: a single early packet of a stranger is
	// then not enough to shut out a peer that begins late.
	if l.exact >= confirmations || now-l.first >= learnWindow {
		l.closed, changed = true, true
	}
	return accept, changed
}

// proves counts a packet of a source that is neither at the signalled address nor at Settings.Near, and tells whether that is
// enough to take it for the peer. Whoever tries all ports with a packet or a few of each finds nobody then; a peer that really is at
// a third address loses its first packets. The source that sends most wins, whoever was first.
func (l *learner) proves(source netip.AddrPort, now time.Duration) bool {
	if now-l.voted >= learnWindow {
		l.votes = 0 // scans add up over a silent call otherwise
	}
	l.voted = now
	switch {
	case source == l.candidate && l.votes > 0:
		l.votes++
	case l.votes > 0:
		l.votes--
	default:
		l.candidate, l.votes = source, 1
	}
	if l.votes < probation {
		return false
	}
	l.votes = 0
	return true
}
