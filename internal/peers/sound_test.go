package peers

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestATonesFileIsHeardAsThatTone(t *testing.T) {
	for _, tone := range []float64{LowTone, HighTone} {
		path := filepath.Join(t.TempDir(), "tone.wav")
		if err := os.WriteFile(path, toneWAV(tone, 2*time.Second), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := readWAV(path, 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Is(tone) || s.Heard != 2*time.Second || math.Abs(s.Level-1/(3*math.Sqrt2)) > 0.01 {
			t.Errorf("%v Hz is heard as %v", tone, s)
		}
	}
}

func TestSilenceHasNoPitch(t *testing.T) {
	if s := listen(make([]float64, 4000), 8000); s.Level != 0 || s.Pitch != 0 || s.Is(LowTone) {
		t.Errorf("heard %v", s)
	}
}

func TestPCMUKeepsSamplesWithinAStep(t *testing.T) {
	for v := math.MinInt16; v <= math.MaxInt16; v++ {
		got := int(fromMu(toMu(int16(v))))
		// Steps get larger with the sample; what is above the largest is cut.
		if d := max(got-v, v-got); d > (max(v, -v)+muBias)/32 && max(v, -v) <= muClip {
			t.Fatalf("%d comes back as %d", v, got)
		}
	}
	for sample, code := range map[int16]byte{0: 0xff, -1: 0x7f, 32635: 0x80, -32635: 0x00} {
		if got := toMu(sample); got != code {
			t.Errorf("%d is %#x, want %#x", sample, got, code)
		}
	}
}
