package call

import (
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// Keying is how the SRTP keys of a media come about.
type Keying uint8

// The kinds of keying.
const (
	Plain     Keying = iota // no SRTP
	KeyedSDES               // keys in the SDP (RFC 4568)
	KeyedDTLS               // keys from a DTLS handshake (RFC 5764)
)

func (k Keying) String() string {
	switch k {
	case KeyedSDES:
		return "SDES"
	case KeyedDTLS:
		return "DTLS-SRTP"
	}
	return "plain"
}

// Security is how the packets of one media are protected between the party and us. The zero value is plain RTP. The packet
// plane needs no more than what is exported. It is a value; nothing writes to what it points to.
type Security struct {
	Keying Keying
	// Receive and Send are the keys of KeyedSDES: what the party encrypts with, and what we do. Without a suite nothing
	// can be decrypted, or encrypted: the party has not answered yet, or with keys that nobody can use.
	Receive, Send srtp.Params
	// DTLS is the association of KeyedDTLS, or one that the party has been offered and may begin while Setup is actpass.
	DTLS DTLS
	// Recrypt asks to decrypt and encrypt even where packets could pass as they are.
	Recrypt bool

	// What the party can do, as it has shown.
	sdes, dtls    bool
	opportunistic bool // it was talked into SRTP under a plain profile (RFC 8643)
	declined      bool // it was not

	// Of its latest offer.
	proposal Keying       // what it will be answered with
	heard    []cryptoLine // what may be taken, the best first
	pick     srtp.Suite   // taken before others
	invites  bool         // to SRTP under a plain profile
	accept   bool         // SRTP is taken up whatever the other side says

	// Of the latest description told to it.
	told                 []cryptoLine // the one that is agreed, once it is
	tellsSDES, tellsDTLS bool
}

// Passes tells whether what the party of one media sends can be passed to that of another as it is: neither encrypts, or
// both sides use the same key.
func (s *Security) Passes(to *Security) bool {
	switch {
	case s.Keying == Plain || to.Keying == Plain:
		return s.Keying == to.Keying
	case s.Recrypt || to.Recrypt || s.Keying != to.Keying || s.Keying != KeyedSDES:
		return false
	}
	return s.Receive.Suite.Valid() && s.Receive.Equal(to.Send)
}

// OSRTP is what a message asks for in opportunistic SRTP (RFC 8643) and what was in use before it.
type OSRTP struct {
	Offer        bool // a plain offer becomes an opportunistic one
	OfferLegacy  bool // each section of an offer is told twice, plain and as SRTP
	Accept       bool // the sender of an opportunistic offer gets SRTP though the other side does without
	AcceptLegacy bool // sections that are there twice, plain and as SRTP, are one
}

// DTLSControl is what a message asks for in DTLS-SRTP.
type DTLSControl struct {
	Off             bool   // neither offered nor accepted
	Passive, Active bool   // prefer that role, from now on; neither keeps what there is
	Fingerprint     string // hash of our fingerprints, as in SDP
	NoTLSID         bool   // no a=tls-id
}

// opportunistic tells whether a section offers SRTP under a plain profile.
func opportunistic(s section) bool {
	return s.Protocol.IsRTP() && !s.Protocol.IsSecure() && (len(s.Crypto) > 0 || len(s.FingerprintsOf(s.session)) > 0)
}

// secureOffer settles what an offer means for the keys on both sides. The protocols of both medias are settled.
func (d *draft) secureOffer(fm, tm *Media, s section, req *Request) {
	f, t := &fm.Security, &tm.Security
	if req.Reset {
		t.sdes, t.dtls, t.declined = false, false, false
	}
	if req.Recrypt {
		f.Recrypt, t.Recrypt = true, true
	}
	lines := cryptoLines(s.Crypto)
	prints := d.fingerprints(s, req)
	if s.Protocol.IsSecure() || opportunistic(s) {
		f.sdes, f.dtls = len(lines) > 0, len(prints) > 0
	}
	f.invites = opportunistic(s)
	f.heard, f.accept = req.SDES.acceptable(lines), req.OSRTP.Accept
	f.pick = srtp.NoSuite
	for _, suite := range req.SDES.Pick {
		if bySuite(f.heard, suite, false) != nil {
			f.pick = suite
			break
		}
	}
	f.DTLS.prefer(req.DTLS, d.call.manager.cfg.DTLSPassive)
	t.DTLS.prefer(req.DTLS, d.call.manager.cfg.DTLSPassive)
	switch {
	case len(prints) > 0 && !(req.SDES.Prefer && len(lines) > 0):
		f.proposal, f.Keying = KeyedDTLS, KeyedDTLS
		d.associate(&f.DTLS, s, prints, req)
	case len(lines) > 0:
		f.proposal = KeyedSDES
		if f.Keying != KeyedSDES {
			// Which key it uses is known when it has its answer; until then the best guess is the first.
			f.Keying, f.Receive, f.Send = KeyedSDES, f.preferred(srtp.NoSuite).params, srtp.Params{}
		}
	default:
		f.proposal, f.Keying = Plain, Plain
	}

	secure := tm.Protocol.IsSecure()
	if tm.Protocol.IsRTP() && !secure && !t.declined {
		secure = f.invites && f.proposal != Plain || req.OSRTP.Offer || t.opportunistic
	}
	// Who has shown to be able to do one is not offered the other.
	t.tellsSDES = secure && !req.SDES.Off && (t.sdes || !t.dtls)
	if req.SDES.NoNew && s.Protocol.IsSecure() && f.proposal == Plain {
		t.tellsSDES = false // a sender with SRTP and without keys has them from elsewhere
	}
	t.tellsDTLS = secure && !req.DTLS.Off && d.call.manager.cfg.Certificates != nil && (t.dtls || !t.sdes)
	if t.tellsSDES {
		t.told = req.SDES.offer(lines, t.told, t.Keying == KeyedSDES && len(t.told) == 1)
	}
	if t.tellsDTLS {
		d.propose(&t.DTLS, s, req)
	}
	if !secure {
		t.Keying = Plain
	}
}

// secureAnswer settles what an answer means for the keys on both sides.
func (d *draft) secureAnswer(am, om *Media, s section, req *Request) {
	a, o := &am.Security, &om.Security
	if req.Recrypt {
		a.Recrypt, o.Recrypt = true, true
	}
	d.hearAnswer(am, s, req)
	o.tellsSDES, o.tellsDTLS = false, false
	chosen := o.proposal
	if !om.Protocol.IsSecure() && (a.Keying == Plain && !o.accept && !req.OSRTP.Accept || !o.invites) {
		chosen = Plain
	}
	if chosen == KeyedDTLS && req.DTLS.Off && len(o.heard) > 0 {
		chosen = KeyedSDES
	}
	o.opportunistic = chosen != Plain && !om.Protocol.IsSecure()
	switch o.Keying = chosen; chosen {
	case KeyedDTLS:
		o.tellsDTLS = true
	case KeyedSDES:
		o.tellsSDES = true
		if req.SDES.Static && o.Send.Suite.Valid() && len(o.told) == 1 {
			return
		}
		o.choose(a)
	}
}

// hearAnswer takes what the party has answered to the keys it was told.
func (d *draft) hearAnswer(am *Media, s section, req *Request) {
	a := &am.Security
	prints := d.fingerprints(s, req)
	if a.tellsDTLS && len(prints) > 0 {
		a.Keying, a.sdes, a.dtls = KeyedDTLS, false, true
		d.associate(&a.DTLS, s, prints, req)
	} else if in, out := taken(cryptoLines(s.Crypto), a.told); a.tellsSDES && in != nil {
		agreed := bySuite(a.told, a.Send.Suite, false)
		if req.SDES.Static && a.Keying == KeyedSDES && a.Receive.Suite.Valid() && agreed != nil {
			out = agreed
		} else {
			a.Receive, a.Send = in.params, out.params
		}
		a.Keying, a.sdes, a.dtls, a.told = KeyedSDES, true, false, []cryptoLine{*out}
	} else if am.Protocol.IsSecure() && (a.tellsSDES || a.tellsDTLS) {
		a.Keying, a.Receive, a.Send = KeyedSDES, srtp.Params{}, srtp.Params{}
	} else {
		a.declined = a.tellsSDES || a.tellsDTLS
		a.Keying = Plain
	}
	a.opportunistic = a.Keying != Plain && !am.Protocol.IsSecure()
}

// preferred returns the line of the party's offer to take.
func (s *Security) preferred(suite srtp.Suite) *cryptoLine {
	for _, want := range []srtp.Suite{s.pick, suite} {
		if l := bySuite(s.heard, want, false); want.Valid() && l != nil {
			return l
		}
	}
	return &s.heard[0]
}

// choose settles the keys towards an offerer, once the other side has answered. If the offerer can have the other side's
// suite it gets its key, too, so that packets need not be encrypted anew.
func (s *Security) choose(other *Security) {
	var theirs srtp.Suite
	if other.Keying == KeyedSDES {
		theirs = other.Receive.Suite
	}
	line := s.preferred(theirs)
	reply := cryptoLine{tag: line.tag, own: true}
	before := bySuite(s.told, line.params.Suite, true)
	switch {
	case line.params.Suite == theirs:
		reply.params, reply.own = other.Receive, false
	case before != nil:
		reply.params = before.params
	default:
		reply.params = srtp.Generate(line.params.Suite)
	}
	// Session parameters are negotiated, not declared, but for keys (RFC 4568, section 5.1.2).
	reply.params.UnencryptedRTP, reply.params.UnencryptedRTCP = line.params.UnencryptedRTP, line.params.UnencryptedRTCP
	reply.params.UnauthenticatedRTP = line.params.UnauthenticatedRTP
	s.Receive, s.Send, s.told = line.params, reply.params, []cryptoLine{reply}
}

// towards picks the protocol to speak with a party in an offer: as asked, else as it was spoken with before, else the
// sender's.
func towards(m *Media, sender, asked sdp.Protocol) sdp.Protocol {
	switch {
	case !sender.IsRTP():
		return sender
	case asked != "":
		return asked
	case m.Protocol.IsRTP():
		return m.Protocol
	}
	return sender
}

// answerProtocol settles the protocols after an answer. The answerer was told which one to use and changes nothing by using
// another, unless it turns SRTP on or off; the offerer is answered in its own, unless the message says otherwise.
func answerProtocol(am, om *Media, said sdp.Protocol, req *Request) {
	if !said.IsRTP() || !om.Protocol.IsRTP() {
		return
	}
	changed := said != am.Protocol
	if said.IsSecure() != am.Protocol.IsSecure() {
		am.Protocol = said
	}
	switch {
	case req.Protocol != "":
		om.Protocol = req.Protocol
	case req.AcceptProtocol && changed:
		om.Protocol = said
	}
}
