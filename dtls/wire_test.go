package dtls

import (
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// latency is that of a wire without a plan.
const latency = 5 * time.Millisecond

// A wire carries datagrams one way. Its plan gives for the n-th datagram, counted from 0, when copies of it arrive;
// none is a loss.
type wire struct {
	mu      sync.Mutex
	n       int
	longest int
	plan    func(n int) []time.Duration
	to      func([]byte)
	seen    [][]byte
}

func (w *wire) send(d []byte) {
	w.mu.Lock()
	delays := []time.Duration{latency}
	if w.plan != nil {
		delays = w.plan(w.n)
	}
	w.n++
	w.longest = max(w.longest, len(d))
	w.seen = append(w.seen, append([]byte(nil), d...))
	w.mu.Unlock()
	for _, delay := range delays {
		time.AfterFunc(delay, func() {
			w.mu.Lock()
			to := w.to
			w.mu.Unlock()
			to(d)
		})
	}
}

// lead sets the other end.
func (w *wire) lead(to func([]byte)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.to = to
}

// log is everything that was sent so far.
func (w *wire) log() [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.seen)
}

func (w *wire) sent() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n
}

// A party is a session with all that it reported.
type party struct {
	*Session
	out wire

	mu       sync.Mutex
	keys     []Keys
	failures []error
	ends     []error
	hellos   [][]byte
}

// newParty makes a session that sends to the other side by its wire and ends with the test. What cfg lacks is filled in.
func newParty(t testing.TB, cfg Config) *party {
	t.Helper()
	p := &party{}
	if cfg.Certificate == nil {
		cfg.Certificate = testCertificate(t, CertificateConfig{})
	}
	p.out.to = func([]byte) {}
	cfg.Send = p.out.send
	cfg.OnKeys = func(k Keys) { p.mu.Lock(); p.keys = append(p.keys, k); p.mu.Unlock() }
	cfg.OnFail = func(err error) { p.mu.Lock(); p.failures = append(p.failures, err); p.mu.Unlock() }
	cfg.OnClose = func(err error) { p.mu.Lock(); p.ends = append(p.ends, err); p.mu.Unlock() }
	cfg.OnRestart = func(d []byte) { p.mu.Lock(); p.hellos = append(p.hellos, append([]byte(nil), d...)); p.mu.Unlock() }
	s, err := NewSession(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.Session = s
	t.Cleanup(s.Close)
	return p
}

func (p *party) reported() (keys []Keys, failures, ends []error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys, p.failures, p.ends
}

// restarts are the hellos that were reported.
func (p *party) restarts() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hellos)
}

// kept is the number of datagrams that wait for a handshake.
func (p *party) kept() int {
	p.Session.mu.Lock()
	defer p.Session.mu.Unlock()
	return len(p.early)
}

// fingerprint is what the party's SDP says.
func (p *party) fingerprint() []Fingerprint {
	return []Fingerprint{p.cfg.Certificate.Fingerprint(SHA256)}
}

// connect joins the wires of two parties and lets signalling tell each about the other.
func connect(t testing.TB, active, passive *party) {
	t.Helper()
	join(active, passive)
	if err := passive.SetRemote(Passive, active.fingerprint()); err != nil {
		t.Fatal(err)
	}
	if err := active.SetRemote(Active, passive.fingerprint()); err != nil {
		t.Fatal(err)
	}
}

func join(a, b *party) {
	a.out.lead(b.Handle)
	b.out.lead(a.Handle)
}

// agree checks that both sides reported the same keys exactly once, and returns them as the active side has them.
func agree(t testing.TB, active, passive *party) Keys {
	t.Helper()
	a, aFailed, _ := active.reported()
	b, bFailed, _ := passive.reported()
	if len(a) != 1 || len(b) != 1 {
		t.Fatalf("active has %d keys, %s and %v; passive has %d, %s and %v", len(a), active.State(), aFailed, len(b), passive.State(), bFailed)
	}
	if active.State() != Connected || passive.State() != Connected {
		t.Errorf("states are %s and %s", active.State(), passive.State())
	}
	aKey, aSalt := a[0].Local()
	bKey, bSalt := b[0].Remote()
	back, backSalt := a[0].Remote()
	bLocal, bLocalSalt := b[0].Local()
	p := a[0].Profile
	if a[0].Role != Active || b[0].Role != Passive || p != b[0].Profile {
		t.Errorf("got %s as %s and %s as %s", p, a[0].Role, b[0].Profile, b[0].Role)
	}
	if len(aKey) != p.KeySize() || len(aSalt) != p.SaltSize() || string(aKey) == string(back) {
		t.Errorf("key of %d bytes, salt of %d", len(aKey), len(aSalt))
	}
	if string(aKey) != string(bKey) || string(aSalt) != string(bSalt) || string(back) != string(bLocal) || string(backSalt) != string(bLocalSalt) {
		t.Error("the sides have different keys")
	}
	return a[0]
}

var (
	certificateLock sync.Mutex
	certificateOf   = map[CertificateConfig]*Certificate{}
)

// testCertificate makes one certificate of each kind for all tests: RSA keys take long.
func testCertificate(t testing.TB, cfg CertificateConfig) *Certificate {
	t.Helper()
	certificateLock.Lock()
	defer certificateLock.Unlock()
	if certificateOf[cfg] == nil {
		c, err := NewCertificate(cfg)
		if err != nil {
			t.Fatal(err)
		}
		certificateOf[cfg] = c
	}
	return certificateOf[cfg]
}

func TestHelloGoesOutAsDTLS10(t *testing.T) {
	hello := append([]byte{handshakeRecord, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, handshakeHeaderSize}, clientHello)
	hello = append(hello, make([]byte, handshakeHeaderSize-1)...)
	other := append([]byte(nil), hello...)
	other[recordHeaderSize] = serverHello
	var sent [][]byte
	p := newPipe(func(d []byte) { sent = append(sent, d) }, func() {})
	defer p.Close()
	for _, d := range [][]byte{hello, other} {
		if n, err := p.WriteTo(d, nil); n != len(d) || err != nil {
			t.Fatal(n, err)
		}
	}
	if len(sent) != 2 || sent[0][2] != 0xff || sent[1][2] != 0xfd {
		t.Errorf("sent %x, want DTLS 1.0 for the hello alone", sent)
	}
	if hello[2] != 0xfd {
		t.Error("the caller's bytes are changed")
	}
}

// always is a Config.Verified.
func always() bool { return true }
