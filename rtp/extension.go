package rtp

import "encoding/binary"

// Header extensions hold elements in one of two forms, told apart by the profile (RFC 8285, section 4).
const (
	profileOneByte     = 0xbede
	profileTwoByte     = 0x1000
	profileTwoByteMask = 0xfff0 // the last four bits are the application's
	stopID             = 15     // in the one-byte form, ends the elements
	maxOneByteID       = 14
	maxOneByteSize     = 16
	maxTwoByteSize     = 255
)

// Extensions walks through the elements of a header extension (RFC 8285). The zero value has none; Reset gives it some.
// It allocates nothing.
type Extensions struct {
	rest    []byte
	twoByte bool
}

// Reset starts a walk through the elements of packet b, whose header is h. A packet without extension, or with one of
// another kind than RFC 8285, has none.
func (e *Extensions) Reset(b []byte, h *Header) {
	*e = Extensions{}
	if !h.Extension {
		return
	}
	e.twoByte = h.Profile&profileTwoByteMask == profileTwoByte
	if e.twoByte || h.Profile == profileOneByte {
		e.rest = b[h.ExtensionStart : h.ExtensionStart+h.ExtensionSize]
	}
}

// Next returns the next element as a view of the packet; ok is false when there is no more, or no sound one.
func (e *Extensions) Next() (id uint8, data []byte, ok bool) {
	for len(e.rest) > 0 && e.rest[0] == 0 { // padding
		e.rest = e.rest[1:]
	}
	if len(e.rest) == 0 {
		return 0, nil, false
	}
	var head, size int
	if e.twoByte {
		if len(e.rest) < 2 {
			return 0, nil, false
		}
		id, head, size = e.rest[0], 2, int(e.rest[1])
	} else {
		id, head, size = e.rest[0]>>4, 1, int(e.rest[0]&0x0f)+1
		if id == stopID {
			e.rest = nil
		}
	}
	if head+size > len(e.rest) {
		e.rest = nil
		return 0, nil, false
	}
	data, e.rest = e.rest[head:head+size], e.rest[head+size:]
	return id, data, true
}

// Extension returns the first element of that id in packet b, whose header is h; nil when there is none.
func Extension(b []byte, h *Header, id uint8) []byte {
	var e Extensions
	e.Reset(b, h)
	for {
		have, data, ok := e.Next()
		if !ok {
			return nil
		}
		if have == id {
			return data
		}
	}
}

// ExtensionMap says what becomes of the header extension of packets on their way from one party to another, who have
// agreed on different ones, or on different ids for them. It must not change while it is in use.
type ExtensionMap struct {
	// IDs gives for each id of the sender the one of the receiver; elements with 0 are taken out.
	IDs [256]uint8
	// ID and Value are of an element to add unless ID is 0; no other of that id may come out of IDs.
	ID    uint8
	Value string
	// TwoByte says that the receiver takes the two-byte form although all its ids fit the one-byte form. Elements that
	// are too long or too short for the form they must take are taken out.
	TwoByte bool
}

// Strips tells whether nothing is left of any extension of RFC 8285.
func (m *ExtensionMap) Strips() bool { return m.ID == 0 && m.IDs == [256]uint8{} }

// Rewrite writes packet b, whose header is h, with its extension changed, to the empty slice dst, whose capacity it does
// not exceed. It returns false when the packet does not fit. An extension of another kind than RFC 8285 stays as it is.
// It allocates nothing and may be called concurrently; dst must not overlap b.
func (m *ExtensionMap) Rewrite(dst, b []byte, h *Header) (out []byte, ok bool) {
	payload := b[h.PayloadStart:] // with its padding, if there is any
	w := extensionWriter{dst: dst[:0], limit: cap(dst) - len(payload)}
	if h.Extension && h.Profile != profileOneByte && h.Profile&profileTwoByteMask != profileTwoByte {
		if len(b) > cap(dst) {
			return nil, false
		}
		return append(dst[:0], b...), true
	}
	start := HeaderSize + 4*h.Contributors
	if start+4 > w.limit {
		return nil, false
	}
	w.dst = append(w.dst, b[:start]...)
	w.dst[0] &^= 0x10
	w.twoByte = m.needsTwoByte(b, h)

	w.dst = append(w.dst, 0, 0, 0, 0)
	var e Extensions
	e.Reset(b, h)
	for id, data, more := e.Next(); more; id, data, more = e.Next() {
		if to := m.IDs[id]; to != 0 {
			element(&w, to, data)
		}
	}
	if m.ID != 0 {
		element(&w, m.ID, m.Value)
	}
	w.finish(start)
	return append(w.dst, payload...), true
}

// needsTwoByte tells whether an element that will be in the packet takes the two-byte form, and may.
func (m *ExtensionMap) needsTwoByte(b []byte, h *Header) bool {
	needs := func(id uint8, size int) bool {
		return id > maxOneByteID || m.TwoByte && (size == 0 || size > maxOneByteSize)
	}
	if m.ID != 0 && needs(m.ID, len(m.Value)) {
		return true
	}
	var e Extensions
	e.Reset(b, h)
	for id, data, more := e.Next(); more; id, data, more = e.Next() {
		if to := m.IDs[id]; to != 0 && needs(to, len(data)) {
			return true
		}
	}
	return false
}

// extensionWriter appends elements behind the room for their header.
type extensionWriter struct {
	dst     []byte
	limit   int // of the length of dst, padding included
	twoByte bool
}

// element leaves out what does not fit the form or the room.
func element[T string | []byte](w *extensionWriter, id uint8, data T) {
	const mostPadding = 3
	if len(w.dst)+2+len(data)+mostPadding > w.limit {
		return
	}
	switch {
	case w.twoByte && len(data) <= maxTwoByteSize:
		w.dst = append(w.dst, id, uint8(len(data)))
	case !w.twoByte && len(data) > 0 && len(data) <= maxOneByteSize:
		w.dst = append(w.dst, id<<4|uint8(len(data)-1))
	default:
		return
	}
	w.dst = append(w.dst, data...)
}

// finish pads the extension that begins at start and writes its header, or takes back the room for it.
func (w *extensionWriter) finish(start int) {
	const header = 4
	if len(w.dst) == start+header {
		w.dst = w.dst[:start]
		return
	}
	for (len(w.dst)-start)%4 != 0 {
		w.dst = append(w.dst, 0)
	}
	profile := uint16(profileOneByte)
	if w.twoByte {
		profile = profileTwoByte
	}
	w.dst[0] |= 0x10
	binary.BigEndian.PutUint16(w.dst[start:], profile)
	binary.BigEndian.PutUint16(w.dst[start+2:], uint16((len(w.dst)-start-header)/4))
}
