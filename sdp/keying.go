package sdp

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Setup is the role of a party in the DTLS handshake (RFC 4145, RFC 5763).
type Setup string

// The roles.
const (
	SetupActpass  Setup = "actpass"
	SetupActive   Setup = "active"
	SetupPassive  Setup = "passive"
	SetupHoldconn Setup = "holdconn"
)

// Crypto is one a=crypto line (RFC 4568). KeyParams and SessionParams are kept as received; Keys reads them.
type Crypto struct {
	Tag           uint32 `json:",omitzero"` // 0..999999999
	Suite         string `json:",omitzero"` // "AES_CM_128_HMAC_SHA1_80"
	KeyParams     string `json:",omitzero"` // "inline:...|2^31|1:4", several separated by semicolons
	SessionParams string `json:",omitzero"` // "UNENCRYPTED_SRTCP KDR=0", empty when there are none
}

// CryptoKey is one key of a crypto line.
type CryptoKey struct {
	KeySalt  []byte // master key, then master salt
	Lifetime string // in packets, "2^31" or a number; empty when not given
	MKI      []byte // as it appears in the packets, big endian; empty when there is none
}

// maxMKI is the longest master key identifier in bytes (RFC 4568, section 6.1).
const maxMKI = 128

// parseCrypto splits the value of a=crypto; it says no when a part that must be there is missing.
func parseCrypto(value string) (c Crypto, ok bool) {
	tag, rest := field(value)
	n, ok := parseUint(tag, 999_999_999)
	c.Tag = uint32(n)
	c.Suite, rest = field(rest)
	c.KeyParams, rest = field(rest)
	c.SessionParams = trim(rest)
	return c, ok && c.KeyParams != ""
}

// Keys decodes the key parameters. Base64 padding may be missing.
func (c Crypto) Keys() ([]CryptoKey, error) {
	var keys []CryptoKey
	for param := range strings.SplitSeq(c.KeyParams, ";") {
		key, err := parseKey(param)
		if err != nil {
			return nil, fmt.Errorf("crypto tag %d: %w", c.Tag, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func parseKey(param string) (CryptoKey, error) {
	info, found := strings.CutPrefix(param, "inline:")
	if !found {
		return CryptoKey{}, errors.New(`key method is not "inline:"`)
	}
	text, rest, _ := strings.Cut(info, "|")
	keySalt, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return CryptoKey{}, fmt.Errorf("key is not base64: %w", err)
	}
	key := CryptoKey{KeySalt: keySalt}
	if rest == "" {
		return key, nil
	}
	lifetime, mki, both := strings.Cut(rest, "|")
	if !both && strings.Contains(rest, ":") {
		lifetime, mki = "", rest
	}
	if isLifetime(lifetime) {
		key.Lifetime = lifetime
	}
	if mki != "" {
		if key.MKI, err = parseMKI(mki); err != nil {
			return CryptoKey{}, err
		}
	}
	return key, nil
}

// isLifetime tells whether a text is a number or a power of two. What is not is ignored: it limits nothing that matters.
func isLifetime(text string) bool {
	digits := strings.TrimPrefix(text, "2^")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// parseMKI reads "value:length" into the bytes seen in the packets.
func parseMKI(text string) ([]byte, error) {
	value, length, _ := strings.Cut(text, ":")
	size, ok := parseUint(length, maxMKI)
	if !ok || size == 0 {
		return nil, fmt.Errorf("MKI length is not 1 to %d", maxMKI)
	}
	// 2.41 decimal digits per byte: longer texts cannot fit and are not worth the arithmetic.
	n, ok := new(big.Int), len(value) <= 3*maxMKI && strings.Trim(value, "0123456789") == ""
	if ok {
		_, ok = n.SetString(value, 10)
	}
	if !ok || n.BitLen() > int(size)*8 {
		return nil, fmt.Errorf("MKI value is not a number of %d bytes", size)
	}
	return n.FillBytes(make([]byte, size)), nil
}

// FormatKeys is the opposite of [Crypto.Keys]. Padding is what some peers insist on and others refuse.
func FormatKeys(keys []CryptoKey, pad bool) string {
	encoding := base64.RawStdEncoding
	if pad {
		encoding = base64.StdEncoding
	}
	var b []byte
	for i, k := range keys {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, "inline:"...)
		b = encoding.AppendEncode(b, k.KeySalt)
		if k.Lifetime != "" {
			b = append(b, '|')
			b = append(b, k.Lifetime...)
		}
		if len(k.MKI) > 0 {
			b = append(b, '|')
			b = append(b, new(big.Int).SetBytes(k.MKI).String()...)
			b = append(b, ':')
			b = strconv.AppendInt(b, int64(len(k.MKI)), 10)
		}
	}
	return string(b)
}
