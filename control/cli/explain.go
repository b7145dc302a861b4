package cli

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// Code names what there is to say of a flow. The codes are in the order of their weight: of several the first is the verdict.
type Code string

// The codes.
const (
	CodeICEFailed     Code = "ICE failed"
	CodeDTLSFailed    Code = "DTLS failed"
	CodeCrypto        Code = "crypto mismatch"
	CodeWrongPort     Code = "wrong port"
	CodeWrongSource   Code = "wrong source"
	CodeMoved         Code = "NAT moved"
	CodeNotRTP        Code = "not RTP"
	CodeNoPackets     Code = "no packets"
	CodeCodec         Code = "codec mismatch"
	CodeUnknownStream Code = "unknown stream"
	CodeNoDestination Code = "no destination"
	CodeUnsent        Code = "cannot send"
	CodeBlocked       Code = "blocked"
	CodeUnanswered    Code = "not answered"
	CodeUnderWay      Code = "under way"
	CodeHold          Code = "on hold"
	CodeLoss          Code = "packet loss"
	CodeWithdrawn     Code = "fast path withdrawn"
	CodeOtherSSRC     Code = "other SSRC"
	CodeForeign       Code = "foreign packets"
	CodeFlows         Code = "flows"
)

// weights are the codes in order.
var weights = []Code{
	CodeICEFailed, CodeDTLSFailed, CodeCrypto, CodeWrongPort, CodeWrongSource, CodeMoved, CodeNotRTP, CodeNoPackets, CodeCodec,
	CodeUnknownStream, CodeNoDestination, CodeUnsent, CodeBlocked, CodeUnanswered, CodeUnderWay, CodeHold, CodeLoss, CodeWithdrawn,
	CodeOtherSSRC, CodeForeign, CodeFlows,
}

// Codes returns all codes, the weightiest first.
func Codes() []Code { return slices.Clone(weights) }

// Finding is one thing there is to say.
type Finding struct {
	Code   Code   `json:"code"`
	Party  string `json:"party,omitempty"`  // whom it is about
	Text   string `json:"text"`             // what was seen
	Advice string `json:"advice,omitempty"` // the likely cause and what to do; empty when there is nothing to do
}

// Explanation says why a call has sound or has none.
type Explanation struct {
	Call    Call    `json:"call"`
	Verdict Finding `json:"verdict"` // the weightiest finding of all flows
	Flows   []Flow  `json:"flows"`
}

// Flow is RTP of one media from one party to those who hear it.
type Flow struct {
	From      string        `json:"from"`
	To        []string      `json:"to"`
	Direction string        `json:"direction"` // as the sender has it
	Keying    string        `json:"keying"`    // plain, SDES or DTLS-SRTP
	Told      string        `json:"told"`      // the address that the sender was told to send to
	ICE       string        `json:"ice,omitempty"`
	Selected  string        `json:"ice_selected,omitempty"`
	Checks    *Checks       `json:"ice_checks,omitempty"`
	DTLS      string        `json:"dtls,omitempty"`
	DTLSHeard string        `json:"dtls_heard,omitempty"` // where the last DTLS packet came from
	DTLSError string        `json:"dtls_error,omitempty"`
	LearntS   float64       `json:"learnt_seconds_ago"` // -1 when no source was learnt
	Stranger  string        `json:"stranger,omitempty"` // the last source that was refused
	Payloads  []int         `json:"payload_types"`      // seen, of the last packet of each SSRC
	Drops     []ReasonCount `json:"drops"`
	Leg       Leg           `json:"leg"`
	Findings  []Finding     `json:"findings"`
}

// Checks are the connectivity checks of ICE with a party, since the session began.
type Checks struct {
	Sent            uint64   `json:"sent"`
	Answered        uint64   `json:"answered"`
	Received        uint64   `json:"received"`
	Unauthenticated uint64   `json:"unauthenticated"` // received, with a wrong user name or password
	To              []string `json:"to"`
}

// Explain says why a call has sound or has none, or fails with call.ErrUnknownCall.
func Explain(calls *call.Manager, id string) (*Explanation, error) {
	snap, err := calls.Query(id, "", "")
	if err != nil {
		return nil, err
	}
	e := explain(snap, time.Now())
	return &e, nil
}

// explain puts a snapshot into words.
func explain(snap *call.Snapshot, now time.Time) Explanation {
	e := Explanation{Call: view(snap, now), Flows: []Flow{}}
	for i := range snap.Parties {
		p := &snap.Parties[i]
		for k := range p.Media {
			m := &p.Media[k]
			for j := range m.Streams {
				if s := &m.Streams[j]; !s.RTCP {
					f := flow{snap: snap, party: p, index: k, media: m, stream: s, now: media.Now(), signalled: now.Sub(snap.LastSignal)}
					e.Flows = append(e.Flows, f.explain())
				}
			}
		}
	}
	e.Verdict = verdict(e.Flows)
	return e
}

