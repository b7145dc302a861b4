package srtp

import (
	"bytes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"slices"
)

const (
	rtcpClear = 8       // header and SSRC of a compound packet, never encrypted
	indexLen  = 4       // SRTCP index and E bit
	flagE     = 1 << 31 // the packet is encrypted
)

// A keystream turns the payload of a packet in place, and back the same way.
type keystream interface {
	xorRTP(pkt []byte, start int, roc uint32)
	xorRTCP(pkt []byte, index uint32)
}

// session holds the session keys of one direction, for RTP or for RTCP. Suites have either a keystream, a mac or both, or
// an aead.
type session struct {
	keystream keystream
	mac       *mac
	aead      cipher.AEAD

	clear bool // send unencrypted
	tag   int  // bytes
	mki   []byte

	// Scratch, so that nothing goes to the heap.
	salt, nonce [gcmSalt]byte
	aad, plain  []byte
}

// newSession derives the session keys (RFC 3711, section 4.3). The parameters must be valid.
func newSession(p Params, rtcp bool) session {
	var label byte
	s := session{clear: p.UnencryptedRTP, tag: p.Suite.TagLen(), mki: bytes.Clone(p.MKI)}
	if rtcp {
		label, s.clear, s.tag = labelRTCP, p.UnencryptedRTCP, p.Suite.RTCPTagLen()
	}
	key := derive(p.Key, p.Salt, label+labelKey, len(p.Key))
	salt := derive(p.Key, p.Salt, label+labelSalt, len(p.Salt))
	switch suites[p.Suite].mode {
	case modeGCM:
		aead, err := cipher.NewGCM(newAES(key))
		if err != nil {
			panic(err) // AES has the block size that GCM wants
		}
		s.aead = aead
		copy(s.salt[:], salt)
		return s
	case modeCM:
		s.keystream = newCM(key, salt)
	case modeF8:
		s.keystream = newF8(key, salt)
	case modeNull:
		s.clear = true
	}
	if p.UnauthenticatedRTP && !rtcp {
		s.tag = 0
	} else {
		s.mac = newMAC(derive(p.Key, p.Salt, label+labelAuth, authKeyLen))
	}
	return s
}

// tail is what follows the payload of SRTP, in bytes.
func (s *session) tail() int { return s.tag + len(s.mki) }

// protectRTP appends to pkt, which has room for it.
func (s *session) protectRTP(pkt []byte, start int, roc uint32) []byte {
	if s.aead != nil {
		s.setNonce(binary.BigEndian.Uint32(pkt[8:]), uint64(roc)<<16|uint64(binary.BigEndian.Uint16(pkt[2:])))
		if s.clear {
			start = len(pkt)
		}
		out := s.aead.Seal(pkt[start:start], s.nonce[:], pkt[start:], pkt[:start])
		return append(pkt[:start+len(out)], s.mki...)
	}
	if !s.clear {
		s.keystream.xorRTP(pkt, start, roc)
	}
	out := append(pkt, s.mki...)
	if s.mac != nil {
		out = append(out, s.mac.rtp(pkt, roc)[:s.tag]...)
	}
	return out
}

// unprotectRTP takes the tail off, for which there is room. After an error the packet is as before.
func (s *session) unprotectRTP(pkt []byte, start int, roc uint32) ([]byte, error) {
	n := len(pkt) - s.tail()
	if s.aead != nil {
		s.setNonce(binary.BigEndian.Uint32(pkt[8:]), uint64(roc)<<16|uint64(binary.BigEndian.Uint16(pkt[2:])))
		if s.clear {
			start = n
		}
		return s.open(pkt[:start], pkt[start:n+s.tag], pkt[:start])
	}
	if s.mac != nil && subtle.ConstantTimeCompare(s.mac.rtp(pkt[:n], roc)[:s.tag], pkt[len(pkt)-s.tag:]) != 1 {
		return nil, ErrAuth
	}
	pkt = pkt[:n]
	if !s.clear {
		s.keystream.xorRTP(pkt, start, roc)
	}
	return pkt, nil
}

