package media

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/weir-media/weir/rtp"
)

const eventType = 101

// silences is what the tests know of codecs: payload type 8 is PCMA.
func silences() *[128]byte { return &[128]byte{8: 0xd5} }

func packetOf(pt uint8, seq uint16, payload ...byte) []byte {
	h := rtp.Header{PayloadType: pt, Sequence: seq, Timestamp: 160 * uint32(seq), SSRC: 0x01020304}
	return append(h.Append(nil), payload...)
}

func set(types ...uint8) (s PayloadTypes) {
	for _, pt := range types {
		s.Add(pt)
	}
	return s
}

func TestPayloadTypesAreASet(t *testing.T) {
	s := set(0, 63, 64, 127)
	for pt := range uint8(128) {
		if want := slices.Contains([]uint8{0, 63, 64, 127}, pt); s.Has(pt) != want {
			t.Errorf("payload type %d: %v, want %v", pt, s.Has(pt), want)
		}
	}
}

// What a treatment does to one packet for two hearers, bob and carol, of whom carol has an effect of her own.
func TestTreatmentOfPackets(t *testing.T) {
	voice := packetOf(8, 1, 1, 2, 3, 4)
	silent := packetOf(8, 1, 0xd5, 0xd5, 0xd5, 0xd5)
	event := packetOf(eventType, 1, 5, 10, 0, 160)
	other3 := packetOf(eventType, 1, 3, 10, 0, 160)
	other := packetOf(18, 1, 1, 2, 3, 4)
	for name, c := range map[string]struct {
		treatment  Treatment
		carol      Effect
		in         []byte
		bob, carl  []byte
		wantReason Drop
	}{
		"nothing is asked for":                    {in: voice, bob: voice, carl: voice},
		"blocked media reaches nobody":            {treatment: Treatment{Media: Block}, in: voice, wantReason: DropBlocked},
		"blocked media lets events through":       {treatment: Treatment{Media: Block}, in: event, bob: event, carl: event},
		"blocked events reach nobody":             {treatment: Treatment{OnEvents: EventBlock}, in: event, wantReason: DropBlocked},
		"blocked events let media through":        {treatment: Treatment{OnEvents: EventBlock}, in: voice, bob: voice, carl: voice},
		"events are replaced":                     {treatment: Treatment{OnEvents: EventReplace, EventCode: 3}, in: event, bob: other3, carl: other3},
		"dropped traffic is events, too":          {treatment: Treatment{Drop: true}, in: event, wantReason: DropBlocked},
		"silence replaces the payload":            {treatment: Treatment{Media: Silence}, in: voice, bob: silent, carl: silent},
		"what cannot be silenced is blocked":      {treatment: Treatment{Media: Silence}, in: other, wantReason: DropBlocked},
		"block is stronger than silence":          {treatment: Treatment{Media: Silence}, carol: Block, in: voice, bob: silent},
		"one hearer gets nothing":                 {carol: Block, in: voice, bob: voice},
		"one hearer gets silence, the other not":  {carol: Silence, in: voice, bob: voice, carl: silent},
		"one hearer of two cannot get silence":    {carol: Silence, in: other, bob: other},
		"silence for one leaves events for both":  {carol: Silence, in: event, bob: event, carl: event},
		"silence for all leaves events for all":   {treatment: Treatment{Media: Silence}, in: event, bob: event, carl: event},
		"a block for one hearer leaves it events": {carol: Block, in: event, bob: event, carl: event},
	} {
		t.Run(name, func(t *testing.T) {
			w, legs, sent := bench(t)
			a, b, d := legs[0], legs[1], legs[2]
			c.treatment.Events, c.treatment.Silences = set(eventType), silences()
			a.Apply(Settings{
				Signalled: peerOf(0), Treatment: c.treatment, Learning: LearnOff,
				Sinks: []Sink{{RTP: b}, {RTP: d, Media: c.carol}},
			})
			w.relay(a, slices.Clone(c.in), peerOf(0))
			w.flush()
			if got := sent(b); !bytes.Equal(got, c.bob) {
				t.Errorf("bob gets  %x\nwant      %x", got, c.bob)
			}
			if got := sent(d); !bytes.Equal(got, c.carl) {
				t.Errorf("carol gets %x\nwant       %x", got, c.carl)
			}
			st := a.Stats()
			if nobody := c.bob == nil && c.carl == nil; nobody != (st.Drops[c.wantReason] == 1 && st.Drops.Sum() == 1) {
				t.Errorf("drops are %v", st.Drops)
			}
		})
	}
}

