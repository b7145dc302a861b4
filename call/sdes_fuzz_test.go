package call

import (
	"testing"

	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// FuzzCryptoLines demands that a line which is taken makes contexts, and says the same when it is told.
func FuzzCryptoLines(f *testing.F) {
	const key = "inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0"
	f.Add("AES_CM_128_HMAC_SHA1_80", key, "")
	f.Add("aes_cm_128_hmac_sha1_32", key+"|2^31|1:4", "UNENCRYPTED_SRTP UNAUTHENTICATED_SRTP WSH=64")
	f.Add("AEAD_AES_128_GCM", "inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA", "KDR=0 -LATER")
	f.Add("NULL_HMAC_SHA1_80", key+"|1:128;"+key, "KDR=1")
	f.Fuzz(func(t *testing.T, suite, keys, session string) {
		lines := cryptoLines([]sdp.Crypto{{Tag: 1, Suite: suite, KeyParams: keys, SessionParams: session}})
		if len(lines) == 0 {
			return
		}
		p := lines[0].params
		if _, err := srtp.NewInbound(p); err != nil {
			t.Fatalf("%v was taken: %v", p, err)
		}
		again := cryptoLines([]sdp.Crypto{lines[0].text(&SDES{Lifetime: true})})
		if len(again) != 1 || !again[0].params.Equal(p) {
			t.Fatalf("%v is told as %+v", p, lines[0].text(&SDES{}))
		}
	})
}
