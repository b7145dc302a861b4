package call_test

import (
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/sdp"
)

func TestPortsChangeWithThoseOfTheOtherSide(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     func(cfg *call.Config, o *call.Options)
		extra   string // attribute of the re-offer
		changes bool
	}{
		{name: "by default", changes: true},
		{name: "not towards who gets nothing there", extra: "a=sendonly"},
		{name: "not with port latching", set: func(_ *call.Config, o *call.Options) { o.PortLatching = true }},
		{name: "not when configured so", set: func(cfg *call.Config, _ *call.Options) { cfg.PortLatching = true }},
		{name: "when asked for all the same", changes: true, set: func(cfg *call.Config, o *call.Options) {
			cfg.PortLatching, o.NoPortLatching = true, true
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o call.Options
			m, _ := newManager(t, func(cfg *call.Config) {
				if c.set != nil {
					c.set(cfg, &o)
				}
			})
			alice, bob, moved := newPhone(t), newPhone(t), newPhone(t)
			offer := func(port int, lines ...string) uint16 {
				r := request(t, "c1", "a", "", describe("127.0.0.1", port, lines...))
				r.PortLatching, r.NoPortLatching = o.PortLatching, o.NoPortLatching
				return must(t)(m.Offer(r)).Media()[0].Port
			}
			answer := func(port int) uint16 {
				return must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", port)))).Media()[0].Port
			}
			toBob, toAlice := offer(alice.port), answer(bob.port)
			bob.say(t, toBob, 1)
			alice.say(t, toAlice, 1)
			if alice.hears(t, soon) == 0 || bob.hears(t, soon) == 0 {
				t.Fatal("the call has no sound to begin with")
			}

			var lines []string
			if c.extra != "" {
				lines = append(lines, c.extra)
			}
			again := offer(moved.port, lines...)
			if (again != toBob) != c.changes {
				t.Fatalf("bob was told port %d, now %d", toBob, again)
			}
			bob.say(t, toBob, 2)
			if moved.hears(t, soon) == 0 {
				t.Error("what bob still sends to the port before is lost")
			}
			moved.say(t, toAlice, 2)
			if from := bob.hears(t, soon); from != toBob {
				t.Errorf("bob, who has not answered, hears from port %d, want still %d", from, toBob)
			}

			if got := answer(bob.port); got != toAlice {
				t.Errorf("alice was told port %d, now %d", toAlice, got)
			}
			moved.say(t, toAlice, 3)
			if from := bob.hears(t, soon); from != again {
				t.Errorf("bob, who has answered, hears from port %d, want %d", from, again)
			}
			bob.say(t, again, 3)
			if moved.hears(t, soon) == 0 {
				t.Error("what bob sends to the new port is lost")
			}
			if back := offer(alice.port); back != toBob {
				t.Errorf("after a move back bob is told port %d, want %d", back, toBob)
			}
		})
	}
}

func TestARepeatedAnswerMovesNothing(t *testing.T) {
	m, _ := newManager(t, nil)
	offer := func() { must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000)))) }
	answer := func(port int) uint16 {
		return must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", port)))).Media()[0].Port
	}
	offer()
	early := answer(5000)
	if final := answer(5002); final != early {
		t.Errorf("ringing told port %d, the final answer %d", early, final)
	}
	offer()
	if next := answer(5004); next == early {
		t.Error("the answer to another offer told the port before")
	}
}

func TestOtherPortsKeepWhatTheOfferSaidOfDTLS(t *testing.T) {
	certificates, err := dtls.NewCertificates(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := newManager(t, func(c *call.Config) { c.Certificates = certificates })
	alice := strings.Replace(describe("127.0.0.1", 4000, "a=setup:actpass", "a=fingerprint:"+print1), "RTP/AVP", "RTP/SAVP", 1)
	var told []sdp.Setup
	for _, port := range []int{5000, 6000} {
		offer := request(t, "c1", "a", "", alice)
		offer.Protocol = sdp.ProtoAVP
		must(t)(m.Offer(offer))
		answer := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", port))))
		told = append(told, answer.Media()[0].Setup)
	}
	if told[0] == sdp.SetupActpass || told[1] != told[0] {
		t.Errorf("alice is told the role %s, then, on other ports, %s", told[0], told[1])
	}
	snap, err := m.Query("c1", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if s := &snap.Parties[0].Media[0].Media.Security; len(s.DTLS.Peer) != 1 || s.DTLS.Association != 2 {
		t.Errorf("association %d, with fingerprints %v of hers", s.DTLS.Association, s.DTLS.Peer)
	}
}
