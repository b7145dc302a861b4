package call

import (
	"crypto/rand"
	"encoding/hex"
	"slices"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/sdp"
)

// DTLS is a DTLS association between a party and us, as signalling has it.
type DTLS struct {
	// Association counts: with another number a new handshake is due, and what was negotiated before is void.
	Association uint32
	Certificate *dtls.Certificate  // ours
	Setup       sdp.Setup          // our role: active (client), passive (server), holdconn (none yet), actpass (the party's choice)
	Peer        []dtls.Fingerprint // the party's certificate has one of these; none before it has answered
	PeerTLSID   string             // RFC 8842; may be empty
	TLSID       string

	hash    dtls.Hash
	passive bool // the role we prefer
	chosen  bool // that was asked for
}

// prefer takes over what a message wants of our role.
func (a *DTLS) prefer(ctl DTLSControl, passive bool) {
	switch {
	case ctl.Passive:
		a.passive, a.chosen = true, true
	case ctl.Active:
		a.passive, a.chosen = false, true
	case !a.chosen:
		a.passive = passive
	}
}

// fingerprints reads the party's fingerprints. None are returned where DTLS is not to be used.
func (d *draft) fingerprints(s section, req *Request) []dtls.Fingerprint {
	if req.DTLS.Off || d.call.manager.cfg.Certificates == nil {
		return nil
	}
	var prints []dtls.Fingerprint
	for _, f := range s.FingerprintsOf(s.session) {
		if print, err := dtls.ParseFingerprint(f.Hash + " " + f.Value); err == nil {
			prints = append(prints, print)
		}
	}
	return prints
}

// restart begins a new association.
func (d *draft) restart(a *DTLS) {
	a.Association++
	a.Certificate = d.call.manager.cfg.Certificates.Current()
	a.TLSID = newTLSID()
	a.Setup, a.Peer, a.PeerTLSID = sdp.SetupActpass, nil, ""
}

// propose prepares an association to be offered to the party; one that there is stays.
func (d *draft) propose(a *DTLS, s section, req *Request) {
	a.choose(req, s.FingerprintsOf(s.session))
	if a.Association == 0 {
		d.restart(a)
	}
}

// choose settles the hash of our fingerprints: as asked for, as before, or the one the other side uses.
func (a *DTLS) choose(req *Request, said []sdp.Fingerprint) {
	if h, err := dtls.ParseHash(req.DTLS.Fingerprint); err == nil {
		a.hash = h
	}
	if a.hash != 0 {
		return
	}
	a.hash = dtls.SHA256
	for _, f := range said {
		if h, err := dtls.ParseHash(f.Hash); err == nil {
			a.hash = h
			return
		}
	}
}

// associate takes the party's half of an association, of its offer or its answer. A peer with another certificate, or
// with another name for the association, begins a new one (RFC 8842, section 5.5). That it restarts ICE says nothing: browsers
// name no association, keep it over a restart, and take no second handshake in it.
func (d *draft) associate(a *DTLS, s section, prints []dtls.Fingerprint, req *Request) {
	a.choose(req, s.FingerprintsOf(s.session))
	id := s.TLSIDOf(s.session)
	switch {
	case a.Association == 0:
		d.restart(a)
	case len(a.Peer) == 0:
	case !slices.Equal(a.Peer, prints), a.PeerTLSID != "" && id != "" && a.PeerTLSID != id:
		told := a.TLSID
		d.restart(a)
		if req.answer {
			a.TLSID = told // the offer had it
		}
	}
	a.Peer = prints
	if id != "" {
		a.PeerTLSID = id
	}
	a.Setup = a.role(s.SetupOf(s.session))
}

// role returns our role opposite to the party's. One that is agreed stays while the party leaves the choice to us.
func (a *DTLS) role(peer sdp.Setup) sdp.Setup {
	switch {
	case peer == sdp.SetupActive:
		return sdp.SetupPassive
	case peer == sdp.SetupPassive:
		return sdp.SetupActive
	case peer == sdp.SetupHoldconn:
		return sdp.SetupHoldconn
	case a.Setup == sdp.SetupActive || a.Setup == sdp.SetupPassive:
		return a.Setup
	case a.passive:
		return sdp.SetupPassive
	}
	return sdp.SetupActive
}

func newTLSID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
