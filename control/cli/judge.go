package cli

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// What makes silence worth a word, how much later than the party's last packet a stranger's must be to be taken for the party, and
// how long ago something is still news.
const (
	silence   = 5 * time.Second
	movedLead = time.Second
	recent    = 10 * time.Second
)

// lossyPercent of packets lost is what one hears; of fewer than lossyPackets nothing can be said.
const (
	lossyPercent = 5
	lossyPackets = 100
)

func (f *flow) say(code Code, advice, format string, args ...any) {
	f.sayOf(f.name, code, advice, format, args...)
}

func (f *flow) sayOf(party string, code Code, advice, format string, args ...any) {
	f.findings = append(f.findings, Finding{code, party, fmt.Sprintf(format, args...), advice})
}

// judge collects the findings.
func (f *flow) judge() {
	switch {
	case f.party.Party.Description == nil:
		f.judgeSilent()
		return
	case !f.media.Direction.Sends():
		f.say(CodeHold, "It is on hold, or muted in signalling: whoever holds must send an offer with sendrecv.",
			"%s sends nothing, as agreed: its media is %s", f.name, f.media.Direction)
		return
	}
	f.judgeHearers()
	f.judgeWay()
	if !f.stream.Shared { // the leg is judged with the media that it is named after
		f.judgeKeys()
	}
	f.judgeSource()
	f.judgeCodec()
	f.judgeStreams()
	f.judgeLoss()
	st := &f.stream.Stats
	if n := st.Drops[media.DropBlocked] + st.Drops[media.DropMuted]; n > 0 && n >= f.received/2 {
		f.say(CodeBlocked, "The proxy asked for it (block media, silence media or hold): unblock media ends that.",
			"%d packets of %s were kept from everybody, as signalling wants it", n, f.name)
	}
	if st.Plane != media.PlaneKernel && withdrawn(st.Why) {
		f.say(CodeWithdrawn, "There is sound, at the cost of CPU: weir doctor looks for the reason in the host; a new offer, or weir reload, lets it be tried again.",
			"packets of %s go through userspace since the kernel did not relay them: %s", f.name, st.Why)
	}
	if len(f.findings) == 0 {
		f.say(CodeFlows, "", "media flows from %s to %s, in the %s plane", f.name, strings.Join(f.names(), ", "), st.Plane)
	}
}

// judgeSilent looks at a party that has not answered.
func (f *flow) judgeSilent() {
	if f.received == 0 {
		f.say(CodeUnanswered, "Without an answer nobody is told where to send: wait, or see whether the proxy hands replies with SDP to Weir.",
			"%s has not answered yet", f.name)
		return
	}
	f.say(CodeUnanswered, "Its answer has not come to Weir: the proxy must hand over the SDP of every reply, that of 183 too.",
		"%s has not answered yet, though %d packets have come from it, the last %s ago", f.name, f.received, ago(f.now-f.last))
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
		var st media.Stats
		if len(h.media.Streams) > 0 {
			st = h.media.Streams[0].Stats
		}
		switch {
		case !h.answered && st.In.Packets > 0:
			f.sayOf(h.name, CodeUnanswered, "Its answer has not come to Weir: the proxy must hand over the SDP of every reply, that of 183 too.",
				"%s has not answered yet, though %d packets have come from it", h.name, st.In.Packets)
		case !h.answered:
			f.sayOf(h.name, CodeUnanswered, "Without an answer nobody is told where to send: wait, or see whether the proxy hands replies with SDP to Weir.",
				"%s has not answered yet", h.name)
		case !h.media.Direction.Receives():
			f.sayOf(h.name, CodeHold, "It is on hold, or muted in signalling: whoever holds must send an offer with sendrecv.",
				"%s takes nothing, as agreed: its media is %s", h.name, h.media.Direction)
		case len(h.media.Streams) > 0 && !st.Destination.IsValid() && h.media.Link.ICE == "":
			f.sayOf(h.name, CodeNoDestination, "Its SDP has 0.0.0.0, say, or a name: it must send first, or be told to.",
				"nobody knows where %s is: its SDP names no address, and no packet of it has come", h.name)
		case st.Drops[media.DropSend] > 0:
			f.sayOf(h.name, CodeUnsent, "This host refuses to send there: look at its routes, at what its firewall does with packets that leave, and at the log.",
				"%d packets for %s at %s could not be sent", st.Drops[media.DropSend], h.name, st.Destination)
		}
	}
	if len(f.hearers) == 0 {
		f.say(CodeNoDestination, "It is alone in the call, or everybody was unsubscribed from it.", "nobody hears %s", f.name)
	}
}

