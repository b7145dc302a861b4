package rtp

import (
	"encoding/binary"
	"time"
)

// Blocks of extended reports (RFC 3611, section 4).
const (
	BlockReferenceTime = 4 // receiver reference time
	BlockDelay         = 5 // delay since the last receiver report: DLRR
	BlockVoIPMetrics   = 7
)

// Block is one report block of an extended report. Body is a view of the datagram, without the block's header.
type Block struct {
	Type     uint8
	Specific uint8
	Body     []byte
}

// Blocks walks through the blocks of an extended report. It allocates nothing.
type Blocks struct{ rest []byte }

// Reset starts a walk through p and returns the SSRC of its sender.
func (x *Blocks) Reset(p Packet) (ssrc uint32, err error) {
	x.rest = nil
	switch {
	case p.Type != TypeExtendedReport:
		return 0, ErrType
	case len(p.Body) < 4:
		return 0, ErrShort
	}
	x.rest = p.Body[4:]
	return binary.BigEndian.Uint32(p.Body), nil
}

// Next reads the next block into b and reports whether there was one. A block that is longer than the rest ends the walk.
func (x *Blocks) Next(b *Block) bool {
	if len(x.rest) < 4 {
		return false
	}
	size := 4 + 4*int(binary.BigEndian.Uint16(x.rest[2:]))
	if size > len(x.rest) {
		return false
	}
	*b = Block{Type: x.rest[0], Specific: x.rest[1], Body: x.rest[4:size]}
	x.rest = x.rest[size:]
	return true
}

// ReferenceTime returns the NTP time of a receiver reference time block (RFC 3611, section 4.4).
func (b *Block) ReferenceTime() (ntp uint64, ok bool) {
	if b.Type != BlockReferenceTime || len(b.Body) < 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b.Body), true
}

// DelayReport is one entry of a DLRR block (RFC 3611, section 4.5): what a sender of extended reports answers a receiver.
type DelayReport struct {
	SSRC   uint32 // of the receiver
	LastRR uint32 // middle 32 bits of the NTP time of its reference time block
	Delay  uint32 // since then, in 1/65536 s
}

// DelayReport returns entry i of a DLRR block.
func (b *Block) DelayReport(i int) (r DelayReport, ok bool) {
	const size = 12
	if b.Type != BlockDelay || i < 0 || len(b.Body) < (i+1)*size {
		return r, false
	}
	e := b.Body[i*size:]
	return DelayReport{
		SSRC: binary.BigEndian.Uint32(e), LastRR: binary.BigEndian.Uint32(e[4:]), Delay: binary.BigEndian.Uint32(e[8:]),
	}, true
}

// MetricUnavailable is the value of a VoIP metric that is not known.
const MetricUnavailable = 127

// VoIPMetrics are what a receiver says of how a call sounds to it (RFC 3611, section 4.7). Fields that nobody uses here are
// left out.
type VoIPMetrics struct {
	SSRC            uint32 // of the source
	LossRate        uint8  // in 1/256 since the beginning
	DiscardRate     uint8  // likewise, of packets that came too late or too early
	RoundTrip       time.Duration
	EndSystemDelay  time.Duration
	RFactor         uint8 // 0 to 100; MetricUnavailable
	MOSListening    uint8 // times ten, 10 to 50; MetricUnavailable
	MOSConversation uint8 // likewise
}

// Parse reads a VoIP metrics block into m.
func (m *VoIPMetrics) Parse(b Block) error {
	if b.Type != BlockVoIPMetrics {
		return ErrType
	}
	if len(b.Body) < 32 {
		return ErrShort
	}
	ms := func(at int) time.Duration {
		return time.Duration(binary.BigEndian.Uint16(b.Body[at:])) * time.Millisecond
	}
	*m = VoIPMetrics{
		SSRC: binary.BigEndian.Uint32(b.Body), LossRate: b.Body[4], DiscardRate: b.Body[5],
		RoundTrip: ms(12), EndSystemDelay: ms(14),
		RFactor: b.Body[20], MOSListening: b.Body[22], MOSConversation: b.Body[23],
	}
	return nil
}
