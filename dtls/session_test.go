package dtls

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// settle is longer than any undisturbed handshake.
const settle = 2 * time.Second

func TestHandshakeByProfileAndCertificate(t *testing.T) {
	ecdsa, rsa := CertificateConfig{}, CertificateConfig{Key: RSA}
	for _, c := range []struct {
		name                     string
		activeHas, passiveHas    []Profile
		activeShows, passiveShow CertificateConfig
		want                     Profile
	}{
		{"by default", nil, nil, ecdsa, ecdsa, AES256GCM},
		{"AES-128-GCM", []Profile{AES128GCM}, nil, ecdsa, ecdsa, AES128GCM},
		{"AES-CM with 80 bits", []Profile{AES128CM32, AES128CM80}, []Profile{AES128CM80, AES128CM32}, ecdsa, ecdsa, AES128CM80},
		{"AES-CM with 32 bits", nil, []Profile{AES128CM32}, ecdsa, ecdsa, AES128CM32},
		{"AES-256-CM", []Profile{AES256CM80, AES256CM32}, []Profile{AES256CM32}, ecdsa, ecdsa, AES256CM32},
		{"NULL when both name it", []Profile{NULL80}, []Profile{AES128GCM, NULL80}, ecdsa, ecdsa, NULL80},
		{"RSA is active", nil, nil, rsa, ecdsa, AES256GCM},
		{"RSA is passive", nil, nil, ecdsa, rsa, AES256GCM},
		{"RSA on both sides", nil, nil, rsa, rsa, AES256GCM},
	} {
		t.Run(c.name, func(t *testing.T) {
			active := Config{Profiles: c.activeHas, Certificate: testCertificate(t, c.activeShows)}
			passive := Config{Profiles: c.passiveHas, Certificate: testCertificate(t, c.passiveShow)}
			synctest.Test(t, func(t *testing.T) {
				a, b := newParty(t, active), newParty(t, passive)
				connect(t, a, b)
				time.Sleep(settle)
				if keys := agree(t, a, b); keys.Profile != c.want {
					t.Errorf("got %s", keys.Profile)
				}
				a.Close()
				time.Sleep(settle)
				if _, _, ends := b.reported(); len(ends) != 1 || !errors.Is(ends[0], ErrClosed) || b.State() != Closed {
					t.Errorf("the other side is %s and has %v", b.State(), ends)
				}
			})
		})
	}
}

func TestHandshakeByCipher(t *testing.T) {
	for i := range suites {
		t.Run(suites[i].name, func(t *testing.T) {
			kind := CertificateConfig{}
			if strings.Contains(suites[i].name, "RSA") {
				kind.Key = RSA
			}
			if strings.Contains(suites[i].name, "ECDSA") {
				kind.Key = P256
			}
			shown := testCertificate(t, kind)
			synctest.Test(t, func(t *testing.T) {
				a := newParty(t, Config{Certificate: shown})
				b := newParty(t, Config{Certificate: shown, Ciphers: Ciphers{[]*suite{&suites[i]}}})
				connect(t, a, b)
				time.Sleep(settle)
				agree(t, a, b)
				if got := a.association.suite; got != &suites[i] {
					t.Errorf("got %s", got.name)
				}
				// The passive side ends it, and what it says is understood.
				b.Close()
				time.Sleep(settle)
				if _, _, ends := a.reported(); len(ends) != 1 || !errors.Is(ends[0], ErrClosed) {
					t.Errorf("the other side has %v", ends)
				}
			})
		})
	}
}

func TestFingerprintDecides(t *testing.T) {
	ours, theirs := testCertificate(t, CertificateConfig{}), testCertificate(t, CertificateConfig{Key: RSA})
	for h := SHA1; h <= SHA512; h++ {
		t.Run(h.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newParty(t, Config{Certificate: ours}), newParty(t, Config{Certificate: theirs})
				join(a, b)
				if err := errors.Join(b.SetRemote(Passive, []Fingerprint{ours.Fingerprint(h)}), a.SetRemote(Active, []Fingerprint{theirs.Fingerprint(h)})); err != nil {
					t.Fatal(err)
				}
				time.Sleep(settle)
				agree(t, a, b)
			})
		})
	}
	for _, c := range []struct {
		name          string
		active, wrong *Certificate
		passive       *Certificate
	}{
		{"the active side finds another certificate", ours, ours, theirs},
		{"the passive side finds another certificate", ours, theirs, theirs},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := newParty(t, Config{Certificate: c.active}), newParty(t, Config{Certificate: c.passive})
				join(a, b)
				// Both sides announce the same certificate, which is wrong for one of them.
				if err := errors.Join(b.SetRemote(Passive, []Fingerprint{c.wrong.Fingerprint(SHA256)}), a.SetRemote(Active, []Fingerprint{c.wrong.Fingerprint(SHA256)})); err != nil {
					t.Fatal(err)
				}
				time.Sleep(settle)
				misled, found := a, c.passive
				if c.wrong == c.passive {
					misled, found = b, c.active
				}
				keys, failures, _ := misled.reported()
				if len(keys) != 0 || len(failures) != 1 || !errors.Is(failures[0], ErrFingerprint) {
					t.Fatalf("got keys %d times and %v", len(keys), failures)
				}
				for _, name := range []string{c.wrong.Fingerprint(SHA256).Value(), found.Fingerprint(SHA256).Value()} {
					if !strings.Contains(failures[0].Error(), name) {
						t.Errorf("%v does not name %s", failures[0], name)
					}
				}
				if misled.role == Active && misled.State() != Failed || misled.role == Passive && misled.State() != New {
					t.Errorf("%s side is %s", misled.role, misled.State())
				}
				if keys, _, _ := b.reported(); len(keys) != 0 {
					t.Error("the passive side has keys without the other's consent")
				}
			})
		})
	}
}

func TestHelloBeforeTheAnswerIsReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{Verified: always}), newParty(t, Config{Verified: always})
		join(a, b)
		if err := a.SetRemote(Active, b.fingerprint()); err != nil {
			t.Fatal(err)
		}
		// Hellos arrive at 5 ms and 405 ms; the next would be at 1205 ms.
		time.Sleep(500 * time.Millisecond)
		if b.State() != New || b.out.sent() != 0 {
			t.Fatalf("%s after %d datagrams without knowing the peer", b.State(), b.out.sent())
		}
		if err := b.SetRemote(Passive, nil); err != nil {
			t.Fatal(err)
		}
		if b.State() != New {
			t.Fatalf("%s without a fingerprint", b.State())
		}
		if err := b.SetRemote(Passive, a.fingerprint()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		agree(t, a, b)
	})
}

func TestEarlyDatagramsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{Timeout: time.Hour}), newParty(t, Config{})
		join(a, b)
		if err := a.SetRemote(Active, b.fingerprint()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if a.out.sent() < 10 || b.kept() != 1 {
			t.Errorf("of the same hello, sent %d times, %d are kept", a.out.sent(), b.kept())
		}
		forged := bytes.Clone(a.out.log()[0])
		for range 2 * mostEarly {
			forged[len(forged)-1]++
			b.Handle(forged)
			b.Handle(make([]byte, recordHeaderSize))
			b.Handle(nil)
		}
		if b.kept() != mostEarly {
			t.Errorf("%d datagrams are kept", b.kept())
		}
		// The hello of another association takes the place of all.
		b.Handle(a.out.log()[0])
		again := newParty(t, Config{})
		join(again, b)
		if err := again.SetRemote(Active, b.fingerprint()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * latency)
		if b.kept() != 1 {
			t.Errorf("%d datagrams of the new hello are kept", b.kept())
		}
		if err := b.SetRemote(Passive, again.fingerprint()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settle)
		agree(t, again, b)
	})
}

func TestHandshakeOnABadNetwork(t *testing.T) {
	at := func(ms ...time.Duration) []time.Duration {
		for i := range ms {
			ms[i] *= time.Millisecond
		}
		return ms
	}
	losing := func(which ...int) func(int) []time.Duration {
		return func(n int) []time.Duration {
			for _, lost := range which {
				if n == lost {
					return nil
				}
			}
			return at(5)
		}
	}
	// Seven has nothing in common with the number of datagrams in a flight, so that every part of one gets through.
	threeOfSeven := func(n int) []time.Duration { return losing(0, 1, 6)(n % 7) }
	for _, c := range []struct {
		name            string
		active, passive func(n int) []time.Duration
	}{
		{"the first hello is lost", losing(0), nil},
		{"the hello with the cookie is lost", losing(1), nil},
		{"the server's first answer is lost", nil, losing(0)},
		{"the server's flight is lost", nil, losing(1)},
		{"the client's last flight is lost", losing(2), nil},
		{"the server's last flight is lost", nil, losing(2)},
		{"the server's last flight is lost three times", nil, losing(2, 3, 4)},
		{"three of seven datagrams are lost", threeOfSeven, threeOfSeven},
		{"all comes twice", func(int) []time.Duration { return at(5, 9) }, func(int) []time.Duration { return at(6, 11) }},
		{"all comes five times", func(int) []time.Duration { return at(5, 7, 50, 450, 1000) }, func(int) []time.Duration { return at(6, 8, 60, 500, 1100) }},
		{"datagrams overtake each other", func(n int) []time.Duration { return at(time.Duration(60 - 7*(n%8))) }, func(n int) []time.Duration { return at(time.Duration(70 - 9*(n%7))) }},
		{"the path takes longer than the retransmission", func(int) []time.Duration { return at(600) }, func(int) []time.Duration { return at(700) }},
	} {
		for _, small := range []bool{false, true} {
			name, cfg := c.name, Config{}
			if small {
				name, cfg.MTU = name+", small datagrams", LeastMTU
				cfg.Certificate = testCertificate(t, CertificateConfig{Key: RSA})
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := newParty(t, cfg), newParty(t, cfg)
					a.out.plan, b.out.plan = c.active, c.passive
					connect(t, a, b)
					time.Sleep(2 * DefaultTimeout)
					agree(t, a, b)
					limit := cfg.MTU
					if !small {
						limit = DefaultMTU
					}
					if a.out.longest > limit || b.out.longest > limit {
						t.Errorf("datagrams of %d and %d bytes", a.out.longest, b.out.longest)
					}
				})
			})
		}
	}
}