// judgeWay looks at ICE.
func (f *flow) judgeWay() {
	link := &f.media.Link
	c := &link.Checks.Counters
	evidence := fmt.Sprintf("%d checks were sent to %s and %d answered; %d came from it", c.Checks, list(link.Checks.Remotes), c.Responses, c.Requests)
	if c.Unauthenticated > 0 {
		evidence += fmt.Sprintf(", and %d%s with a wrong user name or password", c.Unauthenticated, from(link.Checks.Impostor))
	}
	impostor := c.Unauthenticated > 0 && c.Requests == 0
	advice := "Packets of neither side reach the other: look at firewalls on the way, and at the address that Weir tells (" + f.told() + ")."
	switch {
	case impostor:
		advice = "It goes by another description than the last one: an answer or a re-offer did not get through, or it is that of another branch. Signalling must bring both sides to the same."
	case len(link.Checks.Remotes) == 0:
		advice = "Its SDP has no candidate that is of use here: they are TCP, names ending in .local, or of an address family that Weir has no interface for. Candidates may also have been lost on the way (trickle ICE)."
	case c.Requests > 0 && c.Responses == 0:
		advice = "What Weir sends does not reach it, while its packets come: look at the firewall in front of it, and at what this host lets out."
	}
	if impostor && c.Unauthenticated >= 3 && link.ICE != "" && link.ICE != "completed" {
		f.say(CodeICEFailed, advice, "ICE with %s, which is %s, cannot succeed like this. %s", f.name, link.ICE, evidence)
		return
	}
	switch link.ICE {
	case "failed":
		f.say(CodeICEFailed, advice, "ICE with %s has failed: no pair of addresses works. %s", f.name, evidence)
	case "disconnected":
		f.say(CodeICEFailed, "It is gone, or has another network now: an ICE restart, which a re-offer with new credentials is, finds the new way.",
			"ICE with %s is disconnected: it worked, and the party answers no more. %s", f.name, evidence)
	case "new", "checking":
		f.say(CodeUnderWay, advice, "ICE with %s is %s since %s. %s", f.name, link.ICE, ago(f.signalled), evidence)
	}
}

// judgeKeys looks at DTLS and SRTP.
func (f *flow) judgeKeys() {
	f.judgeHandshake()
	st := &f.stream.Stats
	for _, c := range []struct {
		why          media.Drop
		text, advice string
	}{
		{media.DropAuth, "do not fit the keys that were agreed", "The key in its SDP is not the one it encrypts with: it goes by an older description, encrypts with the key that it was given instead of its own, or does not encrypt at all."},
		{media.DropUnsealed, "are not SRTP, though SRTP is agreed", "It does not encrypt: see whether its answer was meant for SRTP, or let the proxy ask for RTP/AVP towards it."},
		{media.DropNoKeys, "came before there were keys", "It has not sent its answer, or the DTLS handshake has not come to an end."},
	} {
		if n := st.Drops[c.why]; n > 0 && n >= f.received/10 && !(c.why == media.DropNoKeys && f.received > 0) {
			f.say(CodeCrypto, c.advice, "%d packets of %s%s %s", n, f.name, from(st.Odd), c.text)
		}
	}
}

