package media

import (
	"sync"
	"sync/atomic"
)

// TapQueue is a Tap that holds packets until somebody takes them, up to a number of bytes. What does not fit is dropped and counted: a
// slow disk must not hold up a call. It is safe for concurrent use.
type TapQueue struct {
	limit   int
	dropped atomic.Uint64
	ready   chan struct{} // has one item when there is something to take, or nothing more will come

	mu     sync.Mutex
	filled tapBatch
	empty  tapBatch // the other one, when nobody has it
	closed bool
}

// tapBatch holds packets and, in one piece, their data.
type tapBatch struct {
	packets []TapPacket
	bytes   []byte
}

// tapPacketSize is about what a packet takes beside its data.
const tapPacketSize = 128

// NewTapQueue returns a queue that holds packets of up to limit bytes.
func NewTapQueue(limit int) *TapQueue {
	return &TapQueue{limit: limit, ready: make(chan struct{}, 1)}
}

// Packet puts a copy of a packet into the queue if there is room.
func (q *TapQueue) Packet(p *TapPacket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := &q.filled
	if q.closed {
		return
	}
	if len(b.bytes)+len(p.Data)+(len(b.packets)+1)*tapPacketSize > q.limit {
		q.dropped.Add(1)
		return
	}
	at := len(b.bytes)
	b.bytes = append(b.bytes, p.Data...)
	copied := *p
	copied.Data = b.bytes[at:] // only its length counts until the batch is taken, as the bytes may move
	b.packets = append(b.packets, copied)
	q.signal()
}

func (q *TapQueue) signal() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Ready is ready to be received from when Take may return something.
func (q *TapQueue) Ready() <-chan struct{} { return q.ready }

// Take calls use with the packets that have come since it was last called; they may not be used afterwards. It is false when the
// queue is closed, and for one caller at a time.
func (q *TapQueue) Take(use func([]TapPacket)) (more bool) {
	q.mu.Lock()
	taken := q.filled
	q.filled, q.empty = q.empty, tapBatch{}
	more = !q.closed
	q.mu.Unlock()
	at := 0
	for i := range taken.packets {
		p := &taken.packets[i]
		n := len(p.Data)
		p.Data = taken.bytes[at : at+n : at+n]
		at += n
	}
	if len(taken.packets) > 0 {
		use(taken.packets)
	}
	clear(taken.packets)
	q.mu.Lock()
	q.empty = tapBatch{packets: taken.packets[:0], bytes: taken.bytes[:0]}
	q.mu.Unlock()
	return more
}

// Close ends the queue. What is in it can still be taken.
func (q *TapQueue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

// Dropped returns how many packets there was no room for.
func (q *TapQueue) Dropped() uint64 { return q.dropped.Load() }