func TestActiveGoesOnUntilThePeerIsReachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{}), newParty(t, Config{})
		unreachable := true
		a.out.plan = func(int) []time.Duration {
			if unreachable {
				return nil
			}
			return []time.Duration{latency}
		}
		connect(t, a, b)
		time.Sleep(100*time.Second + 100*time.Millisecond)
		_, failures, _ := a.reported()
		if len(failures) != 1 || !errors.Is(failures[0], ErrUnanswered) || a.State() != Connecting {
			t.Fatalf("%s after %v", a.State(), failures)
		}
		if n := a.out.sent(); n < 40 || n > 80 {
			t.Errorf("%d hellos in 100 s", n)
		}
		synctest.Wait()
		a.out.mu.Lock()
		unreachable = false
		a.out.mu.Unlock()
		time.Sleep(helloPause + time.Second)
		agree(t, a, b)
	})
}

func TestHandshakeThatStallsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{}), newParty(t, Config{})
		b.out.plan = func(n int) []time.Duration { return []time.Duration{latency}[:max(0, 1-n)] }
		connect(t, a, b)
		time.Sleep(DefaultTimeout + time.Second)
		if _, failures, _ := a.reported(); len(failures) != 1 || !errors.Is(failures[0], ErrTimeout) || a.State() != Failed {
			t.Errorf("the active side is %s after %v", a.State(), failures)
		}
		if _, failures, _ := b.reported(); len(failures) != 1 || !errors.Is(failures[0], ErrTimeout) || b.State() != New {
			t.Errorf("the passive side is %s after %v", b.State(), failures)
		}
	})
}

func TestNoCommonProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{Profiles: []Profile{AES128GCM}}), newParty(t, Config{Profiles: []Profile{AES128CM80}})
		connect(t, a, b)
		time.Sleep(settle)
		for _, p := range []*party{a, b} {
			if keys, failures, _ := p.reported(); len(keys) != 0 || len(failures) == 0 {
				t.Errorf("%s: keys %d times and %v", p.role, len(keys), failures)
			}
		}
	})
}

func TestOlderVersionIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newParty(t, Config{}), newParty(t, Config{Verified: always})
		for _, err := range []error{a.SetRemote(Active, b.fingerprint()), b.SetRemote(Passive, a.fingerprint())} {
			if err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		// The hello of a client that knows DTLS 1.0 only.
		hello := a.out.log()[0]
		copy(hello[recordHeaderSize+handshakeHeaderSize:], []byte{254, 255})
		b.Handle(hello)
		time.Sleep(settle)
		sent := b.out.log()
		if _, failures, _ := b.reported(); len(failures) != 1 || len(sent) != 1 || !bytes.Equal(sent[0][recordHeaderSize:], []byte{2, 70}) {
			t.Errorf("answered with %x after %v, want the alert protocol_version", sent, failures)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Certificate: testCertificate(t, CertificateConfig{}), Send: func([]byte) {}, OnKeys: func(Keys) {}}
	for name, spoil := range map[string]func(*Config){
		"no certificate":     func(c *Config) { c.Certificate = nil },
		"no Send":            func(c *Config) { c.Send = nil },
		"no OnKeys":          func(c *Config) { c.OnKeys = nil },
		"a small MTU":        func(c *Config) { c.MTU = LeastMTU - 1 },
		"an unknown profile": func(c *Config) { c.Profiles = []Profile{9} },
		"profile 0":          func(c *Config) { c.Profiles = []Profile{0} },
		"a negative timeout": func(c *Config) { c.Timeout = -1 },
	} {
		c := good
		spoil(&c)
		if _, err := NewSession(c); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	s, err := NewSession(good)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
