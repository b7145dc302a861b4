package srtp

import (
	"crypto/aes"
	"crypto/cipher"
)

// Labels of the session keys (RFC 3711, section 4.3.2). SRTCP adds three to those of SRTP.
const (
	labelKey  = 0
	labelAuth = 1
	labelSalt = 2
	labelRTCP = 3
)

// derive makes a session key of n bytes: the key stream of AES in counter mode under the master key, from the salt and the
// label (RFC 3711, section 4.3.3, with a key derivation rate of zero; RFC 6188, section 3, for the longer keys). A salt of
// 96 bits is filled up with zeros at its end (RFC 7714, section 11). The key must have a length that AES knows.
func derive(key, salt []byte, label byte, n int) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the caller has checked the length
	}
	var iv [aes.BlockSize]byte
	copy(iv[:], salt)
	iv[7] ^= label
	out := make([]byte, n)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, out)
	return out
}

// SessionKeys are the keys that protect the RTP packets of one direction. Others than this package can do the same with them.
type SessionKeys struct {
	Cipher []byte
	Salt   []byte
	Auth   []byte // of HMAC-SHA1; nil when the suite has none
}

// SessionKeys derives the keys for RTP (RFC 3711, section 4.3). The parameters must be valid.
func (p Params) SessionKeys() SessionKeys {
	k := SessionKeys{
		Cipher: derive(p.Key, p.Salt, labelKey, len(p.Key)), Salt: derive(p.Key, p.Salt, labelSalt, len(p.Salt)),
	}
	if !p.Suite.aead() {
		k.Auth = derive(p.Key, p.Salt, labelAuth, authKeyLen)
	}
	return k
}

// Common says whether packets are encrypted with AES in counter mode and authenticated, by HMAC-SHA1 or as GCM does, and nothing
// is left out or added: neither an MKI, nor encryption, nor authentication.
func (p Params) Common() bool {
	return p.Suite.Valid() && (suites[p.Suite].mode == modeCM || p.Suite.aead()) && len(p.MKI) == 0 && !p.UnencryptedRTP && !p.UnauthenticatedRTP
}
