package call

import (
	"net/netip"
	"slices"
	"time"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// PartyID names a party within its call, for as long as the call lives.
type PartyID uint32

// Plan is what signalling has agreed so far: an immutable value that each offer or answer replaces as a whole.
type Plan struct {
	Parties []*Party
	TOS     uint8

	Manipulation Manipulation // of all parties
	DropTraffic  bool
	GenerateRTCP bool           // reports are made here instead of passed through
	EventLog     netip.AddrPort // where telephone events are told of; invalid: as configured

	lastID     PartyID
	lastSerial uint32
	ranks      preferences
	heard      map[Ref][]hearer // only while legs get their settings
}

// Party is one end of the call: a tag, or the branch of an offer nobody has answered yet.
type Party struct {
	ID        PartyID
	Tag       string   // empty until an answer names it
	Aliases   []string // further tags that turned out to be this party
	ViaBranch string
	Label     string
	Role      Role
	Interface string // logical interface that faces it; empty is the default one
	Created   time.Time
	OfferedBy PartyID // who made the offer that brought this party in; 0: it came with an offer of its own

	Description *sdp.Description // as last received; nil before it has spoken
	Media       []*Media
	Handling    Handling

	Manipulation Manipulation // of what the party sends
	Echo         Echo
	BlockShort   bool // packets of it that are shorter than others

	bundling bundling
	callID   string // it came with; another than that of the others once calls were merged
	told     told
	likeness map[AliasKey]string // by which its latest offer is recognised, if that was asked for

	ourID, ourVersion uint64 // of the o= line where we offer or answer by ourselves
}

// Role says how a party came into the call.
type Role uint8

// The roles.
const (
	RoleDialogue   Role = iota // by offer and answer
	RoleSubscriber             // to hear others
	RolePublisher              // to be heard by others
	RoleCreated                // by an offer of ours
)

// Media is one m= section of a party.
type Media struct {
	Section  *sdp.Media // as last received; nil before the party has spoken
	Type     string     // audio, video, …
	Protocol sdp.Protocol
	Rejected bool // port 0, from either side
	Opaque   bool // not RTP: any datagram is passed on unlooked-at
	Hidden   bool // the party is not shown this section
	Foreign  bool // not over UDP: its section is passed on as it is, and it has no legs

	RTP, RTCP Component
	Twin      twin // legs of a second, plain section
	ICE       ICE
	Through   bool // what the parties say about addresses, keys and ICE is between them
	Security  Security
	Link      *media.Link    // nil without DTLS or ICE
	Hears     []Subscription // whose media this party receives here

	Mid     string // what the party calls the section, or was told to; empty when it has no name
	Bundled bool   // it shares the legs of the media with index Carrier, or is that media and others do
	Carrier int
	split   bool          // it shares them only to receive: it was told that port, and answered apart from the others
	spare   [2]*media.Leg // for RTP and RTCP, told to the party before it came to share; open until the next offer
	ext     extensions
	fax     fax

	MuxOffered bool // the party offered rtcp-mux
	MuxTold    bool // rtcp-mux was offered to the party
	Mux        bool // rtcp-mux is agreed with the party
	muxAnswer  muxAnswer

	ours   *sdp.Media // what we offered by ourselves
	serial uint32     // counts the medias of the call, from 1
	source Ref        // of a subscriber's media: whom it is there to hear

	// The codecs in use with the party: those it may send, and those it may be sent, in order of preference. Until the answer
	// they are what it offered or was offered. The payload types differ only after an answer that was asymmetric. Never
	// written to, only replaced.
	Sends, Receives []sdp.Codec

	offered *codecOffer // last offer to the party; nil when it never got one
	ptime   int         // ms, of a=ptime towards the party; 0: none
	packets int         // ms, of packets that are made anew for the party; 0: they may stay as they are
	made    bool        // everything the party is sent is encoded here
	tuning  []CodecSpec // how to encode for the party

	Pair  *Pair      // with the media it faces, when they are addressed apart from others; nil: by descriptions
	tap   Tap        // of what the party sends; nil: none
	local netip.Addr // the only address its ports may be on; zero: any of the interface
	cut   bool       // its pair has ended; another one may have the place

	session   *sdp.Session   // that Section stands in
	family    int            // 4 or 6, of the address in Section
	held      bool           // on hold by an unspecified address
	passes    bool           // Through was asked for
	Looped    bool           // the party's address is one of ours
	latched   netip.AddrPort // where the other side was when our ports were told
	latchedTo PartyID        // which party that was
	former    former
	moving    bool // other ports were told, and the party has not said anything since
	waits     bool // the party's offer has not been answered

	refuses      bool         // the party lists the stream twice
	refused      sdp.Protocol // of the section that is not used; empty: there is none
	refusedFirst bool
}

// Ref names a media: a party and the index of the section, from 0.
type Ref struct {
	Party PartyID `json:",omitzero"`
	Media int     `json:",omitzero"`
}

// Subscription ties a media to one that it hears. An ordinary call is two of them.
type Subscription struct {
	Ref
	Added          bool `json:",omitzero"` // beside offer and answer, by subscribe, connect or mesh
	Block, Silence bool `json:",omitzero"` // of this flow alone, as in Manipulation
	OnlyRTCP       bool `json:",omitzero"`
	Injected       bool `json:",omitzero"` // to be mixed into what the party hears else
	Egress         bool `json:",omitzero"` // as the peers of the source get it, not as it comes
}

// Component is the RTP or the RTCP half of a media.
type Component struct {
	Leg *media.Leg // nil when the media is rejected
	// Alternates are the legs on further local addresses that the party may choose by ICE.
	Alternates []*media.Leg
	Signalled  netip.AddrPort // the party's address by SDP; zero when unknown or on hold
	Epoch      uint32         // counts the times learning had to start again
}

// Handling is how packets of a party are treated, as its messages asked.
type Handling struct {
	Learning       media.Learning `json:",omitzero"`
	Asymmetric     bool           `json:",omitzero"`
	Strict         bool           `json:",omitzero"` // foreign sources are refused whatever the configuration says
	Open           bool           `json:",omitzero"` // they are relayed
	Handover       bool           `json:",omitzero"`
	Unidirectional bool           `json:",omitzero"`
	Near           netip.Addr     `json:",omitzero"` // where its latest message came from, if that is known
}

func (p *Plan) clone() *Plan {
	n := *p
	n.Parties = make([]*Party, len(p.Parties))
	for i, party := range p.Parties {
		q := *party
		q.Aliases = slices.Clip(party.Aliases)
		q.Media = make([]*Media, len(party.Media))
		for j, m := range party.Media {
			c := *m
			c.Hears = slices.Clone(m.Hears)
			q.Media[j] = &c
		}
		n.Parties[i] = &q
	}
	return &n
}

// byTag finds a party by its tag or one of its aliases.
func (p *Plan) byTag(tag string) *Party {
	if tag == "" {
		return nil
	}
	for _, party := range p.Parties {
		if party.Tag == tag || slices.Contains(party.Aliases, tag) {
			return party
		}
	}
	return nil
}

func (p *Plan) byID(id PartyID) *Party {
	for _, party := range p.Parties {
		if party.ID == id {
			return party
		}
	}
	return nil
}

// media resolves a reference; nil when its party or section is gone.
func (p *Plan) media(r Ref) *Media {
	party := p.byID(r.Party)
	if party == nil || r.Media >= len(party.Media) {
		return nil
	}
	return party.Media[r.Media]
}

// hearer is a media that hears another one, and by which subscription.
type hearer struct {
	media *Media
	by    *Subscription
}

// index finds the hearers of all medias at once: in a large conference, to look for those of each would take too long. In an
// ordinary call it is the index that would.
func (p *Plan) index() {
	const few = 8
	medias := 0
	for _, party := range p.Parties {
		medias += len(party.Media)
	}
	if medias <= few {
		return
	}
	p.heard = make(map[Ref][]hearer, medias)
	for r, h := range p.hearing {
		p.heard[r] = append(p.heard[r], h)
	}
}

// hearers returns the medias that hear the one r names.
func (p *Plan) hearers(r Ref) []hearer {
	if p.heard != nil {
		return p.heard[r]
	}
	var all []hearer
	for of, h := range p.hearing {
		if of == r {
			all = append(all, h)
		}
	}
	return all
}

// hearing visits all hearers with what they hear.
func (p *Plan) hearing(yield func(Ref, hearer) bool) {
	for _, party := range p.Parties {
		for _, m := range party.Media {
			for i := range m.Hears {
				if s := &m.Hears[i]; !yield(s.Ref, hearer{m, s}) {
					return
				}
			}
		}
	}
}

// hears tells whether the media is subscribed to the one r names.
func (m *Media) hears(r Ref) bool {
	return slices.ContainsFunc(m.Hears, func(s Subscription) bool { return s.Ref == r })
}

// forget ends the subscriptions of the media that which picks.
func (m *Media) forget(which func(Subscription) bool) {
	m.Hears = slices.DeleteFunc(slices.Clone(m.Hears), which)
}

// partnerOf tells whether one of the two was brought in by an offer of the other.
func (p *Party) partnerOf(q *Party) bool { return p.OfferedBy == q.ID || q.OfferedBy == p.ID }

// partners returns the parties in an offer/answer relation with the given one, latest first.
func (p *Plan) partners(of *Party) []*Party {
	var found []*Party
	for _, other := range slices.Backward(p.Parties) {
		if other.partnerOf(of) {
			found = append(found, other)
		}
	}
	return found
}

// answered tells whether a party that has spoken hears another that has, or is there to be heard.
func (p *Plan) answered() bool {
	for _, party := range p.Parties {
		if party.Description != nil && (party.Role == RolePublisher || party.Role == RoleCreated) {
			return true
		}
		for _, other := range p.Parties {
			if party.Description != nil && other.Description != nil && hears(party, other.ID) {
				return true
			}
		}
	}
	return false
}

// held tells whether no media that somebody hears flows both ways, so that silence is not a sign of death. Of parties that came
// by themselves one way is enough.
func (p *Plan) held() bool {
	for _, party := range p.Parties {
		alone := party.Description != nil && (party.Role == RolePublisher || party.Role == RoleCreated)
		for i, m := range party.Media {
			switch {
			case m.Rejected || m.held:
			case alone && m.direction().Sends():
				return false
			case m.Section == nil || len(p.hearers(Ref{party.ID, i})) == 0:
			case m.direction() == sdp.SendRecv:
				return false
			}
		}
	}
	return true
}

// direction returns the way media flows as the party last said; sendrecv when it did not.
func (m *Media) direction() sdp.Direction {
	if m.Section != nil {
		if dir := m.Section.DirectionOf(m.session); dir.Given() {
			return dir
		}
	}
	return sdp.SendRecv
}

// legs visits every leg of the plan, those in waiting too.
func (p *Plan) legs(visit func(*media.Leg)) {
	p.components(func(_ *Party, _ int, _ *Media, c *Component, _ bool) { visit(c.Leg) })
	for _, party := range p.Parties {
		for _, m := range party.Media {
			for _, leg := range slices.Concat(m.RTP.Alternates, m.RTCP.Alternates) {
				visit(leg)
			}
			if m.former.rtp != nil {
				visit(m.former.rtp)
				visit(m.former.rtcp)
			}
			if m.Twin.RTP != nil {
				visit(m.Twin.RTP)
				visit(m.Twin.RTCP)
			}
		}
	}
}

// components visits every component that has a leg, each leg once.
func (p *Plan) components(visit func(party *Party, index int, m *Media, c *Component, rtcp bool)) {
	for _, party := range p.Parties {
		for i, m := range party.Media {
			if m.RTP.Leg != nil && !m.carried(i) {
				visit(party, i, m, &m.RTP, false)
			}
			if m.RTCP.Leg != nil && !m.carried(i) {
				visit(party, i, m, &m.RTCP, true)
			}
			for k, leg := range m.spare {
				if leg == nil {
					continue // few have one, and the copy that is visited costs memory
				}
				c := m.RTP
				if k == 1 {
					c = m.RTCP
				}
				c.Leg, c.Alternates = leg, nil
				visit(party, i, m, &c, k == 1)
			}
		}
	}
}
