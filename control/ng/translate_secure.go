package ng

import (
	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/ngproto"
)

func sdes(f *ngproto.SDES) call.SDES {
	return call.SDES{
		Off: f.Off, Static: f.Static, Prefer: f.Prefer, NoNew: f.NoNew,
		No: call.Suites(f.No), Only: call.Suites(f.Only), Order: call.Suites(f.Order), Pick: call.Suites(f.Offerer),
		Pad: f.Pad, Lifetime: f.Lifetime,
		UnencryptedRTP: f.UnencryptedSRTP, UnencryptedRTCP: f.UnencryptedSRTCP, UnauthenticatedRTP: f.UnauthenticatedSRTP,
		EncryptedRTP: f.EncryptedSRTP, EncryptedRTCP: f.EncryptedSRTCP, AuthenticatedRTP: f.AuthenticatedSRTP,
	}
}

func dtlsControl(req *ngproto.Request) call.DTLSControl {
	f := &req.Flags
	return call.DTLSControl{
		Off: f.DTLS.Off, Passive: f.DTLS.Passive, Active: f.DTLS.Active, Fingerprint: req.DTLSFingerprint,
		NoTLSID: f.NoTLSID,
	}
}

func osrtp(f *ngproto.OSRTP) call.OSRTP {
	return call.OSRTP{Offer: f.Offer, OfferLegacy: f.OfferLegacy, Accept: f.AcceptRFC, AcceptLegacy: f.AcceptLegacy}
}

var iceModes = map[ngproto.ICEMode]call.ICEMode{
	ngproto.ICERemove: call.ICERemove, ngproto.ICEForce: call.ICEForce, ngproto.ICEOptional: call.ICEOptional,
	ngproto.ICEForceRelay: call.ICEForceRelay,
}

func iceControl(f *ngproto.Flags) call.ICEControl {
	c := call.ICEControl{Mode: iceModes[f.ICE], Reject: f.RejectICE, Trickle: f.TrickleICE, ICE2: f.ICE2}
	yes, no := true, false
	switch f.ICELite {
	case ngproto.ICELiteOff:
		c.LiteForward, c.LiteBackward = &no, &no
	case ngproto.ICELiteForward:
		c.LiteForward = &yes
	case ngproto.ICELiteBackward:
		c.LiteBackward = &yes
	case ngproto.ICELiteBoth:
		c.LiteForward, c.LiteBackward = &yes, &yes
	}
	return c
}

func onOff(s ngproto.Switch) *bool {
	if s == ngproto.Unset {
		return nil
	}
	on := s == ngproto.On
	return &on
}
