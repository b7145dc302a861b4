package call

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// DocumentVersion is that of the documents written here. Documents of another one are refused. New fields whose zero value
// means what was before do not change it; the numbers of enumerations that documents hold must not change within one.
const DocumentVersion = 1

// Document is all there is to know of a call, for another process to go on with it: what signalling has agreed, and what the legs
// have found out. It is a plain value that shares nothing which changes with the call, and its JSON is what is stored. Legs are
// named by their local address and port.
//
// It does not hold DTLS associations, whose keys are in Ports, ICE checks under way, figures of quality, or what media is
// made of here (tones, recordings).
type Document struct {
	Version int `json:"version"`
	// Latin1 says that the texts are not all UTF-8, so that each byte of them is written as one character.
	Latin1     bool       `json:"latin1,omitzero"`
	CallID     string     `json:"call_id"`
	Language   string     `json:"language,omitzero"` // empty: ng
	Client     netip.Addr `json:"client,omitzero"`
	Callback   netip.Addr `json:"callback,omitzero"`
	Aliases    []string   `json:"aliases,omitzero"`
	Created    time.Time  `json:"created"`
	LastSignal time.Time  `json:"last_signal"`
	DeleteAt   time.Time  `json:"delete_at,omitzero"`
	Converts   bool       `json:"converts,omitzero"`
	Faxed      bool       `json:"faxed,omitzero"`
	Early      []earlyDoc `json:"early,omitzero"`

	TOS          uint8          `json:"tos,omitzero"`
	Manipulation Manipulation   `json:"manipulation,omitzero"`
	DropTraffic  bool           `json:"drop_traffic,omitzero"`
	GenerateRTCP bool           `json:"generate_rtcp,omitzero"`
	EventLog     netip.AddrPort `json:"event_log,omitzero"`
	LastID       PartyID        `json:"last_id"`
	LastSerial   uint32         `json:"last_serial"`
	// Term counts how often the call went from one node to another. Of two documents of a call the one with the higher term
	// is right.
	Term uint64 `json:"term,omitzero"`

	Parties []partyDoc        `json:"parties"`
	Ports   []media.PairState `json:"ports"`
}

type earlyDoc struct {
	Tag string           `json:"tag"`
	SDP *sdp.Description `json:"sdp"`
}

type partyDoc struct {
	ID        PartyID   `json:"id"`
	CallID    string    `json:"call_id"`
	Tag       string    `json:"tag"`
	Aliases   []string  `json:"aliases,omitzero"`
	ViaBranch string    `json:"via_branch,omitzero"`
	Label     string    `json:"label,omitzero"`
	Role      Role      `json:"role,omitzero"`
	Interface string    `json:"interface,omitzero"`
	Created   time.Time `json:"created"`
	OfferedBy PartyID   `json:"offered_by,omitzero"`

	Description  *sdp.Description    `json:"description,omitzero"`
	Handling     Handling            `json:"handling,omitzero"`
	Manipulation Manipulation        `json:"manipulation,omitzero"`
	Echo         Echo                `json:"echo,omitzero"`
	BlockShort   bool                `json:"block_short,omitzero"`
	Bundling     bundlingDoc         `json:"bundling,omitzero"`
	Told         toldDoc             `json:"told,omitzero"`
	Likeness     map[AliasKey]string `json:"likeness,omitzero"`
	OurID        uint64              `json:"our_id,omitzero"`
	OurVersion   uint64              `json:"our_version,omitzero"`

	Media []mediaDoc `json:"media,omitzero"`
}

type bundlingDoc struct {
	Agreed  bool    `json:"agreed,omitzero"`
	Offer   bool    `json:"offer,omitzero"`
	Require bool    `json:"require,omitzero"`
	Offered [][]int `json:"offered,omitzero"`
}

type toldDoc struct {
	Before  bool       `json:"before,omitzero"`
	Origin  sdp.Origin `json:"origin,omitzero"`
	Name    string     `json:"name,omitzero"`
	Address netip.Addr `json:"address,omitzero"`
	Version uint64     `json:"version,omitzero"`
	Text    string     `json:"text,omitzero"`
}