func (f *flow) judgeHandshake() {
	link := &f.media.Link
	if link.DTLS == "" || link.DTLS == "connected" || f.media.Media.Security.Keying != call.KeyedDTLS {
		return
	}
	const wrong = "The certificate is not the one that its SDP announces: the description is that of another branch or of an earlier offer, or was changed on the way."
	way := link.ICE == "" || link.ICE == "connected" || link.ICE == "completed"
	begins := "it was to begin (a=setup:active)"
	if link.DTLSRole == "active" {
		begins = "Weir says hello to " + expected(f.stream)
		if link.Selected.IsValid() {
			begins = "Weir says hello to " + link.Selected.String()
		}
	}
	switch {
	case !way: // ICE comes first
	case !link.DTLSHeard.IsValid() && (f.signalled > silence || link.DTLSError != ""):
		f.say(CodeDTLSFailed, "Either it does not do DTLS, though its SDP has a fingerprint, or its packets do not get here: a firewall may let RTP pass and nothing else, and hellos that are fragmented are often lost (--dtls-mtu).",
			"no DTLS packet has come from %s in %s; %s", f.name, ago(f.signalled), begins)
	case strings.Contains(link.DTLSError, "fingerprint"):
		f.say(CodeDTLSFailed, wrong, "the DTLS handshake with %s at %s fails: %s", f.name, link.DTLSHeard, link.DTLSError)
	case link.DTLS == "failed" || link.DTLSError != "":
		why := link.DTLSError
		if why == "" {
			why = "no reason is known"
		}
		f.say(CodeDTLSFailed, "Where it is not answered in time, packets of the size of a certificate may be lost on the way (--dtls-mtu); else see which ciphers and profiles it offers (--dtls-ciphers).",
			"the DTLS handshake with %s at %s fails: %s", f.name, link.DTLSHeard, why)
	default:
		f.say(CodeUnderWay, "Wait: it takes less than a second on most networks.", "the DTLS handshake with %s is %s since %s; %s", f.name, link.DTLS, ago(f.signalled), begins)
	}
}

// judgeSource looks at what comes, and where from.
func (f *flow) judgeSource() {
	st := &f.stream.Stats
	strange := st.Drops[media.DropForeign] + st.Drops[media.DropEarly] + st.Kernel.Refused
	garbage := st.Drops[media.DropGarbage] + st.Drops[media.DropBadRTP] + st.Drops[media.DropSTUN]
	rtp := !f.media.Media.Opaque && !f.media.Media.Through
	switch {
	case f.received == 0 && f.misdirected() > 0:
		f.say(CodeWrongPort, "It sends RTP to the port for RTCP: it has added one to the port it was told, or takes rtcp-mux for something else.",
			"%d packets of RTP came%s to %s, which is for RTCP, and none to %s", f.misdirected(), from(f.rtcp().Stats.Odd), f.rtcp().Told, f.stream.Told)
	case f.received == 0 && strange > 0 && !f.stream.Shared:
		f.say(CodeWrongSource, "Its SDP names another address than it sends from and learning is off (asymmetric, endpoint-learning), or a second packet at the signalled address is awaited, or somebody else sends here.",
			"%d packets came%s, and none from %s, where %s should be", strange, from(st.Stranger), expected(f.stream), f.name)
	case f.received == 0 && garbage > 0 && rtp && !f.stream.Shared:
		f.say(CodeNotRTP, f.oddAdvice(), "%d packets came%s, and none of %s is RTP", garbage, from(st.Odd), f.name)
	case f.received == 0 && len(f.findings) == 0:
		text, advice := f.silence()
		f.say(CodeNoPackets, advice, "%s", text)
	case f.received > 0 && strange > 0 && st.StrangerAt > f.last+movedLead:
		f.say(CodeMoved, "Its NAT binding has moved, or it has moved by a re-INVITE that did not come to Weir: a re-offer, or media handover, lets it.",
			"%s sent from %v until %s ago; since then packets come%s and are refused", f.name, st.Source, ago(f.now-f.last), from(st.Stranger))
	case f.received > 0 && len(f.media.Ingress) == 0 && rtp:
		f.say(CodeNotRTP, f.oddAdvice(), "%d packets have come from %s at %v, and none of them is RTP", f.received, f.name, st.Source)
	case f.received > 0 && f.now-f.last > silence:
		f.say(CodeNoPackets, "It is muted, gone, or its network is: it had worked until then. If a re-INVITE came then, compare what it was told with where it sends.",
			"%s has been silent for %s, after %d packets from %v", f.name, ago(f.now-f.last), f.received, st.Source)
	case strange > 0 && st.StrangerAt > 0 && f.now-st.StrangerAt < recent:
		f.say(CodeForeign, "Somebody tries ports, or an earlier call of the port goes on; nothing of it is relayed.",
			"%d packets%s were refused beside those of %s", strange, from(st.Stranger), f.name)
	}
}

