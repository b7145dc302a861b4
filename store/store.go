package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/errgroup"

	"github.com/weir-media/weir/call"
)

const (
	// DefaultDelay is how long a change of a call stays unwritten unless there are very many of them. Most calls change several times within it when they
	// are set up, and those that end within it are never written.
	DefaultDelay = 2 * time.Second
	// DefaultRefresh is how old the counts and SRTP states in a document may be.
	DefaultRefresh = 2 * time.Minute

	// busy is how many times as long as it has just written the writer rests, and mostDelay for how long at most: signalling
	// has the machine for itself when there is much of it.
	busy      = 10
	mostDelay = 5 * time.Second

	initialMap  = 1 << 28 // of addresses, so that a file that grows is not mapped anew each time
	lockTimeout = 200 * time.Millisecond
)

var (
	bucketCalls = []byte("calls")
	bucketMeta  = []byte("meta")
	keyScope    = []byte("scope")
)

// Calls is the call.Manager as this package uses it.
type Calls interface {
	Document(id string) (*call.Document, error)
	Restore(*call.Document) error
}

// Config says where and how to keep documents.
type Config struct {
	Path    string        // of the file; its directory is made if need be
	Scope   string        // calls of another scope, such as another network namespace, are not restored
	Delay   time.Duration // DefaultDelay when 0
	Refresh time.Duration // DefaultRefresh when 0
	Log     *slog.Logger  // nothing is logged when nil
}

// Store keeps the documents of all calls in a file. Changes are written in batches, by a goroutine of its own, so that signalling
// waits for nothing. What is written survives the death of the process, but not always that of the host: it is not forced
// to the disk, since the calls would not survive either. Its methods are safe for concurrent use.
type Store struct {
	cfg Config
	db  *bbolt.DB

	mu      sync.Mutex
	changed map[string]struct{}

	kept, pending atomic.Int64 // documents in the file; changes under way

	written map[string]time.Time // the writer's own
	calls   Calls
	wake    chan struct{}
	flush   chan chan error
	stop    context.CancelFunc
	done    chan struct{}
}

// Open opens the file, or makes it. A file that cannot be read is put aside. Another process may not have it open.
func Open(cfg Config) (*Store, error) {
	if cfg.Delay <= 0 {
		cfg.Delay = DefaultDelay
	}
	if cfg.Refresh <= 0 {
		cfg.Refresh = DefaultRefresh
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o750); err != nil {
		return nil, fmt.Errorf("make the directory for calls: %w", err)
	}
	db, err := open(cfg.Path)
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s belongs to another instance: give this one another number with --table, or another --state-dir", cfg.Path)
	}
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch) {
		aside := cfg.Path + ".broken"
		cfg.Log.Error("calls of a process before are lost: their file cannot be read", "file", cfg.Path, "kept_as", aside, "err", err)
		if err := os.Rename(cfg.Path, aside); err != nil {
			return nil, fmt.Errorf("put a broken file aside: %w", err)
		}
		db, err = open(cfg.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("open the file of calls %s: %w", cfg.Path, err)
	}
	return &Store{
		cfg: cfg, db: db, changed: make(map[string]struct{}), written: make(map[string]time.Time),
		wake: make(chan struct{}, 1), flush: make(chan chan error), done: make(chan struct{}),
	}, nil
}

func open(path string) (*bbolt.DB, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockTimeout, NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		InitialMmapSize: initialMap,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketCalls, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Restore makes the calls that a process before has left. Those that cannot be had are logged and forgotten.
func (s *Store) Restore(calls Calls) (restored, lost int, err error) {
	texts, err := s.read()
	if err != nil || len(texts) == 0 {
		return 0, 0, err
	}
	var good, bad atomic.Int64
	group := new(errgroup.Group)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for id, text := range texts {
		group.Go(func() error {
			if err := restore(calls, text); err != nil {
				bad.Add(1)
				s.cfg.Log.Warn("a call of the process before is lost", "call", id, "err", err)
			} else {
				good.Add(1)
			}
			s.Changed(id)
			return nil
		})
	}
	err = group.Wait()
	return int(good.Load()), int(bad.Load()), err
}

// restore contains what a document can do.
func restore(calls Calls, text []byte) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("fault: %v", fault)
		}
	}()
	doc, err := call.DecodeDocument(text)
	if err != nil {
		return err
	}
	return calls.Restore(doc)
}

