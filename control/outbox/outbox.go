// Package outbox holds what is to be sent to a receiver that may be slow or away, up to a limit, and counts what became of it.
package outbox

import (
	"log/slog"
	"sync/atomic"
)

// Box holds messages until they are taken. What does not fit is dropped and counted: nobody who has something to tell waits. It is safe
// for concurrent use.
type Box[T any] struct {
	waiting       chan T
	sent, dropped atomic.Uint64
}

// New returns a box for up to room messages.
func New[T any](room int) *Box[T] { return &Box[T]{waiting: make(chan T, room)} }

// Put puts a message into the box, and tells whether there was room. It allocates nothing.
func (b *Box[T]) Put(message T) bool {
	select {
	case b.waiting <- message:
		return true
	default:
		b.dropped.Add(1)
		return false
	}
}

// Waiting is where messages are taken from.
func (b *Box[T]) Waiting() <-chan T { return b.waiting }

// Done counts a message that was taken: as sent, or as dropped.
func (b *Box[T]) Done(sent bool) {
	if sent {
		b.sent.Add(1)
	} else {
		b.dropped.Add(1)
	}
}

// Counts returns how many messages were sent and dropped.
func (b *Box[T]) Counts() (sent, dropped uint64) { return b.sent.Load(), b.dropped.Load() }

// Trouble logs the first of several failures in a row, and that they are over. It is for one goroutine.
type Trouble struct {
	Log  *slog.Logger
	To   string // the receiver
	What string // cannot be done, as the start of a sentence

	failed bool
}

// Note takes the result of an attempt.
func (t *Trouble) Note(err error) {
	switch {
	case err != nil && !t.failed:
		t.Log.Warn(t.What+"; this is not said again before it works", "to", t.To, "err", err)
	case err == nil && t.failed:
		t.Log.Info("a receiver is back", "to", t.To)
	}
	t.failed = err != nil
}
