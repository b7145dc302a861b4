package rtp

import (
	"testing"
	"time"
)

func TestLoss(t *testing.T) {
	type step struct {
		ssrc uint32
		seq  uint16
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  uint64
	}{
		{"the first packet loses nothing", []step{{1, 500}}, 0},
		{"in order", []step{{1, 1}, {1, 2}, {1, 3}}, 0},
		{"a gap of two", []step{{1, 1}, {1, 4}}, 2},
		{"a late arrival closes the gap", []step{{1, 1}, {1, 3}, {1, 2}}, 0},
		{"a duplicate changes nothing", []step{{1, 1}, {1, 3}, {1, 3}}, 1},
		{"the number wraps around", []step{{1, 0xfffe}, {1, 0xffff}, {1, 0}, {1, 1}}, 0},
		{"a gap across the wrap", []step{{1, 0xffff}, {1, 2}}, 2},
		{"a late arrival from before the wrap", []step{{1, 0xfffe}, {1, 0}, {1, 0xffff}}, 0},
		{"an old packet without loss is no debt", []step{{1, 10}, {1, 5}, {1, 12}}, 1},
		{"a new SSRC starts anew", []step{{1, 10}, {2, 1000}, {2, 1001}}, 0},
		{"a jump begins anew with its second packet", []step{{1, 10}, {1, 20000}, {1, 20001}, {1, 20003}}, 1},
		{"a jump back does, too", []step{{1, 20000}, {1, 10}, {1, 11}, {1, 13}}, 1},
		{"a single packet from elsewhere is left out", []step{{1, 10}, {1, 20000}, {1, 11}, {1, 12}}, 0},
		{"another one later, too", []step{{1, 10}, {1, 20000}, {1, 11}, {1, 30000}, {1, 12}}, 0},
		{"the longest gap", []step{{1, 0}, {1, 2999}}, 2998},
		{"loss survives a new SSRC", []step{{1, 10}, {1, 13}, {2, 1000}}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l Loss
			for _, s := range c.steps {
				l.Update(s.ssrc, s.seq)
			}
			if l.Lost != c.want {
				t.Errorf("lost %d, want %d", l.Lost, c.want)
			}
		})
	}
}

// TestTwoStreamsOfOneSSRCLoseNothing is what comes from a peer that sends and echoes: two streams that use the same SSRC.
func TestTwoStreamsOfOneSSRCLoseNothing(t *testing.T) {
	for _, apart := range []uint16{1, 7, 150, 2999, 3000, 3001, 20000, 0x7fff, 0x8000, 0x8001, 50000} {
		var l Loss
		for i := range uint16(10000) {
			l.Update(1, i)
			l.Update(1, i+apart)
		}
		// What is between them may count once, and no more.
		if l.Lost > uint64(min(apart, maxStep)) {
			t.Errorf("%d apart: %d lost", apart, l.Lost)
		}
	}
}

func TestJitter(t *testing.T) {
	const rate = 8000
	feed := func(j *Jitter, arrivals ...time.Duration) {
		for i, at := range arrivals {
			j.Update(7, uint32(160*i), rate, at)
		}
	}
	steady := make([]time.Duration, 200)
	wavering := make([]time.Duration, 200)
	for i := range steady {
		steady[i] = time.Duration(i) * 20 * time.Millisecond
		wavering[i] = steady[i] + time.Duration(i%2)*10*time.Millisecond
	}
	var j Jitter
	feed(&j, steady...)
	if j.Units() != 0 {
		t.Errorf("a steady stream has jitter %d", j.Units())
	}
	j = Jitter{}
	feed(&j, wavering...)
	if d := j.Duration(); d < 9*time.Millisecond || d > 10*time.Millisecond {
		t.Errorf("arrivals that alternate by 10ms give jitter %v", d)
	}
	j.Update(8, 0, rate, time.Hour)
	if j.Units() != 0 {
		t.Errorf("a new SSRC keeps jitter %d", j.Units())
	}
	j.Update(8, 0, 0, time.Hour)
	if j.Duration() != 0 {
		t.Errorf("an unknown rate gives jitter %v", j.Duration())
	}
}

func TestJitterOfAbsurdArrivalsStaysFinite(t *testing.T) {
	var j Jitter
	for i := range 1000 {
		j.Update(1, uint32(i%2)<<31, 90000, time.Duration(i)*time.Hour)
	}
	if j.Duration() < 0 {
		t.Errorf("jitter %v", j.Duration())
	}
}

func TestTheHighestSequenceNumberCountsItsWraps(t *testing.T) {
	var l Loss
	for _, seq := range []uint16{0xfffe, 0xffff, 0, 0xffff, 1} {
		l.Update(1, seq)
	}
	if l.Highest != 0x10001 {
		t.Errorf("highest %#x, want 0x10001", l.Highest)
	}
	if l.Update(2, 7); l.Highest != 7 {
		t.Errorf("highest %#x of another SSRC, want 7", l.Highest)
	}
	for _, c := range []struct {
		highest uint32
		seq     uint16
		want    uint32
	}{{0x2fffe, 3, 0x30003}, {0x30003, 0xfffe, 0x2fffe}, {5, 5, 5}, {0, 100, 100}} {
		if got := Extend(c.highest, c.seq); got != c.want {
			t.Errorf("%#x after %#x is %#x, want %#x", c.seq, c.highest, got, c.want)
		}
	}
}

func TestAPauseIsNoJitter(t *testing.T) {
	var j Jitter
	for i := range 50 {
		j.Update(1, uint32(160*i), 8000, time.Duration(i)*20*time.Millisecond)
	}
	j.Pause()
	for i := range 50 {
		j.Update(1, uint32(160*i), 8000, time.Hour+time.Duration(i)*20*time.Millisecond)
	}
	if got := j.Duration(); got != 0 {
		t.Errorf("jitter %v, want none", got)
	}
}
