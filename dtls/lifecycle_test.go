package dtls

import (
	"bytes"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/dtls/v3/pkg/protocol/alert"
)

// connected makes two parties that have finished their handshake.
func connected(t *testing.T) (active, passive *party) {
	t.Helper()
	active, passive = newParty(t, Config{}), newParty(t, Config{})
	connect(t, active, passive)
	time.Sleep(settle)
	agree(t, active, passive)
	return active, passive
}

// goroutines counts those of the test itself, once all wait for something.
func goroutines() int {
	synctest.Wait()
	dump := make([]byte, 1<<20)
	return bytes.Count(dump[:runtime.Stack(dump, true)], []byte(", synctest bubble "))
}

func TestConnectedSessionsHaveNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := goroutines()
		a, b := newParty(t, Config{}), newParty(t, Config{})
		connect(t, a, b)
		time.Sleep(latency / 2)
		if now := goroutines(); now <= before {
			t.Errorf("a handshake needs no goroutine: %d are there, %d before", now, before)
		}
		time.Sleep(settle)
		agree(t, a, b)
		if now := goroutines(); now != before {
			t.Errorf("%d goroutines more than before", now-before)
		}
		sent := a.out.sent() + b.out.sent()
		time.Sleep(time.Hour)
		if now := a.out.sent() + b.out.sent(); now != sent {
			t.Errorf("%d datagrams in an idle hour", now-sent)
		}
	})
}

func TestCloseDuringAHandshake(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
	}{
		{"at once", 0},
		{"before the first answer", latency + latency/2},
		{"after the cookie", 2*latency + latency/2},
		{"in the middle", 3*latency + latency/2},
		{"before the last flight", 4*latency + latency/2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				before := goroutines()
				a, b := newParty(t, Config{}), newParty(t, Config{})
				connect(t, a, b)
				time.Sleep(c.after)
				a.Close()
				b.Close()
				time.Sleep(2 * latency)
				if now := goroutines(); now != before {
					t.Errorf("%d goroutines are left", now-before)
				}
				for _, d := range a.out.log() {
					b.Handle(d)
				}
				if err := a.SetRemote(Passive, b.fingerprint()); err != nil {
					t.Error(err)
				}
				sent := a.out.sent()
				time.Sleep(time.Minute)
				for _, p := range []*party{a, b} {
					if keys, failures, ends := p.reported(); len(keys)+len(failures)+len(ends) != 0 || p.State() != Closed {
						t.Errorf("%s side is %s after keys %d times, %v and %v", p.role, p.State(), len(keys), failures, ends)
					}
				}
				if a.out.sent() != sent {
					t.Error("a closed session sends")
				}
			})
		})
	}
}

func TestAlertsAfterTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t)
		// As by a peer that only now looks at our certificate.
		fatal, err := a.association.alert(alert.Fatal, alert.BadCertificate)
		if err != nil {
			t.Fatal(err)
		}
		for i := range fatal {
			forged := bytes.Clone(fatal)
			forged[i] ^= 1
			b.Handle(forged)
		}
		plain := []byte{alertRecord, 254, 253, 0, 0, 0, 0, 0, 0, 0, 77, 0, 2, 2, 42}
		b.Handle(plain)
		plain[4] = 1
		b.Handle(plain)
		if b.State() != Connected {
			t.Fatal("a forged alert ended the session")
		}
		warning, err := a.association.alert(alert.Warning, alert.UserCanceled)
		if err != nil {
			t.Fatal(err)
		}
		b.Handle(warning)
		if b.State() != Connected {
			t.Fatal("a warning ended the session")
		}
		b.Handle(fatal)
		if b.State() != Connected {
			t.Fatal("an alert older than the last one ended the session")
		}
		if fatal, err = a.association.alert(alert.Fatal, alert.BadCertificate); err != nil {
			t.Fatal(err)
		}
		sent := b.out.sent()
		b.Handle(fatal)
		b.Handle(fatal)
		var got AlertError
		if _, _, ends := b.reported(); len(ends) != 1 || !errors.As(ends[0], &got) || got != AlertError(alert.BadCertificate) || b.State() != Closed {
			t.Errorf("%s after %v", b.State(), ends)
		}
		if b.out.sent() != sent {
			t.Error("a fatal alert was answered")
		}
	})
}

func TestCloseNotifyIsAnsweredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t)
		sent := b.out.sent()
		a.Close()
		a.Close()
		time.Sleep(settle)
		if n := b.out.sent() - sent; n != 1 {
			t.Errorf("%d answers", n)
		}
		if _, _, ends := a.reported(); len(ends) != 0 {
			t.Errorf("the side that closed was told %v", ends)
		}
	})
}

func TestLastFlightIsRepeatedOnlyWhenAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connected(t)
		sent := b.out.sent()
		for _, d := range a.out.log() {
			b.Handle(d)
		}
		if n := b.out.sent() - sent; n != 0 {
			t.Errorf("replayed datagrams are answered %d times", n)
		}
	})
}

