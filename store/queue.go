package store

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/weir-media/weir/call"
)

const (
	// busy is how many times as long as it has just written the writer rests, and mostDelay for how long at most: signalling
	// has the machine for itself when there is much of it.
	busy      = 10
	mostDelay = 5 * time.Second

	// chunk is how many calls are written at a time. It bounds the memory that their documents take.
	chunk = 512

	// MaxQueued bounds the changes that wait for one backend. What is beyond it waits for the next refresh.
	MaxQueued = 1 << 20

	// maxID bounds call-ids: longer ones are of no real call. It is what the file takes.
	maxID = 32768
)

// Backend is a place where documents are kept. One goroutine at a time writes to it.
type Backend interface {
	Name() string
	// Shared tells whether other nodes use the place, too: what is theirs there, and calls that this process leaves to
	// others, stay.
	Shared() bool
	// Ready tells why nothing can be written now. It is asked before documents are made.
	Ready() error
	// Put keeps documents under the ids of their calls, and forgets the ids of those that are nil. On error any part may have been done.
	Put(texts map[string][]byte) error
	// Close is called once. With used, Put may have been called.
	Close(used bool) error
}

// State is how far a backend has come.
type State struct {
	Name    string
	Kept    int           // documents that are there by us
	Pending int           // changes that are not
	Lag     time.Duration // how long the oldest of those has been waiting
	Written uint64        // documents since the start
	Failed  uint64        // attempts to write that have failed
	Dropped uint64        // changes that found no room in the queue
	Trouble string        // why nothing is written now; empty when all is well
}

// queue is what a backend does not have yet.
type queue struct {
	backend Backend
	delay   time.Duration
	refresh time.Duration
	log     *slog.Logger
	calls   Calls

	mu      sync.Mutex
	changed map[string]struct{}
	since   time.Time            // when the oldest of these changed
	taken   int                  // changes being written
	takenAt time.Time            // since when those wait
	written map[string]time.Time // documents that are there by us, and when they were written
	state   State
	sealed  bool // nothing is written any more

	wake  chan struct{}
	flush chan chan error
	stop  context.CancelFunc // nil before start
	done  chan struct{}
}

func newQueue(k Kept, cfg *Config) *queue {
	q := &queue{
		backend: k.Backend, delay: k.Delay, refresh: cfg.Refresh, log: cfg.Log,
		changed: make(map[string]struct{}), written: make(map[string]time.Time),
		wake: make(chan struct{}, 1), flush: make(chan chan error), done: make(chan struct{}),
	}
	if q.delay <= 0 {
		q.delay = DefaultDelay
	}
	return q
}

// add has the document of a call written anew.
func (q *queue) add(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed {
		return
	}
	if _, waits := q.changed[id]; !waits {
		if len(q.changed) >= MaxQueued {
			q.state.Dropped++
			return
		}
		q.changed[id] = struct{}{}
		if q.since.IsZero() {
			q.since = time.Now()
		}
	}
	select {
	case q.wake <- struct{}{}:
	default: // the writer knows already
	}
}

// known notes that a document is there by us, or by a process before that was us.
func (q *queue) known(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.written[id] = time.Time{} // to be written soon
}

// start begins to write.
func (q *queue) start(calls Calls) {
	ctx, cancel := context.WithCancel(context.Background())
	q.calls, q.stop = calls, cancel
	go q.run(ctx)
}

func (q *queue) run(ctx context.Context) {
	defer close(q.done)
	refresh := time.NewTicker(q.refresh / 16)
	defer refresh.Stop()
	var failedAt time.Time
	delay := q.delay
	for {
		var asked chan error
		select {
		case <-ctx.Done():
			return
		case asked = <-q.flush:
		case <-refresh.C:
			q.outdated(time.Now().Add(-q.refresh))
			continue
		case <-q.wake:
			select {
			case <-ctx.Done():
				return
			case asked = <-q.flush:
			case <-time.After(delay):
			}
		}
		began := time.Now()
		err := q.write()
		delay = max(q.delay, min(busy*time.Since(began), mostDelay))
		if asked != nil {
			asked <- err
		}
		switch {
		case err != nil && failedAt.IsZero():
			failedAt = began
			q.log.Error("calls cannot be written, and go on: changes wait", "to", q.backend.Name(), "err", err)
		case err == nil && !failedAt.IsZero():
			q.log.Warn("calls are written again", "to", q.backend.Name(), "after", time.Since(failedAt).Round(time.Second))
			failedAt = time.Time{}
			if q.backend.Shared() {
				q.outdated(time.Now()) // a server that was away may have lost what it had
			}
		}
	}
}

