package rtp

import (
	"encoding/binary"
	"time"
)

// RTCP packet types (RFC 3550, section 12.1; RFC 4585, section 6.1; RFC 3611, section 2).
const (
	TypeSenderReport      = 200
	TypeReceiverReport    = 201
	TypeSourceDescription = 202
	TypeGoodbye           = 203
	TypeApplication       = 204
	TypeTransportFeedback = 205
	TypePayloadFeedback   = 206
	TypeExtendedReport    = 207
)

const rtcpHeaderSize = 8 // with the sender's SSRC, the part that SRTCP leaves in the clear

// CheckRTCP reports what makes b no RTCP or SRTCP datagram. It looks at the first packet's header only, because SRTCP
// encrypts everything after it (RFC 3711, section 3.4).
func CheckRTCP(b []byte) error {
	if len(b) < rtcpHeaderSize {
		return ErrShort
	}
	if b[0]>>6 != 2 {
		return ErrVersion
	}
	if b[1] < 192 || b[1] > 223 {
		return ErrType
	}
	if size := 4 + 4*int(binary.BigEndian.Uint16(b[2:])); size > len(b) || size < 4 {
		return ErrShort
	}
	return nil
}

// Packet is one packet of a compound RTCP datagram. Body is a view of the datagram: what follows the four common header
// bytes, without padding.
type Packet struct {
	Type  uint8
	Count uint8 // report count, source count or feedback format, by Type
	Body  []byte
}

// Compound walks through the packets of an unencrypted RTCP datagram (RFC 3550, section 6.1; reduced-size datagrams of
// RFC 5506 are taken as well). The zero value with a datagram given to Reset is ready. It allocates nothing.
type Compound struct {
	rest []byte
	err  error
}

// Reset starts a walk through b.
func (c *Compound) Reset(b []byte) { c.rest, c.err = b, nil }

// Err returns what ended the walk early; nil when the datagram was read to its end.
func (c *Compound) Err() error { return c.err }

// Next reads the next packet into p and reports whether there was one.
func (c *Compound) Next(p *Packet) bool {
	if c.err != nil || len(c.rest) == 0 {
		return false
	}
	b := c.rest
	switch {
	case len(b) < 4:
		c.err = ErrShort
		return false
	case b[0]>>6 != 2:
		c.err = ErrVersion
		return false
	case len(b)%4 != 0:
		c.err = ErrAlignment
		return false
	}
	size := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
	if size > len(b) {
		c.err = ErrShort
		return false
	}
	body := b[4:size]
	if b[0]&0x20 != 0 {
		// Only the last packet may be padded, by a multiple of four.
		n := 0
		if len(body) > 0 {
			n = int(body[len(body)-1])
		}
		if n == 0 || n%4 != 0 || n > len(body) || size != len(b) {
			c.err = ErrPadding
			return false
		}
		body = body[:len(body)-n]
	}
	*p = Packet{Type: b[1], Count: b[0] & 0x1f, Body: body}
	c.rest = b[size:]
	return true
}

// SenderInfo is the sender's part of a sender report (RFC 3550, section 6.4.1).
type SenderInfo struct {
	NTP       uint64 // wall clock, 32.32 bits fixed point since 1900
	Timestamp uint32 // the same instant in RTP units
	Packets   uint32
	Bytes     uint32 // of payload
}

// ReceptionReport is one report block (RFC 3550, section 6.4.1).
type ReceptionReport struct {
	SSRC         uint32 // of the source reported on
	FractionLost uint8  // in 1/256 since the last report
	Lost         int32  // cumulative, 24 bits signed
	HighestSeq   uint32 // extended
	Jitter       uint32 // in RTP time stamp units
	LastSR       uint32 // middle 32 bits of the NTP time of the last sender report
	Delay        uint32 // since then, in 1/65536 s
}

const (
	senderInfoSize = 20
	reportSize     = 24
)

// Report is a sender or receiver report. Its slice is reused by Parse.
type Report struct {
	SSRC    uint32
	Sender  bool // whether Info is set
	Info    SenderInfo
	Reports []ReceptionReport
}

// Parse reads p, which must be a sender or receiver report, into r. It allocates only to grow r.Reports.
func (r *Report) Parse(p Packet) error {
	b := p.Body
	if len(b) < 4 {
		return ErrShort
	}
	r.SSRC, r.Sender, r.Reports = binary.BigEndian.Uint32(b), false, r.Reports[:0]
	b = b[4:]
	switch p.Type {
	case TypeSenderReport:
		if len(b) < senderInfoSize {
			return ErrShort
		}
		r.Sender = true
		r.Info = SenderInfo{
			NTP:       binary.BigEndian.Uint64(b),
			Timestamp: binary.BigEndian.Uint32(b[8:]),
			Packets:   binary.BigEndian.Uint32(b[12:]),
			Bytes:     binary.BigEndian.Uint32(b[16:]),
		}
		b = b[senderInfoSize:]
	case TypeReceiverReport:
	default:
		return ErrType
	}
	if len(b) < int(p.Count)*reportSize {
		return ErrShort
	}
	for range p.Count {
		r.Reports = append(r.Reports, ReceptionReport{
			SSRC:         binary.BigEndian.Uint32(b),
			FractionLost: b[4],
			Lost:         int32(binary.BigEndian.Uint32(b[4:])<<8) >> 8,
			HighestSeq:   binary.BigEndian.Uint32(b[8:]),
			Jitter:       binary.BigEndian.Uint32(b[12:]),
			LastSR:       binary.BigEndian.Uint32(b[16:]),
			Delay:        binary.BigEndian.Uint32(b[20:]),
		})
		b = b[reportSize:]
	}
	return nil
}

// RoundTrip returns the round-trip time a report block tells its receiver, who got it at ntp (32.32 bits fixed point), as
// in RFC 3550, section 6.4.1. It is 0 when the block answers no sender report or its clocks contradict each other.
func (r *ReceptionReport) RoundTrip(ntp uint64) time.Duration {
	if r.LastSR == 0 {
		return 0
	}
	rtt := int32(uint32(ntp>>16) - r.LastSR - r.Delay)
	if rtt < 0 {
		return 0
	}
	return time.Duration(int64(rtt) * int64(time.Second) >> 16)
}

// CanonicalName returns the CNAME of the first source in a source description (RFC 3550, section 6.5.1) as a view of the
// packet; nil when there is none or the packet is broken.
func CanonicalName(p Packet) []byte {
	if p.Type != TypeSourceDescription || p.Count == 0 || len(p.Body) < 4 {
		return nil
	}
	for b := p.Body[4:]; len(b) >= 2 && b[0] != 0; {
		size := 2 + int(b[1])
		if size > len(b) {
			return nil
		}
		if b[0] == 1 {
			return b[2:size]
		}
		b = b[size:]
	}
	return nil
}
