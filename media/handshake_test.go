package media

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// secureParty is a party that does DTLS-SRTP on the socket of a phone.
type secureParty struct {
	*phone
	session     atomic.Pointer[dtls.Session]
	certificate *dtls.Certificate
	sends       *srtp.Outbound
	receives    *srtp.Inbound
	keyed       chan dtls.Keys
	media       chan []byte
}

func newCertificate(t *testing.T) *dtls.Certificate {
	t.Helper()
	c, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newSecureParty returns a party that will talk to a leg.
func newSecureParty(t *testing.T, to *Leg, role dtls.Role, peer *dtls.Certificate) *secureParty {
	t.Helper()
	s := &secureParty{
		phone: newPhone(t, loopback4), certificate: newCertificate(t), keyed: make(chan dtls.Keys, 1), media: make(chan []byte, 16),
	}
	s.associate(to, role, s.certificate, peer)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, maxDatagram)
		for {
			n, err := s.conn.Read(buf)
			switch {
			case err != nil:
				return
			case rtp.Classify(buf[:n]) == rtp.DTLS:
				s.session.Load().Handle(buf[:n])
			default:
				s.media <- bytes.Clone(buf[:n])
			}
		}
	}()
	t.Cleanup(func() {
		s.session.Load().Close()
		s.conn.Close()
		<-done
	})
	return s
}

// associate begins an association with a leg, in place of the one before, of which the leg is told nothing.
func (s *secureParty) associate(to *Leg, role dtls.Role, own, peer *dtls.Certificate) {
	s.t.Helper()
	session, err := dtls.NewSession(dtls.Config{
		Role: role, Remote: []dtls.Fingerprint{peer.Fingerprint(dtls.SHA256)}, Certificate: own,
		Profiles: []dtls.Profile{dtls.AES128GCM},
		Send: func(pkt []byte) {
			_, _ = s.conn.WriteToUDPAddrPort(pkt, to.Local()) // what is lost is sent again
		},
		OnKeys: func(k dtls.Keys) { s.keyed <- k },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.session.Store(session)
}

func (s *secureParty) fingerprints() []dtls.Fingerprint {
	return []dtls.Fingerprint{s.certificate.Fingerprint(dtls.SHA256)}
}

// key waits for the handshake.
func (s *secureParty) key() {
	s.t.Helper()
	select {
	case k := <-s.keyed:
		params := func(key, salt []byte) srtp.Params {
			return srtp.Params{Suite: srtp.SuiteByProfile(uint16(k.Profile)), Key: key, Salt: salt}
		}
		var err error
		if s.sends, err = srtp.NewOutbound(params(k.Local())); err != nil {
			s.t.Fatal(err)
		}
		if s.receives, err = srtp.NewInbound(params(k.Remote())); err != nil {
			s.t.Fatal(err)
		}
	case <-time.After(patience):
		s.t.Fatal("no keys")
	}
}

func TestAHandshakeKeysTheLeg(t *testing.T) {
	for _, c := range []struct {
		name         string
		party, ours  dtls.Role
		beforeAnswer bool // the party's hello comes before anything is known of it
	}{
		{"the party is the client", dtls.Active, dtls.Passive, false},
		{"the party is the server", dtls.Passive, dtls.Active, false},
		{"the hello comes before the answer", dtls.Active, dtls.Passive, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			bob, ours, link := newPhone(t, loopback4), newCertificate(t), r.NewLink()
			defer link.Close()
			var alice *secureParty
			agree := func(role dtls.Role, remote []dtls.Fingerprint) {
				if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{Certificate: ours, Role: role, Remote: remote}}); err != nil {
					t.Fatal(err)
				}
			}
			if c.beforeAnswer {
				agree(dtls.Unknown, nil)
				a.Apply(Settings{Link: link, Secure: true, Muted: true, Sinks: []Sink{{RTP: b}}})
				alice = newSecureParty(t, a, c.party, ours)
				r.until("the hello has come", func() bool { return a.Stats().In.Packets > 0 })
			} else {
				alice = newSecureParty(t, a, c.party, ours)
			}
			a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true, Sinks: []Sink{{RTP: b}}})
			b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
			agree(c.ours, alice.fingerprints())
			alice.key()
			r.until("the leg has keys", func() bool { return a.cipher.Load() != nil })

			clear := rtpPacket(5)
			alice.send(a, sealed(t, alice.sends, clear))
			bob.wants(b, clear)
			sent := bob.rtp(b)
			if got, err := alice.receives.UnprotectRTP(<-alice.media); err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("got %x, %v, want %x", got, err, sent)
			}
		})
	}
}