// misdirected is how many packets of RTP have come to the port for RTCP.
func (f *flow) misdirected() uint64 {
	if r := f.rtcp(); r != nil {
		return r.Stats.Drops[media.DropRTPOnRTCP]
	}
	return 0
}

func (f *flow) oddAdvice() string {
	if f.stream.Stats.Drops[media.DropSTUN] > 0 && f.media.Link.ICE == "" {
		return "They are ICE checks, and ICE is not agreed with it: let the proxy ask for ICE=force, or ICE=remove towards both sides."
	}
	if f.media.Media.Security.Keying == call.Plain {
		return "They may be DTLS, ZRTP, keep-alives of a NAT, or T.38 without a re-offer: see which transport the proxy asks for, and whether the party takes it."
	}
	return "They may be keep-alives of a NAT, ZRTP, or T.38 without a re-offer; a capture shows."
}

// silence tells what is known of a party that sends nothing.
func (f *flow) silence() (text, advice string) {
	text = fmt.Sprintf("no packet has come from %s to %s in %s; it was to send from %s", f.name, f.told(), ago(f.signalled), expected(f.stream))
	told, at := f.stream.Told.Addr(), f.stream.Signalled.Addr()
	switch r := f.rtcp(); {
	case f.signalled < silence:
		advice = "It may come yet. "
	case r != nil && r.Stats.In.Packets+r.Stats.Kernel.Packets > 0:
		return text + fmt.Sprintf("; but %d packets of RTCP have come from %v", r.Stats.In.Packets+r.Stats.Kernel.Packets, r.Stats.Source),
			"The way is open and it sends no media: it is muted, its microphone or codec fails, or a firewall lets every other port pass."
	}
	switch {
	case at.IsValid() && at.Is4() != told.Is4():
		advice += "Its address is of another family than the one that it was told: give its interface an address of that family too (--interface), or let the proxy ask for the other one (address-family)."
	case told.IsLoopback() && at.IsValid() && !at.IsLoopback():
		advice += "It was told an address of the loopback device, which it cannot reach: name another with --interface."
	case told.IsPrivate() && at.IsValid() && !at.IsPrivate() && !at.IsLoopback():
		advice += fmt.Sprintf("It has a public address and was told a private one: if Weir is behind a NAT, write --interface=%s!PUBLIC-ADDRESS.", told)
	default:
		advice += "A firewall or NAT is in the way, or it does not reach the address that it was told (see --interface=ADDRESS!PUBLIC-ADDRESS); a capture on this host shows whether anything comes."
	}
	return text, advice
}

