package dtls

import (
	"crypto"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	// The hashes that a fingerprint may use.
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
)

// Hash is a hash function of certificate fingerprints (RFC 8122, section 5). The order is that of strength; the zero
// value is no hash.
type Hash uint8

// The hashes that can be computed. MD5 and MD2 are known to RFC 8122 and must not be used.
const (
	SHA1 Hash = iota + 1
	SHA224
	SHA256
	SHA384
	SHA512
)

var hashes = [...]struct {
	name     string
	function crypto.Hash
}{
	SHA1:   {"sha-1", crypto.SHA1},
	SHA224: {"sha-224", crypto.SHA224},
	SHA256: {"sha-256", crypto.SHA256},
	SHA384: {"sha-384", crypto.SHA384},
	SHA512: {"sha-512", crypto.SHA512},
}

// ErrHash says that a hash function is not one of those above.
var ErrHash = errors.New("unknown hash function")

// ParseHash reads the name of a hash function in any case, with or without the dash: "sha-256", "SHA256".
func ParseHash(name string) (Hash, error) {
	plain := strings.ReplaceAll(name, "-", "")
	for h := SHA1; h <= SHA512; h++ {
		if strings.EqualFold(plain, strings.ReplaceAll(hashes[h].name, "-", "")) {
			return h, nil
		}
	}
	return 0, fmt.Errorf("%w %q", ErrHash, name)
}

// String is the name as SDP has it, such as "sha-256".
func (h Hash) String() string {
	if h.valid() {
		return hashes[h].name
	}
	return "none"
}

// Size is the length of the hash in bytes, 0 for none.
func (h Hash) Size() int {
	if h.valid() {
		return hashes[h].function.Size()
	}
	return 0
}

func (h Hash) valid() bool { return h >= SHA1 && h <= SHA512 }

// A Fingerprint is the hash of a certificate in DER form. The zero value matches nothing. Fingerprints of the same hash
// and bytes are equal by ==.
type Fingerprint struct {
	Hash Hash
	sum  [64]byte
}

// ParseFingerprint reads the value of an SDP fingerprint attribute, "sha-256 AB:CD:…" (RFC 8122, section 5). Names and
// digits may have any case. The error wraps ErrHash when only the hash function is unknown: such an attribute is to be
// ignored when there are others.
func ParseFingerprint(value string) (Fingerprint, error) {
	name, digits, ok := strings.Cut(strings.TrimSpace(value), " ")
	if !ok {
		return Fingerprint{}, fmt.Errorf("fingerprint %q: want a hash function, a space and hexadecimal bytes", value)
	}
	h, err := ParseHash(name)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	f := Fingerprint{Hash: h}
	parts := strings.Split(strings.TrimSpace(digits), ":")
	if len(parts) != h.Size() {
		return Fingerprint{}, fmt.Errorf("fingerprint: %s has %d bytes, not %d", h, h.Size(), len(parts))
	}
	for i, part := range parts {
		b, err := hex.DecodeString(part)
		if err != nil || len(b) != 1 {
			return Fingerprint{}, fmt.Errorf("fingerprint: %q is not a byte in hexadecimal", part)
		}
		f.sum[i] = b[0]
	}
	return f, nil
}

// fingerprint hashes a certificate. An invalid hash gives the zero fingerprint.
func fingerprint(der []byte, h Hash) Fingerprint {
	if !h.valid() {
		return Fingerprint{}
	}
	f := Fingerprint{Hash: h}
	sum := hashes[h].function.New()
	sum.Write(der)
	sum.Sum(f.sum[:0])
	return f
}

// Value is the hash alone, "AB:CD:…" in upper case.
func (f Fingerprint) Value() string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i, v := range f.sum[:f.Hash.Size()] {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteByte(digits[v>>4])
		b.WriteByte(digits[v&15])
	}
	return b.String()
}

// String is the value of the SDP attribute: "sha-256 AB:CD:…".
func (f Fingerprint) String() string { return f.Hash.String() + " " + f.Value() }

// MarshalText is String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText is ParseFingerprint.
func (f *Fingerprint) UnmarshalText(text []byte) (err error) {
	*f, err = ParseFingerprint(string(text))
	return err
}

// ErrFingerprint says that the peer's certificate is not one that signalling announced.
var ErrFingerprint = errors.New("certificate does not match the announced fingerprint")

// match tells whether a certificate has one of the announced fingerprints. Of several hash functions only the strongest
// counts, so that a weak one cannot stand in for it (RFC 8122, section 5). The error names both sides.
func match(der []byte, announced []Fingerprint) error {
	var strongest Hash
	for _, f := range announced {
		strongest = max(strongest, f.Hash)
	}
	if !strongest.valid() {
		return fmt.Errorf("%w: none is announced", ErrFingerprint)
	}
	got := fingerprint(der, strongest)
	var want []string
	for _, f := range announced {
		if f.Hash != strongest {
			continue
		}
		if subtle.ConstantTimeCompare(f.sum[:], got.sum[:]) == 1 {
			return nil
		}
		want = append(want, f.Value())
	}
	return fmt.Errorf("%w: peer has %s, announced is %s", ErrFingerprint, got, strings.Join(want, " or "))
}