type mediaDoc struct {
	Section  sectionDoc   `json:"section,omitzero"`
	Type     string       `json:"type,omitzero"`
	Protocol sdp.Protocol `json:"protocol,omitzero"`
	Rejected bool         `json:"rejected,omitzero"`
	Opaque   bool         `json:"opaque,omitzero"`
	Hidden   bool         `json:"hidden,omitzero"`
	Foreign  bool         `json:"foreign,omitzero"`

	RTP      componentDoc   `json:"rtp,omitzero"`
	RTCP     componentDoc   `json:"rtcp,omitzero"`
	Twin     legsDoc        `json:"twin,omitzero"`
	ICE      iceDoc         `json:"ice,omitzero"`
	Through  bool           `json:"through,omitzero"`
	Security securityDoc    `json:"security,omitzero"`
	Hears    []Subscription `json:"hears,omitzero"`

	Mid     string        `json:"mid,omitzero"`
	Bundled bool          `json:"bundled,omitzero"`
	Carrier int           `json:"carrier,omitzero"`
	Split   bool          `json:"split,omitzero"`
	Spare   legsDoc       `json:"spare,omitzero"`
	ExtMaps extensionsDoc `json:"extmaps,omitzero"`
	Fax     faxDoc        `json:"fax,omitzero"`

	MuxOffered bool      `json:"mux_offered,omitzero"`
	MuxTold    bool      `json:"mux_told,omitzero"`
	Mux        bool      `json:"mux,omitzero"`
	MuxAnswer  muxAnswer `json:"mux_answer,omitzero"`

	Ours   *sdp.Media `json:"ours,omitzero"`
	Serial uint32     `json:"serial,omitzero"`
	Source Ref        `json:"source,omitzero"`

	Sends    []sdp.Codec    `json:"sends,omitzero"`
	Receives []sdp.Codec    `json:"receives,omitzero"`
	Offered  *codecOfferDoc `json:"offered,omitzero"`
	PTime    int            `json:"ptime,omitzero"`
	Packets  int            `json:"packets,omitzero"`
	Made     bool           `json:"made,omitzero"`
	Tuning   []CodecSpec    `json:"tuning,omitzero"`

	Family       int            `json:"family,omitzero"`
	Held         bool           `json:"held,omitzero"`
	Passes       bool           `json:"passes,omitzero"`
	Looped       bool           `json:"looped,omitzero"`
	Latched      netip.AddrPort `json:"latched,omitzero"`
	LatchedTo    PartyID        `json:"latched_to,omitzero"`
	Former       legsDoc        `json:"former,omitzero"`
	FormerRemote netip.AddrPort `json:"former_remote,omitzero"`
	Moving       bool           `json:"moving,omitzero"`
	Waits        bool           `json:"waits,omitzero"`
	Refuses      bool           `json:"refuses,omitzero"`
	Pair         *Pair          `json:"pair,omitzero"`
	Local        netip.Addr     `json:"local,omitzero"`
	Cut          bool           `json:"cut,omitzero"`
	Refused      sdp.Protocol   `json:"refused,omitzero"`
	RefusedFirst bool           `json:"refused_first,omitzero"`
}

// sectionDoc says where a section stands in the party's description, or is it when it stands elsewhere.
type sectionDoc struct {
	Session int          `json:"session,omitzero"` // place in the description, from 1
	Media   int          `json:"media,omitzero"`   // place in the session, from 1
	Of      *sdp.Session `json:"of,omitzero"`
	Own     *sdp.Media   `json:"own,omitzero"`
}

type componentDoc struct {
	Leg        netip.AddrPort   `json:"leg,omitzero"`
	Alternates []netip.AddrPort `json:"alternates,omitzero"`
	Signalled  netip.AddrPort   `json:"signalled,omitzero"`
	Epoch      uint32           `json:"epoch,omitzero"`
}

type legsDoc struct {
	RTP  netip.AddrPort `json:"rtp,omitzero"`
	RTCP netip.AddrPort `json:"rtcp,omitzero"`
}

