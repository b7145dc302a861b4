package media

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/srtp"
)

// behindNAT is what a party says that sends from elsewhere.
var behindNAT = netip.MustParseAddrPort("127.66.0.1:4000")

func TestAHandshakeShowsWhereAPartyBehindANATIs(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bob, mallory, ours, link := newPhone(t, loopback4), newPhone(t, loopback4), newCertificate(t), r.NewLink()
	defer link.Close()
	alice := newSecureParty(t, a, dtls.Active, ours)
	mallory.send(a, []byte{22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1})
	a.Apply(Settings{Signalled: behindNAT, Link: link, Secure: true, Sinks: []Sink{{RTP: b}}})
	b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
	if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{Certificate: ours, Role: dtls.Passive, Remote: alice.fingerprints()}}); err != nil {
		t.Fatal(err)
	}
	alice.key()
	r.until("the leg knows where the handshake came from", func() bool { return a.Stats().Source == alice.addr() })
	if a.Stats().Confirmed {
		t.Error("a handshake ended learning")
	}
	// The party hears although it has not sent any media yet.
	sent := bob.rtp(b)
	if got, err := alice.receives.UnprotectRTP(<-alice.media); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %x, %v, want %x", got, err, sent)
	}
}

func TestSRTPThatPassesShowsWhereThePeerIs(t *testing.T) {
	r := newRig(t, nil)
	a, aRTCP := r.pair(4, "call")
	b, bRTCP := r.pair(4, "call")
	alice, bob, mallory := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, netip.MustParseAddr("127.66.0.2"))
	keys, sends, _ := keyed(t, srtp.AES128CM80)
	bridge(a, aRTCP, Settings{Signalled: behindNAT, Sealed: true, Proof: keys.In},
		b, bRTCP, Settings{Signalled: bob.addr(), Sealed: true})
	aRTCP.Apply(Settings{Kind: RTCP, Signalled: netip.AddrPortFrom(behindNAT.Addr(), behindNAT.Port()+1), Sinks: []Sink{{RTCP: bRTCP}}})
	r.settle()

	for range 2 * probation {
		mallory.send(a, rtpPacket(1))
	}
	r.until("packets without the keys are dropped", func() bool { return a.Stats().Drops[DropAuth] == 2*probation })
	first := sealed(t, sends, rtpPacket(2))
	alice.send(a, first)
	bob.wants(b, first) // as it came
	if st := a.Stats(); st.Source != alice.addr() || !st.Confirmed {
		t.Errorf("learnt %v, final %v", st.Source, st.Confirmed)
	}
	mallory.send(a, sealed(t, sends, rtpPacket(3)))
	r.until("a stranger is refused", func() bool { return a.Stats().Drops[DropForeign] == 1 })
	mallory.send(aRTCP, []byte{0x80, 201, 0, 1, 0, 0, 0, 9})
	r.until("RTCP of a stranger is refused", func() bool { return aRTCP.Stats().Drops[DropForeign] == 1 })
}

// A party may encrypt with another key than it says: that is between the parties, as long as it is where it says it is.
func TestSRTPOfOtherKeysPassesFromTheSignalledAddress(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	keys, _, _ := keyed(t, srtp.AES128CM80)
	_, sends, _ := keyed(t, srtp.AES128CM80)
	bridge(a, nil, Settings{Signalled: alice.addr(), Sealed: true, Proof: keys.In}, b, nil, Settings{Signalled: bob.addr(), Sealed: true})
	r.settle()
	packet := sealed(t, sends, rtpPacket(1))
	alice.send(a, packet)
	bob.wants(b, packet)
}
