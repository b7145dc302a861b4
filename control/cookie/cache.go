package cookie

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

// Life is how long a generation of a Cache is the young one; a reply is remembered for one to two of them.
const Life = 30 * time.Second

// The cache is cut into shards so that transports do not wait for each other. A shard whose young generation is full
// starts the next one early: repeats come within seconds, so that forgetting the oldest costs least.
const (
	cacheShards       = 64
	maxShardCookies   = 4096      // per generation
	maxShardReplySize = 256 << 10 // bytes per generation; of all 32 MB, ten seconds of 3,000 requests a second
	entrySize         = 128       // about what an entry takes beside its cookie and its reply
)

// errNoReply is returned to a repeat whose first request ended without a reply.
var errNoReply = errors.New("request with this cookie ended without a reply")

// Cache remembers replies by cookie, so that a repeated request is answered with the identical reply and never executed
// twice. One Cache serves all transports. It is safe for concurrent use.
type Cache struct {
	now    func() time.Time
	seed   maphash.Seed
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu         sync.Mutex
	young, old map[string]*cached
	size       int // bytes that young takes
	swapped    time.Time
}

// cached is one request. The lock of its shard guards it.
type cached struct {
	finished bool
	reply    []byte        // once finished; nil if the request ended without a reply
	waited   chan struct{} // closed when it is finished; nil unless a repeat waits, which few do
}

// New returns an empty cache that reads the time from now, time.Now if nil.
func New(now func() time.Time) *Cache {
	if now == nil {
		now = time.Now
	}
	c := &Cache{now: now, seed: maphash.MakeSeed()}
	start := now()
	for i := range c.shards {
		c.shards[i].young, c.shards[i].swapped = make(map[string]*cached), start
	}
	return c
}

// Do returns the reply stored for cookie. If there is none it calls execute and stores what that returns; the slice
// must not be changed afterwards. A repeat that arrives meanwhile waits for the reply until ctx ends, then the error is
// that of ctx; a ctx that has ended already drops such a repeat at once. If execute returns nil or panics, nothing is
// stored and the repeats that wait get an error.
func (c *Cache) Do(ctx context.Context, cookie string, execute func() []byte) ([]byte, error) {
	s := &c.shards[maphash.String(c.seed, cookie)%cacheShards]
	entry, first, finished := s.claim(cookie, c.now())
	if first {
		var reply []byte
		defer func() { s.finish(cookie, entry, reply) }()
		reply = execute()
		return reply, nil
	}
	if finished != nil {
		select {
		case <-finished:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if reply := s.replyOf(entry); reply != nil {
		return reply, nil
	}
	return nil, errNoReply
}

// Expire forgets what is due, in shards that no request has touched for a while. A daemon calls it now and then to give
// memory back; replies expire without it as well.
func (c *Cache) Expire() {
	now := c.now()
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.expire(now)
		s.mu.Unlock()
	}
}

// claim returns the entry of cookie, and whether it is new and so the caller's to finish. For one that another executes,
// finished is closed with its end.
func (s *cacheShard) claim(cookie string, now time.Time) (entry *cached, first bool, finished <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if entry = s.find(cookie); entry != nil {
		if !entry.finished && entry.waited == nil {
			entry.waited = make(chan struct{})
		}
		return entry, false, entry.waited
	}
	if len(s.young) >= maxShardCookies || s.size >= maxShardReplySize {
		s.swap(now)
	}
	entry = new(cached)
	// The cookie is a piece of the whole request, which must not be kept for it.
	s.young[strings.Clone(cookie)] = entry
	s.size += entrySize + len(cookie)
	return entry, true, nil
}

// finish stores the reply and lets the repeats go that wait for it.
func (s *cacheShard) finish(cookie string, entry *cached, reply []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.finished, entry.reply = true, reply
	if reply == nil {
		delete(s.young, cookie)
		delete(s.old, cookie)
	}
	s.size += len(reply)
	if entry.waited != nil {
		close(entry.waited)
	}
}

func (s *cacheShard) replyOf(entry *cached) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return entry.reply
}

func (s *cacheShard) find(cookie string) *cached {
	if entry := s.young[cookie]; entry != nil {
		return entry
	}
	return s.old[cookie]
}

// expire swaps the generations as often as time has passed for it.
func (s *cacheShard) expire(now time.Time) {
	for range 2 {
		if now.Sub(s.swapped) < Life {
			return
		}
		s.swap(s.swapped.Add(Life))
	}
	if now.Sub(s.swapped) >= Life {
		s.swapped = now
	}
}

// swap drops the old generation and begins a new one. Requests under way stay, or a repeat would execute them again.
func (s *cacheShard) swap(at time.Time) {
	dropped := s.old
	s.old, s.young, s.size, s.swapped = s.young, make(map[string]*cached), 0, at
	for cookie, entry := range dropped {
		if !entry.finished {
			s.young[cookie] = entry
		}
	}
}
