package srtp

import (
	"encoding/binary"
	"fmt"

	"github.com/weir-media/weir/rtp"
)

// Inbound unprotects the packets that are received from one direction. It has no locks: one goroutine at a time may use
// it.
type Inbound struct {
	streams
	rtp, rtcp session
	params    Params
}

// NewInbound makes a context that has seen no packet. The error is that of [Params.Validate].
func NewInbound(p Params) (*Inbound, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("make inbound SRTP context: %w", err)
	}
	return &Inbound{
		streams: streams{window: p.window()}, rtp: newSession(p, false), rtcp: newSession(p, true), params: p,
	}, nil
}

// Params returns what the context was made from.
func (in *Inbound) Params() Params { return in.params }

// UnprotectRTP turns an SRTP packet into RTP in place and returns it, shorter by tag and MKI. It allocates nothing, but for
// the first packet of a stream and for the longest so far. Nothing is learnt from a packet that is refused, and it is as
// before; the error is ErrTooShort, ErrAuth, ErrMKI, ErrReplay, ErrExhausted or one of [rtp.Header.Parse].
//
// The first packet of a stream may have passed its first rollover unseen: it is tried with the rollover counter that the
// context begins with and then with the next; see [State.ForNewKey] for the first under a new key. Without authentication there is no replay protection either.
func (in *Inbound) UnprotectRTP(pkt []byte) ([]byte, error) {
	var h rtp.Header
	if err := h.Parse(pkt); err != nil {
		return nil, err
	}
	if h.PayloadSize < in.rtp.tail() {
		return nil, ErrTooShort
	}
	s := in.find(h.SSRC)
	index := uint64(h.Sequence)
	if s != nil {
		index, _ = s.estimate(h.Sequence)
	}
	if index > maxRTPIndex {
		return nil, ErrExhausted
	}
	checked := in.rtp.tag > 0
	if checked && s != nil && !s.rtp.fresh(index) {
		return nil, ErrReplay
	}
	if !checked && !in.rtp.names(pkt) {
		return nil, ErrMKI
	}
	out, err := in.rtp.unprotectRTP(pkt, h.PayloadStart, uint32(index>>16))
	if err != nil && (s == nil || !s.started) && index+1<<16 <= maxRTPIndex {
		index += 1 << 16
		out, err = in.rtp.unprotectRTP(pkt, h.PayloadStart, uint32(index>>16))
	}
	if err != nil && s != nil && s.newKey && index>>16 > 0 {
		index = uint64(h.Sequence)
		out, err = in.rtp.unprotectRTP(pkt, h.PayloadStart, 0)
	}
	if err != nil {
		return nil, in.rtp.blame(pkt)
	}
	s = in.use(h.SSRC)
	s.passed(index)
	if checked {
		s.rtp.see(index)
	}
	return out, nil
}

// UnprotectRTCP turns an SRTCP datagram into RTCP in place, like UnprotectRTP. The error is ErrTooShort, ErrAuth, ErrMKI,
// ErrReplay or one of [rtp.CheckRTCP].
func (in *Inbound) UnprotectRTCP(pkt []byte) ([]byte, error) {
	if err := rtp.CheckRTCP(pkt); err != nil {
		return nil, err
	}
	if len(pkt) < rtcpClear+in.rtcp.tail()+indexLen {
		return nil, ErrTooShort
	}
	word := in.rtcp.word(pkt)
	index, ssrc := uint64(word&maxRTCPIndex), rtcpSSRC(pkt)
	if s := in.find(ssrc); s != nil && !s.rtcp.fresh(index) {
		return nil, ErrReplay
	}
	out, err := in.rtcp.unprotectRTCP(pkt, word)
	if err != nil {
		return nil, in.rtcp.blame(pkt)
	}
	s := in.use(ssrc)
	s.rtcp.see(index)
	s.nextRTCP = max(s.nextRTCP, index+1)
	return out, nil
}

// blame returns why a packet does not authenticate. An MKI that is not ours is no reason to refuse one that does: the MKI
// itself is not authenticated, and there is one key only.
func (s *session) blame(pkt []byte) error {
	if !s.names(pkt) {
		return ErrMKI
	}
	return ErrAuth
}

func rtcpSSRC(pkt []byte) uint32 { return binary.BigEndian.Uint32(pkt[4:]) }
