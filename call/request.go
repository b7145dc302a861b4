package call

import (
	"net/netip"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Request is an offer or an answer, freed of the language it came in. FromTag is the offerer in both.
type Request struct {
	CallID    string
	FromTag   string
	ToTag     string // in an answer the party that answers; in an offer optional
	ViaBranch string
	SDPText   string           // that SDP was read from
	SDP       *sdp.Description // belongs to the call from here on; nobody writes to it
	Options

	answer bool
}

// Options are what an offer or answer may ask for beside its description. The zero value asks for nothing.
type Options struct {
	// Logical interfaces towards the offerer and towards the other party. Only the first offer that concerns a
	// party counts; empty is the default interface.
	FromInterface, ToInterface string

	Family       int        // 4 or 6 towards the receiver of the description; 0 keeps what there is, or follows the sender
	MediaAddress netip.Addr // told to the receiver in place of our own
	ReceivedFrom netip.Addr // signalling source of the message
	Source       AddressSource

	Learning       *media.Learning // nil: the configured mode
	Asymmetric     bool
	Strict         bool
	Handover       bool
	Unidirectional bool

	Protocol       sdp.Protocol // towards the receiver; empty keeps what there is, or follows the sender
	AcceptProtocol bool         // an answer may change the protocol towards the offerer
	RTCPMux        RTCPMux
	FullRTCP       bool // a=rtcp with the address
	NoRTCP         bool // no a=rtcp at all

	ICE            ICEControl
	Passthrough    *bool // pass sections through; nil leaves it as it is
	AliasKey       AliasKey
	NewBranch      bool // an answer under an unknown tag: the tag before is forgotten rather than kept as an alias
	PortLatching   bool // our ports stay whatever the other side does
	NoPortLatching bool // who moves to another port is told another port of ours on the other side

	SDES    SDES
	DTLS    DTLSControl
	OSRTP   OSRTP
	Recrypt bool // never pass on what the other side has encrypted
	Reset   bool // forget what the receiver of the offer was found not to be able to do

	Codecs      Codecs
	ExtMaps     ExtMaps
	T38         T38
	Bundle      Bundle
	Attributes  []AttributeChange
	RemoveMedia []string // media types, or "other": an offer does not show their sections to the receiver

	OriginalDirection bool // pass the direction word untouched
	GenerateMID       bool
	Replace           Replace

	LoopProtect bool // mark the description as ours

	DTMF        *DTMFSecurity // towards the receiver; nil leaves it as it is
	BlockShort  bool          // packets of the sender that are shorter than others
	MediaEcho   MediaEcho
	DropTraffic *bool // of the whole call; nil leaves it as it is

	EventLog netip.AddrPort // where telephone events of the call are told of; invalid leaves it as it is

	GenerateRTCP *bool // reports of our own, for the whole call; nil leaves it as it is

	TOS     *uint8 // of the whole call, from an offer on; nil is the configured one
	KeepTOS bool   // leave it as it is
	Label   string // names the sender

	Client   netip.Addr // who asks; invalid when it has no address
	Callback netip.Addr // to be told of timeouts in its place
}

// AddressSource says which address of the sender is believed.
type AddressSource uint8

// The address sources.
const (
	AddressDefault     AddressSource = iota // as configured
	AddressFromSDP                          // the description's
	AddressFromMessage                      // where the signalling message came from
)

// RTCPMux is the control of RFC 5761 negotiation by a message. By default the offerer's wish is passed on, and what the
// answerer says is passed back.
type RTCPMux struct {
	Offer   bool // offer it, even if the sender did not
	Require bool // offer it and give one port only
	Demux   bool // do not pass the offer on, but accept it from the sender
	Accept  bool // accept it from the sender whatever the other side says
	Reject  bool // refuse it to the sender
}

// Replace names the parts of the description that are ours instead of the sender's.
type Replace struct {
	Origin       bool // family and address of o=
	OriginFull   bool // all of o=
	Username     bool // of o=, as first told to the receiver
	SessionName  bool // as first told to the receiver
	Version      bool // counts the changes we make
	ForceVersion bool // counts every message
	ZeroAddress  bool // a hold by c=0.0.0.0 gets a real address
}
