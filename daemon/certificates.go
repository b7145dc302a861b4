package daemon

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
)

// dtlsOptions are about DTLS-SRTP.
type dtlsOptions struct {
	Passive   bool
	Cipher    string
	RSABits   int
	Signature string
	MTU       int
	Ciphers   string
}

func (o *dtlsOptions) register(fs *pflag.FlagSet) {
	fs.BoolVar(&o.Passive, "dtls-passive", false, "prefer to be the server of DTLS handshakes")
	fs.StringVar(&o.Cipher, "dtls-cert-cipher", "prime256v1", "key of the DTLS certificate: prime256v1 or RSA")
	fs.IntVar(&o.RSABits, "dtls-rsa-key-size", 2048, "bits of an RSA key")
	fs.StringVar(&o.Signature, "dtls-signature", "SHA-256", "hash that signs the DTLS certificate: SHA-256 or SHA-1")
	fs.IntVar(&o.MTU, "dtls-mtu", dtls.DefaultMTU, "bytes of the longest DTLS datagram that is sent")
	fs.StringVar(&o.Ciphers, "dtls-ciphers", "", "cipher suites of DTLS handshakes, a list as of OpenSSL (default all that are secure)")
}

// handshakes returns what handshakes are to be like.
func (o *dtlsOptions) handshakes() (h media.Handshakes, err error) {
	if h.MTU = o.MTU; h.MTU < dtls.LeastMTU {
		return h, fmt.Errorf("--dtls-mtu %d is less than %d", h.MTU, dtls.LeastMTU)
	}
	if o.Ciphers != "" {
		if h.Ciphers, err = dtls.ParseCiphers(o.Ciphers); err != nil {
			return h, fmt.Errorf("--dtls-ciphers: %w", err)
		}
	}
	return h, nil
}

// certificate returns what the certificates are to be like.
func (o *dtlsOptions) certificate() (cfg dtls.CertificateConfig, err error) {
	switch strings.ReplaceAll(strings.ToLower(o.Cipher), "-", "_") {
	case "prime256v1", "ec_prime256v1":
	case "rsa":
		cfg.Key = dtls.RSA
	default:
		return cfg, fmt.Errorf("--dtls-cert-cipher %q is neither prime256v1 nor RSA", o.Cipher)
	}
	if cfg.RSABits = o.RSABits; cfg.RSABits < 0 {
		return cfg, errors.New("--dtls-rsa-key-size is negative")
	}
	if cfg.Signature, err = dtls.ParseHash(o.Signature); err != nil || cfg.Signature != dtls.SHA256 && cfg.Signature != dtls.SHA1 {
		return cfg, fmt.Errorf("--dtls-signature %q is neither SHA-256 nor SHA-1", o.Signature)
	}
	return cfg, nil
}
