package srtp

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// The window against a set that forgets nothing.
func TestWindow(t *testing.T) {
	for _, size := range []int{1, 63, 64, 65, 128, 1000} {
		rng := rand.New(rand.NewPCG(1, uint64(size)))
		w := newWindow(size)
		w.reset(0)
		seen, highest, at := map[uint64]bool{}, uint64(0), uint64(0)
		for range 20000 {
			switch r := rng.IntN(100); {
			case r < 2:
				at += rng.Uint64N(uint64(4 * size))
			case r < 60:
				at++
			}
			i := at - min(at, rng.Uint64N(uint64(size+size/4+2)))
			want := !seen[i] && (len(seen) == 0 || i > highest || highest-i < uint64(size))
			if got := w.fresh(i); got != want {
				t.Fatalf("size %d: index %d with highest %d is fresh: %t, want %t", size, i, highest, got, want)
			}
			if want {
				w.see(i)
				seen[i], highest = true, max(highest, i)
			}
		}
	}
}

func TestWindowReset(t *testing.T) {
	for _, next := range []uint64{0, 1, 63, 64, 65, 1 << 40} {
		w := newWindow(128)
		w.see(7)
		w.reset(next)
		for i := next - min(next, 300); i < next+300; i++ {
			if w.fresh(i) != (i >= next) {
				t.Fatalf("after a reset to %d, index %d is fresh: %t", next, i, w.fresh(i))
			}
		}
		w.see(next + 2)
		if !w.fresh(next) || !w.fresh(next+1) || w.fresh(next+2) {
			t.Errorf("after a reset to %d the next ones are not fresh", next)
		}
	}
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		name    string
		highest uint64
		seq     uint16
		want    uint64
		late    int64
	}{
		{"the next", 10, 11, 11, 0},
		{"the same", 10, 10, 10, 0},
		{"the one before", 10, 9, 9, 0},
		{"over the end", 65535, 0, 65536, 0},
		{"back over the end", 65536, 65535, 65535, 0},
		{"half way round from the lower half", 1<<16 | 5, 5 + 1<<15, 1<<16 | 5 + 1<<15, 0},
		{"more than half way round", 1<<16 | 5, 6 + 1<<15, 6 + 1<<15, 0},
		{"half way round from the upper half", 1<<16 | 5 + 1<<15, 5, 1<<16 | 5, 0},
		{"less than half way round", 1<<16 | 5 + 1<<15, 4, 2<<16 | 4, 0},
		{"before index zero", 3, 65534, 65534, 5},
		{"a long jump from the first packets", 3, 40000, 40000, 25539},
		{"the last index of all", 1<<48 - 1, 0, 1 << 48, 0},
	} {
		s := stream{started: true, index: c.highest}
		if got, late := s.estimate(c.seq); got != c.want || late != c.late {
			t.Errorf("%s: index %d, late by %d, want %d, %d", c.name, got, late, c.want, c.late)
		}
	}
}

