package redis

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxMoved bounds the old keys of calls taken over that are still to be deleted. The others expire.
const maxMoved = 1 << 20

// Backend is a store.Backend: a key for each call, named by its call-id, that expires unless it is written again.
type Backend struct {
	server  *Server
	expires time.Duration

	mu    sync.Mutex
	moved map[string]int // databases where calls have been taken from
}

// NewBackend makes a backend of a server, which it closes.
func NewBackend(s *Server, expires time.Duration) *Backend {
	return &Backend{server: s, expires: expires, moved: make(map[string]int)}
}

// Name implements store.Backend.
func (b *Backend) Name() string { return "redis" }

// Shared implements store.Backend: other nodes read what is written, and may go on with it.
func (b *Backend) Shared() bool { return true }

// Ready implements store.Backend.
func (b *Backend) Ready() error { return b.server.Check(context.Background()) }

// Moved has the key of a call be deleted from another database once the call is in this one.
func (b *Backend) Moved(id string, from int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if from != b.server.cfg.Address.DB && from >= 0 && len(b.moved) < maxMoved {
		b.moved[id] = from
	}
}

// Put implements store.Backend.
func (b *Backend) Put(texts map[string][]byte) error {
	ctx := context.Background()
	// Each command may fail by itself; the first error is returned.
	_, err := b.server.use().Pipelined(ctx, func(p redis.Pipeliner) error {
		for id, text := range texts {
			if text == nil {
				p.Del(ctx, id)
			} else {
				p.Set(ctx, id, text, b.expires)
			}
		}
		return nil
	})
	if err != nil {
		return b.server.heed(err)
	}
	return b.server.heed(b.leave(ctx, texts))
}

// leave deletes the keys that calls had in other databases.
func (b *Backend) leave(ctx context.Context, texts map[string][]byte) error {
	left := make(map[int][]string)
	b.mu.Lock()
	for id := range texts {
		if db, ok := b.moved[id]; ok {
			left[db] = append(left[db], id)
		}
	}
	b.mu.Unlock()
	var errs []error
	for db, ids := range left {
		c := b.server.open(db) // this happens after a takeover alone
		err := c.Del(ctx, ids...).Err()
		errs = append(errs, err, c.Close())
		if err != nil {
			continue
		}
		b.mu.Lock()
		for _, id := range ids {
			delete(b.moved, id)
		}
		b.mu.Unlock()
	}
	return errors.Join(errs...)
}

// Close implements store.Backend.
func (b *Backend) Close(bool) error { return b.server.Close() }
