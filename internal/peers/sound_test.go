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
