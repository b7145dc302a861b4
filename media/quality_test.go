package media

import (
	"testing"
	"time"
)

func TestQualityAveragesItsSamples(t *testing.T) {
	var q quality
	q.add(Sample{At: time.Second, MOS: 43, RoundTrip: 100 * time.Millisecond, Jitter: 4 * time.Millisecond})
	q.add(Sample{At: 6 * time.Second, MOS: 30, RoundTrip: 300 * time.Millisecond, Jitter: 8 * time.Millisecond, Loss: 5})
	q.add(Sample{At: 11 * time.Second, MOS: 42, RoundTrip: 200 * time.Millisecond, Jitter: 6 * time.Millisecond})
	r := q.result()
	want := Sample{At: time.Second, MOS: 38, RoundTrip: 200 * time.Millisecond, Jitter: 6 * time.Millisecond, Loss: 1}
	if r.Samples != 3 || r.Average != want {
		t.Errorf("%d samples come to %+v, want %+v", r.Samples, r.Average, want)
	}
	if r.Lowest.MOS != 30 || r.Lowest.At != 6*time.Second || r.Highest.MOS != 43 || r.Highest.At != time.Second {
		t.Errorf("lowest %+v, highest %+v", r.Lowest, r.Highest)
	}
	if len(r.Progression) != 3 || r.Progression[1].MOS != 30 {
		t.Errorf("progression %+v", r.Progression)
	}
}

func TestProgressionOfALongCallStaysShort(t *testing.T) {
	var q quality
	const every, samples = 5 * time.Second, 5000
	for i := range samples {
		mos := uint8(43)
		if i >= samples/2 {
			mos = 20
		}
		q.add(Sample{At: time.Duration(i) * every, MOS: mos})
	}
	r := q.result()
	if n := len(r.Progression); n < progressionSize/2 || n > progressionSize {
		t.Fatalf("%d entries", n)
	}
	first, last := r.Progression[0], r.Progression[len(r.Progression)-1]
	if first.MOS != 43 || last.MOS != 20 || first.At != 0 {
		t.Errorf("from %+v to %+v", first, last)
	}
	for i := 1; i < len(r.Progression); i++ {
		if gap := r.Progression[i].At - r.Progression[i-1].At; gap < r.Interval/2 || gap > 2*r.Interval {
			t.Errorf("entry %d is %v after the one before, the interval is %v", i, gap, r.Interval)
		}
	}
	if r.Samples != samples || r.Average.MOS != 32 {
		t.Errorf("%d samples, average %+v", r.Samples, r.Average)
	}
}
