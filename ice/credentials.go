package ice

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
)

const (
	ufragSize      = 8
	pwdSize        = 26
	foundationSize = 16

	// maxCredential is the longest fragment or password of RFC 8839, section 5.4. Its minima are not enforced: peers are
	// about that are content with less, and a short password is their own risk.
	maxCredential = 256
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Credentials are the user name fragment and the password of one side (RFC 8445, section 5.3).
type Credentials struct {
	Ufrag string `json:",omitzero"`
	Pwd   string `json:",omitzero"`
}

// NewCredentials draws credentials of letters and digits: 8 for the fragment (47 bits), 26 for the password (154 bits).
func NewCredentials() Credentials {
	return Credentials{Ufrag: randomText(ufragSize), Pwd: randomText(pwdSize)}
}

func (c Credentials) valid() bool {
	return c.Ufrag != "" && len(c.Ufrag) <= maxCredential && c.Pwd != "" && len(c.Pwd) <= maxCredential
}

func randomText(size int) string {
	text := make([]byte, 0, size)
	var random [64]byte
	for {
		rand.Read(random[:])
		for _, b := range random {
			if b >= 248 { // the largest multiple of 62 in a byte; above it the first letters would be likelier
				continue
			}
			if text = append(text, alphabet[b%62]); len(text) == size {
				return string(text)
			}
		}
	}
}

// Foundation returns the foundation of the host candidates on a local address (RFC 8445, section 5.1.1.3): 16 letters
// and digits, the same for the same address and secret. The secret, drawn once per process, keeps them from telling more
// than equality.
func Foundation(secret []byte, addr netip.Addr) string {
	mac := hmac.New(sha256.New, secret)
	text, _ := addr.MarshalBinary() // never fails
	mac.Write(text)
	sum := mac.Sum(nil)
	var out [foundationSize]byte
	for i := range out {
		out[i] = alphabet[binary.BigEndian.Uint16(sum[2*i:])%62]
	}
	return string(out[:])
}

func newIntegrityKey(password string) *integrityKey {
	return &integrityKey{mac: hmac.New(sha1.New, []byte(password))}
}

// authentic reports whether the message was signed with the password of the key.
func (k *integrityKey) authentic(m *message) bool {
	if k == nil || m.integrity == 0 {
		return false
	}
	// The signature is over a header whose length ends with the signature itself, whatever follows.
	k.head = [headerSize]byte(m.raw)
	binary.BigEndian.PutUint16(k.head[2:], uint16(m.integrity-headerSize+4+integritySize))
	sum := k.sum(k.head[:], m.raw[headerSize:m.integrity])
	return subtle.ConstantTimeCompare(sum, m.raw[m.integrity+4:m.integrity+4+integritySize]) == 1
}
