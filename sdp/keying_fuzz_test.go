package sdp

import (
	"reflect"
	"testing"
)

// FuzzCrypto demands that keys of an a=crypto line survive being written and read again.
func FuzzCrypto(f *testing.F) {
	for _, value := range []string{
		"1 AES_CM_128_HMAC_SHA1_80 inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0",
		"999999999 AEAD_AES_128_GCM inline:MDEyMzQ1Njc4OWFiY2RlZmdoaWprbA==|2^31|1:4 UNENCRYPTED_SRTCP KDR=0",
		"2 AES_CM_128_HMAC_SHA1_32 inline:MDEy|4294967296:128;inline:MDEz|20|2:1 -X",
	} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := parseCrypto(value)
		if !ok {
			return
		}
		keys, err := c.Keys()
		if err != nil {
			return
		}
		for _, pad := range []bool{false, true} {
			again, err := Crypto{KeyParams: FormatKeys(keys, pad)}.Keys()
			if err != nil || !reflect.DeepEqual(again, keys) {
				t.Fatalf("padded %v: %v became %v, %v", pad, keys, again, err)
			}
		}
	})
}

// FuzzCandidate demands that a candidate survives being written and read again.
func FuzzCandidate(f *testing.F) {
	for _, text := range []string{
		"candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host",
		"842163049 2 udp 1677729535 198.51.100.1 4001 typ srflx raddr 10.0.0.1 rport 9 generation 0 ufrag x",
		"3 1 TCP 1 4f3c.local 9 typ host tcptype active",
		"1 1 udp 1 2001:db8::1%eth0 65535 typ relay raddr :: rport 0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := ParseCandidate(text)
		if !ok {
			return
		}
		again, ok := ParseCandidate(c.String())
		if !ok || again != c {
			t.Fatalf("%+v is written as %q and read as %+v, %v", c, c.String(), again, ok)
		}
	})
}