func TestPeerStartsAnotherAssociation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, old := connected(t)
		again, next := newParty(t, Config{Timeout: time.Hour}), newParty(t, Config{})
		// The caller's part: the new session is fed once there is one, the old one always.
		begun := false
		again.out.lead(func(d []byte) {
			old.Handle(d)
			if len(old.restarts()) == 1 && !begun {
				begun = true
				next.Handle(old.restarts()[0])
			} else if begun {
				next.Handle(d)
			}
		})
		next.out.lead(again.Handle)
		for _, err := range []error{again.SetRemote(Active, old.fingerprint()), next.SetRemote(Passive, again.fingerprint())} {
			if err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(settle)
		second := agree(t, again, next)
		first, _, _ := a.reported()
		if bytes.Equal(first[0].ClientKey, second.ClientKey) {
			t.Error("the same keys again")
		}
		if old.State() != Connected {
			t.Errorf("the old session is %s", old.State())
		}
		old.Handle(again.out.log()[0])
		if len(old.restarts()) != 1 {
			t.Errorf("%d reports of one hello", len(old.restarts()))
		}
		old.Handle(a.out.log()[0])
		forged := bytes.Clone(again.out.log()[0])
		forged[len(forged)-1]++
		forged[recordHeaderSize+handshakeHeaderSize+2]++
		old.Handle(forged)
		if len(old.restarts()) != 3 || !bytes.Equal(old.restarts()[2], forged) {
			t.Errorf("%d reports", len(old.restarts()))
		}
	})
}

func TestForgedHelloDoesNotLockOutThePeer(t *testing.T) {
	for _, verified := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			a, b := newParty(t, Config{}), newParty(t, Config{Verified: func() bool { return verified }})
			stranger := newParty(t, Config{Certificate: testCertificate(t, CertificateConfig{Key: RSA}), Profiles: []Profile{AES128CM32}})
			if err := stranger.SetRemote(Active, a.fingerprint()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			stranger.Close()
			if err := b.SetRemote(Passive, a.fingerprint()); err != nil {
				t.Fatal(err)
			}
			b.Handle(stranger.out.log()[0])
			// What answers the stranger gets lost on the way to the peer.
			time.Sleep(2 * latency)
			if b.State() != Connecting {
				t.Fatalf("%s after a hello", b.State())
			}
			connect(t, a, b)
			time.Sleep(settle)
			agree(t, a, b)
		})
	}
}

func TestAttemptsOfAPassiveSessionAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newParty(t, Config{})
		stranger := testCertificate(t, CertificateConfig{Key: RSA})
		if err := b.SetRemote(Passive, b.fingerprint()); err != nil {
			t.Fatal(err)
		}
		for range 2 * mostAttempts {
			a := newParty(t, Config{Certificate: stranger})
			join(a, b)
			if err := a.SetRemote(Active, b.fingerprint()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(settle)
			a.Close()
		}
		keys, failures, _ := b.reported()
		if len(keys) != 0 || len(failures) != mostAttempts || b.State() != Failed {
			t.Errorf("%s after keys %d times and %d failures", b.State(), len(keys), len(failures))
		}
	})
}

func TestSetRemoteLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{}), newParty(t, Config{})
		join(a, b)
		// Both are passive at first, then one is told to be active, then the roles change.
		for _, step := range []struct{ a, b Role }{{Passive, Passive}, {Active, Active}, {Passive, Active}} {
			for _, err := range []error{a.SetRemote(step.a, b.fingerprint()), b.SetRemote(step.b, a.fingerprint())} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if step.a == step.b {
				time.Sleep(3 * time.Second)
				if a.State() == Connected || b.State() == Connected {
					t.Fatal("connected without a client and a server")
				}
			}
		}
		time.Sleep(settle + helloPause)
		agree(t, b, a)
		if err := a.SetRemote(Active, b.fingerprint()); err != nil || a.State() != Connected {
			t.Errorf("a new role for the same peer: %v, %s", err, a.State())
		}
		other := testCertificate(t, CertificateConfig{Key: RSA}).Fingerprint(SHA1)
		if err := a.SetRemote(Passive, []Fingerprint{other}); !errors.Is(err, ErrFingerprint) || a.State() != Connected {
			t.Errorf("another peer: %v, %s", err, a.State())
		}
	})
}

func TestPoolLimitsHandshakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(2)
		check := func(when string, running, waiting int) {
			t.Helper()
			synctest.Wait()
			if r, w := pool.Load(); r != running || w != waiting {
				t.Errorf("%s: %d run and %d wait, want %d and %d", when, r, w, running, waiting)
			}
		}
		var stuck []*party
		for range 4 {
			p := newParty(t, Config{Pool: pool, Timeout: time.Minute})
			if err := p.SetRemote(Active, p.fingerprint()); err != nil {
				t.Fatal(err)
			}
			stuck = append(stuck, p)
		}
		// The passive side keeps what comes while it waits for its turn.
		a, b := newParty(t, Config{}), newParty(t, Config{Pool: pool})
		connect(t, a, b)
		time.Sleep(time.Second)
		check("six peers", 2, 3)
		if b.State() != Connecting || stuck[2].State() != Connecting || stuck[2].out.sent() != 0 {
			t.Errorf("%s and %s in the queue", b.State(), stuck[2].State())
		}
		stuck[2].Close()
		check("one that waits is closed", 2, 2)
		stuck[0].Close()
		check("one that runs is closed", 2, 1)
		if stuck[3].out.sent() == 0 {
			t.Error("the longest waiting one does not run")
		}
		// The others give up their places when they are not answered, which lets the next one in.
		time.Sleep(2 * time.Minute)
		agree(t, a, b)
		check("the peers were not heard for long", 0, 0)
		for _, p := range stuck {
			p.Close()
		}
		check("all are closed", 0, 0)
	})
	var none *Pool
	if r, w := none.Load(); r != 0 || w != 0 {
		t.Error("no pool has a load")
	}
}
