package dtls

import "fmt"

// Profile is an SRTP protection profile by its IANA number (RFC 5764, section 4.1.2; RFC 7714, section 14.2).
type Profile uint16

// The profiles that can be negotiated. AES256CM80 and AES256CM32 have numbers that were drafted and are in use, but were
// never registered. The NULL ones do not encrypt: they are used only when a configuration names them.
const (
	AES128CM80 Profile = 0x0001 // SRTP_AES128_CM_HMAC_SHA1_80
	AES128CM32 Profile = 0x0002 // SRTP_AES128_CM_HMAC_SHA1_32
	AES256CM80 Profile = 0x0003 // SRTP_AES256_CM_SHA1_80
	AES256CM32 Profile = 0x0004 // SRTP_AES256_CM_SHA1_32
	NULL80     Profile = 0x0005 // SRTP_NULL_HMAC_SHA1_80
	NULL32     Profile = 0x0006 // SRTP_NULL_HMAC_SHA1_32
	AES128GCM  Profile = 0x0007 // SRTP_AEAD_AES_128_GCM
	AES256GCM  Profile = 0x0008 // SRTP_AEAD_AES_256_GCM
)

// profiles has the sizes of master keys and salts in bytes. RFC 5764 gives the NULL profiles neither; every
// implementation in use exports 16 and 14 bytes for them, as the authentication key needs something to be derived from.
var profiles = [...]struct {
	name      string
	key, salt int
}{
	AES128CM80: {"SRTP_AES128_CM_HMAC_SHA1_80", 16, 14},
	AES128CM32: {"SRTP_AES128_CM_HMAC_SHA1_32", 16, 14},
	AES256CM80: {"SRTP_AES256_CM_SHA1_80", 32, 14},
	AES256CM32: {"SRTP_AES256_CM_SHA1_32", 32, 14},
	NULL80:     {"SRTP_NULL_HMAC_SHA1_80", 16, 14},
	NULL32:     {"SRTP_NULL_HMAC_SHA1_32", 16, 14},
	AES128GCM:  {"SRTP_AEAD_AES_128_GCM", 16, 12},
	AES256GCM:  {"SRTP_AEAD_AES_256_GCM", 32, 12},
}

// DefaultProfiles is the order of preference of a session that is given none.
func DefaultProfiles() []Profile {
	return []Profile{AES256GCM, AES128GCM, AES128CM80, AES128CM32}
}

func (p Profile) valid() bool { return p >= AES128CM80 && p <= AES256GCM }

// String is the name in the IANA registry.
func (p Profile) String() string {
	if p.valid() {
		return profiles[p].name
	}
	return fmt.Sprintf("SRTP profile %#04x", uint16(p))
}

// KeySize is the size of a master key in bytes.
func (p Profile) KeySize() int {
	if p.valid() {
		return profiles[p].key
	}
	return 0
}

// SaltSize is the size of a master salt in bytes.
func (p Profile) SaltSize() int {
	if p.valid() {
		return profiles[p].salt
	}
	return 0
}

// Role is a side's part in the handshake; SDP's setup attribute decides it (RFC 5763, section 5).
type Role uint8

// The roles. Unknown is that of a session whose offer was not answered yet.
const (
	Unknown Role = iota
	Active       // the DTLS client
	Passive      // the DTLS server
)

func (r Role) String() string {
	switch r {
	case Active:
		return "active"
	case Passive:
		return "passive"
	}
	return "unknown"
}

// Keys is what a handshake yields: a profile, and a master key and salt for each direction. The client protects what it
// sends with the client's, the server with the server's.
type Keys struct {
	Profile Profile
	// Role is our part: Active is the client.
	Role                  Role
	ClientKey, ClientSalt []byte
	ServerKey, ServerSalt []byte
}

// Local is the key and salt for what we send.
func (k Keys) Local() (key, salt []byte) {
	if k.Role == Active {
		return k.ClientKey, k.ClientSalt
	}
	return k.ServerKey, k.ServerSalt
}

// Remote is the key and salt for what we receive.
func (k Keys) Remote() (key, salt []byte) {
	if k.Role == Active {
		return k.ServerKey, k.ServerSalt
	}
	return k.ClientKey, k.ClientSalt
}

// exporterLabel and the order below are RFC 5764, section 4.2.
const exporterLabel = "EXTRACTOR-dtls_srtp"

func (p Profile) exportSize() int { return 2 * (p.KeySize() + p.SaltSize()) }

// split cuts the exported keying material, which has exportSize bytes, into keys and salts.
func (p Profile) split(material []byte, role Role) Keys {
	next := func(n int) []byte {
		part := material[:n:n]
		material = material[n:]
		return part
	}
	k := Keys{Profile: p, Role: role}
	k.ClientKey, k.ServerKey = next(p.KeySize()), next(p.KeySize())
	k.ClientSalt, k.ServerSalt = next(p.SaltSize()), next(p.SaltSize())
	return k
}
