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
//
// Where the processor has SHA-1, its rounds make less than half of what crypto/hmac costs for a packet of speech: the rest
// is states that are saved, restored and copied. So the padded keys are hashed once, and each packet starts from there.
type mac struct {
	fast         bool
	inner, outer [5]uint32                // states with the padded keys taken in
	tail         [2 * sha1.BlockSize]byte // last blocks of the message
	digest       [sha1.BlockSize]byte     // of the message, padded

	hash hash.Hash // when the processor has no SHA-1

	state [5]uint32
	roc   [4]byte
	sum   [sha1.Size]byte
}

// newMAC takes a key that is no longer than a block.
func newMAC(key []byte) *mac {
	m := &mac{fast: hasSHANI(), hash: hmac.New(sha1.New, key)}
	if m.fast {
		m.inner, m.outer = padded(key, 0x36), padded(key, 0x5c)
		m.digest[sha1.Size] = 0x80
		binary.BigEndian.PutUint64(m.digest[sha1.BlockSize-8:], 8*(sha1.BlockSize+sha1.Size))
	}
	return m
}

// padded returns the state of SHA-1 after the key, filled up to a block and mixed with pad (RFC 2104).
func padded(key []byte, pad byte) [5]uint32 {
	var block [sha1.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	state := [5]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0} // FIPS 180-4, section 5.3.1
	sha1Blocks(&state, &block[0], 1)
	return state
}

// rtp returns the tag of a packet and its rollover counter, valid until the next call.
func (m *mac) rtp(pkt []byte, roc uint32) []byte {
	binary.BigEndian.PutUint32(m.roc[:], roc)
	return m.tag(pkt, m.roc[:])
}

// rtcp returns the tag of a packet, its index included, valid until the next call.
func (m *mac) rtcp(pkt []byte) []byte { return m.tag(pkt, nil) }

// tag returns the tag of a packet and of up to four bytes after it.
func (m *mac) tag(pkt, after []byte) []byte {
	if !m.fast {
		m.hash.Reset()
		m.hash.Write(pkt)
		m.hash.Write(after)
		return m.hash.Sum(m.sum[:0])
	}
	m.state = m.inner
	whole := len(pkt) / sha1.BlockSize
	if whole > 0 {
		sha1Blocks(&m.state, &pkt[0], whole)
	}
	n := copy(m.tail[:], pkt[whole*sha1.BlockSize:])
	n += copy(m.tail[n:], after)
	m.tail[n] = 0x80
	end := sha1.BlockSize
	if n+1+8 > end {
		end *= 2
	}
	clear(m.tail[n+1 : end-8])
	binary.BigEndian.PutUint64(m.tail[end-8:], 8*uint64(sha1.BlockSize+len(pkt)+len(after)))
	sha1Blocks(&m.state, &m.tail[0], end/sha1.BlockSize)

	for i, word := range m.state {
		binary.BigEndian.PutUint32(m.digest[4*i:], word)
	}
	m.state = m.outer
	sha1Blocks(&m.state, &m.digest[0], 1)
	for i, word := range m.state {
		binary.BigEndian.PutUint32(m.sum[4*i:], word)
	}
	return m.sum[:]
}
