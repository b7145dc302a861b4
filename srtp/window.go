package srtp

const wordBits = 64

// A window remembers which of the newest packets were received (RFC 3711, section 3.3.2). It is a ring of bits, longer
// than the window by up to a word, so that it moves on by clearing whole words (RFC 6479).
type window struct {
	next uint64 // the highest index seen plus one; 0 before the first
	size uint64
	bits []uint64
}

func newWindow(size int) window {
	words := 1
	for words*wordBits < size+wordBits {
		words *= 2
	}
	return window{size: uint64(size), bits: make([]uint64, words)}
}

func (w *window) word(i uint64) *uint64 { return &w.bits[i/wordBits&uint64(len(w.bits)-1)] }

// fresh says whether index i was not seen before and is not too old to tell.
func (w *window) fresh(i uint64) bool {
	switch {
	case i >= w.next:
		return true
	case w.next-i > w.size:
		return false
	}
	return *w.word(i)&(1<<(i%wordBits)) == 0
}

// see takes a fresh index in.
func (w *window) see(i uint64) {
	if i >= w.next {
		w.moveTo(i + 1)
	}
	*w.word(i) |= 1 << (i % wordBits)
}

// moveTo clears the words between the old and the new highest index.
func (w *window) moveTo(next uint64) {
	first, last := (w.next+wordBits-1)/wordBits, (next-1)/wordBits
	if n := uint64(len(w.bits)); last >= first+n {
		first = last + 1 - n
	}
	for i := first; i <= last; i++ {
		*w.word(i * wordBits) = 0
	}
	w.next = next
}

// reset makes the window one that has seen every index below next. A window without bits stays as it is.
func (w *window) reset(next uint64) {
	if len(w.bits) == 0 {
		return
	}
	for i := range w.bits {
		w.bits[i] = ^uint64(0)
	}
	w.next = next
	if part := next % wordBits; part != 0 {
		*w.word(next) = 1<<part - 1
	}
}