func TestRandomEventIsOneDigitAllAlong(t *testing.T) {
	w, legs, sent := bench(t)
	a, b := legs[0], legs[1]
	a.Apply(Settings{
		Signalled: peerOf(0), Learning: LearnOff, Sinks: []Sink{{RTP: b}},
		Treatment: Treatment{OnEvents: EventRandom, Events: set(eventType)},
	})
	digits := map[byte]bool{}
	for event := range uint16(50) {
		first := -1
		for range 3 {
			w.relay(a, packetOf(eventType, event, 5, 10, 0, 160), peerOf(0))
			w.flush()
			digit := int(sent(b)[rtp.HeaderSize])
			if first < 0 {
				first = digit
			}
			if digit != first || digit > 9 {
				t.Fatalf("event %d: digit %d after %d", event, digit, first)
			}
		}
		digits[byte(first)] = true
	}
	if len(digits) < 2 {
		t.Error("fifty random events are all the same digit")
	}
}

func TestEchoHasAnotherSSRC(t *testing.T) {
	w, legs, sent := bench(t)
	a := legs[0]
	a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, Sinks: []Sink{{RTP: a, Echo: true}}})
	in := packetOf(8, 7, 1, 2, 3)
	w.relay(a, slices.Clone(in), peerOf(0))
	w.flush()
	got := sent(a)
	if len(got) != len(in) || !bytes.Equal(got[:8], in[:8]) || bytes.Equal(got[8:12], in[8:12]) || !bytes.Equal(got[12:], in[12:]) {
		t.Errorf("echo of %x is %x, want the same but for the SSRC", in, got)
	}
}

func TestTreatedFlowStaysOutOfTheKernel(t *testing.T) {
	for name, s := range map[string]Settings{
		"dropped":        {Treatment: Treatment{Drop: true}},
		"blocked":        {Treatment: Treatment{Media: Block}},
		"events":         {Treatment: Treatment{OnEvents: EventBlock}},
		"short packets":  {Treatment: Treatment{Uniform: set(8)}},
		"for one hearer": {Sinks: []Sink{{Media: Silence}}},
		"echoed":         {Sinks: []Sink{{Echo: true}}},
	} {
		if s.Treatment.treats(s.Sinks) == "" {
			t.Errorf("%s: the kernel may have it", name)
		}
	}
	harmless := Settings{Treatment: Treatment{Events: set(eventType), Silences: silences()}}
	if why := harmless.Treatment.treats(harmless.Sinks); why != "" {
		t.Errorf("knowing the codecs alone keeps a flow out of the kernel: %s", why)
	}
}

func TestShortPacketsAreFoundByWhatIsNormal(t *testing.T) {
	var u uniform
	for i := range 3 * uniformRun {
		if u.short(8, 160) {
			t.Fatalf("packet %d of the normal size is short", i)
		}
	}
	if !u.short(8, 80) || u.short(8, 160) || u.short(8, 240) {
		t.Error("80 bytes are short where 160 are normal, 160 and 240 are not")
	}
	for range uniformRun {
		u.short(8, 80)
	}
	if u.short(8, 80) {
		t.Error("a change to a shorter packet time must be learnt")
	}
	if u.short(0, 20) {
		t.Error("what is normal for one payload type says nothing about another")
	}
}

func TestTreatingAllocatesNothing(t *testing.T) {
	w, legs, _ := bench(t)
	a, b, c := legs[0], legs[1], legs[2]
	a.Apply(Settings{
		Signalled: peerOf(0), Learning: LearnOff, Treatment: Treatment{Silences: silences(), OnEvents: EventBlock},
		Sinks: []Sink{{RTP: b}, {RTP: c, Media: Silence}},
	})
	data := packetOf(8, 1, 1, 2, 3)
	if n := testing.AllocsPerRun(1000, func() { w.relay(a, data, peerOf(0)); w.flush() }); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

// peerOf returns the address of the i-th leg's peer.
func peerOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 4000)
}

// spy is a transport that keeps the last packet sent.
type spy struct {
	silent
	last []byte
}

func (s *spy) send(b *outBatch, first, end int) (int, error) {
	s.last = append(s.last[:0], b.data[end-1]...)
	return end - first, nil
}

// bench returns a worker that nobody else uses and three legs with known peers. sent returns what a leg sent last.
func bench(t *testing.T, change ...func(*Config)) (w *worker, legs []*Leg, sent func(*Leg) []byte) {
	t.Helper()
	cfg := Config{Workers: 1, Interfaces: []Interface{{Name: "x", Addresses: []Address{{IP: loopback4}}}}}
	for _, c := range change {
		c(&cfg)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	w = &worker{plane: p, in: newInBatch(), out: newOutBatch(), commands: []func(){nil}} // full: do does not wake
	for i := range 3 {
		l := &Leg{plane: p, worker: w, streams: new(streams), local: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(30000+2*i)), sock: new(spy)}
		l.Apply(Settings{Signalled: peerOf(i), Learning: LearnOff})
		legs = append(legs, l)
	}
	return w, legs, func(l *Leg) []byte { return l.sock.(*spy).last }
}