// judgeCodec compares the payload types that come with what is agreed.
func (f *flow) judgeCodec() {
	sends := f.media.Media.Sends
	if len(sends) == 0 {
		return
	}
	for i := range f.media.Ingress {
		t := f.media.Ingress[i].PayloadType
		if t < 0 || t == comfortNoise {
			continue
		}
		k := -1
		for j := range sends {
			if int(sends[j].PayloadType) == t {
				k = j
			}
		}
		if k < 0 {
			f.say(CodeCodec, "It goes by another description than the last one, or takes the numbers of its own: they are those of the side that receives.",
				"%s sends payload type %d, which is not agreed; agreed are %s", f.name, t, codecNames(f.media, sending))
			continue
		}
		for _, h := range f.hearers {
			takes := h.media.Media.Receives
			understood := len(takes) == 0
			for j := range takes {
				understood = understood || strings.EqualFold(takes[j].Name, sends[k].Name)
			}
			if !understood {
				f.say(CodeCodec, "The sides have agreed on different codecs and nothing is converted: offer both the same, with codec-strip and codec-offer.",
					"%s sends %s, which %s does not take; it takes %s", f.name, sends[k].Name, h.name, codecNames(h.media, receiving))
			}
		}
	}
}

// comfortNoise is sent by many who have not agreed on it (RFC 3389).
const comfortNoise = 13

// judgeStreams looks at the SSRCs.
func (f *flow) judgeStreams() {
	st := &f.stream.Stats
	if n := st.Drops[media.DropNoMedia]; n > 0 && n >= f.received/10 && !f.stream.Shared {
		f.say(CodeUnknownStream, "Neither a=mid in a header extension, nor a=ssrc, nor the payload type says whose they are: it sends another SSRC than its SDP has, or goes by an earlier description.",
			"%d packets of %s are of none of the medias that share the port", n, f.name)
	}
	announced := f.media.Media.SSRCs()
	if len(announced) == 0 || len(f.media.Ingress) == 0 {
		return
	}
	for i := range f.media.Ingress {
		if slices.Contains(announced, f.media.Ingress[i].SSRC) {
			return
		}
	}
	f.say(CodeOtherSSRC, "Browsers may throw away what they were not told of: see whether the description was changed on the way, or is an earlier one.",
		"%s sends SSRC %d, and its SDP announces %d", f.name, f.media.Ingress[0].SSRC, announced[0])
}

// judgeLoss looks at what is lost before Weir, by its own count, and after it, by what hearers report.
func (f *flow) judgeLoss() {
	var came, lost uint64
	reported := uint8(0)
	for i := range f.media.Ingress {
		s := &f.media.Ingress[i]
		came, lost = came+s.Packets, lost+s.Lost
		if q := s.Quality; q != nil && len(q.Progression) > 0 {
			reported = max(reported, q.Progression[len(q.Progression)-1].Loss)
		}
	}
	switch all := came + lost; {
	case all < lossyPackets:
	case lost*100 >= all*lossyPercent:
		f.say(CodeLoss, "They are lost on the way to this host, or in it: weir doctor looks at its network devices, a capture shows whether they come.",
			"%d%% of what %s sends is lost before Weir: %d of %d packets", lost*100/all, f.name, lost, all)
	case reported >= lossyPercent:
		f.say(CodeLoss, "They are lost on the way from this host to the hearer: a narrow or wireless link, or packets that are too long for it.",
			"%s reports that %d%% of what %s sends is lost, nearly all of it behind Weir", strings.Join(f.names(), ", "), reported, f.name)
	}
}

// withdrawn tells whether a reason is that the kernel was tried.
func withdrawn(why string) bool {
	return slices.ContainsFunc(media.WithdrawnReasons(), func(label string) bool { return strings.HasPrefix(why, label) })
}

// told is the address that the party was told, and behind it the one that Weir receives on if that is another.
func (f *flow) told() string {
	if f.stream.Told == f.stream.Local {
		return f.stream.Local.String()
	}
	return fmt.Sprintf("%s (here %s)", f.stream.Told, f.stream.Local)
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

// list names some addresses.
func list(all []netip.AddrPort) string {
	const most = 4
	switch names := texts(all); {
	case len(names) == 0:
		return "nowhere"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	default:
		return strings.Join(names, ", ")
	}
}

func from(stranger netip.AddrPort) string {
	if !stranger.IsValid() {
		return ""
	}
	return " from " + stranger.String()
}

func ago(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

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
