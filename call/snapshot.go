package call

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// State says how far a call has come.
type State string

// The states of a call.
const (
	StateOffered  State = "offered"
	StateAnswered State = "answered"
	StateHeld     State = "held"
	StateDeleted  State = "deleted" // its end has been asked for and comes with the delete delay
)

// Snapshot is a call as it was at one moment. It shares nothing that changes with the call.
type Snapshot struct {
	CallID     string
	Language   Language // it was made in
	Aliases    []string // further ids, of calls that were merged into this one
	State      State
	Created    time.Time
	LastSignal time.Time
	Ends       time.Time // when the call ends if nothing else happens
	EndsBy     Reason
	TOS        uint8
	Foreign    bool       // another node owns it
	Keyspace   int        // where its document is found then
	Creator    netip.Addr // of whoever asked for the call first; invalid when it has no address
	// GenerateRTCP tells that reports are made here.
	GenerateRTCP bool
	Parties      []PartySnapshot
}

// PartySnapshot is one party.
type PartySnapshot struct {
	Party *Party // immutable
	// Whom the party hears and who hears it, each once.
	Subscriptions, Subscribers []Relation
	Media                      []MediaSnapshot
}

// Relation is one party to another.
type Relation struct {
	Party *Party
	Added bool // beside offer and answer
}

// MediaSnapshot is one m= section of a party.
type MediaSnapshot struct {
	Media     *Media // immutable
	Direction sdp.Direction
	Codec     string // first one of the party, such as PCMA/8000; empty when there is none
	Streams   []StreamSnapshot
	Link      media.LinkState
	// The SSRCs that come from the party, and those it is sent.
	Ingress, Egress []media.StreamStats
}

// StreamSnapshot is one leg: RTP or RTCP.
type StreamSnapshot struct {
	RTCP      bool
	Shared    bool // with a media before or after this one, in a bundle: Stats are of both
	Local     netip.AddrPort
	Told      netip.AddrPort // what the party was told for Local
	Signalled netip.AddrPort
	Stats     media.Stats
}

// Query returns a snapshot of the call, or ErrUnknownCall. With tags it holds only the party of toTag, or else of
// fromTag, and the parties it hears; nobody when the tag is unknown.
func (m *Manager) Query(id, fromTag, toTag string) (*Snapshot, error) {
	var snap *Snapshot
	err := m.with(id, false, func(c *Call) error {
		c.settle()
		snap = c.snapshot()
		tag := toTag
		if tag == "" {
			tag = fromTag
		}
		if tag != "" {
			snap.restrict(c.plan.byTag(tag))
		}
		return nil
	})
	return snap, err
}

// Look is Query for the whole call without waiting for the packets that are under way, so that looking at many calls costs the
// planes nothing.
func (m *Manager) Look(id string) (*Snapshot, error) {
	var snap *Snapshot
	err := m.with(id, false, func(c *Call) error {
		snap = c.snapshot()
		return nil
	})
	return snap, err
}

// Snapshots looks at no more than limit calls, or at all for a negative one, the oldest first, each once. Calls are locked one by one.
func (m *Manager) Snapshots(limit int) []*Snapshot {
	calls := m.all()
	slices.SortFunc(calls, func(a, b *Call) int { return cmp.Compare(a.serial, b.serial) })
	if limit >= 0 && len(calls) > limit {
		calls = calls[:limit]
	}
	all := make([]*Snapshot, 0, len(calls))
	for _, c := range calls {
		_, _ = c.own(func(c *Call) error {
			all = append(all, c.snapshot())
			return nil
		})
	}
	return all
}

func (s *Snapshot) restrict(to *Party) {
	s.Parties = slices.DeleteFunc(s.Parties, func(p PartySnapshot) bool {
		return to == nil || p.Party != to && !hears(to, p.Party.ID)
	})
}

// subscriptions returns whom a party hears.
func (p *Plan) subscriptions(party *Party) []Relation {
	var all []Relation
	for _, m := range party.Media {
		for i := range m.Hears {
			all = relate(all, p.byID(m.Hears[i].Party), m.Hears[i].Added)
		}
	}
	return all
}

