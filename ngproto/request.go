package ngproto

import "net/netip"

// Request is a command with all of its keys typed. A field that the client did not send has its zero value unless said
// otherwise. A Request is not changed once it has been handed out, and then safe for concurrent readers; its strings may
// share memory with the datagram passed to Parse.
type Request struct {
	Command Command
	Flags   Flags

	// Call and parties.
	CallID    string
	FromTag   string
	ToTag     string
	ViaBranch string

	// Small fields stand together, since a Request is big enough.
	HasSDP        bool // the key was there, even if empty
	HasFromTag    bool
	HasToTag      bool
	AcceptProto   bool // transport-protocol=accept in an answer
	All           AllMode
	AliasKey      AliasKey
	AddressFamily Family

	SDP          string
	FromTags     []string
	Label        string // label or from-label
	SetLabel     string
	ToLabel      string
	Address      string // participant selection by advertised address, as sent
	SourceTag    string
	SourceCallID string
	ToCallID     string
	Calls        []string  // mesh
	Tags         []MeshTag // mesh
	RTPPFlags    bool      // flags came as an rtpp-flags string

	// Addresses, interfaces, transport.
	FromInterface string
	ToInterface   string
	Interface     string
	InboundPeer   netip.Addr
	OutboundPeer  netip.Addr
	Peer          netip.Addr
	MediaAddress  netip.Addr
	ReceivedFrom  netip.Addr
	Transport     string // a known transport protocol in capitals as in SDP, "" if not asked for
	TOS           Number
	XMLRPCAddr    netip.Addr
	Client        netip.Addr // where the request came from; Parse leaves it to whoever knows

	// Description and codecs.
	Codec           Codecs
	Ptime           Number // ms, offer only
	PtimeReverse    Number // ms, offer only
	DelayBuffer     Number // ms, absent = unchanged
	ExtMapStrip     []string
	ExtMapMask      []string
	SDPAttr         []AttrChanges
	SDPMediaRemove  []string
	T38Version      Number
	DTLSFingerprint string // "SHA-256" etc.
	SIPCode         int    // 0 = not given
	SIPMessage      SIPMessage

	// DTMF.
	DTMFSecurity           BlockMode
	DTMFSecurityTrigger    BlockMode
	DTMFSecurityTriggerEnd BlockMode
	Trigger                string
	TriggerEnd             string
	TriggerEndTime         Number // ms
	TriggerEndDigits       Number
	DTMFDelay              Number // ms
	Frequencies            []int  // Hz
	Volume                 Number // dB as sent
	Code                   Number // event 0..15; not Set if missing or not an event
	Duration               Number // ms as sent
	PauseTime              Number // ms as sent
	DTMFLogDest            netip.AddrPort
	VSC                    VSC

	// Playback and recording.
	Source         MediaSource
	RepeatTimes    Number
	RepeatDuration Number // ms
	StartPos       Number
	MOH            *MOH // nil if not given
	Metadata       string
	RecordingFile  string
	RecordingDir   string
	RecordingPat   string
	SlotOffer      Number
	SlotAnswer     Number
	Slots          Number

	// Other commands.
	DeleteDelay int // s; -1, also when absent, means the configured one
	Limit       Number
	Instance    string
	Medias      []MediaSpec
	Body        string

	// Unknown holds keys and flags nobody knows, Warnings known ones with a value that makes no sense. Neither is an
	// error: both are for one log line.
	Unknown  []string
	Warnings []string
}

// Number is an integer that may be absent.
type Number struct {
	N   int
	Set bool
}

// Or returns the number, or def if it is absent.
func (n Number) Or(def int) int {
	if n.Set {
		return n.N
	}
	return def
}

// AllMode is the extended selection of the "all" key.
type AllMode uint8

// The selections.
const (
	AllNone AllMode = iota
	AllAll
	AllOfferAnswer
	AllExceptOfferAnswer
	AllFlows
)

// AliasKey selects by what offers of one party are recognised.
type AliasKey uint8

// The alias keys.
const (
	AliasNone AliasKey = iota
	AliasSDP
	AliasAddress
)

// Family is the address family asked for towards the receiver.
type Family uint8

// The families.
const (
	FamilyUnset Family = iota
	IP4
	IP6
)

// SIPMessage is the kind of SIP message the description came in.
type SIPMessage uint8

// The kinds.
const (
	SIPUnset SIPMessage = iota
	SIPRequest
	SIPReply
)

// BlockMode is what happens to DTMF events.
type BlockMode uint8

// The modes.
const (
	BlockUnset BlockMode = iota
	BlockOff
	BlockDrop
	BlockSilence
	BlockTone
	BlockRandom
	BlockZero
	BlockReplace // by the digit in Request.Code
)

// MeshTag is one source party of mesh with its destinations.
type MeshTag struct {
	From string
	To   []string
}

// VSC holds the DTMF codes that control recording.
type VSC struct {
	StartRec, StopRec, StartStopRec, PauseRec, PauseResumeRec, StartPauseResumeRec string
}

// MediaSource names what to play. At most one field counts: file, then blob, then database.
type MediaSource struct {
	File string
	Blob string // contents; blob64 has been decoded
	DBID Number
}

// MOHMode is the direction advertised while on hold.
type MOHMode uint8

// The music-on-hold modes.
const (
	MOHSendonly MOHMode = iota
	MOHSendrecv
	MOHReflect
)

// MOH is the music-on-hold dictionary.
type MOH struct {
	Source         MediaSource
	Mode           MOHMode
	ZeroConnection bool
}

// Codecs is the codec manipulation dictionary, each list in the order given. Lists that the command does not honour
// are empty.
type Codecs struct {
	Strip, Ignore, Except, Offer, Transcode, Mask, Consume, Accept, Set []Codec
}

// Codec is one codec specification: NAME[/clock[/channels[/bitrate[/ptime[/fmtp[/options]]]]]]. Numbers that were left
// out are 0. Words such as "all", "full" and "any" stand in Name.
type Codec struct {
	Text        string // as sent, with "--" and ".." resolved
	Name        string
	PayloadType int // the number if Name is one, else -1
	ClockRate   int
	Channels    int
	Bitrate     int
	Ptime       int // ms
	Format      string
	Options     string
}

// AttrChanges is what sdp-attr asks for in one scope: "none", "global", or a media type.
type AttrChanges struct {
	Scope      string
	Add        []string
	Remove     []string
	Substitute []Substitution
}

// Substitution replaces one attribute line by another.
type Substitution struct{ From, To string }

// MediaSpec is one media of create or transform.
type MediaSpec struct {
	ID          string
	Type        string
	Codecs      []Codec          // create
	Transforms  []TransformCodec // transform
	Destination netip.AddrPort   // transform
}

// TransformCodec is one conversion of transform.
type TransformCodec struct{ Input, Output TransformFormat }

// TransformFormat describes one side of a conversion.
type TransformFormat struct {
	Codec       string
	PayloadType int // -1 if not given
	ClockRate   int
	Channels    int
	Format      string
	Options     string
}
