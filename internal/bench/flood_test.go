package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/rtp"
)

func TestPacketsOfFloodsAreWhatTheyAreCalled(t *testing.T) {
	certificate, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w := &webCall{caller: &party{ssrc: 7}, call: call{
		caller: netip.MustParseAddrPort("192.0.2.1:4000"), toCaller: netip.MustParseAddrPort("192.0.2.2:5000"),
		own: ice.NewCredentials(), proxys: ice.NewCredentials(), fingerprint: certificate.Fingerprint(dtls.SHA256),
	}}
	for _, kind := range floodKinds() {
		packets, err := kind.packets(w)
		if err != nil {
			t.Fatalf("%s: %v", kind.name, err)
		}
		if len(packets) != floodVariety {
			t.Errorf("%s: %d packets", kind.name, len(packets))
		}
		want := rtp.RTP
		switch {
		case strings.HasPrefix(kind.name, "DTLS"):
			want = rtp.DTLS
		case strings.HasPrefix(kind.name, "STUN"):
			want = rtp.STUN
		}
		for i, b := range packets {
			if got := rtp.Classify(b); got != want {
				t.Fatalf("%s: packet %d is %v: %x", kind.name, i, got, b)
			}
			if i > 0 && bytes.Equal(b, packets[0]) {
				t.Fatalf("%s: packet %d is the first one again", kind.name, i)
			}
		}
	}
}
