package daemon

import (
	"strings"
	"testing"

	"github.com/weir-media/weir/dtls"
)

func TestDTLSOptions(t *testing.T) {
	o, err := complete(t, "", "-i", "10.0.0.5", "--dtls-passive", "--dtls-cert-cipher=RSA", "--dtls-rsa-key-size=3072", "--dtls-signature=SHA1",
		"--dtls-mtu=900", "--dtls-ciphers=DEFAULT:!NULL:!aNULL")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := o.DTLS.certificate()
	if err != nil || cfg != (dtls.CertificateConfig{Key: dtls.RSA, RSABits: 3072, Signature: dtls.SHA1}) || !o.DTLS.Passive {
		t.Errorf("certificates are %+v, passive %v, %v", cfg, o.DTLS.Passive, err)
	}
	if h, err := o.DTLS.handshakes(); err != nil || h.MTU != 900 {
		t.Errorf("handshakes are %+v, %v", h, err)
	}
	for _, bad := range []string{"--dtls-cert-cipher=none", "--dtls-rsa-key-size=-1", "--dtls-signature=MD5", "--dtls-mtu=575", "--dtls-ciphers=!ALL"} {
		name, _, _ := strings.Cut(bad, "=")
		if _, err := complete(t, "", "-i", "10.0.0.5", bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
