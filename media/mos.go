package media

import (
	"math"
	"time"
)

// Formula says how a mean opinion score comes about from loss, jitter and delay.
type Formula uint8

// The formulas.
const (
	// FormulaG107 is a simplified E-model (ITU-T G.107) for any codec.
	FormulaG107 Formula = iota
	// FormulaG1072 is that of fullband codecs (ITU-T G.107.2) for payload types of 48 kHz, and FormulaG107 for the others.
	FormulaG1072
	// FormulaLegacy takes 2.5 points off for each percent of loss, and delay and jitter by a bent line.
	FormulaLegacy
)

// MOS says how mean opinion scores are computed. The zero value is conversational quality by FormulaG107.
type MOS struct {
	Listening bool // the round trip does not count, so that no RTCP is needed
	Formula   Formula
}

// The terms of the E-model. G.107 begins with a rating of 93.2; the packets and buffers at both ends cost some 30 ms, at
// 0.024 for each. Robustness is the Bpl of G.113: the table has 4.3 for G.711 without concealment and 25.1 with it, and no
// word of what an end point does. Neither is there one on Opus.
const (
	baseRating         = 93.2 - 0.024*30
	robustness         = 13.8
	fullbandRating     = 148
	fullbandImpairment = 14
	fullbandRobustness = 4.6
	fullbandRate       = 48000 // Hz
	fullbandScale      = 1.48  // G.107.2: its ratings as those of G.107
)

// score returns the mean opinion score times ten. The loss is in percent, the rate is that of the payload type in Hz.
func (m MOS) score(loss int, jitter, roundTrip time.Duration, rate uint32) uint8 {
	if m.Listening {
		roundTrip = 0
	}
	var rating float64
	switch {
	case m.Formula == FormulaLegacy:
		rating = legacyRating(loss, jitter, roundTrip)
	case m.Formula == FormulaG1072 && rate == fullbandRate:
		rating = (fullbandRating - fullbandDelay(milliseconds(roundTrip/2+jitter)) -
			lossImpairment(loss, fullbandImpairment, 132, fullbandRobustness)) / fullbandScale
	default:
		delay := milliseconds(roundTrip/2 + jitter)
		rating = baseRating - 0.024*delay - 0.11*max(0, delay-177.3) - lossImpairment(loss, 0, 95, robustness)
	}
	return opinion(rating)
}

// legacyRating counts the round trip as if it were one way.
func legacyRating(loss int, jitter, roundTrip time.Duration) float64 {
	const start = 93.2
	latency := milliseconds(roundTrip+2*jitter) + 10
	if latency < 160 {
		return start - latency/40 - 2.5*float64(loss)
	}
	return start - (latency-120)/10 - 2.5*float64(loss)
}

// lossImpairment is Ie,eff of G.107, section 7.2.1, for random loss: from least without loss up to most.
func lossImpairment(loss int, least, most, robust float64) float64 {
	p := float64(loss)
	return least + (most-least)*p/(p+robust)
}

// fullbandDelay is Idd of G.107.2 for a delay in ms.
func fullbandDelay(delay float64) float64 {
	if delay <= 100 {
		return 0
	}
	x := math.Log2(delay / 100)
	root := func(v float64) float64 { return math.Pow(1+math.Pow(v, 6), 1.0/6) }
	return 25 * fullbandScale * (root(x) - 3*root(x/3) + 2)
}

// opinion turns a rating into a mean opinion score times ten (G.107, annex B).
func opinion(rating float64) uint8 {
	switch {
	case rating <= 0:
		return 10
	case rating >= 100:
		return 45
	}
	mos := 1 + 0.035*rating + 7e-6*rating*(rating-60)*(100-rating)
	return uint8(max(10, 10*mos))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
