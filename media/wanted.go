package media

import (
	"slices"

	"github.com/weir-media/weir/fastpath"
)

// hearers are the legs that packets of a flow in the kernel leave by, and what these are turned with on the way.
type hearers struct {
	rtp, rtcp []*Leg
	turning   turning
}

// tapped tells whether somebody taps what one of them is sent.
func (h *hearers) tapped() bool {
	tapped := func(l *Leg) bool {
		p := l.plan.Load()
		return p != nil && len(p.Taps.Sent) > 0
	}
	return slices.ContainsFunc(h.rtp, tapped) || slices.ContainsFunc(h.rtcp, tapped)
}

// wanted returns the flow that l should have in the kernel, but for its ciphers, and who hears it, or why none.
func (k *kernelFlow) wanted(l *Leg) (f fastpath.Flow, to hearers, why reason) {
	p := l.plan.Load()
	if why = k.unfit(l, p); why.label != "" {
		return f, to, why
	}
	f = fastpath.Flow{
		Local: l.local, RTCP: p.Kind == RTCP, Clocks: p.clocks(),
		// ICE may have authenticated other addresses of the peer, too.
		DropForeign: !p.Handover && !p.Open && l.allowed.Load() == nil,
	}
	// Reports that pass are read in userspace, too.
	f.Taps.RTCP = !p.Sealed && p.ReportBy == nil
	if f.Treatment, why.detail = p.treatmentInKernel(); why.detail != "" {
		return f, to, reason{whyUserspace, why.detail}
	}
	if f.RTCP {
		f.Treatment = fastpath.Treatment{} // it is for RTP
	}
	if l.plane.offload.fast == nil {
		return f, to, reason{label: whyNoFastPath}
	}
	if ok, why := l.plane.offload.fast.Serves(l.local.Addr()); !ok {
		return f, to, reason{whyUnserved, why}
	}
	targets, to, why := l.targets(p, f.RTCP)
	if why.label != "" {
		return f, to, why
	}
	var closed bool
	if f.Source, closed = l.source(); !closed {
		return f, to, reason{label: whyLearning}
	}
	if why = l.undecided(p, to, f.RTCP); why.label != "" {
		return f, to, why
	}
	if f.Target = targets[0]; len(targets) > 1 {
		f.More = targets[1:]
	}
	var secret string
	if to.turning, secret = l.turning(p, &f, to); secret != "" {
		return f, to, reason{whyUserspace, secret}
	}
	if to.turning != (turning{}) {
		f.Taps.RTCP = false // it goes up anyway
	} else if p.Kind == RTP && p.Muxed && len(f.More) == 0 && p.relaysReports() {
		// RTCP of the port that nobody can be sent to yet goes up.
		if t, rtcp, why := l.target(p, &p.sinks[0], p.sinks[0].RTCP); why.label == "" {
			f.ToRTCP, to.rtcp = t, []*Leg{rtcp}
		}
	}
	f.Taps.All = len(p.Taps.Received) > 0 || to.tapped()
	if p.events != nil && !f.RTCP {
		f.Taps.Events, f.Treatment.Events = true, p.eventSet
	}
	if k.banned.label == whyInstall && k.epoch == p.Epoch && f.Same(&k.refused) {
		return f, to, k.banned
	}
	return f, to, reason{}
}

// unfit tells what keeps l in userspace whoever hears it.
func (k *kernelFlow) unfit(l *Leg, p *plan) reason {
	switch {
	case l.closed.Load():
		return reason{label: whyClosed}
	case p == nil:
		return reason{label: whyNoPlan}
	case p.Kind != RTP && p.Kind != RTCP:
		return reason{label: whyKind}
	case p.UserspaceReason != "":
		return reason{whyUserspace, p.UserspaceReason}
	case l.needs(p) != "":
		return reason{whyUserspace, l.needs(p)}
	case p.Bundle != nil:
		return reason{whyUserspace, "bundle"}
	case p.Muted:
		return reason{label: whyMuted}
	case p.LoopCheck:
		return reason{whyUserspace, "loop check"}
	case p.Kind == RTCP && p.Secure:
		return reason{whyUserspace, "SRTCP"}
	case p.Kind == RTCP && !p.relaysReports():
		return reason{whyUserspace, "reports are made or filtered here"}
	case k.banned.label != "" && k.banned.label != whyInstall && k.epoch == p.Epoch:
		return k.banned
	case l.detours():
		return reason{label: whyDetour}
	}
	return reason{}
}

// relaysReports tells whether RTCP passes as it is.
func (p *plan) relaysReports() bool {
	if p.ReportBy != nil {
		return false
	}
	for i := range p.sinks {
		if p.sinks[i].NoFeedback && !p.Sealed {
			return false
		}
	}
	return true
}

