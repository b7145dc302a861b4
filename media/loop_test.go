package media

import (
	"hash/maphash"
	"testing"
	"time"
)

func TestALoopIsCutAfterSomeCopies(t *testing.T) {
	var l loop
	seed, now := maphash.MakeSeed(), time.Hour
	one, other := rtpPacket(1), rtpPacket(2)
	for i := range loopCopies - 1 {
		if l.seen(seed, one, now) {
			t.Fatalf("copy %d is taken for a loop", i+1)
		}
		now += loopMemory
	}
	for range 2 {
		if !l.seen(seed, one, now) {
			t.Error("a loop is not noticed")
		}
	}
	if l.seen(seed, other, now) || l.seen(seed, one, now) {
		t.Error("another packet does not end it")
	}
	for range loopCopies {
		l.seen(seed, one, now)
	}
	if l.seen(seed, one, now+loopMemory+1) {
		t.Error("time does not end it")
	}
}