// verdict picks the weightiest finding.
func verdict(flows []Flow) Finding {
	best := Finding{
		Code: CodeUnanswered, Text: "the call has no media that could flow",
		Advice: "All of its sections are rejected (port 0), or are not over UDP.",
	}
	weight := len(weights)
	for i := range flows {
		for _, f := range flows[i].Findings {
			if w := slices.Index(weights, f.Code); w < weight {
				best, weight = f, w
			}
		}
	}
	if best.Code == CodeFlows && len(flows) > 1 {
		best.Party, best.Text = "", "media flows in every direction"
	}
	return best
}

// flow is what is explained.
type flow struct {
	snap      *call.Snapshot
	party     *call.PartySnapshot
	index     int
	media     *call.MediaSnapshot
	stream    *call.StreamSnapshot
	now       time.Duration // on the media plane's clock
	signalled time.Duration // since the last message about the call

	name     string
	hearers  []hearer
	received uint64        // packets of the party, of this media
	last     time.Duration // when the last one came
	findings []Finding
}

// hearer is a media that the flow goes to.
type hearer struct {
	name     string
	media    *call.MediaSnapshot
	answered bool
}

// partyName is the tag of a party, or a number for one that has none yet.
func partyName(p *call.PartySnapshot) string {
	if p.Party.Tag == "" {
		return "untagged " + strconv.Itoa(int(p.Party.ID))
	}
	return p.Party.Tag
}

func (f *flow) explain() Flow {
	f.name = partyName(f.party)
	for i := range f.snap.Parties {
		p := &f.snap.Parties[i]
		for k := range p.Media {
			for _, s := range p.Media[k].Media.Hears {
				if s.Party == f.party.Party.ID && s.Media == f.index {
					f.hearers = append(f.hearers, hearer{partyName(p), &p.Media[k], p.Party.Description != nil})
				}
			}
		}
	}
	f.count()
	st, link := &f.stream.Stats, &f.media.Link
	out := Flow{
		From: f.name, To: []string{}, Direction: f.media.Direction.String(), Keying: f.media.Media.Security.Keying.String(),
		Told: text(f.stream.Told), ICE: link.ICE, Selected: text(link.Selected), DTLS: link.DTLS, DTLSHeard: text(link.DTLSHeard),
		DTLSError: link.DTLSError, LearntS: -1, Stranger: text(st.Stranger), Payloads: []int{},
		Leg: leg(f.name, f.index+1, f.media, f.stream),
	}
	if link.ICE != "" {
		c := &link.Checks.Counters
		out.Checks = &Checks{
			Sent: c.Checks, Answered: c.Responses, Received: c.Requests, Unauthenticated: c.Unauthenticated, To: texts(link.Checks.Remotes),
		}
	}
	for _, h := range f.hearers {
		out.To = append(out.To, h.name)
	}
	if st.LearnedAt > 0 {
		out.LearntS = (f.now - st.LearnedAt).Seconds()
	}
	for i := range f.media.Ingress {
		if t := f.media.Ingress[i].PayloadType; t >= 0 {
			out.Payloads = append(out.Payloads, t)
		}
	}
	drops := make(map[string]uint64)
	for why, n := range st.Drops {
		drops[media.Drop(why).String()] = n
	}
	out.Drops = Rank(drops)
	f.judge()
	slices.SortStableFunc(f.findings, func(a, b Finding) int { return slices.Index(weights, a.Code) - slices.Index(weights, b.Code) })
	out.Findings = f.findings
	return out
}

// count notes what has come of the media. Those of a bundle share a leg, whose counts are then of all of them.
func (f *flow) count() {
	st := &f.stream.Stats
	if !f.media.Media.Bundled {
		f.received, f.last = st.In.Packets+st.Kernel.Packets, max(st.LastUser, st.LastKernel)
		return
	}
	for i := range f.media.Ingress {
		f.received += f.media.Ingress[i].Packets
		f.last = max(f.last, f.media.Ingress[i].LastSeen)
	}
}

// rtcp returns the leg for RTCP; nil when it shares that of RTP.
func (f *flow) rtcp() *call.StreamSnapshot {
	for i := range f.media.Streams {
		if f.media.Streams[i].RTCP {
			return &f.media.Streams[i]
		}
	}
	return nil
}

func texts(all []netip.AddrPort) []string {
	list := []string{}
	for _, a := range all {
		list = append(list, a.String())
	}
	return list
}
