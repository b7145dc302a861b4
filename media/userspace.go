package media

// Why a flow must pass userspace for what the kernel cannot do with its packets. The words are few.
const (
	needsPrompt  = "a prompt is played"
	needsSplice  = "a prompt has ended"
	needsPackets = "packet time is changed"
)

// needs tells why the packets of the peer must pass userspace whoever hears them, empty when they need not.
func (l *Leg) needs(p *plan) string {
	if p.Kind == RTP && p.PacketTime != 0 && !l.fits.Load() {
		return needsPackets
	}
	return ""
}

// needsToSend tells why packets for the peer must pass userspace, empty when they need not.
func (l *Leg) needsToSend() string {
	join := l.splice.Load()
	switch {
	case l.player.Load() != nil:
		return needsPrompt
	case join != nil && join.found.Load() == nil:
		return needsSplice
	}
	return ""
}
