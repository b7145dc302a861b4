package dtls

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is for another program to answer on a busy machine.
const patience = 30 * time.Second

// A stack is OpenSSL's command line tool as the peer.
type stack struct {
	in    io.Closer
	cmd   *exec.Cmd
	lines chan string
	log   []string
}

// startOpenSSL runs s_client or s_server with a certificate of ours.
func startOpenSSL(t *testing.T, shown *Certificate, profile Profile, args ...string) *stack {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(shown.pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "peer.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.DER()}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, both, 0o600); err != nil {
		t.Fatal(err)
	}
	// What OpenSSL calls the profiles.
	name := strings.NewReplacer("HMAC_", "").Replace(profile.String())
	p := &stack{lines: make(chan string, 1000)}
	p.cmd = exec.Command("openssl", append(args, "-dtls1_2", "-cert", file, "-key", file, "-use_srtp", name,
		"-keymatexport", exporterLabel, "-keymatexportlen", fmt.Sprint(profile.exportSize()))...)
	out, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		_ = w.Close()
		for line := range p.lines {
			p.log = append(p.log, line)
		}
		if t.Failed() {
			t.Logf("openssl said:\n%s", strings.Join(p.log, "\n"))
		}
	})
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// expect waits for a line with the text and returns what follows it.
func (p *stack) expect(t *testing.T, text string) string {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("openssl ended without saying %q", text)
			}
			p.log = append(p.log, line)
			if _, rest, found := strings.Cut(line, text); found {
				return rest
			}
		case <-limit.C:
			t.Fatalf("openssl does not say %q", text)
		}
	}
}

// A wired session speaks to one peer by a UDP socket on the loopback interface.
type wired struct {
	*Session
	socket *net.UDPConn
	keys   chan Keys
	events chan error
	// lose tells which of the datagrams that we send get lost.
	lose func([]byte) bool
	mu   sync.Mutex
	to   net.Addr
}

func newWired(t *testing.T, cfg Config) *wired {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := &wired{socket: socket, keys: make(chan Keys, 1), events: make(chan error, mostAttempts)}
	cfg.OnKeys = func(k Keys) { w.keys <- k }
	cfg.OnFail = func(err error) { w.events <- err }
	cfg.OnClose = cfg.OnFail
	cfg.Send = func(d []byte) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.to != nil && (w.lose == nil || !w.lose(d)) {
			// A peer that is not there is found out by the test's own means.
			_, _ = socket.WriteTo(d, w.to)
		}
	}
	if w.Session, err = NewSession(cfg); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, mostBytes)
		for {
			n, from, err := socket.ReadFrom(b)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err == nil:
				w.mu.Lock()
				w.to = from
				w.mu.Unlock()
				w.Handle(b[:n])
			}
		}
	}()
	t.Cleanup(func() {
		w.Close()
		_ = socket.Close()
		<-done
	})
	return w
}

func (w *wired) expectKeys(t *testing.T) Keys {
	t.Helper()
	select {
	case k := <-w.keys:
		return k
	case err := <-w.events:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("no keys")
	}
	return Keys{}
}

func (w *wired) expectEvent(t *testing.T, want error) {
	t.Helper()
	select {
	case err := <-w.events:
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Errorf("%v was not reported", want)
	}
}

// exported checks that both stacks have the same keys.
func exported(t *testing.T, peer *stack, k Keys) {
	t.Helper()
	want, err := hex.DecodeString(strings.TrimSpace(peer.expect(t, "Keying material: ")))
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Concat(k.ClientKey, k.ServerKey, k.ClientSalt, k.ServerSalt); !bytes.Equal(got, want) {
		t.Errorf("we have %X, openssl has %X", got, want)
	}
}

func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skipf("the openssl command is not installed: %v", err)
	}
	ecdsa, rsa := CertificateConfig{}, CertificateConfig{Key: RSA}
	for _, c := range []struct {
		name         string
		ours, theirs CertificateConfig
		profile      Profile
		verified     bool
		loseFinished bool
	}{
		{"AES-CM with 80 bits", ecdsa, ecdsa, AES128CM80, false, false},
		{"AES-CM with 32 bits", ecdsa, ecdsa, AES128CM32, true, false},
		{"AES-128-GCM, their certificate is RSA", ecdsa, rsa, AES128GCM, false, false},
		{"AES-256-GCM, our certificate is RSA", rsa, ecdsa, AES256GCM, true, false},
		{"our last flight is lost", ecdsa, ecdsa, AES128CM80, false, true},
	} {
		ours, theirs := testCertificate(t, c.ours), testCertificate(t, c.theirs)
		cfg := Config{Certificate: ours, Verified: func() bool { return c.verified }}
		remote := []Fingerprint{theirs.Fingerprint(SHA256)}
		prepare := func(t *testing.T) *wired {
			w := newWired(t, cfg)
			if c.loseFinished {
				lost := false
				w.lose = func(d []byte) bool {
					for r, rest, ok := nextRecord(d); ok && !lost; r, rest, ok = nextRecord(rest) {
						lost = r.epoch == 1
						if lost {
							return true
						}
					}
					return false
				}
			}
			return w
		}
		t.Run("s_client/"+c.name, func(t *testing.T) {
			w := prepare(t)
			if err := w.SetRemote(Passive, remote); err != nil {
				t.Fatal(err)
			}
			peer := startOpenSSL(t, theirs, c.profile, "s_client", "-connect", w.socket.LocalAddr().String())
			keys := w.expectKeys(t)
			if keys.Profile != c.profile {
				t.Errorf("got %s", keys.Profile)
			}
			exported(t, peer, keys)
			// At the end of its input it says goodbye.
			if err := peer.in.Close(); err != nil {
				t.Fatal(err)
			}
			w.expectEvent(t, ErrClosed)
		})
		t.Run("s_server/"+c.name, func(t *testing.T) {
			peer := startOpenSSL(t, theirs, c.profile, "s_server", "-accept", "127.0.0.1:0", "-Verify", "1")
			to, err := net.ResolveUDPAddr("udp4", strings.TrimSpace(peer.expect(t, "ACCEPT")))
			if err != nil {
				t.Fatal(err)
			}
			w := prepare(t)
			w.mu.Lock()
			w.to = to
			w.mu.Unlock()
			if err := w.SetRemote(Active, remote); err != nil {
				t.Fatal(err)
			}
			keys := w.expectKeys(t)
			if keys.Profile != c.profile {
				t.Errorf("got %s", keys.Profile)
			}
			exported(t, peer, keys)
			w.Close()
			peer.expect(t, "DONE")
		})
	}
	t.Run("another certificate than announced", func(t *testing.T) {
		w := newWired(t, Config{Certificate: testCertificate(t, ecdsa)})
		if err := w.SetRemote(Passive, []Fingerprint{testCertificate(t, rsa).Fingerprint(SHA384)}); err != nil {
			t.Fatal(err)
		}
		peer := startOpenSSL(t, testCertificate(t, ecdsa), AES128CM80, "s_client", "-connect", w.socket.LocalAddr().String())
		w.expectEvent(t, ErrFingerprint)
		peer.expect(t, "alert")
	})
}
