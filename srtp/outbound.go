package srtp

import (
	"fmt"

	"github.com/weir-media/weir/rtp"
)

// Outbound protects the packets that are sent in one direction. It has no locks: one goroutine at a time may use it.
type Outbound struct {
	streams
	rtp, rtcp session
	params    Params
}

// NewOutbound makes a context that has seen no packet. The error is that of [Params.Validate].
func NewOutbound(p Params) (*Outbound, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("make outbound SRTP context: %w", err)
	}
	return &Outbound{rtp: newSession(p, false), rtcp: newSession(p, true), params: p}, nil
}

// Params returns what the context was made from.
func (o *Outbound) Params() Params { return o.params }

// Overhead returns how many bytes ProtectRTP and ProtectRTCP append at most.
func (o *Outbound) Overhead() int { return max(o.rtp.tail(), o.rtcp.tail()+indexLen) }

// ProtectRTP turns an RTP packet into SRTP in place and returns it, longer by up to Overhead, for which the slice must have
// capacity. It allocates nothing, but for the first packet of a stream. After an error the packet is as before; the error is
// ErrNoRoom, ErrEarly, ErrExhausted or one of [rtp.Header.Parse].
//
// Packets may come in any order that RFC 3711, section 3.3.1, can tell. The same packet may come again; another with the
// same sequence number must not, since the two would give each other away.
func (o *Outbound) ProtectRTP(pkt []byte) ([]byte, error) {
	var h rtp.Header
	if err := h.Parse(pkt); err != nil {
		return nil, err
	}
	if cap(pkt)-len(pkt) < o.rtp.tail() {
		return nil, ErrNoRoom
	}
	s := o.use(h.SSRC)
	index, late := s.estimate(h.Sequence)
	switch {
	case late > 0 && late <= DefaultWindow:
		// Late for the first packet of its stream: a receiver would take it for nearly a round ahead and all others
		// after it for the next.
		return nil, ErrEarly
	case index > maxRTPIndex:
		return nil, ErrExhausted
	}
	s.passed(index)
	return o.rtp.protectRTP(pkt, h.PayloadStart, uint32(index>>16)), nil
}

// ProtectRTCP turns an RTCP datagram into SRTCP in place, like ProtectRTP. The error is ErrNoRoom, ErrExhausted or one of
// [rtp.CheckRTCP].
func (o *Outbound) ProtectRTCP(pkt []byte) ([]byte, error) {
	if err := rtp.CheckRTCP(pkt); err != nil {
		return nil, err
	}
	if cap(pkt)-len(pkt) < o.rtcp.tail()+indexLen {
		return nil, ErrNoRoom
	}
	s := o.use(rtcpSSRC(pkt))
	if s.nextRTCP > maxRTCPIndex {
		return nil, ErrExhausted
	}
	index := uint32(s.nextRTCP)
	s.nextRTCP++
	return o.rtcp.protectRTCP(pkt, index), nil
}
