package media

// Drop numbers the reasons for which userspace does not relay a packet.
type Drop uint8

// The reasons. New ones are added at the end, so that numbers keep their meaning.
const (
	DropNotReady      Drop = iota // the leg has no settings yet
	DropGarbage                   // neither RTP, RTCP, DTLS, ZRTP nor STUN
	DropBadRTP                    // the header contradicts the length
	DropBadRTCP                   // the header contradicts the length
	DropSTUN                      // no ICE agent on this leg
	DropForeign                   // the source is not the peer
	DropEarly                     // the source is not the signalled address and learning has not come to a result
	DropMuted                     // the leg is muted
	DropNoSink                    // nobody hears this kind of packet from this leg
	DropNoDestination             // the hearer's address is neither signalled nor learnt
	DropSinkClosed                // the hearer's leg is closed
	DropRTPOnRTCP                 // RTP on a port for RTCP
	DropTooLong                   // longer than a UDP datagram of the plane may be
	DropSend                      // the kernel refused to send
	DropFault                     // a fault while the packet was handled
	DropBlocked                   // signalling wants it kept from everybody
	DropShort                     // shorter than the packets of its codec, and short packets are blocked
	DropNoKeys                    // SRTP is agreed and there are no keys yet
	DropAuth                      // the SRTP tag does not fit
	DropReplay                    // SRTP packet received before
	DropProtect                   // SRTP could not be applied
	DropNoMedia                   // of none of the medias that share the leg
	DropReported                  // RTCP reports end here, since others are made here
	DropFeedback                  // RTCP feedback that the hearer has not asked for
	DropLoop                      // the packet came again and again
	DropUnsealed                  // neither SRTP nor SRTCP, to or from a leg that lets nothing else pass

	dropCount
)

var dropNames = [dropCount]string{
	DropNotReady:      "leg not ready",
	DropGarbage:       "unknown kind of packet",
	DropBadRTP:        "broken RTP header",
	DropBadRTCP:       "broken RTCP header",
	DropSTUN:          "STUN without ICE",
	DropForeign:       "foreign source",
	DropEarly:         "unknown source before learning",
	DropMuted:         "muted",
	DropNoSink:        "no hearer",
	DropNoDestination: "destination unknown",
	DropSinkClosed:    "hearer closed",
	DropRTPOnRTCP:     "RTP on RTCP port",
	DropTooLong:       "too long",
	DropSend:          "send failed",
	DropFault:         "fault",
	DropNoKeys:        "no SRTP keys",
	DropAuth:          "SRTP authentication failed",
	DropReplay:        "SRTP replay",
	DropProtect:       "SRTP protection failed",
	DropBlocked:       "blocked",
	DropShort:         "short",
	DropNoMedia:       "no such media in the bundle",
	DropReported:      "RTCP is made here",
	DropFeedback:      "feedback not negotiated",
	DropLoop:          "loop",
	DropUnsealed:      "not SRTP",
}

// String returns the reason in words; the words are a closed set and fit as a metric label.
func (d Drop) String() string {
	if d < dropCount {
		return dropNames[d]
	}
	return "unknown reason"
}

// DropReasons returns the words of all reasons.
func DropReasons() []string { return dropNames[:] }

// Drops counts packets by reason, indexed by Drop.
type Drops [dropCount]uint64

// Sum returns the count over all reasons.
func (d *Drops) Sum() uint64 {
	var n uint64
	for _, v := range d {
		n += v
	}
	return n
}

// errorDrops are the reasons that are errors.
var errorDrops = [...]Drop{DropGarbage, DropBadRTP, DropBadRTCP, DropRTPOnRTCP, DropTooLong, DropSend, DropFault}

// Errors counts what went wrong, as against what was kept out or held back on purpose.
func (d *Drops) Errors() uint64 {
	var n uint64
	for _, r := range errorDrops {
		n += d[r]
	}
	return n
}