// protectRTCP appends to pkt, which has room for it.
func (s *session) protectRTCP(pkt []byte, index uint32) []byte {
	word := index | flagE
	if s.clear {
		word = index
	}
	if s.aead != nil {
		return s.sealRTCP(pkt, word)
	}
	if !s.clear {
		s.keystream.xorRTCP(pkt, index)
	}
	out := binary.BigEndian.AppendUint32(pkt, word)
	sum := s.mac.rtcp(out)[:s.tag]
	return append(append(out, s.mki...), sum...)
}

// sealRTCP puts the index behind the tag (RFC 7714, section 9).
func (s *session) sealRTCP(pkt []byte, word uint32) []byte {
	start := rtcpClear
	if s.clear {
		start = len(pkt)
	}
	s.setNonce(binary.BigEndian.Uint32(pkt[4:]), uint64(word&maxRTCPIndex))
	s.aad = binary.BigEndian.AppendUint32(append(s.aad[:0], pkt[:start]...), word)
	out := s.aead.Seal(pkt[start:start], s.nonce[:], pkt[start:], s.aad)
	pkt = binary.BigEndian.AppendUint32(pkt[:start+len(out)], word)
	return append(pkt, s.mki...)
}

// word returns the SRTCP index and E bit of a packet that has room for its tail.
func (s *session) word(pkt []byte) uint32 {
	at := len(pkt) - s.tail() - indexLen
	if s.aead != nil {
		at += s.tag
	}
	return binary.BigEndian.Uint32(pkt[at:])
}

// unprotectRTCP takes tail and index off, for which there is room. After an error the packet is as before. Whether it is
// encrypted is what the packet says, not what was agreed on (RFC 3711, section 3.4).
func (s *session) unprotectRTCP(pkt []byte, word uint32) ([]byte, error) {
	n := len(pkt) - s.tail() - indexLen
	if s.aead != nil {
		start := rtcpClear
		if word&flagE == 0 {
			start = n
		}
		s.setNonce(binary.BigEndian.Uint32(pkt[4:]), uint64(word&maxRTCPIndex))
		s.aad = binary.BigEndian.AppendUint32(append(s.aad[:0], pkt[:start]...), word)
		return s.open(pkt[:start], pkt[start:n+s.tag], s.aad)
	}
	if subtle.ConstantTimeCompare(s.mac.rtcp(pkt[:n+indexLen])[:s.tag], pkt[len(pkt)-s.tag:]) != 1 {
		return nil, ErrAuth
	}
	pkt = pkt[:n]
	if word&flagE != 0 && s.keystream != nil {
		s.keystream.xorRTCP(pkt, word&maxRTCPIndex)
	}
	return pkt, nil
}

// open appends the plain text of box to clear, in place. It takes a way round through a buffer, because opening in place
// wipes what does not authenticate.
func (s *session) open(clear, box, aad []byte) ([]byte, error) {
	s.plain = slices.Grow(s.plain[:0], len(box))
	plain, err := s.aead.Open(s.plain, s.nonce[:], box, aad)
	if err != nil {
		return nil, ErrAuth
	}
	return append(clear, plain...), nil
}

// setNonce makes the vector of RFC 7714, sections 8.1 and 9.1.
func (s *session) setNonce(ssrc uint32, index uint64) {
	binary.BigEndian.PutUint16(s.nonce[:], 0)
	binary.BigEndian.PutUint32(s.nonce[2:], ssrc)
	binary.BigEndian.PutUint16(s.nonce[6:], uint16(index>>32))
	binary.BigEndian.PutUint32(s.nonce[8:], uint32(index))
	subtle.XORBytes(s.nonce[:], s.nonce[:], s.salt[:])
}

// names says whether a packet carries the MKI of this session, or there is none.
func (s *session) names(pkt []byte) bool {
	end := len(pkt)
	if s.aead == nil {
		end -= s.tag
	}
	return bytes.Equal(pkt[end-len(s.mki):end], s.mki)
}
