package call

import "github.com/weir-media/weir/sdp"

// keys writes the lines that agree on SRTP keys. Those of the sender are between it and us.
func (t *telling) keys() {
	t.out.Setup, t.out.Fingerprints, t.out.TLSID, t.out.Crypto = "", nil, "", nil
	s := &t.tm.Security
	if s.tellsSDES {
		for i := range s.told {
			t.out.Crypto = append(t.out.Crypto, s.told[i].text(&t.req.SDES))
		}
	}
	if !s.tellsDTLS {
		return
	}
	print := s.DTLS.Certificate.Fingerprint(s.DTLS.hash)
	t.out.Fingerprints = []sdp.Fingerprint{{Hash: print.Hash.String(), Value: print.Value()}}
	t.out.Setup = s.DTLS.Setup
	if t.offer {
		// Whatever the role is now: the choice is the answerer's (RFC 5763, section 5).
		t.out.Setup = sdp.SetupActpass
	}
	if !t.req.DTLS.NoTLSID {
		t.out.TLSID = s.DTLS.TLSID
	}
}
