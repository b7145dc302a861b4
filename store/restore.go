package store

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-media/weir/call"
)

// maxDocument bounds a document in bytes. A call at all its caps has a smaller one.
const maxDocument = 16 << 20

// maxLost is how many calls that cannot be restored are logged one by one.
const maxLost = 20

// Source is where documents of other nodes, or of this one before, are found.
type Source interface {
	// Each calls fn with every document and its key.
	Each(ctx context.Context, fn func(id string, text []byte)) error
}

// Origin is a source, and whose the calls in it are.
type Origin struct {
	Source
	Keyspace int  // number of the database
	Foreign  bool // the calls are others' until they are taken over
}

// Restored counts calls at the start.
type Restored struct{ Own, Foreign, Lost int }

// Restore makes the calls that a process before has left in the file, and those of the origins, the first ones first, threads at a time
// (0: one per CPU). Where the file and an origin have the same call, that is right which was taken over last. Calls that cannot be had are logged and left out.
func (s *Store) Restore(ctx context.Context, calls Calls, threads int, origins ...Origin) (Restored, error) {
	r := &restoring{store: s, calls: calls, local: make(map[string][]byte), group: new(errgroup.Group)}
	if s.file != nil {
		var err error
		if r.local, err = s.file.read(); err != nil {
			return Restored{}, err
		}
	}
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	r.group.SetLimit(threads)
	var failed error
	for _, o := range origins {
		err := o.Each(ctx, func(id string, text []byte) {
			r.group.Go(func() error { r.take(&o, id, text); return nil })
		})
		_ = r.group.Wait()
		if err != nil && failed == nil {
			failed = err
		}
	}
	for id, text := range r.local {
		r.group.Go(func() error { r.own(id, text); return nil })
	}
	_ = r.group.Wait()
	if r.n.Lost > maxLost {
		s.cfg.Log.Warn("further calls are lost", "calls", r.n.Lost-maxLost)
	}
	return r.n, failed
}

// restoring is a Restore under way.
type restoring struct {
	store *Store
	calls Calls
	group *errgroup.Group

	mu    sync.Mutex
	local map[string][]byte // of the file, not looked at yet
	n     Restored
}

// take decides about a call of an origin.
func (r *restoring) take(o *Origin, id string, text []byte) {
	r.mu.Lock()
	mine, both := r.local[id]
	delete(r.local, id)
	r.mu.Unlock()
	doc, err := Decode(id, text)
	if both {
		if here, bad := Decode(id, mine); bad == nil && (err != nil || here.Term >= doc.Term) {
			r.shared(id)
			r.own(id, mine)
			return
		}
		r.store.Changed(id) // so that the file has it no more, or as it is now
	}
	switch {
	case err != nil:
		r.lost(id, err)
	case o.Foreign:
		if err := contain(func() error { return r.calls.Follow(doc, o.Keyspace) }); err != nil {
			r.lost(id, err)
			return
		}
		r.count(&r.n.Foreign)
	default:
		r.shared(id)
		r.restore(id, doc)
	}
}

// own takes a call from the file.
func (r *restoring) own(id string, text []byte) {
	doc, err := Decode(id, text)
	if err != nil {
		r.store.Changed(id) // which forgets it
		r.lost(id, err)
		return
	}
	r.restore(id, doc)
}

func (r *restoring) restore(id string, doc *call.Document) {
	err := contain(func() error { return r.calls.Restore(doc) })
	if err != nil {
		r.lost(id, err)
	} else {
		r.count(&r.n.Own)
	}
	r.fileChanged(id, err)
}

// fileChanged has a call written anew, or forgotten by the file; a place that nodes share keeps what could not be had here.
func (r *restoring) fileChanged(id string, err error) {
	for _, q := range r.store.queues {
		if err == nil || !q.backend.Shared() {
			q.add(id)
		} else {
			q.mu.Lock()
			delete(q.written, id)
			q.mu.Unlock()
		}
	}
}

// shared notes that the places that nodes share have the call.
func (r *restoring) shared(id string) {
	for _, q := range r.store.queues {
		if q.backend.Shared() {
			q.known(id)
		}
	}
}

func (r *restoring) count(n *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*n++
}

func (r *restoring) lost(id string, err error) {
	r.count(&r.n.Lost)
	r.mu.Lock()
	say := r.n.Lost <= maxLost
	r.mu.Unlock()
	if say {
		r.store.cfg.Log.Warn("a call of the process before, or of another node, is lost", "call", id, "err", err)
	}
}

// Decode reads a document that was found under an id. What it refuses is call.ErrDocument.
func Decode(id string, text []byte) (*call.Document, error) {
	if len(text) > maxDocument {
		return nil, fmt.Errorf("%w: it has %d bytes, more than any call needs", call.ErrDocument, len(text))
	}
	doc, err := call.DecodeDocument(text)
	if err != nil {
		return nil, err
	}
	if doc.CallID != id {
		return nil, fmt.Errorf("%w: it is of the call %.200q", call.ErrDocument, doc.CallID)
	}
	return doc, nil
}

// contain has a document that nobody has thought of cost no more than its call.
func contain(do func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("fault: %v", fault)
		}
	}()
	return do()
}

// Take makes or renews the foreign call of a document that another node has written.
func Take(calls Calls, id string, text []byte, keyspace int) error {
	doc, err := Decode(id, text)
	if err != nil {
		return err
	}
	return contain(func() error { return calls.Follow(doc, keyspace) })
}

// refreshEvery keeps documents well ahead of their expiry.
func RefreshFor(expires time.Duration) time.Duration { return min(DefaultRefresh, expires/3) }
