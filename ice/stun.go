package ice

import (
	"encoding/binary"
	"hash"
	"hash/crc32"
	"net/netip"
)

// Sizes and numbers of RFC 8489, section 5, and RFC 8445, section 16.1.
const (
	headerSize  = 20
	magicCookie = 0x2112a442

	bindingRequest    = 0x0001
	bindingIndication = 0x0011
	bindingSuccess    = 0x0101
	bindingError      = 0x0111

	attrUsername         = 0x0006
	attrIntegrity        = 0x0008
	attrErrorCode        = 0x0009
	attrUnknown          = 0x000a
	attrRealm            = 0x0014
	attrNonce            = 0x0015
	attrIntegritySHA256  = 0x001c
	attrXORMappedAddress = 0x0020
	attrPriority         = 0x0024
	attrUseCandidate     = 0x0025
	attrSoftware         = 0x8022
	attrFingerprint      = 0x8028
	attrControlled       = 0x8029
	attrControlling      = 0x802a
	attrNomination       = 0xc001 // draft-thatcher-ice-renomination, in use by browsers

	integritySize   = 20
	fingerprintXOR  = 0x5354554e
	fingerprintSize = 8 // with its header

	maxUnknown = 8 // attributes reported in a 420; more are not worth the room
)

// IsMessage reports whether a packet is STUN and not RTP, RTCP or DTLS: the first two bits and the cookie (RFC 7983).
func IsMessage(pkt []byte) bool {
	return len(pkt) >= headerSize && pkt[0] < 4 && binary.BigEndian.Uint32(pkt[4:]) == magicCookie
}

type transactionID [12]byte

// message is a parsed STUN message. Its slices point into the packet.
type message struct {
	raw  []byte
	kind uint16
	id   transactionID

	username  []byte
	integrity int // offset of the MESSAGE-INTEGRITY attribute, 0 without one
	mapped    netip.AddrPort
	errorCode int

	priority    uint32
	hasPriority bool
	tieBreaker  uint64
	controlling bool // the sender's role is given and is controlling
	controlled  bool
	nominate    bool
	nomination  uint32 // 0 when not given

	unknown      [maxUnknown]uint16 // comprehension-required attributes that nobody here comprehends
	unknownCount int
}

// parse reads a message. It fails on anything that is not well-formed, a wrong FINGERPRINT included (RFC 8489,
// section 6.3); integrity is for authentic to check. It does not allocate.
func parse(pkt []byte) (m message, ok bool) {
	if !IsMessage(pkt) || int(binary.BigEndian.Uint16(pkt[2:])) != len(pkt)-headerSize || len(pkt)%4 != 0 {
		return message{}, false
	}
	m = message{raw: pkt, kind: binary.BigEndian.Uint16(pkt), id: transactionID(pkt[8:headerSize])}
	for at := headerSize; at < len(pkt); {
		if len(pkt)-at < 4 {
			return message{}, false
		}
		kind, size := binary.BigEndian.Uint16(pkt[at:]), int(binary.BigEndian.Uint16(pkt[at+2:]))
		end := at + 4 + (size+3)&^3
		if end > len(pkt) {
			return message{}, false
		}
		value := pkt[at+4 : at+4+size]
		switch {
		case kind == attrFingerprint:
			if end != len(pkt) || size != 4 || binary.BigEndian.Uint32(value) != fingerprint(pkt[:at]) {
				return message{}, false
			}
		case m.integrity != 0:
			// What follows MESSAGE-INTEGRITY is not protected by it and is ignored (RFC 8489, section 14.5).
		case !m.attribute(kind, value, at):
			return message{}, false
		}
		at = end
	}
	return m, true
}

// attribute takes one attribute in. Of a repeated attribute the last counts, which harms nobody: its sender signs both.
func (m *message) attribute(kind uint16, value []byte, at int) bool {
	switch kind {
	case attrUsername:
		m.username = value
	case attrIntegrity:
		if len(value) != integritySize {
			return false
		}
		m.integrity = at
	case attrErrorCode:
		if len(value) < 4 {
			return false
		}
		m.errorCode = int(value[2]&7)*100 + int(value[3])
	case attrXORMappedAddress:
		var ok bool
		if m.mapped, ok = m.xorAddress(value); !ok {
			return false
		}
	case attrPriority:
		if len(value) != 4 {
			return false
		}
		m.priority, m.hasPriority = binary.BigEndian.Uint32(value), true
	case attrControlled, attrControlling:
		if len(value) != 8 {
			return false
		}
		m.controlling, m.controlled = kind == attrControlling, kind == attrControlled
		m.tieBreaker = binary.BigEndian.Uint64(value)
	case attrUseCandidate:
		m.nominate = true
	case attrNomination:
		if len(value) != 4 {
			return false
		}
		m.nomination = binary.BigEndian.Uint32(value)
	case attrRealm, attrNonce, attrUnknown, attrIntegritySHA256:
		// Comprehended, and of no use here.
	default:
		if kind < 0x8000 && m.unknownCount < maxUnknown {
			m.unknown[m.unknownCount] = kind
			m.unknownCount++
		}
	}
	return true
}

