package media

import (
	"sync"
	"time"
)

// Sample is how well a stream was received for some seconds.
type Sample struct {
	At           time.Duration // when that was reported, on the clock of Now
	MOS          uint8         // times ten
	RoundTrip    time.Duration // between the ends; 0 when not known
	RoundTripLeg time.Duration // between the stream's sender and us; likewise
	Jitter       time.Duration
	Loss         uint8 // percent
}

// Quality is what the samples of a stream come to.
type Quality struct {
	Samples                  int
	Average, Lowest, Highest Sample
	// Progression has the average of each interval that has samples, the oldest first. The interval grows with the call.
	Progression []Sample
	Interval    time.Duration
}

const (
	progressionSize  = 16 // intervals are joined beyond it
	progressionStart = time.Second
)

// quality gathers samples in constant room.
type quality struct {
	all             sampleSum
	lowest, highest Sample
	interval        time.Duration
	parts           [progressionSize]sampleSum
	n               int
}

// sampleSum adds up samples.
type sampleSum struct {
	n                            uint64
	first                        time.Duration // when the first of them was
	mos, trip, leg, jitter, loss uint64
}

func (s *sampleSum) add(v Sample) {
	if s.n == 0 {
		s.first = v.At
	}
	s.join(&sampleSum{
		n: 1, mos: uint64(v.MOS), trip: uint64(v.RoundTrip), leg: uint64(v.RoundTripLeg), jitter: uint64(v.Jitter), loss: uint64(v.Loss),
	})
}

func (s *sampleSum) join(t *sampleSum) {
	s.n += t.n
	s.mos += t.mos
	s.trip += t.trip
	s.leg += t.leg
	s.jitter += t.jitter
	s.loss += t.loss
}

// average needs at least one sample.
func (s *sampleSum) average() Sample {
	return Sample{
		At: s.first, MOS: uint8((s.mos + s.n/2) / s.n), RoundTrip: time.Duration(s.trip / s.n), RoundTripLeg: time.Duration(s.leg / s.n),
		Jitter: time.Duration(s.jitter / s.n), Loss: uint8(s.loss / s.n),
	}
}

func (q *quality) add(v Sample) {
	if q.all.n == 0 {
		q.lowest, q.highest, q.interval = v, v, progressionStart
	}
	q.all.add(v)
	if v.MOS < q.lowest.MOS {
		q.lowest = v
	}
	if v.MOS > q.highest.MOS {
		q.highest = v
	}
	if q.n > 0 && v.At-q.parts[q.n-1].first < q.interval {
		q.parts[q.n-1].add(v)
		return
	}
	if q.n == progressionSize {
		for i := range progressionSize / 2 {
			q.parts[i] = q.parts[2*i]
			q.parts[i].join(&q.parts[2*i+1])
		}
		q.n = progressionSize / 2
		// Reports may be further apart than the interval, so that it says how far the parts really are.
		q.interval = max(2*q.interval, (v.At-q.parts[0].first)/(progressionSize/2))
	}
	q.parts[q.n] = sampleSum{}
	q.parts[q.n].add(v)
	q.n++
}

func (q *quality) result() *Quality {
	r := &Quality{Samples: int(q.all.n), Average: q.all.average(), Lowest: q.lowest, Highest: q.highest, Interval: q.interval}
	for i := range q.n {
		r.Progression = append(r.Progression, q.parts[i].average())
	}
	return r
}

// Sums add up the samples of one figure.
type Sums struct {
	Samples, Sum, Squares uint64
}

func (s *Sums) add(v uint64) {
	s.Samples++
	s.Sum += v
	s.Squares += v * v
}

func (s *Sums) join(t Sums) {
	s.Samples += t.Samples
	s.Sum += t.Sum
	s.Squares += t.Squares
}

// Figures add up what has been reported, or measured, of all streams that arrive on the legs of a local address.
type Figures struct {
	MOS            Sums // times ten
	Jitter         Sums // ms, from reports
	JitterMeasured Sums // ms
	RoundTrip      Sums // µs, between the ends
	RoundTripLeg   Sums // µs, between a party and us
	Loss           Sums // percent
}

func (f *Figures) join(g Figures) {
	f.MOS.join(g.MOS)
	f.Jitter.join(g.Jitter)
	f.JitterMeasured.join(g.JitterMeasured)
	f.RoundTrip.join(g.RoundTrip)
	f.RoundTripLeg.join(g.RoundTripLeg)
	f.Loss.join(g.Loss)
}

// figures are Figures that many may add to.
type figures struct {
	mu  sync.Mutex
	sum Figures
}

func (f *figures) read() Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sum
}