func TestStreamsAreBounded(t *testing.T) {
	out, in := pair(t, Generate(AES128CM80))
	old := State{SSRC: 1000, Started: true, Seq: 65535, ROC: 0}
	out.Import(old)
	in.Import(old)
	// One stream rolls over and reports; then it is silent while many others come.
	must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1000, 0)))))
	must(t)(out.ProtectRTCP(report(1000)))
	must(t)(out.ProtectRTCP(report(1)))
	must(t)(out.ProtectRTCP(report(1)))
	for ssrc := range uint32(3 * MaxStreams) {
		must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(2000+ssrc, 7)))))
	}
	for name, states := range map[string][]State{"outbound": out.Export(), "inbound": in.Export()} {
		if len(states) != MaxStreams {
			t.Errorf("%s knows %d streams, want %d", name, len(states), MaxStreams)
		}
		if last := states[len(states)-1].SSRC; last != 2000+3*MaxStreams-1 {
			t.Errorf("%s: the last stream is %d", name, last)
		}
		if states[0].SSRC != 1000 || states[0].ROC != 1 {
			t.Errorf("%s: the stream that rolled over is not kept, %+v is", name, states[0])
		}
	}
	// A forgotten stream must not use an SRTCP index twice.
	if i := slices.IndexFunc(out.Export(), func(s State) bool { return s.SSRC == 1 }); i >= 0 {
		t.Fatal("the silent stream is still known")
	}
	must(t)(out.ProtectRTCP(report(1)))
	if s := out.Export()[MaxStreams-1]; s.SSRC != 1 || s.NextRTCP != 3 {
		t.Errorf("the stream that came back is %+v", s)
	}
	// When all have rolled over, the one silent longest goes.
	for ssrc := range uint32(MaxStreams) {
		in.Import(State{SSRC: 5000 + ssrc, ROC: 1, Started: true})
	}
	in.Import(State{SSRC: 6000})
	if s := in.Export(); s[0].SSRC != 5001 || len(s) != MaxStreams {
		t.Errorf("%d streams, silent longest %d", len(s), s[0].SSRC)
	}
}

// A stream goes on in other contexts: of the same key with all it knows, of another key with its rollover counter.
func TestHandOver(t *testing.T) {
	p := Generate(AES256CM80)
	out, in := pair(t, p)
	var last []byte
	for seq := 65530; seq < 65545; seq++ {
		last = must(t)(out.ProtectRTP(packet(1, uint16(seq))))
		must(t)(in.UnprotectRTP(slices.Clone(last)))
		must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(1)))))
	}
	want := []State{{SSRC: 1, Started: true, Seq: 8, ROC: 1, NextRTCP: 15}}
	for name, got := range map[string][]State{"outbound": out.Export(), "inbound": in.Export()} {
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s is %+v, want %+v", name, got, want)
		}
	}

	out2, in2 := pair(t, p)
	out2.Import(out.Export()...)
	in2.Import(in.Export()...)
	if _, err := in2.UnprotectRTP(slices.Clone(last)); !errors.Is(err, ErrReplay) {
		t.Errorf("replay to the next owner: %v", err)
	}
	must(t)(in2.UnprotectRTP(must(t)(out2.ProtectRTP(packet(1, 9)))))
	must(t)(in2.UnprotectRTCP(must(t)(out2.ProtectRTCP(report(1)))))
	want[0].Seq, want[0].NextRTCP = 9, 16
	if got := in2.Export(); !reflect.DeepEqual(got, want) {
		t.Errorf("the next owner has %+v, want %+v", got, want)
	}

	out3, in3 := pair(t, Generate(AES128GCM))
	for _, s := range in2.Export() {
		out3.Import(s.ForNewKey())
		in3.Import(s.ForNewKey())
	}
	must(t)(in3.UnprotectRTP(must(t)(out3.ProtectRTP(packet(1, 10)))))
	must(t)(in3.UnprotectRTCP(must(t)(out3.ProtectRTCP(report(1)))))
	want[0].Seq, want[0].NextRTCP = 10, 1
	if got := in3.Export(); !reflect.DeepEqual(got, want) {
		t.Errorf("with the new key: %+v, want %+v", got, want)
	}
}