type iceDoc struct {
	Local       ice.Credentials `json:"local,omitzero"`
	Lite        bool            `json:"lite,omitzero"`
	Controlling bool            `json:"controlling,omitzero"`
	Remote      ice.Remote      `json:"remote,omitzero"`
	Offered     bool            `json:"offered,omitzero"`
	Options     string          `json:"options,omitzero"`
	Declined    bool            `json:"declined,omitzero"`
	Tells       bool            `json:"tells,omitzero"`
	WantsLite   bool            `json:"wants_lite,omitzero"`
}

type securityDoc struct {
	Keying        Keying      `json:"keying,omitzero"`
	Receive       srtp.Params `json:"receive,omitzero"`
	Send          srtp.Params `json:"send,omitzero"`
	DTLS          dtlsDoc     `json:"dtls,omitzero"`
	Recrypt       bool        `json:"recrypt,omitzero"`
	DoesSDES      bool        `json:"does_sdes,omitzero"`
	DoesDTLS      bool        `json:"does_dtls,omitzero"`
	Opportunistic bool        `json:"opportunistic,omitzero"`
	Declined      bool        `json:"declined,omitzero"`
	Proposal      Keying      `json:"proposal,omitzero"`
	Heard         []cryptoDoc `json:"heard,omitzero"`
	Pick          srtp.Suite  `json:"pick,omitzero"`
	Invites       bool        `json:"invites,omitzero"`
	Accept        bool        `json:"accept,omitzero"`
	Told          []cryptoDoc `json:"told,omitzero"`
	TellsSDES     bool        `json:"tells_sdes,omitzero"`
	TellsDTLS     bool        `json:"tells_dtls,omitzero"`
}

type dtlsDoc struct {
	Association uint32             `json:"association,omitzero"`
	Certificate *dtls.Certificate  `json:"certificate,omitzero"`
	Setup       sdp.Setup          `json:"setup,omitzero"`
	Peer        []dtls.Fingerprint `json:"peer,omitzero"`
	PeerTLSID   string             `json:"peer_tls_id,omitzero"`
	TLSID       string             `json:"tls_id,omitzero"`
	Hash        dtls.Hash          `json:"hash,omitzero"`
	Passive     bool               `json:"passive,omitzero"`
	Chosen      bool               `json:"chosen,omitzero"`
}

type cryptoDoc struct {
	Tag    uint32      `json:"tag"`
	Params srtp.Params `json:"params"`
	Own    bool        `json:"own,omitzero"`
}

type extensionsDoc struct {
	Offered []sdp.ExtMap `json:"offered,omitzero"`
	Agreed  []sdp.ExtMap `json:"agreed,omitzero"`
	Private []sdp.ExtMap `json:"private,omitzero"`
	OneByte bool         `json:"one_byte,omitzero"`
}

type faxDoc struct {
	Gateway bool `json:"gateway,omitzero"`
	Version int  `json:"version,omitzero"`
	FEC     bool `json:"fec,omitzero"`
}

type codecOfferDoc struct {
	Told     []sdp.Codec `json:"told,omitzero"`
	Theirs   []sdp.Codec `json:"theirs,omitzero"`
	Added    []uint8     `json:"added,omitzero"`
	Masked   []uint8     `json:"masked,omitzero"`
	Insisted []uint8     `json:"insisted,omitzero"`
	Forced   bool        `json:"forced,omitzero"`
	Asked    Codecs      `json:"asked,omitzero"`
}

// Encode writes the document as JSON.
func (d *Document) Encode() ([]byte, error) {
	text, err := json.Marshal(d)
	if err == nil && mangled(text) {
		widened := *d
		widened.Latin1 = true
		text, err = json.Marshal(eachText(&widened, widen))
	}
	if err != nil {
		return nil, fmt.Errorf("write the document of a call: %w", err)
	}
	return text, nil
}

// DecodeDocument reads what Encode writes. It fails with ErrDocument.
func DecodeDocument(text []byte) (*Document, error) {
	d := new(Document)
	if err := json.Unmarshal(text, d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDocument, err)
	}
	if d.Version != DocumentVersion {
		return nil, fmt.Errorf("%w: it is of version %d, and this program reads %d", ErrDocument, d.Version, DocumentVersion)
	}
	if d.Latin1 {
		d = eachText(d, narrow)
		d.Latin1 = false
	}
	return d, nil
}
