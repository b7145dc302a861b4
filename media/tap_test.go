package media

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/weir-media/weir/fastpath"
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

// take is heard, and forgets it.
func (e *ear) take() []TapPacket {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.packets
	e.packets = nil
	return all
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

// talking returns a rig whose kernel has the flow from a to b.
func talking(t *testing.T) (r *rig, kernel *fakeKernel, apply func(as, bs Settings), a, b *Leg) {
	kernel = newFakeKernel()
	r = newRig(t, func(c *Config) { c.FastPath = kernel })
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ = r.pair(4, "call")
	b, _ = r.pair(4, "call")
	apply = func(as, bs Settings) {
		as.Signalled, bs.Signalled = alice.addr(), bob.addr()
		bridge(a, nil, as, b, nil, bs)
	}
	apply(Settings{}, Settings{})
	for range confirmations {
		bob.wants(b, alice.rtp(a))
		alice.wants(a, bob.rtp(b))
	}
	r.until("the flow is installed", func() bool { _, ok := kernel.flow(a); return ok })
	return r, kernel, apply, a, b
}

func TestKernelGivesCopiesOfWhatComes(t *testing.T) {
	r, kernel, apply, a, _ := talking(t)
	tap := new(ear)
	apply(Settings{Taps: Taps{Received: []Tap{tap}}}, Settings{})
	r.until("the flow has a tap", func() bool { f, ok := kernel.flow(a); return ok && f.Taps.All })
	peer := a.Stats().Source
	for _, data := range [][]byte{rtpPacket(9), receiverReport(7)} {
		kernel.tap(fastpath.TappedPacket{Local: a.Local(), Source: peer, When: 5, Data: data})
	}
	kernel.tap(fastpath.TappedPacket{Local: peer, Source: peer, Data: rtpPacket(1)}) // of a leg that has gone
	got := tap.heard()
	if len(got) != 2 || !bytes.Equal(got[0].Data, rtpPacket(9)) || got[0].At != 5 || got[0].From != peer || got[0].To != a.Local() || got[0].RTCP || !got[1].RTCP {
		t.Errorf("heard %+v", got)
	}
	apply(Settings{}, Settings{})
	r.until("the flow has no tap", func() bool { f, ok := kernel.flow(a); return ok && !f.Taps.All })
}

func TestKernelGivesCopiesOfWhatIsSent(t *testing.T) {
	r, kernel, apply, a, b := talking(t)
	tap := new(ear)
	apply(Settings{Treatment: Treatment{Media: Silence, Silences: silences(), Events: PayloadTypes{1: 1 << (101 - 64)}}}, Settings{Taps: Taps{Sent: []Tap{tap}}})
	r.until("the flow has a tap", func() bool { f, ok := kernel.flow(a); return ok && f.Taps.All && f.Silence })
	for _, data := range [][]byte{packetOf(8, 1, 1, 2, 3), packetOf(96, 2, 1, 2, 3), packetOf(101, 3, 1, 2, 3, 4)} {
		kernel.tap(fastpath.TappedPacket{Local: a.Local(), Source: a.Stats().Source, When: 5, Data: data})
	}
	got, peer := tap.heard(), b.Stats().Destination
	want := [][]byte{packetOf(8, 1, 0xd5, 0xd5, 0xd5), packetOf(101, 3, 1, 2, 3, 4)}
	if len(got) != len(want) {
		t.Fatalf("heard %+v", got)
	}
	for i, data := range want {
		if p := got[i]; !bytes.Equal(p.Data, data) || !p.Sent || p.At != 5 || p.From != b.Local() || p.To != peer || p.RTCP {
			t.Errorf("heard %+v, want %x", p, data)
		}
	}
	apply(Settings{}, Settings{})
	r.until("the flow has no tap", func() bool { f, ok := kernel.flow(a); return ok && !f.Taps.All })
}

func TestTapsOfLinksGetWhatIsForThem(t *testing.T) {
	w, legs, _ := bench(t)
	l, tap := legs[0], new(ear)
	l.Apply(Settings{Signalled: peerOf(0), Taps: Taps{Link: []Tap{tap}}, Link: w.plane.NewLink()})
	stun := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	w.relay(l, stun, peerOf(1))
	w.legs.put(l)
	l.Send([]byte{22, 1}, peerOf(1))
	w.runCommands()
	got := tap.heard()
	if len(got) != 2 || !bytes.Equal(got[0].Data, stun) || got[0].From != peerOf(1) || got[0].To != l.Local() || got[0].Sent ||
		!bytes.Equal(got[1].Data, []byte{22, 1}) || got[1].From != l.Local() || got[1].To != peerOf(1) || !got[1].Sent {
		t.Errorf("heard %+v", got)
	}
}

func TestCopiesOfTheKernelAllocateNothing(t *testing.T) {
	_, kernel, apply, a, _ := talking(t)
	q := NewTapQueue(1 << 20)
	taps := Taps{Received: []Tap{q}, Sent: []Tap{q}}
	apply(Settings{Taps: taps}, Settings{Taps: taps})
	copied, ignore := fastpath.TappedPacket{Local: a.Local(), Source: a.Stats().Source, When: 5, Data: rtpPacket(9)}, func([]TapPacket) {}
	step := func() {
		kernel.tap(copied)
		q.Take(ignore)
	}
	step()
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func TestFlowReturnsToTheKernelAfterAPrompt(t *testing.T) {
	r, kernel, _, a, b := talking(t)
	before, _ := kernel.flow(a)
	if err := b.Play(alawPrompt(3, -1), func() {}); err != nil {
		t.Fatal(err)
	}
	if _, ok := kernel.flow(a); ok {
		t.Error("the flow is in the kernel while a prompt is played")
	}
	if st := a.Stats(); st.Why != whyUserspace+": "+needsPrompt {
		t.Errorf("it is not in the kernel because %q", st.Why)
	}
	r.until("the prompt is heard", func() bool { return r.Totals().Played > 2 })
	b.StopPlaying()
	r.until("the prompt has ended", func() bool { return a.Stats().Why == whyUserspace+": "+needsSplice })
	w := a.worker
	w.do(func() { // a packet of the peer
		w.current = a
		w.relay(a, rtpPacket(100), a.peer.Load().source.addr)
		w.flush()
	})
	r.until("the flow is installed with the shift", func() bool {
		f, ok := kernel.flow(a)
		return ok && f.Shift.Sequence != 0 && f.Shift.SSRC == 0 && f.To == before.To
	})
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
