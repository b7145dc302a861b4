package ngproto

// Switch is a setting with three positions: not mentioned, on, off.
type Switch uint8

// The positions of a Switch.
const (
	Unset Switch = iota
	On
	Off
)

// Flags are the settings of a request that are words rather than data. The zero value means that nothing was asked
// for; enums have Unset or Default as their zero. Where the language has several spellings or legacy aliases of one
// setting they all end in the same field.
type Flags struct {
	// Codec handling.
	AllowAsymmetricCodecs bool // accept answer codecs whose payload numbers differ from the offered ones
	AllowNoCodecMedia     bool // reject a media that codec manipulation left empty, instead of restoring its codecs
	AllowTranscoding      bool
	ForceTranscoding      bool
	SingleCodec           bool
	StaticCodecs          bool
	NoCodecRenegotiation  bool // alias "reuse codecs"
	NoJitterBuffer        bool

	// Addresses and sources.
	Asymmetric       bool
	BlockShort       bool
	MediaHandover    bool
	NATWait          bool
	PierceNAT        bool
	SIPSourceAddress bool // exclusive with TrustAddress; the later one wins
	TrustAddress     bool
	StrictSource     bool
	NoPortLatching   bool
	PortLatching     bool
	Unidirectional   bool
	EndpointLearning Learning

	// Session description.
	FullRTCPAttribute bool
	NoRTCPAttribute   bool
	GenerateMID       bool // also implied by bundle offer, require and strict
	LoopProtect       bool
	OriginalSendrecv  bool
	Fragment          bool
	Replace           Replace
	RTCPMux           RTCPMux
	Bundle            Bundle
	GenerateRTCP      Switch

	// ICE, DTLS, SDES, OSRTP.
	RejectICE  bool
	Reset      bool
	TrickleICE bool
	ICE2       bool
	ICE        ICEMode
	ICELite    ICELite
	DTLS       DTLS
	NoTLSID    bool
	SDES       SDES
	OSRTP      OSRTP
	Recrypt    bool
	WebRTC     bool // what it stands for has been set in the other fields already

	// DTMF and playback.
	BlockDTMF   bool
	DetectDTMF  bool
	InjectDTMF  bool
	BlockEgress bool
	EarlyMedia  bool
	AudioPlayer AudioPlayer
	Passthrough Switch
	MediaEcho   MediaEcho
	DropTraffic DropTraffic
	T38         T38

	// Recording.
	RecordCall            RecordCall
	DiscardRecording      bool
	ExcludeRecording      bool
	RecordingAnnouncement bool
	RecordingVSC          bool
	SkipRecordingDB       bool
	Pause                 bool // flag "pause" or pause=yes|on|true of stop recording

	// Parties and subscriptions.
	Bidirectional bool
	Directional   bool // also set by from-tag within rtpp-flags
	Egress        bool
	Inactive      bool
	Mix           bool
	NewBranch     bool
	Provisional   bool
	RTCPMirror    bool
	SIPREC        bool
	Unsubscribe   bool
	ToTag         bool // also set by to-tag within rtpp-flags

	// Command handling.
	Debug         bool
	Fatal         bool
	Fast          bool
	NoRedisUpdate bool
	LoadLimit     bool // supports=["load limit"]: limits are answered by result "load limit"
}

// Learning is the endpoint-learning override.
type Learning uint8

// The endpoint-learning modes; Default keeps the configured one.
const (
	LearnDefault Learning = iota
	LearnOff
	LearnImmediate
	LearnDelayed
	LearnHeuristic
)

// ICEMode is what to do with ICE in the outgoing description.
type ICEMode uint8

// The ICE modes: ICEDefault is force if ICE was offered, else none.
const (
	ICEDefault ICEMode = iota
	ICERemove
	ICEForce
	ICEOptional
	ICEForceRelay
)

// ICELite selects towards whom ICE-lite is advertised.
type ICELite uint8

// The ICE-lite settings.
const (
	ICELiteUnset ICELite = iota
	ICELiteOff
	ICELiteForward  // towards the receiver of the message
	ICELiteBackward // towards its sender
	ICELiteBoth
)

// AudioPlayer is the per-call override of the audio player.
type AudioPlayer uint8

// The audio player modes.
const (
	PlayerDefault AudioPlayer = iota
	PlayerTranscoding
	PlayerOff
	PlayerAlways
)

// MediaEcho is the echo mode of the parties of an offer.
type MediaEcho uint8

// The media echo modes.
const (
	EchoUnset MediaEcho = iota
	EchoBlackhole
	EchoForward
	EchoBackward
	EchoBoth
)

// DropTraffic starts or stops dropping all media of the call.
type DropTraffic uint8

// The drop-traffic settings.
const (
	DropUnset DropTraffic = iota
	DropStart
	DropStop
)

// RecordCall is the record call key of offer and answer.
type RecordCall uint8

// The record call settings.
const (
	RecordUnset RecordCall = iota
	RecordOn
	RecordOff
	RecordDiscard
)

// Replace lists which parts of the description get values of our own.
type Replace struct {
	Origin, OriginFull, SDPVersion, ForceIncrementVersion, Username, SessionName, ZeroAddress bool
}

// RTCPMux is the RFC 5761 control list. Require implies Offer.
type RTCPMux struct {
	Offer, Require, Demux, Accept, Reject bool
}

// Bundle is the BUNDLE (RFC 9143) control list.
type Bundle struct {
	Accept, Offer, Require, Strict, Reject bool
}

// DTLS is the DTLS-SRTP control. Passive and Active are never set in an answer.
type DTLS struct {
	Off, Passive, Active bool
}

// OSRTP is the opportunistic SRTP (RFC 8643) control list.
type OSRTP struct {
	Offer, OfferLegacy, AcceptRFC, AcceptLegacy bool
}

// SDES is the SDES control list. Suites keep the order given.
type SDES struct {
	Off                      bool
	UnencryptedSRTP          bool
	UnencryptedSRTCP         bool
	UnauthenticatedSRTP      bool
	EncryptedSRTP            bool
	EncryptedSRTCP           bool
	AuthenticatedSRTP        bool
	Pad                      bool
	Lifetime                 bool
	Static                   bool
	Prefer                   bool
	NoNew                    bool
	No, Only, Order, Offerer []string // suites excluded, allowed, output order, preference towards the offerer
}

// T38 is the T.38 gateway control list.
type T38 struct {
	Decode, Force, Stop                  bool
	NoECM, NoV17, NoV27ter, NoV29, NoV34 bool
	NoIAF, FEC                           bool
}
