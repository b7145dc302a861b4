package srtp

import "strings"

// A Suite is an SDES crypto suite. The zero value is none.
type Suite uint8

// The suites, in the order in which they are offered.
const (
	NoSuite   Suite = iota
	AES256GCM       // RFC 7714
	AES128GCM
	AES256CM80 // RFC 6188
	AES256CM32
	AES192CM80
	AES192CM32
	AES128CM80 // RFC 4568, section 6.2
	AES128CM32
	F8128SHA80
	F8128SHA32 // not registered, a twin of the one above
	NullSHA80  // named in RFC 5764, with the key sizes of AES-128, which derive the authentication key
	NullSHA32

	suiteCount
)

type mode uint8

const (
	modeNull mode = iota
	modeCM        // counter mode, RFC 3711, section 4.1.1
	modeF8        // RFC 3711, section 4.1.2
	modeGCM       // RFC 7714
)

const (
	cmSalt   = 14
	gcmSalt  = 12
	gcmTag   = 16
	longTag  = 10
	shortTag = 4
)

// suites is read only.
var suites = [suiteCount]struct {
	name    string
	mode    mode
	key     int    // bytes
	salt    int    // bytes
	tag     int    // bytes in SRTP
	profile uint16 // DTLS-SRTP protection profile, 0 when none is registered
}{
	AES256GCM:  {"AEAD_AES_256_GCM", modeGCM, 32, gcmSalt, gcmTag, 0x0008},
	AES128GCM:  {"AEAD_AES_128_GCM", modeGCM, 16, gcmSalt, gcmTag, 0x0007},
	AES256CM80: {"AES_256_CM_HMAC_SHA1_80", modeCM, 32, cmSalt, longTag, 0},
	AES256CM32: {"AES_256_CM_HMAC_SHA1_32", modeCM, 32, cmSalt, shortTag, 0},
	AES192CM80: {"AES_192_CM_HMAC_SHA1_80", modeCM, 24, cmSalt, longTag, 0},
	AES192CM32: {"AES_192_CM_HMAC_SHA1_32", modeCM, 24, cmSalt, shortTag, 0},
	AES128CM80: {"AES_CM_128_HMAC_SHA1_80", modeCM, 16, cmSalt, longTag, 0x0001},
	AES128CM32: {"AES_CM_128_HMAC_SHA1_32", modeCM, 16, cmSalt, shortTag, 0x0002},
	F8128SHA80: {"F8_128_HMAC_SHA1_80", modeF8, 16, cmSalt, longTag, 0},
	F8128SHA32: {"F8_128_HMAC_SHA1_32", modeF8, 16, cmSalt, shortTag, 0},
	NullSHA80:  {"NULL_HMAC_SHA1_80", modeNull, 16, cmSalt, longTag, 0x0005},
	NullSHA32:  {"NULL_HMAC_SHA1_32", modeNull, 16, cmSalt, shortTag, 0x0006},
}

// Suites returns all suites in the order in which they are offered.
func Suites() []Suite {
	all := make([]Suite, 0, suiteCount-1)
	for s := NoSuite + 1; s < suiteCount; s++ {
		all = append(all, s)
	}
	return all
}

// SuiteByName returns the suite of an a=crypto line, whatever its case, or NoSuite.
func SuiteByName(name string) Suite {
	for s := NoSuite + 1; s < suiteCount; s++ {
		if strings.EqualFold(suites[s].name, name) {
			return s
		}
	}
	return NoSuite
}

// SuiteByProfile returns the suite of a DTLS-SRTP protection profile (RFC 5764, section 4.1.2; RFC 7714, section 14.2), or
// NoSuite.
func SuiteByProfile(id uint16) Suite {
	for s := NoSuite + 1; s < suiteCount; s++ {
		if id != 0 && suites[s].profile == id {
			return s
		}
	}
	return NoSuite
}

// String returns the name of the suite as in an a=crypto line; "none" for what is no suite.
func (s Suite) String() string {
	if !s.Valid() {
		return "none"
	}
	return suites[s].name
}

// MarshalText writes the name of the suite.
func (s Suite) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name. One that nobody knows is no suite.
func (s *Suite) UnmarshalText(text []byte) error {
	*s = SuiteByName(string(text))
	return nil
}

// Valid says whether s is a suite, and not NoSuite.
func (s Suite) Valid() bool { return s > NoSuite && s < suiteCount }

// KeyLen returns the length of the master key in bytes; 0 for NoSuite, as do the other lengths.
func (s Suite) KeyLen() int {
	if !s.Valid() {
		return 0
	}
	return suites[s].key
}

// SaltLen returns the length of the master salt in bytes.
func (s Suite) SaltLen() int {
	if !s.Valid() {
		return 0
	}
	return suites[s].salt
}

// TagLen returns the length of the authentication tag of SRTP packets in bytes.
func (s Suite) TagLen() int {
	if !s.Valid() {
		return 0
	}
	return suites[s].tag
}

// RTCPTagLen returns the length of the authentication tag of SRTCP packets in bytes. It is 10 for the suites with short
// tags, too (RFC 4568, section 6.2; RFC 5764, section 4.1.2).
func (s Suite) RTCPTagLen() int {
	if !s.Valid() {
		return 0
	}
	return max(suites[s].tag, longTag)
}

// Profile returns the id of the DTLS-SRTP protection profile; 0 when the suite has none.
func (s Suite) Profile() uint16 {
	if !s.Valid() {
		return 0
	}
	return suites[s].profile
}

func (s Suite) aead() bool { return s.Valid() && suites[s].mode == modeGCM }
