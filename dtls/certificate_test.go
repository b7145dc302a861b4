package dtls

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"
)

func TestCertificateKinds(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  CertificateConfig
		want x509.SignatureAlgorithm
		bits int
	}{
		{"ECDSA by default", CertificateConfig{}, x509.ECDSAWithSHA256, 256},
		{"ECDSA signed with SHA-1", CertificateConfig{Signature: SHA1}, x509.ECDSAWithSHA1, 256},
		{"RSA of 2048 bits by default", CertificateConfig{Key: RSA}, x509.SHA256WithRSA, 2048},
		{"RSA of another size signed with SHA-1", CertificateConfig{Key: RSA, RSABits: 1024, Signature: SHA1}, x509.SHA1WithRSA, 1024},
	} {
		made, err := NewCertificate(c.cfg)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		cert, err := x509.ParseCertificate(made.DER())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var bits int
		switch key := cert.PublicKey.(type) {
		case *ecdsa.PublicKey:
			bits = key.Curve.Params().BitSize
		case *rsa.PublicKey:
			bits = key.N.BitLen()
		}
		if cert.SignatureAlgorithm != c.want || bits != c.bits {
			t.Errorf("%s: got %s and %d bits", c.name, cert.SignatureAlgorithm, bits)
		}
		if life := time.Until(cert.NotAfter); life > certificateLife || life < certificateLife-time.Minute || !cert.NotAfter.Equal(made.NotAfter()) {
			t.Errorf("%s: lives for %s", c.name, life)
		}
		if !cert.NotBefore.Before(time.Now().Add(-time.Hour)) {
			t.Errorf("%s: valid from %s", c.name, cert.NotBefore)
		}
	}
	for name, cfg := range map[string]CertificateConfig{
		"an unknown key": {Key: 7}, "another signature": {Signature: SHA512}, "a negative size": {Key: RSA, RSABits: -1},
		"a small size": {Key: RSA, RSABits: 512},
	} {
		if _, err := NewCertificate(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestCertificatesAreRenewedBeforeTheyExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held, err := NewCertificates(CertificateConfig{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			held.Run(ctx, func(err error) { t.Error(err) })
			close(done)
		}()
		first := held.Current()
		time.Sleep(certificateLife - renewBefore - time.Hour)
		synctest.Wait()
		if held.Current() != first {
			t.Error("renewed too early")
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		second := held.Current()
		if second == first || second.Fingerprint(SHA256) == first.Fingerprint(SHA256) {
			t.Error("not renewed")
		}
		if time.Until(first.NotAfter()) < renewBefore-2*time.Hour {
			t.Error("the old one had little life left")
		}
		time.Sleep(certificateLife)
		synctest.Wait()
		if held.Current() == second {
			t.Error("not renewed again")
		}
		cancel()
		<-done
	})
}
