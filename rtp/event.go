package rtp

import "encoding/binary"

// EventSize is the length in bytes of a telephone-event payload.
const EventSize = 4

// Event is a telephone-event payload (RFC 4733, section 2.3).
type Event struct {
	Code     uint8 // 0 to 9, then *, #, A to D for DTMF (section 3.2)
	End      bool
	Volume   uint8  // 0 to 63: power below 0 dBm0
	Duration uint16 // in time stamp units since the event began
}

// Parse reads the payload into e.
func (e *Event) Parse(payload []byte) error {
	if len(payload) < EventSize {
		return ErrShort
	}
	*e = Event{
		Code: payload[0], End: payload[1]&0x80 != 0, Volume: payload[1] & 0x3f, Duration: binary.BigEndian.Uint16(payload[2:]),
	}
	return nil
}

// Append appends the payload to dst.
func (e *Event) Append(dst []byte) []byte {
	second := e.Volume & 0x3f
	if e.End {
		second |= 0x80
	}
	dst = append(dst, e.Code, second)
	return binary.BigEndian.AppendUint16(dst, e.Duration)
}

// Digit returns the DTMF character of the event; 0 when it is none.
func (e *Event) Digit() byte {
	const digits = "0123456789*#ABCD"
	if int(e.Code) >= len(digits) {
		return 0
	}
	return digits[e.Code]
}