// targets are the receivers of RTP, or of RTCP.
func (l *Leg) targets(p *plan, rtcp bool) (all []fastpath.Target, to hearers, why reason) {
	for i := range p.sinks {
		s := &p.sinks[i]
		leg := s.RTP
		if rtcp {
			leg = s.RTCP
		}
		if leg == nil {
			continue
		}
		t, leg, why := l.target(p, s, leg)
		if why.label != "" {
			return nil, to, why
		}
		all = append(all, t)
		if rtcp {
			to.rtcp = append(to.rtcp, leg)
		} else {
			to.rtp = append(to.rtp, leg)
		}
	}
	switch {
	case len(all) == 0:
		return nil, to, reason{label: whyNoSink}
	case len(all) > fastpath.MaxReceivers:
		return nil, to, reason{label: whySinks}
	}
	for i := range all {
		if len(all) > 1 && all[i].From.Addr().Is4() != l.local.Addr().Is4() {
			return nil, to, reason{label: whyFamily}
		}
	}
	return all, to, reason{}
}

// target is the receiver that a hearer is when packets leave by the leg to. It has no address while that is not known; see
// undecided.
func (l *Leg) target(p *plan, s *Sink, to *Leg) (t fastpath.Target, leg *Leg, why reason) {
	switch {
	case to == nil:
		return t, nil, reason{label: whyNoSink}
	case to.closed.Load():
		return t, nil, reason{label: whySinkClosed}
	}
	sp := to.plan.Load()
	if sp != nil && sp.Secure && to != s.RTP {
		return t, nil, reason{whyUserspace, "SRTCP"}
	}
	if why := to.needsToSend(); why != "" {
		return t, nil, reason{whyUserspace, why}
	}
	t.From = to.local
	if r := to.route.Load(); r != nil {
		if r.via.closed.Load() {
			return t, nil, reason{label: whySinkClosed}
		}
		t.From = r.via.local
	}
	if address, _ := to.destination(p.Unidirectional); address != nil {
		t.To, t.TOS = address.addr, sp.TOS // there is a plan when there is an address
	}
	t.Shift = fastpath.Shift(s.Shift)
	if s.Echo {
		t.Shift.SSRC ^= echoMask
	}
	return t, to, reason{}
}

// undecided tells what is not known yet of those who hear l.
func (l *Leg) undecided(p *plan, to hearers, rtcp bool) reason {
	legs := to.rtp
	if rtcp {
		legs = to.rtcp
	}
	for _, leg := range legs {
		switch address, settled := leg.destination(p.Unidirectional); {
		case address == nil:
			return reason{label: whyNoAddress}
		case !settled:
			return reason{label: whyPeer}
		}
	}
	return reason{}
}

// clocks are the clock rates that the kernel needs for jitter: those that signalling tells, and then the usual static ones.
func (p *plan) clocks() (all [fastpath.MaxClocks]fastpath.Clock) {
	n := 0
	add := func(payloadType uint8, rate uint32) {
		if n < len(all) && rate != 0 {
			all[n] = fastpath.Clock{PayloadType: payloadType, Rate: rate}
			n++
		}
	}
	if p.Kind != RTP {
		return all
	}
	for _, r := range p.Rates {
		add(r.PayloadType, r.Rate)
	}
	for _, static := range [...]uint8{0, 8, 9, 18, 3, 4} {
		if !slices.ContainsFunc(p.Rates, func(r ClockRate) bool { return r.PayloadType == static }) {
			add(static, p.rate(static))
		}
	}
	return all
}

// treatmentInKernel is what is done to packets as the kernel can do it for all hearers, or why it cannot.
func (p *plan) treatmentInKernel() (t fastpath.Treatment, why string) {
	if p.rewritten {
		if len(p.sinks) > 1 || !p.sinks[0].Extensions.Strips() {
			return t, "header extensions"
		}
		t.Strip = true
	}
	if p.treated == "" || len(p.sinks) == 0 {
		return t, ""
	}
	tr, effect := &p.audience.treatment, p.effect(0, false)
	switch {
	case tr.Uniform != PayloadTypes{}:
		return t, "short packets are blocked"
	case tr.OnEvents == EventReplace || tr.OnEvents == EventRandom:
		return t, "events are replaced"
	}
	for i := range p.sinks {
		switch {
		case p.effect(i, false) != effect:
			return t, "hearers get media in different ways"
		case p.sinks[i].Echo && effect == Silence:
			return t, "an echo is silenced"
		}
	}
	t.Events = tr.Events
	t.BlockEvents = tr.Drop || tr.OnEvents == EventBlock
	t.BlockMedia = tr.Drop || effect == Block
	if effect == Silence && !t.BlockMedia {
		t.Silence = true
		n := 0
		for payloadType := range uint8(128) {
			octet := tr.silence(payloadType)
			if octet == 0 {
				continue
			}
			if n == len(t.Silences) {
				return t, "silence of many payload types"
			}
			t.Silences[n] = fastpath.Silence{PayloadType: payloadType, Octet: octet}
			n++
		}
	}
	return t, ""
}