// outdated has documents written anew that are older than the limit.
func (q *queue) outdated(limit time.Time) {
	var due []string
	q.mu.Lock()
	for id, at := range q.written {
		if at.Before(limit) {
			due = append(due, id)
		}
	}
	q.mu.Unlock()
	for _, id := range due {
		q.add(id)
	}
}

// write takes all changes to the backend.
func (q *queue) write() (err error) {
	ids := q.take()
	if len(ids) == 0 {
		return nil
	}
	defer func() {
		q.mu.Lock()
		q.taken, q.state.Trouble = 0, ""
		if err != nil {
			q.state.Failed++
			q.state.Trouble = err.Error()
			if q.since = q.takenAt; q.since.IsZero() {
				q.since = time.Now()
			}
		}
		q.takenAt = time.Time{}
		q.mu.Unlock()
		if err != nil {
			q.again(ids)
		}
	}()
	if err := q.backend.Ready(); err != nil {
		return err
	}
	for len(ids) > 0 {
		n := min(chunk, len(ids))
		if err := q.put(q.texts(ids[:n])); err != nil {
			return err
		}
		ids = ids[n:]
		q.mu.Lock()
		q.taken = len(ids)
		q.mu.Unlock()
	}
	return nil
}

func (q *queue) take() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	ids := make([]string, 0, len(q.changed))
	for id := range q.changed {
		ids = append(ids, id)
	}
	q.changed = make(map[string]struct{}, len(ids))
	q.taken, q.takenAt, q.since = len(ids), q.since, time.Time{}
	return ids
}

// again has changes wait for another attempt, but for calls that have ended and were never written.
func (q *queue) again(ids []string) {
	for _, id := range ids {
		q.mu.Lock()
		_, there := q.written[id]
		q.mu.Unlock()
		if there || q.calls.Lives(id) {
			q.add(id)
		}
	}
}

// texts makes the documents of calls; nil is one to be forgotten.
func (q *queue) texts(ids []string) map[string][]byte {
	texts := make(map[string][]byte, len(ids))
	forget := func(id string) {
		q.mu.Lock()
		defer q.mu.Unlock()
		if _, there := q.written[id]; there || !q.backend.Shared() {
			texts[id] = nil
		}
	}
	for _, id := range ids {
		doc, err := q.calls.Document(id)
		switch {
		case errors.Is(err, call.ErrForeign) && q.backend.Shared():
			q.mu.Lock()
			delete(q.written, id) // it is for its owner to forget
			q.mu.Unlock()
			continue
		case err != nil:
			forget(id) // it has ended
			continue
		}
		if n := len(doc.CallID); n == 0 || n > maxID {
			continue // no call-id of a real call
		}
		text, err := doc.Encode()
		if err != nil {
			q.log.Error("a call cannot be written", "call", id, "err", err)
			continue
		}
		if doc.CallID != id {
			forget(id) // it is part of another one now
		}
		texts[doc.CallID] = text
	}
	return texts
}

func (q *queue) put(texts map[string][]byte) error {
	if len(texts) == 0 {
		return nil
	}
	if err := q.backend.Put(texts); err != nil {
		return err
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, text := range texts {
		if text == nil {
			delete(q.written, id)
		} else {
			q.written[id] = now.Add(-rand.N(q.refresh / 4)) // so that they do not all come due at once
			q.state.Written++
		}
	}
	return nil
}

// read returns how far the backend has come.
func (q *queue) read() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.state
	st.Name, st.Kept, st.Pending = q.backend.Name(), len(q.written), len(q.changed)+q.taken
	oldest := q.since
	if !q.takenAt.IsZero() {
		oldest = q.takenAt
	}
	if !oldest.IsZero() {
		st.Lag = time.Since(oldest)
	}
	return st
}

// flushNow writes what has changed until now.
func (q *queue) flushNow() error {
	asked := make(chan error, 1)
	select {
	case q.flush <- asked:
		return <-asked
	case <-q.done:
		return errors.New("the store is closed")
	}
}

// seal writes what has changed, and nothing after it.
func (q *queue) seal() error {
	q.mu.Lock()
	before := q.sealed
	q.mu.Unlock()
	if before || q.stop == nil {
		return nil
	}
	err := q.flushNow()
	q.mu.Lock()
	q.sealed = true
	q.mu.Unlock()
	return err
}

// close writes what has changed and closes the backend.
func (q *queue) close() error {
	var err error
	if q.stop != nil {
		err = q.seal()
		q.stop()
		<-q.done
	}
	return errors.Join(err, q.backend.Close(q.stop != nil))
}
