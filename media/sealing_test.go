package media

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// recorder is a transport that keeps what is sent.
type recorder struct {
	silent
	sent [][]byte
}

func (r *recorder) send(b *outBatch, first, end int) (int, error) {
	for _, data := range b.data[first:end] {
		r.sent = append(r.sent, bytes.Clone(data))
	}
	return end - first, nil
}

// zrtpHello begins like a ZRTP packet (RFC 6189, section 5).
func zrtpHello() []byte {
	return append([]byte{0x10, 0, 0, 1, 'Z', 'R', 'T', 'P'}, make([]byte, 24)...)
}

func TestNothingButSRTPPassesASecureLeg(t *testing.T) {
	for _, kind := range []Kind{RTP, Opaque} {
		t.Run(kind.String(), func(t *testing.T) {
			r := newRig(t, nil)
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
			keys, _, _ := keyed(t, srtp.AES128CM80)
			a.Apply(Settings{Kind: kind, Signalled: alice.addr(), Secure: true, Keys: keys, Learning: LearnImmediate, Sinks: []Sink{{RTP: b}}})
			b.Apply(Settings{Kind: kind, Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
			alice.send(a, zrtpHello())
			bob.send(b, zrtpHello())
			r.until("neither passes", func() bool {
				return a.Stats().Drops[DropUnsealed] == 1 && b.Stats().Drops[DropUnsealed] == 1
			})
			if a.Stats().Confirmed {
				t.Error("a packet that anybody could have sent has ended learning")
			}
		})
	}
}

func TestKeysAndTheirIndicesOutliveASpellInClear(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	keys, _, receives := keyed(t, srtp.AES128CM80)
	if err := a.SetKeys(keys); err != nil {
		t.Fatal(err)
	}
	b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a, RTCP: a}}})
	for _, secure := range []bool{true, false, true} {
		a.Apply(Settings{Signalled: alice.addr(), Secure: secure})
		r.settle()
		report := receiverReport(7)
		bob.send(b, report)
		got, err := alice.receive(), error(nil)
		if secure {
			got, err = receives.UnprotectRTCP(got)
		}
		if err != nil || !bytes.Equal(got, report) {
			t.Fatalf("secure %v: got %x, %v, want %x", secure, got, err, report)
		}
	}
}

func TestKeysOfAHandshakeDoNotReplaceSignalledOnes(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	signalled, _, _ := keyed(t, srtp.AES128CM80)
	found, _, _ := keyed(t, srtp.AES128CM80)
	a.Apply(Settings{Secure: true, Keys: signalled})
	if err := a.SetKeys(found); err != nil {
		t.Fatal(err)
	}
	r.settle()
	if !a.cipher.Load().keys.equal(signalled) {
		t.Error("a handshake that ends late has replaced the keys that signalling has agreed since")
	}
}

func TestRTCPNeverUsesAnIndexTwiceWhenItChangesLegs(t *testing.T) {
	r := newRig(t, nil)
	a, aRTCP := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	alice, aliceRTCP, bob := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	keys, _, receives := keyed(t, srtp.AES128CM80)
	a.Apply(Settings{Signalled: alice.addr(), Secure: true, Keys: keys})
	aRTCP.Apply(Settings{Kind: RTCP, Signalled: aliceRTCP.addr(), Secure: true, Keys: keys})
	for _, way := range []struct {
		leg   *Leg
		phone *phone
	}{{aRTCP, aliceRTCP}, {a, alice}, {aRTCP, aliceRTCP}} {
		b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a, RTCP: way.leg}}})
		r.settle()
		report := receiverReport(7)
		bob.send(b, report)
		if got, err := receives.UnprotectRTCP(way.phone.receive()); err != nil || !bytes.Equal(got, report) {
			t.Fatalf("by %v: got %x, %v, want %x", way.leg.Local(), got, err, report)
		}
	}
}

func TestALegThatSendsForAnotherIsClosedTheLongWay(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	other, _ := r.pair(4, "call")
	a.setRoute(&route{via: other, to: newEndpoint(peerOf(0))})
	if !other.shared.Load() {
		t.Error("a worker that sends by the first may find the socket of the other closed, or to be somebody else's")
	}
}

func TestReportsThatLosePartsDoNotSpoilThoseQueuedBefore(t *testing.T) {
	w, legs, _ := bench(t)
	a, b := legs[0], legs[1]
	to := new(recorder)
	b.sock = to
	a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, ReportBy: a, Sinks: []Sink{{RTP: b, RTCP: b}}})
	for ssrc := range uint32(3) {
		r := rtp.Report{SSRC: ssrc}
		bye := []byte{0x81, rtp.TypeGoodbye, 0, 1, 0, 0, 0, byte(ssrc)}
		w.relay(a, append(r.Append(nil), bye...), peerOf(0))
	}
	w.flush()
	if len(to.sent) != 3 {
		t.Fatalf("%d datagrams, want 3", len(to.sent))
	}
	for i, data := range to.sent {
		if data[len(data)-1] != byte(i) {
			t.Errorf("datagram %d is the BYE of %d", i, data[len(data)-1])
		}
	}
}

func TestProofOfTheKeysIsTakenWithAFullBatch(t *testing.T) {
	w, legs, _ := bench(t)
	in := srtp.Generate(srtp.AES128CM80)
	peer, err := srtp.NewOutbound(in)
	if err != nil {
		t.Fatal(err)
	}
	to := new(recorder)
	legs[1].sock = to
	// Nobody has the keys, so that learning does not end.
	legs[0].Apply(Settings{Signalled: peerOf(0), Sealed: true, Proof: &in, Sinks: []Sink{{RTP: legs[1]}, {RTP: legs[1]}}})
	for seq := range uint16(batchSize) {
		packet := sealed(t, peer, rtpPacket(seq))
		packet[len(packet)-1] ^= 1
		w.relay(legs[0], packet, netip.AddrPortFrom(peerOf(0).Addr(), 4002))
	}
	w.flush()
	if len(to.sent) != 2*batchSize {
		t.Errorf("%d packets, want %d", len(to.sent), 2*batchSize)
	}
}

func TestASourceOfAnotherFamilyIsNotLearnt(t *testing.T) {
	w, legs, _ := bench(t)
	a, b := legs[0], legs[1]
	other := &Leg{plane: a.plane, worker: w, streams: new(streams), local: netip.MustParseAddrPort("[2001:db8::1]:30000"), sock: new(spy)}
	other.Apply(Settings{Primary: a})
	a.Apply(Settings{Learning: LearnImmediate, Sinks: []Sink{{RTP: b}}})
	w.relay(other, rtpPacket(1), netip.MustParseAddrPort("[2001:db8::2]:4000"))
	if to, _ := a.destination(false); to != nil || a.Stats().Drops[DropEarly] != 1 {
		t.Errorf("packets for the peer go to %v, which the leg cannot reach", to)
	}
}
