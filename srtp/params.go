package srtp

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
)

const (
	// MaxMKI is the longest master key identifier in bytes (RFC 4568, section 6.1).
	MaxMKI = 128

	// DefaultWindow is the replay window in packets, twice of what RFC 3711, section 3.3.2, asks for.
	DefaultWindow = 128

	// MaxWindow bounds the memory of a stream.
	MaxWindow = 1 << 15

	// MaxOverhead is the most that protection adds to a packet, in bytes: the longest tag, an SRTCP index and the
	// longest MKI.
	MaxOverhead = gcmTag + indexLen + MaxMKI
)

// Params is the keying of one direction of a leg. It is a value: nothing in this package changes its slices.
type Params struct {
	Suite Suite  `json:",omitzero"`
	Key   []byte `json:",omitzero"` // master key
	Salt  []byte `json:",omitzero"` // master salt
	MKI   []byte `json:",omitzero"` // as it appears in packets, up to MaxMKI bytes; empty for none

	// Session parameters (RFC 4568, section 6.3).
	UnencryptedRTP     bool `json:",omitzero"`
	UnencryptedRTCP    bool `json:",omitzero"`
	UnauthenticatedRTP bool `json:",omitzero"`

	// Window is the replay window in packets; 0 stands for DefaultWindow.
	Window int `json:",omitzero"`
}

// Generate makes a random key and salt for a suite.
func Generate(s Suite) Params {
	secret := make([]byte, s.KeyLen()+s.SaltLen())
	rand.Read(secret) // never fails
	return Params{Suite: s, Key: secret[:s.KeyLen():s.KeyLen()], Salt: secret[s.KeyLen():]}
}

// ParseKeySalt takes apart the master key and salt of an a=crypto line, decoded from base64. The result shares nothing with
// its argument. The error is ErrSuite or ErrKey.
func ParseKeySalt(s Suite, keySalt []byte) (Params, error) {
	if !s.Valid() {
		return Params{}, ErrSuite
	}
	if len(keySalt) != s.KeyLen()+s.SaltLen() {
		return Params{}, fmt.Errorf("%d bytes for %v, not %d: %w", len(keySalt), s, s.KeyLen()+s.SaltLen(), ErrKey)
	}
	own := bytes.Clone(keySalt)
	return Params{Suite: s, Key: own[:s.KeyLen():s.KeyLen()], Salt: own[s.KeyLen():]}, nil
}

// KeySalt is the opposite of [ParseKeySalt].
func (p Params) KeySalt() []byte {
	return append(append(make([]byte, 0, len(p.Key)+len(p.Salt)), p.Key...), p.Salt...)
}

// Equal says whether two Params make the same context.
func (p Params) Equal(q Params) bool {
	return p.Suite == q.Suite &&
		subtle.ConstantTimeCompare(p.Key, q.Key) == 1 && subtle.ConstantTimeCompare(p.Salt, q.Salt) == 1 &&
		bytes.Equal(p.MKI, q.MKI) &&
		p.UnencryptedRTP == q.UnencryptedRTP && p.UnencryptedRTCP == q.UnencryptedRTCP &&
		p.UnauthenticatedRTP == q.UnauthenticatedRTP && p.window() == q.window()
}

// Validate says what makes p unusable; the error wraps ErrSuite, ErrKey or ErrParam.
func (p Params) Validate() error {
	switch {
	case !p.Suite.Valid():
		return ErrSuite
	case len(p.Key) != p.Suite.KeyLen() || len(p.Salt) != p.Suite.SaltLen():
		return fmt.Errorf("key of %d and salt of %d bytes for %v: %w", len(p.Key), len(p.Salt), p.Suite, ErrKey)
	case len(p.MKI) > MaxMKI:
		return fmt.Errorf("MKI of %d bytes, more than %d: %w", len(p.MKI), MaxMKI, ErrParam)
	case p.Window < 0 || p.Window > MaxWindow:
		return fmt.Errorf("replay window of %d packets, not 0 to %d: %w", p.Window, MaxWindow, ErrParam)
	case p.UnauthenticatedRTP && p.Suite.aead():
		// Such a suite encrypts and authenticates in one (RFC 7714).
		return fmt.Errorf("unauthenticated %v: %w", p.Suite, ErrParam)
	}
	return nil
}

// String names the suite and keeps the key to itself.
func (p Params) String() string { return p.Suite.String() }

// ReplayWindow returns the replay window in packets.
func (p Params) ReplayWindow() int { return p.window() }

func (p Params) window() int {
	if p.Window == 0 {
		return DefaultWindow
	}
	return p.Window
}