// xorAddress reads an XOR-MAPPED-ADDRESS (RFC 8489, section 14.2): the address is masked by the cookie and the transaction.
func (m *message) xorAddress(value []byte) (netip.AddrPort, bool) {
	if len(value) < 8 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(value[2:]) ^ magicCookie>>16
	switch {
	case value[1] == 1 && len(value) == 8:
		var a [4]byte
		for i := range a {
			a[i] = value[4+i] ^ m.raw[4+i]
		}
		return netip.AddrPortFrom(netip.AddrFrom4(a), port), true
	case value[1] == 2 && len(value) == 20:
		var a [16]byte
		for i := range a {
			a[i] = value[4+i] ^ m.raw[4+i]
		}
		return netip.AddrPortFrom(netip.AddrFrom16(a), port), true
	}
	return netip.AddrPort{}, false
}

func fingerprint(before []byte) uint32 {
	// The length in the header already counts the attribute, as it does here: FINGERPRINT is the last one.
	return crc32.ChecksumIEEE(before) ^ fingerprintXOR
}

// writer builds one message in a buffer it is given and keeps. The order of the attributes is that of the calls.
type writer struct {
	buf []byte
}

func (w *writer) begin(kind uint16, id transactionID) {
	w.buf = append(w.buf[:0], byte(kind>>8), byte(kind), 0, 0, 0x21, 0x12, 0xa4, 0x42)
	w.buf = append(w.buf, id[:]...)
}

// header writes the header of an attribute whose value follows, and pads what came before it.
func (w *writer) header(kind uint16, size int) {
	w.pad()
	w.buf = binary.BigEndian.AppendUint16(w.buf, kind)
	w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(size))
}

func (w *writer) pad() {
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

func (w *writer) text(kind uint16, value string) {
	w.header(kind, len(value))
	w.buf = append(w.buf, value...)
}

func (w *writer) uint32(kind uint16, value uint32) {
	w.header(kind, 4)
	w.buf = binary.BigEndian.AppendUint32(w.buf, value)
}

func (w *writer) uint64(kind uint16, value uint64) {
	w.header(kind, 8)
	w.buf = binary.BigEndian.AppendUint64(w.buf, value)
}

func (w *writer) errorCode(code int, reason string) {
	w.header(attrErrorCode, 4+len(reason))
	w.buf = append(w.buf, 0, 0, byte(code/100), byte(code%100))
	w.buf = append(w.buf, reason...)
}

func (w *writer) unknown(kinds []uint16) {
	w.header(attrUnknown, 2*len(kinds))
	for _, k := range kinds {
		w.buf = binary.BigEndian.AppendUint16(w.buf, k)
	}
}

func (w *writer) xorMapped(addr netip.AddrPort) {
	size, family := 8, byte(1)
	if !addr.Addr().Is4() {
		size, family = 20, 2
	}
	w.header(attrXORMappedAddress, size)
	w.buf = append(w.buf, 0, family)
	w.buf = binary.BigEndian.AppendUint16(w.buf, addr.Port()^magicCookie>>16)
	at := len(w.buf)
	if family == 1 {
		a := addr.Addr().As4()
		w.buf = append(w.buf, a[:]...)
	} else {
		a := addr.Addr().As16()
		w.buf = append(w.buf, a[:]...)
	}
	for i := range w.buf[at:] {
		w.buf[at+i] ^= w.buf[4+i]
	}
}

// length writes the length of the message as if extra more bytes followed.
func (w *writer) length(extra int) {
	binary.BigEndian.PutUint16(w.buf[2:], uint16(len(w.buf)-headerSize+extra))
}

// finish signs the message, unless key is nil, adds FINGERPRINT and returns it. The result is valid until begin.
func (w *writer) finish(key *integrityKey) []byte {
	w.pad()
	if key != nil {
		w.length(4 + integritySize)
		sum := key.sum(w.buf, nil)
		w.header(attrIntegrity, integritySize)
		w.buf = append(w.buf, sum...)
	}
	w.length(fingerprintSize)
	w.uint32(attrFingerprint, fingerprint(w.buf))
	return w.buf
}

// integrityKey computes MESSAGE-INTEGRITY for one password (RFC 8489, section 9.1: short-term credentials). It keeps its
// hash, so that a packet costs no allocation; not for concurrent use.
type integrityKey struct {
	mac  hash.Hash
	out  [integritySize]byte
	head [headerSize]byte
}

// sum returns the integrity of head and body; valid until the next call.
func (k *integrityKey) sum(head, body []byte) []byte {
	k.mac.Reset()
	k.mac.Write(head)
	k.mac.Write(body)
	return k.mac.Sum(k.out[:0])
}
