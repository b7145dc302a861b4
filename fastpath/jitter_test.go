package fastpath

import (
	"math"
	"testing"

	"github.com/weir-media/weir/internal/testpkt"
)

// TestJitterIsThatOfNeighbours sends packets that come at once, by a clock that says something else. What the machine adds is
// little against that.
func TestJitterIsThatOfNeighbours(t *testing.T) {
	const (
		each, cycle, begin = 64, 16, 4 // as in bpf/stats.h
		rate, jump         = 90_000, 10 * 90_000
	)
	f := flow4
	f.Clocks[0] = Clock{PayloadType: 96, Rate: rate}
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		check(t, s.Install(f))
		var n, timestamp uint32
		send := func(after uint32) {
			t.Helper()
			timestamp += after
			s.decide(t, h, testpkt.UDP(f.Source, f.Local, testpkt.RTP(96, uint16(n), timestamp, 1, 20)), relayed, relayReasonREASON_RELAYED)
			n++
		}
		expect := func(want float64) {
			t.Helper()
			got := must(s.Counters(f.Local))(t).Sources[0]
			if got.Packets != uint64(n) || math.Abs(float64(got.Jitter)/16-want) > want/20 {
				t.Errorf("after %d packets the jitter is %d units, want about %.0f", n, got.Jitter/16, want)
			}
		}
		want := 0.0
		for range each {
			if send(jump); n > 1 {
				want += (jump - want) / 16
			}
		}
		expect(want)
		for range 3 * cycle { // only the first ones of each cycle are looked at, and these are regular
			if at := n % cycle; at > 0 && at < begin {
				send(0)
				want -= want / 16
			} else {
				send(jump)
			}
		}
		expect(want)
	})
}
