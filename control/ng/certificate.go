package ng

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// checkInterval is the least time between two looks at the certificate files.
const checkInterval = time.Second

// certificate is a key pair in files, read again when they change. It is safe for concurrent use.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   [2]time.Time // of the files when they were read
	checked time.Time
}

// TLSConfig returns a server configuration for the certificate and key in two PEM files; an empty key file means that both
// are in the first. Files that change later take effect with the next connection; if they cannot be read, the former
// ones stay.
func TLSConfig(certFile, keyFile string, log *slog.Logger) (*tls.Config, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("%w; --https-cert and --https-key name PEM files", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
}

func (c *certificate) read() error {
	stamp := c.stamps()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("cannot use the certificate: %w", err)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}

func (c *certificate) stamps() (stamp [2]time.Time) {
	for i, name := range []string{c.certFile, c.keyFile} {
		if fi, err := os.Stat(name); err == nil {
			stamp[i] = fi.ModTime()
		}
	}
	return stamp
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= checkInterval {
		c.checked = now
		if c.stamps() != c.stamp {
			if err := c.read(); err != nil {
				c.log.Warn("the changed certificate is not used", "err", err)
			}
		}
	}
	return c.pair, nil
}
