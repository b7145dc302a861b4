package media

import (
	"hash/maphash"
	"time"
)

const (
	loopCopies = 32          // of one packet in a row are a loop
	loopMemory = time.Second // within which each follows the one before
)

// loop notices that a packet comes back again and again, as it does when a peer's address is one of ours. The zero value
// is ready.
type loop struct {
	last   uint64 // hash of the packet
	at     time.Duration
	copies int
}

// seen tells whether a packet has come too often.
func (l *loop) seen(seed maphash.Seed, packet []byte, now time.Duration) bool {
	if hash := maphash.Bytes(seed, packet); hash != l.last || now-l.at > loopMemory {
		l.last, l.copies = hash, 0
	}
	l.at = now
	l.copies = min(l.copies+1, loopCopies)
	return l.copies == loopCopies
}
