package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
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
	CodeWrongSource   Code = "wrong source"
	CodeMoved         Code = "NAT moved"
	CodeNoPackets     Code = "no packets"
	CodeCodec         Code = "codec mismatch"
	CodeNoDestination Code = "no destination"
	CodeBlocked       Code = "blocked"
	CodeUnanswered    Code = "not answered"
	CodeUnderWay      Code = "under way"
	CodeHold          Code = "on hold"
	CodeWithdrawn     Code = "fast path withdrawn"
	CodeForeign       Code = "foreign packets"
	CodeFlows         Code = "flows"
)

// weights are the codes in order.
var weights = []Code{
	CodeICEFailed, CodeDTLSFailed, CodeCrypto, CodeWrongSource, CodeMoved, CodeNoPackets, CodeCodec, CodeNoDestination, CodeBlocked,
	CodeUnanswered, CodeUnderWay, CodeHold, CodeWithdrawn, CodeForeign, CodeFlows,
}

// Finding is one thing there is to say.
type Finding struct {
	Code Code   `json:"code"`
	Text string `json:"text"`
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
	ICE       string        `json:"ice,omitempty"`
	Selected  string        `json:"ice_selected,omitempty"`
	DTLS      string        `json:"dtls,omitempty"`
	DTLSError string        `json:"dtls_error,omitempty"`
	LearntS   float64       `json:"learnt_seconds_ago"` // -1 when no source was learnt
	Stranger  string        `json:"stranger,omitempty"` // the last source that was refused
	Payloads  []int         `json:"payload_types"`      // seen, of the last packet of each SSRC
	Drops     []ReasonCount `json:"drops"`
	Leg       Leg           `json:"leg"`
	Findings  []Finding     `json:"findings"`
}

// What makes silence worth a word, and how much later than the party's last packet a stranger's must be to be taken for the party.
const (
	silence   = 5 * time.Second
	movedLead = time.Second
	recent    = 10 * time.Second
)

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
				if s := &m.Streams[j]; !s.RTCP && !s.Shared {
					f := flow{snap: snap, party: p, index: k, media: m, stream: s, now: media.Now()}
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
	best := Finding{CodeUnanswered, "the call has no media that could flow"}
	weight := len(weights)
	for i := range flows {
		for _, f := range flows[i].Findings {
			if w := slices.Index(weights, f.Code); w < weight {
				best, weight = f, w
			}
		}
	}
	if best.Code == CodeFlows && len(flows) > 1 {
		best.Text = "media flows in every direction"
	}
	return best
}

// flow is what is explained.
type flow struct {
	snap   *call.Snapshot
	party  *call.PartySnapshot
	index  int
	media  *call.MediaSnapshot
	stream *call.StreamSnapshot
	now    time.Duration

	name     string
	hearers  []hearer
	findings []Finding
}

// hearer is a media that the flow goes to.
type hearer struct {
	name     string
	media    *call.MediaSnapshot
	answered bool
}

