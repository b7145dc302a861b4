package media

import (
	"testing"
	"time"
)

func TestMOS(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name         string
		loss         int
		jitter, trip time.Duration
		rate         uint32
		g107, g1072  uint8
		legacy       uint8
		listening    uint8 // by G.107
	}{
		{"a perfect line", 0, 0, 0, 8000, 43, 43, 44, 43},
		{"a perfect line, fullband", 0, 0, 0, 48000, 43, 43, 44, 43},
		{"a little of everything", 3, 15 * ms, 250 * ms, 8000, 36, 36, 35, 38},
		{"a little of everything, fullband", 3, 15 * ms, 250 * ms, 48000, 36, 30, 35, 38},
		{"more of everything", 5, 20 * ms, 400 * ms, 8000, 29, 29, 24, 34},
		{"more of everything, fullband", 5, 20 * ms, 400 * ms, 48000, 29, 22, 24, 34},
		{"a satellite", 0, 5 * ms, 560 * ms, 8000, 37, 37, 24, 43},
		{"nothing but loss", 10, 0, 0, 8000, 27, 27, 34, 27},
		{"all is lost", 100, 0, 0, 8000, 10, 10, 10, 10},
		{"an hour of delay", 0, 0, time.Hour, 8000, 10, 10, 10, 43},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, v := range map[string]struct {
				mos  MOS
				want uint8
			}{
				"G.107": {MOS{}, c.g107}, "G.107.2": {MOS{Formula: FormulaG1072}, c.g1072}, "legacy": {MOS{Formula: FormulaLegacy}, c.legacy},
				"listening": {MOS{Listening: true}, c.listening},
			} {
				if got := v.mos.score(c.loss, c.jitter, c.trip, c.rate); got != v.want {
					t.Errorf("%s: %d, want %d", name, got, v.want)
				}
			}
		})
	}
}

func TestMOSNeverRisesWithLoss(t *testing.T) {
	for _, m := range []MOS{{}, {Formula: FormulaG1072}, {Formula: FormulaLegacy}} {
		before := uint8(45)
		for loss := range 101 {
			got := m.score(loss, 0, 0, fullbandRate)
			if got > before || got < 10 {
				t.Errorf("%+v: %d with %d %% of loss, %d with one less", m, got, loss, before)
			}
			before = got
		}
	}
}