// read returns the documents of our scope by key, and makes the file one of that scope.
func (s *Store) read() (map[string][]byte, error) {
	texts := make(map[string][]byte)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		meta, calls := tx.Bucket(bucketMeta), tx.Bucket(bucketCalls)
		if string(meta.Get(keyScope)) != s.cfg.Scope {
			if n := calls.Stats().KeyN; n > 0 {
				s.cfg.Log.Warn("calls of a dead process are given up: it was in another network namespace", "calls", n)
			}
			if err := tx.DeleteBucket(bucketCalls); err != nil {
				return err
			}
			if _, err := tx.CreateBucket(bucketCalls); err != nil {
				return err
			}
			return meta.Put(keyScope, []byte(s.cfg.Scope))
		}
		return calls.ForEach(func(id, text []byte) error {
			texts[string(id)] = append([]byte(nil), text...)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read the calls of the process before: %w", err)
	}
	return texts, nil
}

// Changed has the document of a call written anew, or forgotten when there is no such call any more. It returns at once.
func (s *Store) Changed(id string) {
	s.mu.Lock()
	s.changed[id] = struct{}{}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // the writer knows already
	}
}

// Start begins to write, until Close.
func (s *Store) Start(calls Calls) {
	ctx, cancel := context.WithCancel(context.Background())
	s.calls, s.stop = calls, cancel
	go s.run(ctx)
}

func (s *Store) run(ctx context.Context) {
	defer close(s.done)
	refresh := time.NewTicker(s.cfg.Refresh / 16)
	defer refresh.Stop()
	failed, delay := false, s.cfg.Delay
	for {
		var asked chan error
		select {
		case <-ctx.Done():
			return
		case asked = <-s.flush:
		case <-refresh.C:
			s.outdated()
			continue
		case <-s.wake:
			select {
			case <-ctx.Done():
				return
			case asked = <-s.flush:
			case <-time.After(delay):
			}
		}
		began := time.Now()
		err := s.write()
		delay = max(s.cfg.Delay, min(busy*time.Since(began), mostDelay))
		if asked != nil {
			asked <- err
		}
		if err != nil && !failed {
			s.cfg.Log.Error("calls cannot be written: they would not outlive this process", "file", s.cfg.Path, "err", err)
		}
		failed = err != nil
	}
}

// outdated has the oldest documents written anew.
func (s *Store) outdated() {
	limit := time.Now().Add(-s.cfg.Refresh)
	for id, at := range s.written {
		if at.Before(limit) {
			s.Changed(id)
		}
	}
}

// write takes all changes to the file, in one transaction.
func (s *Store) write() error {
	s.mu.Lock()
	changed := s.changed
	s.changed = make(map[string]struct{}, len(changed))
	s.pending.Store(int64(len(changed)))
	s.mu.Unlock()
	defer s.pending.Store(0)
	if len(changed) == 0 {
		return nil
	}
	texts := make(map[string][]byte, len(changed)) // nil: to be forgotten
	for id := range changed {
		doc, err := s.calls.Document(id)
		if err != nil {
			texts[id] = nil // it has ended
			continue
		}
		text, err := doc.Encode()
		if err != nil {
			s.cfg.Log.Error("a call cannot be written", "call", id, "err", err)
			continue
		}
		if n := len(doc.CallID); n == 0 || n > bbolt.MaxKeySize {
			continue // no call-id of a real call
		}
		if doc.CallID != id {
			texts[id] = nil // it is part of another one now
		}
		texts[doc.CallID] = text
	}
	return s.put(texts)
}

func (s *Store) put(texts map[string][]byte) error {
	now := time.Now()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		calls := tx.Bucket(bucketCalls)
		for id, text := range texts {
			if text == nil {
				if err := calls.Delete([]byte(id)); err != nil {
					return err
				}
				continue
			}
			if err := calls.Put([]byte(id), text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for id := range texts {
			s.Changed(id) // another time, perhaps
		}
		return err
	}
	for id, text := range texts {
		if text == nil {
			delete(s.written, id)
		} else {
			s.written[id] = now.Add(-rand.N(s.cfg.Refresh / 4)) // so that they do not all come due at once
		}
	}
	s.kept.Store(int64(len(s.written)))
	return nil
}

// Counts returns how many calls the file holds, and how many changes are not in it yet.
func (s *Store) Counts() (kept, pending int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.kept.Load()), len(s.changed) + int(s.pending.Load())
}

// Flush writes what has changed until now.
func (s *Store) Flush() error {
	asked := make(chan error, 1)
	select {
	case s.flush <- asked:
		return <-asked
	case <-s.done:
		return errors.New("the store is closed")
	}
}

// Close writes what has changed and closes the file. One without calls is removed.
func (s *Store) Close() error {
	var errs []error
	empty := false
	if s.stop != nil {
		errs = append(errs, s.Flush())
		s.stop()
		<-s.done
		errs = append(errs, s.db.View(func(tx *bbolt.Tx) error {
			k, _ := tx.Bucket(bucketCalls).Cursor().First()
			empty = k == nil
			return nil
		}))
	}
	if empty {
		errs = append(errs, os.Remove(s.cfg.Path)) // before the lock is gone
	}
	return errors.Join(append(errs, s.db.Close())...)
}
