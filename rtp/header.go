package rtp

import (
	"encoding/binary"
	"errors"
)

// HeaderSize is the length in bytes of an RTP header without contributing sources and extension.
const HeaderSize = 12

// What can be wrong with a datagram. The parsers of this package return no other errors.
var (
	ErrShort     = errors.New("packet is shorter than its header says")
	ErrVersion   = errors.New("packet is not of version 2")
	ErrPadding   = errors.New("padding is longer than the packet, or of length zero")
	ErrType      = errors.New("packet type does not fit")
	ErrAlignment = errors.New("packet length is not a multiple of four bytes")
)

// Header is an RTP header (RFC 3550, section 5.1). The zero value is ready for Parse.
type Header struct {
	Padding        bool
	Marker         bool
	PayloadType    uint8
	Sequence       uint16
	Timestamp      uint32
	SSRC           uint32
	Contributors   int    // number of contributing sources, which follow at byte 12, four bytes each
	Extension      bool   // whether there is a header extension (RFC 8285)
	Profile        uint16 // of the extension
	ExtensionStart int    // offset of the extension's content
	ExtensionSize  int    // in bytes, without its own four header bytes
	PayloadStart   int    // offset of the payload
	PayloadSize    int    // in bytes, without padding
}

// Parse reads the header of an RTP packet into h and allocates nothing. After an error, h holds no meaning.
func (h *Header) Parse(b []byte) error {
	if len(b) < HeaderSize {
		return ErrShort
	}
	if b[0]>>6 != 2 {
		return ErrVersion
	}
	*h = Header{
		Padding:      b[0]&0x20 != 0,
		Extension:    b[0]&0x10 != 0,
		Contributors: int(b[0] & 0x0f),
		Marker:       b[1]&0x80 != 0,
		PayloadType:  b[1] & 0x7f,
		Sequence:     binary.BigEndian.Uint16(b[2:]),
		Timestamp:    binary.BigEndian.Uint32(b[4:]),
		SSRC:         binary.BigEndian.Uint32(b[8:]),
	}
	at := HeaderSize + 4*h.Contributors
	if h.Extension {
		if len(b) < at+4 {
			return ErrShort
		}
		h.Profile = binary.BigEndian.Uint16(b[at:])
		h.ExtensionSize = 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		h.ExtensionStart = at + 4
		at = h.ExtensionStart + h.ExtensionSize
	}
	if len(b) < at {
		return ErrShort
	}
	h.PayloadStart, h.PayloadSize = at, len(b)-at
	return nil
}

// TrimPadding takes the padding off PayloadSize. It is apart from Parse because the padding of an encrypted packet
// cannot be read; b is the packet that h was parsed from.
func (h *Header) TrimPadding(b []byte) error {
	if !h.Padding {
		return nil
	}
	if h.PayloadSize == 0 || h.PayloadStart+h.PayloadSize > len(b) {
		return ErrPadding
	}
	n := int(b[h.PayloadStart+h.PayloadSize-1])
	if n == 0 || n > h.PayloadSize {
		return ErrPadding
	}
	h.PayloadSize -= n
	h.Padding = false
	return nil
}

// Append appends the fixed header to dst. Contributing sources and an extension are not written.
func (h *Header) Append(dst []byte) []byte {
	first, second := byte(0x80), h.PayloadType&0x7f
	if h.Padding {
		first |= 0x20
	}
	if h.Marker {
		second |= 0x80
	}
	dst = append(dst, first, second)
	dst = binary.BigEndian.AppendUint16(dst, h.Sequence)
	dst = binary.BigEndian.AppendUint32(dst, h.Timestamp)
	return binary.BigEndian.AppendUint32(dst, h.SSRC)
}

// StaticClockRate returns the clock rate in Hz that RFC 3551, section 6, gives to a payload type, or 0 when the type is
// dynamic or unassigned.
func StaticClockRate(payloadType uint8) uint32 {
	switch payloadType {
	case 0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18, 19:
		return 8000
	case 6:
		return 16000
	case 10, 11:
		return 44100
	case 16:
		return 11025
	case 17:
		return 22050
	case 14, 25, 26, 28, 31, 32, 33, 34:
		return 90000
	}
	return 0
}
