package dtls

import (
	"container/list"
	"sync"
)

// DefaultPoolLimit is far above what arrives at once in ordinary operation and keeps a flood of hellos below some 100 MB.
const DefaultPoolLimit = 2048

// A Pool limits how many handshakes are under way at the same time; a handshake beyond that waits for its turn, without
// a goroutine. All methods may be used at the same time. A nil pool has no limit.
type Pool struct {
	mu      sync.Mutex
	limit   int
	running int
	waiting list.List // of *Session

	states states
}

// NewPool makes a pool of at least one handshake.
func NewPool(limit int) *Pool { return &Pool{limit: max(limit, 1)} }

// reader reads the states of handshakes that have ended.
func (p *Pool) reader() *states {
	if p == nil {
		return nil
	}
	return &p.states
}

// Load tells how many handshakes run and how many wait.
func (p *Pool) Load() (running, waiting int) {
	if p == nil {
		return 0, 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, p.waiting.Len()
}

// enter takes a place. When there is none the session waits: its admitted method is called later.
func (p *Pool) enter(s *Session) (ok bool, place *list.Element) {
	if p == nil {
		return true, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running < p.limit {
		p.running++
		return true, nil
	}
	return false, p.waiting.PushBack(s)
}

// leave gives the place to whoever waits longest.
func (p *Pool) leave() {
	if p == nil {
		return
	}
	for {
		p.mu.Lock()
		first := p.waiting.Front()
		if first == nil {
			p.running--
			p.mu.Unlock()
			return
		}
		s := p.waiting.Remove(first).(*Session)
		p.mu.Unlock()
		if s.admitted() {
			return
		}
	}
}

// forget takes a session out of the queue. It does nothing when the session has just been admitted.
func (p *Pool) forget(place *list.Element) {
	if p == nil || place == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting.Remove(place)
}
