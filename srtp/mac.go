package srtp

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"hash"
)

// authKeyLen is the length of the session authentication key in bytes (RFC 3711, section 5.2).
const authKeyLen = 20

// mac is HMAC-SHA1 (RFC 3711, section 4.2.1).
type mac struct {
	hash hash.Hash
	tail [4]byte
	sum  [sha1.Size]byte
}

func newMAC(key []byte) *mac {
	return &mac{hash: hmac.New(sha1.New, key)}
}

// rtp returns the tag of a packet and its rollover counter, valid until the next call.
func (m *mac) rtp(pkt []byte, roc uint32) []byte {
	m.hash.Reset()
	m.hash.Write(pkt)
	binary.BigEndian.PutUint32(m.tail[:], roc)
	m.hash.Write(m.tail[:])
	return m.hash.Sum(m.sum[:0])
}

// rtcp returns the tag of a packet, its index included, valid until the next call.
func (m *mac) rtcp(pkt []byte) []byte {
	m.hash.Reset()
	m.hash.Write(pkt)
	return m.hash.Sum(m.sum[:0])
}
