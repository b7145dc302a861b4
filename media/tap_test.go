package media

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/weir-media/weir/rtp"
)

// ear is a Tap that keeps what it hears.
type ear struct {
	mu      sync.Mutex
	packets []TapPacket
}

func (e *ear) Packet(p *TapPacket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := *p
	kept.Data = bytes.Clone(p.Data)
	e.packets = append(e.packets, kept)
}

func (e *ear) heard() []TapPacket {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.packets)
}

func TestTapsGetWhatComesAndWhatIsSent(t *testing.T) {
	w, legs, _ := bench(t)
	a, b := legs[0], legs[1]
	in, out := new(ear), new(ear)
	a.Apply(Settings{
		Signalled: peerOf(0), Learning: LearnOff, Sinks: []Sink{{RTP: b, RTCP: b}}, Taps: Taps{Received: []Tap{in}},
		Treatment: Treatment{Media: Silence, Silences: silences()},
	})
	b.Apply(Settings{Signalled: peerOf(1), Learning: LearnOff, Taps: Taps{Sent: []Tap{out}}})
	voice, report := packetOf(8, 1, 1, 2, 3), receiverReport(7)
	w.now = 5
	for _, data := range [][]byte{voice, report} {
		w.relay(a, slices.Clone(data), peerOf(0))
		w.flush()
	}
	w.relay(a, slices.Clone(voice), peerOf(2)) // a stranger
	got := in.heard()
	if len(got) != 2 || !bytes.Equal(got[0].Data, voice) || !bytes.Equal(got[1].Data, report) {
		t.Fatalf("received: %+v", got)
	}
	if p := got[0]; p.At != 5 || p.From != peerOf(0) || p.To != a.Local() || p.Sent || p.RTCP || !got[1].RTCP {
		t.Errorf("received: %+v", got)
	}
	got = out.heard()
	if len(got) != 2 || !bytes.Equal(got[0].Data, packetOf(8, 1, 0xd5, 0xd5, 0xd5)) || !bytes.Equal(got[1].Data, report) {
		t.Fatalf("sent: %+v", got)
	}
	if p := got[0]; p.From != b.Local() || p.To != peerOf(1) || !p.Sent || p.RTCP || !got[1].RTCP {
		t.Errorf("sent: %+v", got)
	}
}

func TestTappedFlowStaysInUserspace(t *testing.T) {
	for name, at := range map[string]func(a, b *Settings){
		"what comes":   func(a, _ *Settings) { a.Taps.Received = []Tap{new(ear)} },
		"what is sent": func(_, b *Settings) { b.Taps.Sent = []Tap{new(ear)} },
	} {
		t.Run(name, func(t *testing.T) {
			kernel := newFakeKernel()
			r := newRig(t, func(c *Config) { c.FastPath = kernel })
			alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			as, bs := Settings{Signalled: alice.addr()}, Settings{Signalled: bob.addr()}
			bridge(a, nil, as, b, nil, bs)
			for range confirmations {
				bob.wants(b, alice.rtp(a))
				alice.wants(a, bob.rtp(b))
			}
			installed := func() bool { _, ok := kernel.flow(a); return ok }
			r.until("the flow is installed", installed)
			at(&as, &bs)
			bridge(a, nil, as, b, nil, bs)
			if installed() {
				t.Error("the flow is in the kernel while it is tapped")
			}
			if st := a.Stats(); st.Why != whyUserspace+": "+needsTap {
				t.Errorf("it is not in the kernel because %q", st.Why)
			}
			bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
			r.until("the flow is installed again", installed)
		})
	}
}

func TestTapQueueHoldsPacketsUpToItsLimit(t *testing.T) {
	q := NewTapQueue(3 * (tapPacketSize + 100))
	for i := range byte(4) {
		q.Packet(&TapPacket{Data: bytes.Repeat([]byte{i}, 100)})
	}
	<-q.Ready()
	var got []byte
	take := func(packets []TapPacket) {
		for _, p := range packets {
			got = append(got, p.Data[0], byte(len(p.Data)))
		}
	}
	if !q.Take(take) || !bytes.Equal(got, []byte{0, 100, 1, 100, 2, 100}) || q.Dropped() != 1 {
		t.Fatalf("taken %v, dropped %d", got, q.Dropped())
	}
	q.Packet(&TapPacket{Data: []byte{9}})
	q.Close()
	q.Packet(&TapPacket{Data: []byte{10}})
	<-q.Ready()
	if got = nil; q.Take(take) || !bytes.Equal(got, []byte{9, 1}) {
		t.Errorf("after the end %v was taken", got)
	}
}

func TestTappingAllocatesNothing(t *testing.T) {
	w, legs, _ := bench(t)
	a, b := legs[0], legs[1]
	q := NewTapQueue(1 << 20)
	a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, Sinks: []Sink{{RTP: b}}, Taps: Taps{Received: []Tap{q}, Sent: []Tap{q}}})
	b.Apply(Settings{Signalled: peerOf(1), Learning: LearnOff, Taps: Taps{Sent: []Tap{q}}})
	data := packetOf(8, 1, 1, 2, 3)
	ignore := func([]TapPacket) {}
	step := func() {
		w.relay(a, data, peerOf(0))
		w.flush()
		q.Take(ignore)
	}
	step()
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func TestAnythingPassesWhereItIsWanted(t *testing.T) {
	w, legs, sent := bench(t)
	a, b := legs[0], legs[1]
	stun := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	for _, anything := range []bool{false, true} {
		a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, Anything: anything, Sinks: []Sink{{RTP: b, RTCP: b}}})
		for name, data := range map[string][]byte{
			"fax": {0, 1, 2, 3}, "a broken RTP header": {0x9f, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, "STUN": stun,
			"broken RTCP": {0x80, rtp.TypeReceiverReport, 0, 9, 0, 0, 0, 1},
		} {
			b.sock.(*spy).last = nil
			w.relay(a, slices.Clone(data), peerOf(0))
			w.flush()
			if got := sent(b); (len(got) > 0) != anything || anything && !bytes.Equal(got, data) {
				t.Errorf("%s, anything %v: %x is sent", name, anything, got)
			}
		}
	}
}