// subscribers returns who hears a party.
func (p *Plan) subscribers(party *Party) []Relation {
	var all []Relation
	for _, other := range p.Parties {
		for _, m := range other.Media {
			for i := range m.Hears {
				if m.Hears[i].Party == party.ID {
					all = relate(all, other, m.Hears[i].Added)
				}
			}
		}
	}
	return all
}

func relate(all []Relation, to *Party, added bool) []Relation {
	if to == nil || slices.ContainsFunc(all, func(r Relation) bool { return r.Party == to }) {
		return all
	}
	return append(all, Relation{to, added})
}

// hears tells whether a media of the party is subscribed to one of the other's.
func hears(party *Party, other PartyID) bool {
	return slices.ContainsFunc(party.Media, func(m *Media) bool {
		return slices.ContainsFunc(m.Hears, func(s Subscription) bool { return s.Party == other })
	})
}

// settle waits until what has come to the call's legs is accounted for.
func (c *Call) settle() {
	var legs []*media.Leg
	c.plan.components(func(_ *Party, _ int, _ *Media, comp *Component, _ bool) { legs = append(legs, comp.Leg) })
	media.Settle(legs)
}

func (c *Call) snapshot() *Snapshot {
	snap := &Snapshot{
		CallID: c.id, Language: c.language, Aliases: slices.Clip(c.aliases), TOS: c.plan.TOS, Foreign: c.foreign, Keyspace: c.keyspace, Creator: c.client,
		GenerateRTCP: c.plan.GenerateRTCP, Created: c.created, LastSignal: c.lastSignal, State: c.state(),
	}
	snap.Ends, snap.EndsBy = c.deadline(time.Now())
	for _, p := range c.plan.Parties {
		ps := PartySnapshot{Party: p, Subscriptions: c.plan.subscriptions(p), Subscribers: c.plan.subscribers(p)}
		for i, m := range p.Media {
			ms := MediaSnapshot{Media: m, Direction: m.direction(), Codec: m.codec()}
			for _, comp := range []*Component{&m.RTP, &m.RTCP} {
				if comp.Leg != nil {
					ms.Streams = append(ms.Streams, StreamSnapshot{
						RTCP: comp == &m.RTCP, Shared: m.carried(i), Local: comp.Leg.Local(), Told: comp.Leg.Advertised(), Signalled: comp.Signalled, Stats: comp.Leg.Stats(),
					})
				}
			}
			if m.Link != nil {
				ms.Link = m.Link.State()
			}
			ps.Media = append(ps.Media, ms)
		}
		snap.Parties = append(snap.Parties, ps)
	}
	snap.streams()
	return snap
}

func (c *Call) state() State {
	switch {
	case !c.deleteAt.IsZero():
		return StateDeleted
	case !c.plan.answered():
		return StateOffered
	case c.plan.held():
		return StateHeld
	}
	return StateAnswered
}

func (m *Media) codec() string {
	if m.Section == nil || len(m.Section.Codecs) == 0 {
		return ""
	}
	c := m.Section.Codecs[0]
	if c.Name == "" {
		return ""
	}
	text := c.Name + "/" + strconv.Itoa(int(c.ClockRate))
	if c.Channels > 1 {
		text += "/" + strconv.Itoa(int(c.Channels))
	}
	return text
}

// report writes the one line that tells how a call went.
func (c *Call) report(why Reason) {
	if len(c.plan.Parties) == 0 {
		return // never came to life; whoever asked for it has the error
	}
	var kernel, user, refused, lost uint64
	c.plan.components(func(_ *Party, _ int, _ *Media, comp *Component, _ bool) {
		st := comp.Leg.Stats()
		kernel += st.Kernel.Packets
		user += st.In.Packets
		refused += st.Refused
		lost += st.Lost
	})
	c.manager.cfg.Log.Info("call ended", "call", c.id, "why", why.String(), "seconds", int(time.Since(c.created).Seconds()),
		"parties", len(c.plan.Parties), "packets_kernel", kernel, "packets_userspace", user, "lost", lost, "refused", refused)
}
