package store

import (
	"errors"
	"log/slog"
	"time"

	"github.com/weir-media/weir/call"
)

const (
	// DefaultDelay is how long a change of a call stays unwritten unless there are very many of them. Most calls change several times within it when they
	// are set up, and those that end within it are never written.
	DefaultDelay = 2 * time.Second
	// DefaultRefresh is how old the counts and SRTP states in a document may be.
	DefaultRefresh = 2 * time.Minute
)

// Calls is the call.Manager as this package uses it.
type Calls interface {
	Document(id string) (*call.Document, error)
	Lives(id string) bool
	Restore(*call.Document) error
	Follow(doc *call.Document, keyspace int) error
}

// Config says how documents are kept.
type Config struct {
	Refresh time.Duration // DefaultRefresh when 0
	Log     *slog.Logger  // nothing is logged when nil
}

// Kept is a backend to keep documents in.
type Kept struct {
	Backend
	Delay time.Duration // between a change and its writing; DefaultDelay when 0
}

// Store keeps the documents of all calls in its backends. Changes are written in batches, by a goroutine of its own for each
// backend, so that signalling waits for nothing, nor one backend for another. Its methods are safe for concurrent use.
type Store struct {
	cfg    Config
	file   *File // one of the backends; nil: there is none
	queues []*queue
}

// New makes a store of open backends, which it closes.
func New(cfg Config, all ...Kept) *Store {
	if cfg.Refresh <= 0 {
		cfg.Refresh = DefaultRefresh
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg}
	for _, k := range all {
		if f, ok := k.Backend.(*File); ok {
			s.file = f
		}
		s.queues = append(s.queues, newQueue(k, &cfg))
	}
	return s
}

// Changed has the document of a call written anew, or forgotten when there is no such call any more. It returns at once.
func (s *Store) Changed(id string) {
	for _, q := range s.queues {
		q.add(id)
	}
}

// Start begins to write, until Close.
func (s *Store) Start(calls Calls) {
	for _, q := range s.queues {
		q.start(calls)
	}
}

// States tells how far the backends have come.
func (s *Store) States() []State {
	var all []State
	for _, q := range s.queues {
		all = append(all, q.read())
	}
	return all
}

// Shared tells when the document of a call was last written to a backend that nodes share; zero: it is not there by us.
func (s *Store) Shared(id string) time.Time {
	for _, q := range s.queues {
		if q.backend.Shared() {
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.written[id]
		}
	}
	return time.Time{}
}

// Flush writes what has changed until now.
func (s *Store) Flush() error {
	var errs []error
	for _, q := range s.queues {
		errs = append(errs, q.flushNow())
	}
	return errors.Join(errs...)
}

// Leave writes what has changed to the backends that nodes share, and nothing after it: others may take the calls that end here.
func (s *Store) Leave() error {
	var errs []error
	for _, q := range s.queues {
		if q.backend.Shared() {
			errs = append(errs, q.seal())
		}
	}
	return errors.Join(errs...)
}

// Close writes what has changed and closes the backends.
func (s *Store) Close() error {
	var errs []error
	for _, q := range s.queues {
		errs = append(errs, q.close())
	}
	return errors.Join(errs...)
}
