package dtls

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync/atomic"
	"time"
)

// KeyType is the kind of key in a certificate.
type KeyType uint8

// P256 is what WebRTC requires of everybody (RFC 8827, section 6.5) and by far the cheaper one: an RSA handshake costs
// three times as much.
const (
	P256 KeyType = iota
	RSA
)

// How long a certificate is used. New associations get a new one while the old one has enough life left for any call.
const (
	certificateLife = 30 * 24 * time.Hour
	renewBefore     = 7 * 24 * time.Hour
	// Clocks of peers that look at the dates may be behind ours.
	clockSkew = 24 * time.Hour
	// Making a certificate fails only without randomness.
	renewRetry = time.Minute
)

// CertificateConfig says what the certificates of a process are like. The zero value is valid.
type CertificateConfig struct {
	Key KeyType
	// RSABits is the size of an RSA key, 2048 when zero. Less than 1024 is refused.
	RSABits int
	// Signature is the hash that a certificate is signed with, SHA256 when zero, otherwise SHA1. It is independent of
	// the hash of fingerprints.
	Signature Hash
}

// A Certificate is a self-signed certificate with its key. It does not change.
type Certificate struct {
	pair     tls.Certificate
	notAfter time.Time
}

// NewCertificate makes a key and a self-signed certificate for it, valid for 30 days. An RSA key takes up to a second.
func NewCertificate(cfg CertificateConfig) (*Certificate, error) {
	var (
		key       crypto.Signer
		algorithm x509.SignatureAlgorithm
		err       error
	)
	sha1 := cfg.Signature == SHA1
	if !sha1 && cfg.Signature != SHA256 && cfg.Signature != 0 {
		return nil, fmt.Errorf("dtls: certificates are signed with sha-256 or sha-1, not %s", cfg.Signature)
	}
	switch cfg.Key {
	case P256:
		algorithm = x509.ECDSAWithSHA256
		if sha1 {
			algorithm = x509.ECDSAWithSHA1
		}
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case RSA:
		algorithm = x509.SHA256WithRSA
		if sha1 {
			algorithm = x509.SHA1WithRSA
		}
		bits := cfg.RSABits
		if bits == 0 {
			bits = 2048
		}
		key, err = rsa.GenerateKey(rand.Reader, bits)
	default:
		return nil, fmt.Errorf("dtls: unknown key type %d", cfg.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("dtls: make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("dtls: make a serial number: %w", err)
	}
	// Dates in certificates have whole seconds.
	now := time.Now().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial, SignatureAlgorithm: algorithm,
		// The name tells nobody anything; an empty one is refused by some peers.
		Subject:   pkix.Name{CommonName: "weir"},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(certificateLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("dtls: sign a certificate: %w", err)
	}
	return &Certificate{
		pair:     tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		notAfter: template.NotAfter,
	}, nil
}

// MarshalText writes certificate and key in PEM. Whoever can read that can be taken for us.
func (c *Certificate) MarshalText() ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("dtls: write the key of a certificate: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER()})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), nil
}

// UnmarshalText reads what MarshalText writes.
func (c *Certificate) UnmarshalText(text []byte) error {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return fmt.Errorf("dtls: read a certificate: %w", err)
	}
	c.pair, c.notAfter = tls.Certificate{Certificate: pair.Certificate, PrivateKey: pair.PrivateKey}, pair.Leaf.NotAfter
	return nil
}

// Fingerprint hashes the certificate, for the SDP of the side that shows it.
func (c *Certificate) Fingerprint(h Hash) Fingerprint { return fingerprint(c.DER(), h) }

// DER is the certificate's encoding. It must not be changed.
func (c *Certificate) DER() []byte { return c.pair.Certificate[0] }

// NotAfter is the end of its life.
func (c *Certificate) NotAfter() time.Time { return c.notAfter }

// Certificates holds the certificate that new sessions get and renews it before it expires. Sessions keep the one they
// began with, because their SDP names it. All methods may be used at the same time.
type Certificates struct {
	cfg     CertificateConfig
	current atomic.Pointer[Certificate]
}

// NewCertificates makes the first certificate.
func NewCertificates(cfg CertificateConfig) (*Certificates, error) {
	c := &Certificates{cfg: cfg}
	return c, c.Renew()
}

// Current is the certificate for a new session.
func (c *Certificates) Current() *Certificate { return c.current.Load() }

// Renew replaces the current certificate now.
func (c *Certificates) Renew() error {
	next, err := NewCertificate(c.cfg)
	if err != nil {
		return err
	}
	c.current.Store(next)
	return nil
}

// Run renews the certificate a week before it expires, until the context ends. A failure is passed to onError, which may
// be nil, and tried again after a minute.
func (c *Certificates) Run(ctx context.Context, onError func(error)) {
	for {
		wait := time.NewTimer(time.Until(c.Current().NotAfter().Add(-renewBefore)))
		for due := false; !due; {
			select {
			case <-ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
			err := c.Renew()
			if due = err == nil; !due {
				if onError != nil {
					onError(err)
				}
				wait.Reset(renewRetry)
			}
		}
	}
}
