package sdp

import (
	"net/netip"
	"strings"
)

// Description is one SDP body: usually a single session, rarely several in a row.
type Description struct {
	Sessions []*Session
}

// Session is the part from a v= line up to the next one, with the media sections in it.
type Session struct {
	Section

	Origin Origin   `json:",omitzero"` // o=
	Name   string   `json:",omitzero"` // s=, printed even when empty
	URI    string   `json:",omitzero"` // u=
	Emails []string `json:",omitzero"` // e=
	Phones []string `json:",omitzero"` // p=
	Timing string   `json:",omitzero"` // t= as received ("0 0" is printed when empty)

	LoopProtect string  `json:",omitzero"` // a=rtpengine:, the mark of the proxy the text has passed through
	MusicOnHold string  `json:",omitzero"` // name of the attribute that declares music on hold, without "a="
	ICELite     bool    `json:",omitzero"` // a=ice-lite
	Groups      []Group `json:",omitzero"` // a=group; BUNDLE groups are printed before the others (RFC 5888, RFC 9143)

	Media []*Media `json:",omitzero"`
}

// Section holds the lines that mean the same in the session part and in a media section. Given in the session part,
// everything but Info, Bandwidth, Other and Appended is a default for the media sections in it.
type Section struct {
	Info      string      `json:",omitzero"` // i=
	Conn      *Connection `json:",omitzero"` // c=
	Bandwidth Bandwidth   `json:",omitzero"` // b=

	Direction        Direction     `json:",omitzero"` // zero when not given
	ICE              ICE           `json:",omitzero"` // a=ice-ufrag, a=ice-pwd, a=ice-options
	Setup            Setup         `json:",omitzero"` // a=setup (RFC 4145)
	Fingerprints     []Fingerprint `json:",omitzero"` // a=fingerprint (RFC 8122)
	TLSID            string        `json:",omitzero"` // a=tls-id (RFC 8842)
	EndOfCandidates  bool          `json:",omitzero"` // a=end-of-candidates (RFC 8840)
	ExtMapAllowMixed bool          `json:",omitzero"` // a=extmap-allow-mixed (RFC 8285)
	ExtMaps          []ExtMap      `json:",omitzero"` // a=extmap (RFC 8285)

	// Other holds the attributes that have no field of their own, in input order. In a media section that does not
	// carry RTP it holds every attribute, known or not, and is what is printed (see [Protocol.IsRTP]).
	Other []Attribute `json:",omitzero"`
	// Appended is printed after everything else of the section. Parse never sets it.
	Appended []Attribute `json:",omitzero"`
}

// Media is one m= section.
type Media struct {
	Section

	Type      string   `json:",omitzero"` // "audio", "video", "image", ...
	Port      uint16   `json:",omitzero"` // 0 for a rejected section
	PortCount uint16   `json:",omitzero"` // the number after the slash of the port, 0 when not given
	Protocol  Protocol `json:",omitzero"`
	Codecs    []Codec  `json:",omitzero"` // the formats of an RTP section, in order of preference
	Formats   []string `json:",omitzero"` // the formats of any other section

	Mid        string `json:",omitzero"` // a=mid (RFC 5888)
	Label      string `json:",omitzero"` // a=label (RFC 4574)
	BundleOnly bool   `json:",omitzero"` // a=bundle-only (RFC 9143)

	RTCPFeedback []string `json:",omitzero"` // a=rtcp-fb:*, the text after the asterisk and blank
	RTCP         *RTCP    `json:",omitzero"` // a=rtcp (RFC 3605)
	RTCPMux      bool     `json:",omitzero"` // a=rtcp-mux (RFC 5761)
	Crypto       []Crypto `json:",omitzero"` // a=crypto (RFC 4568)
	PTime        int      `json:",omitzero"` // a=ptime in milliseconds, 0 when not given
	MaxPTime     int      `json:",omitzero"` // a=maxptime in milliseconds, 0 when not given

	Candidates       []Candidate       `json:",omitzero"` // a=candidate (RFC 8839)
	RemoteCandidates []RemoteCandidate `json:",omitzero"` // a=remote-candidates (RFC 8839)

	Received string `json:",omitzero"` // the lines after m= as they came, up to the next section
	Verbatim bool   `json:",omitzero"` // Other has all there is to print
}

// Attribute is the text after "a=": a name, or a name, a colon and a value.
type Attribute string

// Name returns the part before the first colon.
func (a Attribute) Name() string {
	name, _, _ := strings.Cut(string(a), ":")
	return name
}

// Value returns the part after the first colon, empty when there is none.
func (a Attribute) Value() string {
	_, value, _ := strings.Cut(string(a), ":")
	return value
}

// Origin is the o= line. The fields are text because real user agents put more than numbers and addresses there.
type Origin struct {
	Username  string `json:",omitzero"`
	SessionID string `json:",omitzero"`
	Version   string `json:",omitzero"`
	NetType   string `json:",omitzero"` // "IN"
	AddrType  string `json:",omitzero"` // "IP4" or "IP6"
	Address   string `json:",omitzero"`
}

// Connection is the c= line.
type Connection struct {
	Addr  netip.Addr `json:",omitzero"`
	Scope string     `json:",omitzero"` // "/ttl" or "/ttl/count" of a multicast address, as received
}

// IsZero reports whether the address is unspecified, the old way to put a stream on hold (RFC 3264, section 8.4).
func (c *Connection) IsZero() bool {
	return c != nil && c.Addr.IsUnspecified()
}

// Group is one a=group line (RFC 5888).
type Group struct {
	Semantics string   `json:",omitzero"` // "BUNDLE", "LS", ...
	Mids      []string `json:",omitzero"`
}

// RTCP is the a=rtcp line. With a valid Addr it is printed in the full form, otherwise as the port alone.
type RTCP struct {
	Port uint16     `json:",omitzero"`
	Addr netip.Addr `json:",omitzero"`
}

// Fingerprint is one a=fingerprint line (RFC 8122).
type Fingerprint struct {
	Hash  string `json:",omitzero"` // "sha-256", as received
	Value string `json:",omitzero"` // "AA:BB:...", as received
}

// ExtMap is one a=extmap line (RFC 8285).
type ExtMap struct {
	ID        uint8     `json:",omitzero"` // 1..14 or 16..255
	Direction Direction `json:",omitzero"` // zero when not given
	URI       string    `json:",omitzero"`
	Params    string    `json:",omitzero"` // what follows the URI, as received
}

// Media returns the media sections of all sessions, numbered through.
func (d *Description) Media() []*Media {
	if len(d.Sessions) == 1 {
		return d.Sessions[0].Media
	}
	var all []*Media
	for _, s := range d.Sessions {
		all = append(all, s.Media...)
	}
	return all
}
