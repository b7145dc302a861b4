package srtp

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// Two receivers that take turns and tell each other how far they have come refuse what one alone would.
func TestProgressKeepsTwoReceiversTogether(t *testing.T) {
	p := Generate(AES128CM80)
	out, alone := pair(t, p)
	_, one := pair(t, p)
	_, two := pair(t, p)
	both := []*Inbound{one, two}
	rng := rand.New(rand.NewPCG(3, 4))
	var sent [][]byte
	for seq := 65300; seq < 65300+500; seq++ {
		sent = append(sent, must(t)(out.ProtectRTP(packet(1, uint16(seq)))))
	}
	accepted := 0
	for at := range sent {
		if rng.IntN(10) == 0 {
			continue // lost, or late
		}
		for _, i := range []int{at, max(0, at-rng.IntN(200))} {
			in, other := both[rng.IntN(2)], both[0]
			if in == other {
				other = both[1]
			}
			if progress, ok := other.Progress(1); ok {
				in.Advance(1, progress)
			}
			_, want := alone.UnprotectRTP(slices.Clone(sent[i]))
			if _, got := in.UnprotectRTP(slices.Clone(sent[i])); !errors.Is(got, want) {
				t.Fatalf("packet %d after %d: %v, want %v", i, at, got, want)
			}
			if want == nil {
				accepted++
			}
		}
	}
	if accepted < len(sent)*9/10 || accepted > len(sent) {
		t.Errorf("%d packets of %d were accepted", accepted, len(sent))
	}
}

func TestProgressOfStreams(t *testing.T) {
	out, in := pair(t, Generate(AES256CM32))
	if _, ok := in.Progress(1); ok {
		t.Error("a stream that nobody has seen has a progress")
	}
	out.Import(State{SSRC: 1, Started: true, Seq: 65535, ROC: 2})
	in.Import(State{SSRC: 1, Started: true, Seq: 65535, ROC: 2})
	must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 1)))))
	must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(2, 70)))))
	in.Import(State{SSRC: 3, Started: true, Seq: 5}.ForNewKey())
	got := map[uint32]Progress{}
	in.Begun(func(ssrc uint32, p Progress) { got[ssrc] = p })
	if len(got) != 2 || got[1].Highest != 3<<16|1 || got[2].Highest != 70 {
		t.Errorf("%+v have begun", got)
	}
	if got[1].Seen != [2]uint64{^uint64(2), ^uint64(0)} || got[2].Seen != [2]uint64{1, 0} {
		t.Errorf("seen: %x and %x", got[1].Seen, got[2].Seen)
	}
	if p, ok := out.Progress(1); !ok || p != (Progress{Highest: 3<<16 | 1}) {
		t.Errorf("the sender has come to %+v, %t", p, ok)
	}
	if n := testing.AllocsPerRun(100, func() {
		p, _ := in.Progress(1)
		in.Advance(1, p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