func TestAnotherCertificateFindsNoKeys(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	defer link.Close()
	mallory := newSecureParty(t, a, dtls.Active, ours)
	a.Apply(Settings{Signalled: mallory.addr(), Link: link, Secure: true})
	announced := []dtls.Fingerprint{newCertificate(t).Fingerprint(dtls.SHA256)}
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{Certificate: ours, Role: dtls.Passive, Remote: announced}}); err != nil {
		t.Fatal(err)
	}
	r.until("the handshake fails", func() bool { return a.count.failed.Load() > 0 })
	if st := link.State(); st.DTLSError == "" || st.DTLS == "connected" {
		t.Errorf("the link says %+v", st)
	}
	if a.cipher.Load() != nil || a.count.handshakes.Load() != 0 {
		t.Error("a certificate that was not announced has keyed the leg")
	}
}

func TestAnotherAssociationBringsOtherKeys(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	defer link.Close()
	var before *cipher
	var first *secureParty
	for n := range uint32(2) {
		alice := newSecureParty(t, a, dtls.Active, ours)
		a.Apply(Settings{Signalled: alice.addr(), Epoch: n, Link: link, Secure: true})
		if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{
			Certificate: ours, Role: dtls.Passive, Remote: alice.fingerprints(), Association: n,
		}}); err != nil {
			t.Fatal(err)
		}
		alice.key()
		r.until("the leg has other keys", func() bool { return a.cipher.Load() != before })
		before = a.cipher.Load()
		if n == 0 {
			first = alice
		}
	}
	// Until the other one had keys, media went on with those before. What the party was sent by then has come before this.
	a.Send(rtpPacket(1), first.addr())
	<-first.media
	if got := first.session.Load().State(); got != dtls.Connected {
		t.Errorf("the party was told that the association is %v while its keys were in use", got)
	}
}

func TestAPeerHearsOfTheEndThoughTheLegIsClosedNext(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	alice := newSecureParty(t, a, dtls.Active, ours)
	a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true})
	err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{Certificate: ours, Role: dtls.Passive, Remote: alice.fingerprints()}})
	if err != nil {
		t.Fatal(err)
	}
	alice.key()
	r.until("the leg has keys", func() bool { return a.cipher.Load() != nil })
	link.Close()
	a.Close()
	r.until("the peer hears of it", func() bool { return alice.session.Load().State() == dtls.Closed })
}

func TestAForgedHelloEndsNoAssociation(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	defer link.Close()
	alice := newSecureParty(t, a, dtls.Active, ours)
	a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true})
	agreed := DTLS{Certificate: ours, Role: dtls.Passive, Remote: alice.fingerprints()}
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &agreed}); err != nil {
		t.Fatal(err)
	}
	alice.key()
	r.until("the leg has keys", func() bool { return a.cipher.Load() != nil })
	h, keys := link.handshakes[0].Load(), a.cipher.Load()
	first, genuine := h.running.Load(), alice.session.Load()

	// Mallory's hellos have alice's address, and the certificate is not the one announced.
	alice.associate(a, dtls.Active, newCertificate(t), ours)
	mallory := alice.session.Load()
	r.until("the hello is taken up", func() bool { return h.next.Load() != nil })
	r.until("mallory gets no further", func() bool { return a.count.failed.Load() > 0 })
	r.until("mallory hears of it", func() bool { return mallory.State() == dtls.Failed }) // else alice would
	mallory.Close()
	if h.running.Load() != first || first.State() != dtls.Connected || genuine.State() != dtls.Connected || a.cipher.Load() != keys {
		t.Fatal("a forged hello has ended the association")
	}

	// Alice's own begin another, while that of the forged one is waiting still.
	alice.associate(a, dtls.Active, alice.certificate, ours)
	alice.key()
	r.until("the leg has other keys", func() bool { return a.cipher.Load() != keys })
	if h.next.Load() != nil || h.running.Load() == first || first.State() != dtls.Closed {
		t.Error("the association before is not replaced")
	}
}