// With a new key, a sender may keep its rollover counter, as it should, or begin anew, and go anywhere with its sequence
// numbers; a receiver that kept the counter follows.
func TestNewKey(t *testing.T) {
	was := State{SSRC: 1, Started: true, Seq: 30000, ROC: 3, NextRTCP: 9}
	for _, c := range []struct {
		name string
		roc  uint32
		seq  uint16
		want error
	}{
		{"the counter kept", 3, 30001, nil},
		{"the counter kept, a late packet first", 3, 29990, nil},
		{"the counter kept, over the end", 4, 10, ErrAuth}, // cannot be told from one within the round
		{"the counter anew", 0, 30001, nil},
		{"the counter anew, from lower down", 0, 17, nil},
		{"the counter anew, from higher up", 0, 65000, nil},
		{"another counter", 7, 30001, ErrAuth},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Generate(AES128CM80)
			out, in := pair(t, p)
			out.SetROC(1, c.roc)
			in.Import(was.ForNewKey())
			must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(1)))))
			first := must(t)(out.ProtectRTP(packet(1, c.seq)))
			if _, err := in.UnprotectRTP(slices.Clone(first)); !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if c.want != nil {
				if s := in.Export()[0]; !s.NewKey || s.ROC != was.ROC || s.Seq != was.Seq {
					t.Errorf("the state became %+v", s)
				}
				return
			}
			if _, err := in.UnprotectRTP(first); !errors.Is(err, ErrReplay) {
				t.Errorf("replay: %v", err)
			}
			must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, c.seq+1)))))
			if s := in.Export()[0]; s.NewKey || s.ROC != c.roc || s.Seq != c.seq+1 {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestJoiningLate(t *testing.T) {
	for _, c := range []struct {
		name     string
		roc      uint32 // of the sender
		told     uint32 // to the receiver
		rtcp     bool   // a report comes first
		want     error
		knownROC uint32
	}{
		{name: "from the start"},
		{name: "after one rollover", roc: 1, knownROC: 1},
		{name: "after one rollover and a report", roc: 1, rtcp: true, knownROC: 1},
		{name: "after two", roc: 2, want: ErrAuth},
		{name: "after two, told so", roc: 2, told: 2, knownROC: 2},
		{name: "after two, told of one", roc: 2, told: 1, knownROC: 2},
		{name: "after one, told of two", roc: 1, told: 2, want: ErrAuth},
		{name: "at the end", roc: 1<<32 - 1, told: 1<<32 - 1, knownROC: 1<<32 - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, suite := range []Suite{AES128CM80, AES256GCM} {
				out, in := pair(t, Generate(suite))
				out.SetROC(1, c.roc)
				if c.told > 0 {
					in.SetROC(1, c.told)
				}
				if c.rtcp {
					must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(1)))))
				}
				for seq := range uint16(3) {
					_, err := in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 100+seq))))
					if !errors.Is(err, c.want) {
						t.Fatalf("%v: error %v, want %v", suite, err, c.want)
					}
				}
				if c.want != nil {
					continue
				}
				in.SetROC(1, 77) // too late to matter
				if s := in.Export()[0]; s.ROC != c.knownROC || s.Seq != 102 {
					t.Errorf("%v: state %+v", suite, s)
				}
			}
		})
	}
}

// A source that begins again far away within its first packets is followed, as its receivers follow it.
func TestJumpInTheFirstPackets(t *testing.T) {
	out, in := pair(t, Generate(AES128CM80))
	for _, seq := range []uint16{3, 4, 40000, 40001, 65535, 0, 1} {
		must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, seq)))))
	}
	if s := in.Export()[0]; s.ROC != 1 || s.Seq != 1 {
		t.Errorf("state %+v", s)
	}
}

// Forged packets must not move an unauthenticated stream out of its receiver's memory.
func TestUnauthenticatedStreams(t *testing.T) {
	p := Generate(AES128CM80)
	p.UnauthenticatedRTP = true
	out, in := pair(t, p)
	b := must(t)(out.ProtectRTP(packet(1, 65535)))
	must(t)(in.UnprotectRTP(slices.Clone(b)))
	must(t)(in.UnprotectRTP(b)) // no replay protection without authentication
	must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 0)))))
	for ssrc := range uint32(2 * MaxStreams) {
		must(t)(in.UnprotectRTP(packet(100+ssrc, 1)))
	}
	if s := in.Export(); s[0].SSRC != 1 || s[0].ROC != 1 {
		t.Errorf("the stream is forgotten, %+v is silent longest", s[0])
	}
}
