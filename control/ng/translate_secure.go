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