func TestAHelloToAClientBeginsNothing(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	defer link.Close()
	alice := newSecureParty(t, a, dtls.Passive, ours)
	a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true})
	agreed := DTLS{Certificate: ours, Role: dtls.Active, Remote: alice.fingerprints()}
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &agreed}); err != nil {
		t.Fatal(err)
	}
	alice.key()
	r.until("the leg has keys", func() bool { return a.cipher.Load() != nil })
	h := link.handshakes[0].Load()
	first := h.running.Load()
	h.restart(nil)
	if h.next.Load() != nil || h.running.Load() != first {
		t.Error("the peer has been sent another hello because of one that it cannot have sent")
	}
}

func TestKeysOfASessionThatWasReplacedAreNotUsed(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	ours, link := newCertificate(t), r.NewLink()
	defer link.Close()
	agreed := DTLS{Certificate: ours, Role: dtls.Passive}
	for n := range uint32(2) {
		agreed.Association = n
		if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &agreed}); err != nil {
			t.Fatal(err)
		}
	}
	h := link.handshakes[0].Load()
	k := dtls.Keys{
		Profile: dtls.AES128GCM, ClientKey: make([]byte, 16), ClientSalt: make([]byte, 12),
		ServerKey: make([]byte, 16), ServerSalt: make([]byte, 12),
	}
	last := h.running.Load()
	link.Close()
	h.keys(last, k)
	r.settle()
	if a.cipher.Load() != nil {
		t.Error("a handshake that ended after its link has keyed the leg")
	}
}

func TestAHandshakeGoesToThePeerThatSignallingKnows(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	h := &handshake{link: r.NewLink(), component: 1}
	h.link.view.Store(&linkLegs{{a}})
	stranger, moved := netip.MustParseAddrPort("192.0.2.77:4000"), netip.MustParseAddrPort("192.0.2.1:4002")
	for _, step := range []struct {
		name                  string
		signalled, from, want netip.AddrPort
	}{
		{"whoever is first", peerOf(0), stranger, stranger},
		{"the signalled address is better", peerOf(0), peerOf(0), peerOf(0)},
		{"a stranger changes nothing", peerOf(0), stranger, peerOf(0)},
		{"nor does another port", peerOf(0), moved, peerOf(0)},
		{"signalling has it elsewhere", moved, moved, moved},
	} {
		a.Apply(Settings{Signalled: step.signalled})
		h.handle(a, []byte{22}, step.from)
		if got := h.heard.Load().to.addr; got != step.want {
			t.Fatalf("%s: it goes to %v, want %v", step.name, got, step.want)
		}
	}
}

func TestAHelloIsAnsweredInFullOnlyWhereICEHasShownThatThePeerIs(t *testing.T) {
	const serverHello, helloVerifyRequest = 2, 3
	for name, shown := range map[string]bool{"before any check": false, "after one": true} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			a, _ := r.pair(4, "call")
			ours, link := newCertificate(t), r.NewLink()
			defer link.Close()
			alice := newPhone(t, loopback4)
			a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true})
			if err := link.Apply(LinkConfig{RTP: []*Leg{a}, ICE: &ICE{Local: ice.NewCredentials()}, DTLS: &DTLS{
				Certificate: ours, Role: dtls.Passive, Remote: []dtls.Fingerprint{ours.Fingerprint(dtls.SHA256)},
			}}); err != nil {
				t.Fatal(err)
			}
			want := byte(helloVerifyRequest)
			if shown {
				link.authenticated(link.Agent(), 1, alice.addr())
				want = serverHello
			}
			client, err := dtls.NewSession(dtls.Config{
				Role: dtls.Active, Remote: []dtls.Fingerprint{ours.Fingerprint(dtls.SHA256)}, Certificate: ours,
				Send: func(pkt []byte) {
					_, _ = alice.conn.WriteToUDPAddrPort(pkt, a.Local()) // what is lost is sent again
				},
				OnKeys: func(dtls.Keys) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			const recordHeader = 13
			if got := alice.receive()[recordHeader]; got != want {
				t.Errorf("the hello is answered by message %d, want %d", got, want)
			}
		})
	}
}
