package media

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/weir-media/weir/srtp"
)

// keyed returns keys of a suite, and the contexts of the peer at the other end.
func keyed(t *testing.T, suite srtp.Suite) (keys Keys, sends *srtp.Outbound, receives *srtp.Inbound) {
	t.Helper()
	in, out := srtp.Generate(suite), srtp.Generate(suite)
	sends, err := srtp.NewOutbound(in)
	if err != nil {
		t.Fatal(err)
	}
	if receives, err = srtp.NewInbound(out); err != nil {
		t.Fatal(err)
	}
	return Keys{In: &in, Out: &out}, sends, receives
}

// sealed returns a packet as the peer sends it.
func sealed(t *testing.T, sends *srtp.Outbound, packet []byte) []byte {
	t.Helper()
	b, err := sends.ProtectRTP(append(make([]byte, 0, len(packet)+srtp.MaxOverhead), packet...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSRTPIsBridgedToRTPAndBack(t *testing.T) {
	for _, suite := range srtp.Suites() {
		t.Run(suite.String(), func(t *testing.T) {
			r := newRig(t, nil)
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
			keys, sends, receives := keyed(t, suite)
			a.Apply(Settings{Signalled: alice.addr(), Secure: true, Keys: keys, Sinks: []Sink{{RTP: b}}})
			b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
			r.settle()

			clear := rtpPacket(7)
			alice.send(a, sealed(t, sends, clear))
			bob.wants(b, clear)

			sent := bob.rtp(b)
			got, err := receives.UnprotectRTP(alice.receive())
			if err != nil || !bytes.Equal(got, sent) {
				t.Fatalf("got %x, %v, want %x", got, err, sent)
			}
			if !a.Stats().Confirmed {
				t.Error("a packet with a good tag did not end learning")
			}
			if b.Stats().Confirmed {
				t.Error("a clear packet ended learning at once")
			}
		})
	}
}

func TestPacketsWithoutTheKeysAreDroppedAndTeachNothing(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	alice, bob, mallory := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	keys, sends, _ := keyed(t, srtp.AES128CM80)
	a.Apply(Settings{Signalled: alice.addr(), Secure: true, Keys: keys, Sinks: []Sink{{RTP: b}}})
	b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
	r.settle()

	first := sealed(t, sends, rtpPacket(1))
	mallory.send(a, rtpPacket(1))
	forged := bytes.Clone(first)
	forged[20] ^= 1
	mallory.send(a, forged)
	r.until("both are refused", func() bool { return a.Stats().Drops[DropAuth] == 2 })
	if st := a.Stats(); st.Source.IsValid() {
		t.Fatalf("learnt %v from a packet without the keys", st.Source)
	}
	alice.send(a, first)
	bob.wants(b, rtpPacket(1))
	alice.send(a, first)
	r.until("the replay is refused", func() bool { return a.Stats().Drops[DropReplay] == 1 })
	mallory.send(a, sealed(t, sends, rtpPacket(2)))
	r.until("the stranger is refused", func() bool { return a.Stats().Drops[DropForeign] == 1 })
}

func TestNothingPassesInClearBeforeThereAreKeys(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a.Apply(Settings{Signalled: alice.addr(), Secure: true, Sinks: []Sink{{RTP: b}}})
	b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
	alice.rtp(a)
	bob.rtp(b)
	r.until("both are dropped", func() bool {
		return a.Stats().Drops[DropNoKeys] == 1 && b.Stats().Drops[DropNoKeys] == 1
	})

	keys, sends, receives := keyed(t, srtp.AES128GCM)
	if err := a.SetKeys(keys); err != nil {
		t.Fatal(err)
	}
	a.Apply(Settings{Signalled: alice.addr(), Secure: true, TOS: 8, Sinks: []Sink{{RTP: b}}}) // a handshake's keys stay
	r.settle()
	clear := rtpPacket(9)
	alice.send(a, sealed(t, sends, clear))
	bob.wants(b, clear)
	sent := bob.rtp(b)
	if got, err := receives.UnprotectRTP(alice.receive()); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("got %x, %v, want %x", got, err, sent)
	}

	a.Apply(Settings{Signalled: alice.addr(), Sinks: []Sink{{RTP: b}}}) // and go when the media is no longer secure
	r.settle()
	bob.wants(b, alice.rtp(a))
}

func TestAnotherKeyKeepsTheRolloverCounter(t *testing.T) {
	before, _, _ := keyed(t, srtp.AES128CM80)
	c, err := newCipher(nil, before, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.out.Import(srtp.State{SSRC: 1, Started: true, Seq: 65000, ROC: 3, NextRTCP: 9})
	after, _, _ := keyed(t, srtp.AES256CM80)
	same, err := newCipher(nil, Keys{In: after.In, Out: before.Out}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if same.out != c.out {
		t.Error("the unchanged direction began anew")
	}
	other, err := newCipher(nil, after, same, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := other.out.Export(); len(got) != 1 || got[0].ROC != 3 || got[0].NextRTCP != 0 {
		t.Errorf("state after a change of the key: %+v", got)
	}
}

// securePath returns a function that takes one packet from RTP to SRTP, or back, through a worker that nobody else uses.
func securePath(tb testing.TB, suite srtp.Suite, toSRTP bool) (step func()) {
	p, err := New(Config{Workers: 1, Interfaces: []Interface{{Name: "x", Addresses: []Address{{IP: loopback4}}}}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	w := &worker{plane: p, in: newInBatch(), out: newOutBatch(), commands: []func(){nil}}
	in, out := srtp.Generate(suite), srtp.Generate(suite)
	peer, err := srtp.NewOutbound(in)
	if err != nil {
		tb.Fatal(err)
	}
	clear, room := rtpPacket(0), make([]byte, 0, 2048)
	from := &silent{from: netip.MustParseAddrPort("192.0.2.1:4000")}
	a := &Leg{plane: p, worker: w, streams: new(streams), local: netip.MustParseAddrPort("10.0.0.1:30000"), sock: from}
	b := &Leg{plane: p, worker: w, streams: new(streams), local: netip.MustParseAddrPort("10.0.0.1:30002"), sock: from}
	as, bs := Settings{Signalled: from.from}, Settings{Signalled: netip.MustParseAddrPort("192.0.2.2:4000")}
	secure := a
	if toSRTP {
		secure = b
	}
	bridge(a, nil, as, b, nil, bs)
	secure.rekey(Keys{In: &in, Out: &out})
	sent := 0
	tb.Cleanup(func() {
		if got := b.Stats().Out.Packets; got != uint64(sent) {
			tb.Errorf("received %d, relayed %d: %+v", sent, got, a.Stats())
		}
	})
	return func() {
		sent++
		binary.BigEndian.PutUint16(clear[2:], uint16(sent))
		from.data = append(room, clear...)
		if !toSRTP {
			if from.data, err = peer.ProtectRTP(from.data); err != nil {
				tb.Fatal(err)
			}
		}
		w.round += 2
		w.now++
		w.serve(a)
	}
}

func TestSRTPAllocatesNothing(t *testing.T) {
	for _, suite := range srtp.Suites() {
		for _, toSRTP := range []bool{true, false} {
			step := securePath(t, suite, toSRTP)
			step() // the first packet of a stream makes its state
			if n := testing.AllocsPerRun(500, step); n != 0 {
				t.Errorf("%v, to SRTP %v: %v allocations per packet, want none", suite, toSRTP, n)
			}
		}
	}
}

// BenchmarkSecurePath includes what the peer does to protect a packet where it leads from SRTP to RTP.
func BenchmarkSecurePath(b *testing.B) {
	for _, suite := range []srtp.Suite{srtp.AES128CM80, srtp.AES128GCM} {
		for name, toSRTP := range map[string]bool{"to SRTP": true, "from SRTP": false} {
			b.Run(suite.String()+"/"+name, func(b *testing.B) {
				step := securePath(b, suite, toSRTP)
				b.ReportAllocs()
				for b.Loop() {
					step()
				}
			})
		}
	}
}
