package dtls

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/logging"
)

// An attempt is one handshake of a session.
type attempt struct {
	role Role
	pipe *pipe
	// hello is what the handshake of a passive side begins with.
	hello []byte
	// cancel ends the handshake. The cause is what it fails with.
	cancel context.CancelCauseFunc
	// leave gives back the place in the pool. It does so once.
	leave func()
}

// result is what a handshake leaves behind.
type result struct {
	keys        Keys
	association *association
	// unread are datagrams that came too late for the handshake.
	unread [][]byte
}

// fragmentHeaders is what comes in front of a fragment of a handshake message; the library's MTU is without it.
const fragmentHeaders = recordHeaderSize + handshakeHeaderSize

// handshake runs until keys are there, the attempt has failed, or the context ends. Verify is given the peer's
// certificate, which the peer has proved to own.
func (a *attempt) handshake(ctx context.Context, cfg *Config, verify func(der []byte) error) (result, error) {
	conn, err := a.open(cfg, verify)
	if err != nil {
		return result{}, err
	}
	if a.role == Active {
		a.pipe.repeat()
	}
	err = conn.HandshakeContext(ctx)
	unread, flight, next := a.pipe.detach()
	// Ends the library's goroutines. Its close_notify goes nowhere, and the pipe's Close does not fail.
	_ = conn.Close()
	switch cause := context.Cause(ctx); {
	case err == nil:
		return a.finish(conn, cfg.Pool.reader(), unread, flight, next)
	case cause != nil:
		return result{}, cause
	}
	return result{}, err
}

func (a *attempt) open(cfg *Config, verify func(der []byte) error) (*dtls.Conn, error) {
	verifyFirst := func(certificates [][]byte, _ [][]*x509.Certificate) error {
		if len(certificates) == 0 {
			return errors.New("peer showed no certificate")
		}
		return verify(certificates[0])
	}
	offered := make([]dtls.SRTPProtectionProfile, len(cfg.Profiles))
	for i, p := range cfg.Profiles {
		offered[i] = dtls.SRTPProtectionProfile(p)
	}
	options := []dtls.Option{
		dtls.WithCertificates(cfg.Certificate.pair),
		dtls.WithCipherSuites(cfg.Ciphers.ids()...),
		dtls.WithSRTPProtectionProfiles(offered...),
		// Certificates are self-signed: the fingerprint is what vouches for them.
		dtls.WithInsecureSkipVerify(true),
		dtls.WithVerifyPeerCertificate(verifyFirst),
		dtls.WithFlightInterval(cfg.Retransmit),
		dtls.WithMTU(cfg.MTU - fragmentHeaders),
		dtls.WithEllipticCurves(a.curves()...),
		dtls.WithLoggerFactory(silent{}),
	}
	if a.role == Active {
		var client []dtls.ClientOption
		for _, o := range options {
			client = append(client, o)
		}
		return dtls.ClientWithOptions(a.pipe, peer{}, client...)
	}
	server := []dtls.ServerOption{
		dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithInsecureSkipVerifyHello(cfg.Verified != nil && cfg.Verified()),
	}
	for _, o := range options {
		server = append(server, o)
	}
	return dtls.ServerWithOptions(a.pipe, peer{}, server...)
}

// curves are those for the exchange of keys, in order of preference. X25519 takes about twice the time of P-256 here, for which
// there is assembly code, and a server of the library takes what its client likes best: so it has no choice if the client can
// do with P-256.
func (a *attempt) curves() []elliptic.Curve {
	if a.role == Passive && offersP256(a.hello) {
		return []elliptic.Curve{elliptic.P256}
	}
	return []elliptic.Curve{elliptic.P256, elliptic.X25519, elliptic.P384}
}

func (a *attempt) finish(conn *dtls.Conn, read *states, unread, flight [][]byte, next uint64) (result, error) {
	state, ok := conn.ConnectionState()
	if !ok || len(state.PeerCertificates) == 0 {
		return result{}, errors.New("handshake ended without a state")
	}
	chosen, ok := conn.SelectedSRTPProtectionProfile()
	profile := Profile(chosen)
	if !ok || !profile.valid() {
		return result{}, ErrProfile
	}
	material, err := state.ExportKeyingMaterial(exporterLabel, nil, profile.exportSize())
	if err != nil {
		return result{}, fmt.Errorf("export keys: %w", err)
	}
	secrets, seen, err := secretsOf(&state, read)
	if err != nil {
		return result{}, err
	}
	left := &association{secrets: secrets, next: next, seen: seen, peer: slices.Clone(state.PeerCertificates[0])}
	if a.role == Passive {
		left.flight = flight
	}
	return result{keys: profile.split(material, a.role), association: left, unread: unread}, nil
}

// silent keeps the library from logging: what matters is in its errors.
type silent struct{}

func (silent) NewLogger(string) logging.LeveledLogger { return silent{} }
func (silent) Trace(string)                           {}
func (silent) Tracef(string, ...any)                  {}
func (silent) Debug(string)                           {}
func (silent) Debugf(string, ...any)                  {}
func (silent) Info(string)                            {}
func (silent) Infof(string, ...any)                   {}
func (silent) Warn(string)                            {}
func (silent) Warnf(string, ...any)                   {}
func (silent) Error(string)                           {}
func (silent) Errorf(string, ...any)                  {}
