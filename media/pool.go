package media

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// PoolStats counts the port pairs of one local address.
type PoolStats struct {
	Address netip.Addr
	Free    int // ready for use
	Used    int
	Resting int // freed or refused by the system a short while ago
	Quality Figures
}

// hostPool knows which pairs of ports of one local address are taken, whatever range they were taken from.
type hostPool struct {
	addr    netip.Addr
	figures figures
	retired Traffic // of legs that are gone; under the plane's lock

	mu    sync.Mutex
	taken portSet
	used  int
	rings []*ring
}

// ring is a queue of the even ports of one range. The head has waited longest, so that if it still rests, all do; a
// port is pushed at its end when it is freed. Methods need the pool's lock.
type ring struct {
	pool    *hostPool
	even    []uint16 // the ports of this range, ascending
	queue   []slot   // circular
	head, n int
	queued  portSet
}

type slot struct {
	port  uint16
	ready time.Duration
}

// portSet has one bit per pair of ports.
type portSet [1 << 15 / 64]uint64

func (s *portSet) has(port uint16) bool { return s[port>>7]&(1<<(port>>1&63)) != 0 }
func (s *portSet) add(port uint16)      { s[port>>7] |= 1 << (port >> 1 & 63) }
func (s *portSet) del(port uint16)      { s[port>>7] &^= 1 << (port >> 1 & 63) }

// evenPorts lists the even ports of a range whose odd neighbour is in the range too, without pairs that hold an
// excluded port.
func evenPorts(low, high uint16, exclude []uint16) []uint16 {
	var all []uint16
	for p := int(low) + int(low)&1; p+1 <= int(high); p += 2 {
		if p > 0 && !slices.Contains(exclude, uint16(p)) && !slices.Contains(exclude, uint16(p+1)) {
			all = append(all, uint16(p))
		}
	}
	return all
}

// addRing returns the ring of a range, which is made unless the pool has one of the same ports.
func (h *hostPool) addRing(even []uint16) *ring {
	for _, r := range h.rings {
		if slices.Equal(r.even, even) {
			return r
		}
	}
	r := &ring{pool: h, even: even, queue: make([]slot, len(even))}
	for _, i := range rand.Perm(len(even)) {
		r.push(slot{port: even[i]})
	}
	h.rings = append(h.rings, r)
	return r
}

func (r *ring) push(s slot) {
	r.queue[(r.head+r.n)%len(r.queue)] = s
	r.n++
	r.queued.add(s.port)
}

func (r *ring) pop() uint16 {
	port := r.queue[r.head].port
	r.head = (r.head + 1) % len(r.queue)
	r.n--
	r.queued.del(port)
	return port
}

func (r *ring) covers(port uint16) bool {
	_, found := slices.BinarySearch(r.even, port)
	return found
}

// take returns an even port that nobody uses, or 0 when none is ready.
func (r *ring) take(now time.Duration) uint16 {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	for r.n > 0 && r.queue[r.head].ready <= now {
		port := r.pop()
		if !r.pool.taken.has(port) { // claimed, or taken by way of another range: comes back when it is freed
			r.pool.taken.add(port)
			r.pool.used++
			return port
		}
	}
	return 0
}

// claim takes a certain port, and tells whether it was to be had.
func (r *ring) claim(port uint16) bool {
	r.pool.mu.Lock()
	defer r.pool.mu.Unlock()
	if !r.covers(port) || r.pool.taken.has(port) {
		return false
	}
	// It stays in the queue, whose head is passed over when it is taken.
	r.pool.taken.add(port)
	r.pool.used++
	return true
}

// free gives a port back to every ring that covers it, for use from ready on.
func (h *hostPool) free(port uint16, ready time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.taken.has(port) {
		return
	}
	h.taken.del(port)
	h.used--
	for _, r := range h.rings {
		if !r.queued.has(port) && r.covers(port) {
			r.push(slot{port: port, ready: ready})
		}
	}
}

// stats counts over the union of all ranges.
func (h *hostPool) stats(now time.Duration) PoolStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	st := PoolStats{Address: h.addr, Used: h.used, Quality: h.figures.read()}
	var seen portSet
	for _, r := range h.rings {
		for i := range r.n {
			s := r.queue[(r.head+i)%len(r.queue)]
			if seen.has(s.port) || h.taken.has(s.port) {
				continue
			}
			seen.add(s.port)
			if s.ready <= now {
				st.Free++
			} else {
				st.Resting++
			}
		}
	}
	return st
}

// capacity returns the number of pairs over all ranges.
func (h *hostPool) capacity() int {
	st := h.stats(0)
	return st.Free + st.Used + st.Resting
}
