// Package rtp holds the wire forms of RTP, RTCP and telephone events and the arithmetic on them (sequence numbers, loss,
// jitter), without I/O.
package rtp

// Class is what a datagram on a media port is, told by its first bytes.
type Class uint8

// The classes of RFC 7983, section 7, with RTCP told apart from RTP as in RFC 5761, section 4.
const (
	Unknown Class = iota
	RTP
	RTCP
	STUN
	DTLS
	ZRTP
)

func (c Class) String() string {
	switch c {
	case RTP:
		return "RTP"
	case RTCP:
		return "RTCP"
	case STUN:
		return "STUN"
	case DTLS:
		return "DTLS"
	case ZRTP:
		return "ZRTP"
	}
	return "unknown"
}

// Classify tells the class of a datagram by its first two bytes. It does not validate the rest.
func Classify(b []byte) Class {
	if len(b) < 2 {
		return Unknown
	}
	switch first := b[0]; {
	case first >= 128 && first <= 191:
		if b[1] >= 192 && b[1] <= 223 {
			return RTCP
		}
		return RTP
	case first <= 3:
		return STUN
	case first >= 20 && first <= 63:
		return DTLS
	case first >= 16 && first <= 19:
		return ZRTP
	}
	return Unknown
}