func (f *flow) say(code Code, format string, args ...any) {
	f.findings = append(f.findings, Finding{code, fmt.Sprintf(format, args...)})
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
	st := &f.stream.Stats
	out := Flow{
		From: f.name, To: []string{}, Direction: f.media.Direction.String(), Keying: f.media.Media.Security.Keying.String(),
		ICE: f.media.Link.ICE, Selected: text(f.media.Link.Selected), DTLS: f.media.Link.DTLS, DTLSError: f.media.Link.DTLSError,
		LearntS: -1, Stranger: text(st.Stranger), Payloads: []int{}, Leg: leg(f.name, f.index+1, f.media, f.stream),
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

// judge collects the findings.
func (f *flow) judge() {
	st := &f.stream.Stats
	received := st.In.Packets + st.Kernel.Packets
	last := max(st.LastUser, st.LastKernel)
	switch {
	case f.party.Party.Description == nil:
		f.say(CodeUnanswered, "%s has not answered yet", f.name)
		return
	case !f.media.Direction.Sends():
		f.say(CodeHold, "%s sends nothing, as agreed: its media is %s", f.name, f.media.Direction)
		return
	}
	f.judgeHearers()
	f.judgeWay()
	f.judgeKeys(received)
	strange := st.Drops[media.DropForeign] + st.Drops[media.DropEarly] + st.Kernel.Refused
	switch {
	case received == 0 && strange > 0:
		f.say(CodeWrongSource, "%d packets came%s, and none from %s, where %s should be: %s", strange, from(st.Stranger), expected(f.stream), f.name,
			"its SDP names another address than it sends from, or somebody else sends here")
	case received == 0 && len(f.findings) == 0:
		f.say(CodeNoPackets, "no packet has come from %s to %s; it was to send from %s. A firewall or NAT may be in the way, or it was told an address "+
			"it cannot reach", f.name, f.stream.Local, expected(f.stream))
	case received > 0 && strange > 0 && st.StrangerAt > last+movedLead:
		f.say(CodeMoved, "%s sent from %v until %s ago; since then packets come%s and are refused. Its NAT binding has moved: a re-offer, "+
			"or media handover, lets it", f.name, st.Source, ago(f.now-last), from(st.Stranger))
	case received > 0 && f.now-last > silence:
		f.say(CodeNoPackets, "%s has been silent for %s, after %d packets", f.name, ago(f.now-last), received)
	case strange > 0 && st.StrangerAt > 0 && f.now-st.StrangerAt < recent:
		f.say(CodeForeign, "%d packets%s were refused beside those of %s", strange, from(st.Stranger), f.name)
	}
	f.judgeCodec()
	if n := st.Drops[media.DropBlocked] + st.Drops[media.DropMuted]; n > 0 && n >= received/2 {
		f.say(CodeBlocked, "%d packets of %s were kept from everybody, as signalling wants it", n, f.name)
	}
	if st.Plane != media.PlaneKernel && withdrawn(st.Why) {
		f.say(CodeWithdrawn, "packets of %s go through userspace since the kernel did not relay them: %s", f.name, st.Why)
	}
	if len(f.findings) == 0 {
		f.say(CodeFlows, "media flows from %s to %s, in the %s plane", f.name, strings.Join(f.names(), ", "), st.Plane)
	}
}

func (f *flow) names() []string {
	var names []string
	for _, h := range f.hearers {
		names = append(names, h.name)
	}
	return names
}

// judgeHearers looks at whom the flow is for.
func (f *flow) judgeHearers() {
	for _, h := range f.hearers {
		switch {
		case !h.answered:
			f.say(CodeUnanswered, "%s has not answered yet", h.name)
		case !h.media.Direction.Receives():
			f.say(CodeHold, "%s takes nothing, as agreed: its media is %s", h.name, h.media.Direction)
		case len(h.media.Streams) > 0 && !h.media.Streams[0].Stats.Destination.IsValid() && h.media.Link.ICE == "":
			f.say(CodeNoDestination, "nobody knows where %s is: its SDP names no address, and no packet of it has come", h.name)
		}
	}
	if len(f.hearers) == 0 {
		f.say(CodeNoDestination, "nobody hears %s", f.name)
	}
}

// judgeWay looks at ICE.
func (f *flow) judgeWay() {
	switch f.media.Link.ICE {
	case "failed", "disconnected":
		f.say(CodeICEFailed, "ICE with %s has %s: no pair of addresses works both ways; compare the candidates with what firewalls let through",
			f.name, f.media.Link.ICE)
	case "new", "checking":
		f.say(CodeUnderWay, "ICE with %s is %s", f.name, f.media.Link.ICE)
	}
}

// judgeKeys looks at DTLS and SRTP.
func (f *flow) judgeKeys(received uint64) {
	link, st := &f.media.Link, &f.stream.Stats
	switch {
	case link.DTLS == "" || link.DTLS == "connected" || f.media.Media.Security.Keying != call.KeyedDTLS:
	case link.DTLS == "failed" || link.DTLSError != "":
		why := link.DTLSError
		if why == "" {
			why = "no reason is known"
		}
		f.say(CodeDTLSFailed, "the DTLS handshake with %s fails: %s", f.name, why)
	default:
		f.say(CodeUnderWay, "the DTLS handshake with %s is %s", f.name, link.DTLS)
	}
	for _, c := range []struct {
		why  media.Drop
		text string
	}{
		{media.DropAuth, "do not fit the keys that were agreed: the key in its SDP is not the one it uses"},
		{media.DropUnsealed, "are not SRTP, though SRTP is agreed"},
		{media.DropNoKeys, "came before there were keys"},
	} {
		if n := st.Drops[c.why]; n > 0 && n >= received/10 && !(c.why == media.DropNoKeys && received > 0) {
			f.say(CodeCrypto, "%d packets of %s %s", n, f.name, c.text)
		}
	}
}

// judgeCodec compares the payload types that come with what is agreed.
func (f *flow) judgeCodec() {
	sends := f.media.Media.Sends
	if len(sends) == 0 {
		return
	}
	for i := range f.media.Ingress {
		t := f.media.Ingress[i].PayloadType
		if t < 0 {
			continue
		}
		k := -1
		for j := range sends {
			if int(sends[j].PayloadType) == t {
				k = j
			}
		}
		if k < 0 {
			f.say(CodeCodec, "%s sends payload type %d, which is not agreed; agreed are %s", f.name, t, codecNames(f.media, sending))
			continue
		}
		for _, h := range f.hearers {
			takes := h.media.Media.Receives
			understood := len(takes) == 0
			for j := range takes {
				understood = understood || strings.EqualFold(takes[j].Name, sends[k].Name)
			}
			if !understood {
				f.say(CodeCodec, "%s sends %s, which %s does not take; it takes %s", f.name, sends[k].Name, h.name, codecNames(h.media, receiving))
			}
		}
	}
}

// withdrawn tells whether a reason is that the kernel was tried.
func withdrawn(why string) bool {
	return slices.ContainsFunc(media.WithdrawnReasons(), func(label string) bool { return strings.HasPrefix(why, label) })
}

// expected is where the party should be.
func expected(s *call.StreamSnapshot) string {
	switch {
	case s.Stats.Source.IsValid():
		return s.Stats.Source.String()
	case s.Signalled.IsValid():
		return s.Signalled.String()
	}
	return "an address nobody has told"
}

func from(stranger netip.AddrPort) string {
	if !stranger.IsValid() {
		return ""
	}
	return " from " + stranger.String()
}

func ago(d time.Duration) string { return d.Round(100 * time.Millisecond).String() }

// Which of a media's codecs are meant.
const (
	sending = iota
	receiving
)

// codecNames lists what a media may send, or be sent, with the payload types.
func codecNames(m *call.MediaSnapshot, way int) string {
	list := m.Media.Sends
	if way == receiving {
		list = m.Media.Receives
	}
	var names []string
	for i := range list {
		names = append(names, fmt.Sprintf("%d (%s)", list[i].PayloadType, list[i].Name))
	}
	return strings.Join(names, ", ")
}
