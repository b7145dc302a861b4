package media

// Why a flow must pass userspace for what the kernel cannot do with its packets. The words are few.
const (
	needsTap     = "tapped"
	needsPrompt  = "a prompt is played"
	needsSplice  = "a prompt has ended"
	needsShift   = "numbers are shifted"
	needsPackets = "packet time is changed"
)

// needs tells why the packets from a leg to a hearer must pass userspace, empty when they need not. It is the one place that says so
// of taps, prompts, shifts and packet times.
func (l *Leg) needs(p *plan, sink *Sink) string {
	to := sink.RTP
	sp, join := to.plan.Load(), to.splice.Load()
	switch {
	case len(p.Taps.Received) > 0, sp != nil && len(sp.Taps.Sent) > 0:
		return needsTap
	case to.player.Load() != nil:
		return needsPrompt
	case join != nil && join.found.Load() == nil:
		return needsSplice
	case sink.Shift != Shift{}:
		return needsShift
	case p.PacketTime != 0 && !l.fits.Load():
		return needsPackets
	}
	return ""
}
