package call

import (
	"net/netip"
	"slices"
	"time"

	"github.com/weir-media/weir/media"
)

// Ended tells of the end of a call, or of some of its pairs.
type Ended struct {
	CallID   string
	Language Language
	Why      Reason
	Whole    bool     // the call has ended, not only the pairs
	Tags     []string // of the parties, in the order in which they came; of a call
	// Client is where the command came from that made the call, and Callback what such a command named to be told of timeouts;
	// invalid when there was none.
	Client, Callback netip.Addr
	Pairs            []PairState
}

// PairState is a pair as it was at one moment. It shares nothing that changes with the call.
type PairState struct {
	*Pair
	Opener string        // tag of the party that opened it
	Legs   [2]LegPair    // by side
	Left   time.Duration // until it ends if nothing else happens
}

// LegPair are the two legs that face a side of a pair.
type LegPair struct {
	Local     netip.AddrPort
	Signalled netip.AddrPort
	RTP, RTCP media.Stats
	Streams   []media.StreamStats // that have come from the side
}

// pairState is a pair whose figures are still to be taken.
type pairState struct {
	pair   *Pair
	opener string
	sides  [2]*Media
}

// states prepares for the end of pairs, of all of them if none are given. The figures of the kernel are final only when legs are closed.
func (c *Call) states(of []*Pair) []pairState {
	if c.manager.cfg.Ended == nil {
		return nil
	}
	var all []pairState
	for opener, pair := range c.plan.pairs {
		if of != nil && !slices.Contains(of, pair) {
			continue
		}
		s := pairState{pair: pair, opener: opener.Tag}
		for i, side := range pair.Sides {
			s.sides[i] = c.plan.media(side)
		}
		all = append(all, s)
	}
	return all
}

// read takes the figures.
func (s *pairState) read() PairState {
	st := PairState{Pair: s.pair, Opener: s.opener}
	for i, m := range s.sides {
		if m == nil || m.RTP.Leg == nil {
			continue
		}
		st.Legs[i] = LegPair{
			Local: m.RTP.Leg.Local(), Signalled: m.RTP.Signalled,
			RTP: m.RTP.Leg.Stats(), RTCP: m.RTCP.Leg.Stats(), Streams: m.RTP.Leg.Streams(),
		}
	}
	return st
}

// tellEnd says that pairs have ended, or with them the call.
func (c *Call) tellEnd(why Reason, states []pairState, whole bool) {
	tell := c.manager.cfg.Ended
	if tell == nil || len(states) == 0 && !why.TimedOut() {
		return
	}
	e := &Ended{CallID: c.id, Language: c.language, Why: why, Whole: whole, Client: c.client, Callback: c.callback}
	for _, p := range c.plan.Parties {
		if p.Tag != "" {
			e.Tags = append(e.Tags, p.Tag)
		}
	}
	for i := range states {
		e.Pairs = append(e.Pairs, states[i].read())
	}
	tell(e)
}

// ends returns when the pair ends if nothing else happens.
func (c *Call) ends(p *Pair, now time.Time) time.Time {
	ttl := p.SetupTTL
	if p.Answered {
		ttl = p.TTL
	}
	alive := p.Signalled
	if c.revived.After(alive) {
		alive = c.revived
	}
	if c.awaiting {
		ttl = max(ttl, c.manager.limits.Load().SilentTimeout)
	}
	if now.Sub(alive) > 0 {
		var last time.Duration
		for _, side := range p.Sides {
			m := c.plan.media(side)
			last = max(last, m.lastPacket())
			for _, s := range m.hearing() {
				if s.Added { // a recorder is silent itself
					last = max(last, c.plan.media(s.Ref).lastPacket())
				}
			}
		}
		if heard := now.Add(last - media.Now()); last > 0 && heard.After(alive) {
			alive = heard
		}
	}
	return alive.Add(ttl)
}

// hearing returns what a media hears; nil is a media that is gone.
func (m *Media) hearing() []Subscription {
	if m == nil {
		return nil
	}
	return m.Hears
}

// lastPacket returns when a packet last came to a media, on the media plane's clock; 0 when none did, or the media is gone.
func (m *Media) lastPacket() (last time.Duration) {
	if m == nil || m.RTP.Leg == nil {
		return 0
	}
	for _, leg := range []*media.Leg{m.RTP.Leg, m.RTCP.Leg} {
		st := leg.Stats()
		last = max(last, st.LastUser, st.LastKernel)
	}
	return last
}

// pairDeadline returns when the first pair ends; zero if there is none. Alone tells that the call has nothing else.
func (c *Call) pairDeadline(now time.Time) (first time.Time, alone bool) {
	n := 0
	for _, pair := range c.plan.pairs {
		n += 2
		if at := c.ends(pair, now); first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if n == 0 {
		return first, false
	}
	for _, p := range c.plan.Parties {
		for _, m := range p.Media {
			if !m.cut {
				n--
			}
		}
	}
	return first, n == 0
}

// duePairs returns the pairs whose time is over.
func (c *Call) duePairs(now time.Time) []*Pair {
	var due []*Pair
	for _, pair := range c.plan.pairs {
		if !c.ends(pair, now).After(now) {
			due = append(due, pair)
		}
	}
	return due
}

// QueryPair returns a pair, and which of its sides the key names first. It fails with ErrUnknownCall or ErrNoPair.
func (m *Manager) QueryPair(key *PairKey) (st PairState, side int, err error) {
	err = m.with(key.CallID, false, func(c *Call) error {
		pair, at := c.plan.pair(key)
		if pair == nil {
			return ErrNoPair
		}
		c.settle()
		s := pairState{pair: pair, opener: key.FromTag}
		for i, r := range pair.Sides {
			s.sides[i] = c.plan.media(r)
		}
		st, side = s.read(), at
		now := time.Now()
		st.Left = c.ends(pair, now).Sub(now)
		return nil
	})
	return st, side, err
}

// AdjustPair changes what a pair allows to be changed apart from offers and answers. It fails with ErrUnknownCall or ErrNoPair.
func (m *Manager) AdjustPair(key *PairKey, change PairChange) error {
	return m.with(key.CallID, false, func(c *Call) error {
		pair, side := c.plan.pair(key)
		if pair == nil {
			return ErrNoPair
		}
		d := c.draft()
		defer d.discard()
		next := *pair
		if change.TTL > 0 {
			next.TTL, next.SetupTTL, next.Signalled = change.TTL, change.TTL, time.Now()
		}
		if change.Other {
			side = 1 - side
		}
		if change.TOS != 0 {
			next.TOS[side] = change.TOS
		}
		d.setPair(&next)
		d.commit()
		c.signalled()
		return nil
	})
}

// PairChange is what AdjustPair can change. The zero value leaves all as it is.
type PairChange struct {
	TTL time.Duration // of the pair
	TOS uint8         // of what the side is sent that the key names first
	// Other makes it that of the other side.
	Other bool
}

// EndAll ends all calls that were made in one language.
func (m *Manager) EndAll(in Language) {
	m.each(func(c *Call) {
		if c.language == in {
			c.end(ReasonDeleted)
		}
	})
}
