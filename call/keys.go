package call

import (
	"slices"

	"github.com/weir-media/weir/sdp"
)

// keys writes the lines that agree on SRTP keys.
func (t *telling) keys() {
	t.out.Setup, t.out.Fingerprints, t.out.TLSID = "", nil, ""
	t.out.Crypto = nil
	if t.out.Protocol.IsSecure() {
		// Both ends hold the keys and Weir passes on what they encrypted, so that the keys pass as they are, too.
		t.out.Crypto = unpadded(t.said.Crypto)
		t.out.Setup, t.out.TLSID = t.said.SetupOf(t.fm.session), t.said.TLSIDOf(t.fm.session)
		t.out.Fingerprints = t.said.FingerprintsOf(t.fm.session)
	}
}

// unpadded writes keys without the padding of base64, which some ends do not take (RFC 4568, section 6.1).
func unpadded(lines []sdp.Crypto) []sdp.Crypto {
	out := slices.Clone(lines)
	for i := range out {
		if keys, err := out[i].Keys(); err == nil {
			out[i].KeyParams = sdp.FormatKeys(keys, false)
		}
	}
	return out
}
