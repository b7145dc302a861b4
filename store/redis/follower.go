package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

const (
	// idle is after what silence it is asked whether the connection still lives.
	idle = 10 * time.Second
	// again is the pause before another attempt to connect, or to read what has changed.
	again = time.Second
	// maxChanged bounds the keys that wait to be read; beyond it all of the keyspace is read.
	maxChanged = 1 << 20
)

// Calls are what becomes of documents that other nodes write.
type Calls interface {
	// Take makes or renews the call of a document in a keyspace. Own calls are left alone.
	Take(id string, text []byte, keyspace int) error
	// Drop ends a call whose document is gone, unless it is our own.
	Drop(id string, keyspace int)
	// Known returns the calls there are by documents of a keyspace.
	Known(keyspace int) []string
}

// Follower follows keyspaces of a server by its notifications: what changes there is read and handed on. After a connection was lost all is
// read again. Its methods are safe for concurrent use.
type Follower struct {
	server *Server
	calls  Calls
	log    *slog.Logger
	seed   maphash.Seed

	mu        sync.Mutex
	keyspaces []int
	pubsub    *redis.PubSub               // nil: not connected
	changed   map[int]map[string]struct{} // keys to be read, by keyspace
	whole     map[int]bool                // keyspaces to be read as a whole
	hashes    map[int]map[string]uint64   // of the documents that have been taken
	wake      chan struct{}

	connected      atomic.Bool
	taken, refused atomic.Uint64
	refusals       refusals
}

// NewFollower makes a follower of some keyspaces of a server, which it closes.
func NewFollower(s *Server, calls Calls, keyspaces []int, log *slog.Logger) *Follower {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	f := &Follower{
		server: s, calls: calls, log: log, seed: maphash.MakeSeed(), changed: make(map[int]map[string]struct{}), whole: make(map[int]bool),
		hashes: make(map[int]map[string]uint64), wake: make(chan struct{}, 1), refusals: refusals{log: log},
	}
	for _, n := range keyspaces {
		if !slices.Contains(f.keyspaces, n) {
			f.keyspaces = append(f.keyspaces, n)
		}
	}
	return f
}

// FollowerState is how a follower does.
type FollowerState struct {
	Keyspaces      []int
	Connected      bool
	Taken, Refused uint64 // documents
	Pending        int    // keys that have changed and are not read yet
}

// State tells how the follower does.
func (f *Follower) State() FollowerState {
	f.mu.Lock()
	defer f.mu.Unlock()
	st := FollowerState{Keyspaces: slices.Clone(f.keyspaces), Connected: f.connected.Load(), Taken: f.taken.Load(), Refused: f.refused.Load()}
	for _, keys := range f.changed {
		st.Pending += len(keys)
	}
	return st
}

func pattern(keyspace int) string { return "__keyspace@" + strconv.Itoa(keyspace) + "__:*" }

// Add follows one more keyspace, and tells whether it was not followed before.
func (f *Follower) Add(ctx context.Context, keyspace int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.keyspaces, keyspace) {
		return false
	}
	f.keyspaces = append(f.keyspaces, keyspace)
	if f.pubsub != nil {
		_ = f.pubsub.PSubscribe(ctx, pattern(keyspace)) // else with the next connection
	}
	return true
}

// Remove no longer follows a keyspace, drops its calls, and tells whether it was followed.
func (f *Follower) Remove(ctx context.Context, keyspace int) bool {
	f.mu.Lock()
	i := slices.Index(f.keyspaces, keyspace)
	if i >= 0 {
		f.keyspaces = slices.Delete(f.keyspaces, i, i+1)
		delete(f.changed, keyspace)
		delete(f.whole, keyspace)
		delete(f.hashes, keyspace)
		if f.pubsub != nil {
			_ = f.pubsub.PUnsubscribe(ctx, pattern(keyspace)) // what comes none the less is not heeded
		}
	}
	f.mu.Unlock()
	if i < 0 {
		return false
	}
	for _, id := range f.calls.Known(keyspace) {
		f.calls.Drop(id, keyspace)
	}
	return true
}

// Source returns the documents of a keyspace, for the start. They are then known.
func (f *Follower) Source(keyspace int) KeyspaceSource { return KeyspaceSource{f, keyspace} }

// KeyspaceSource is a store.Source.
type KeyspaceSource struct {
	follower *Follower
	keyspace int
}

// Each implements store.Source.
func (s KeyspaceSource) Each(ctx context.Context, fn func(id string, text []byte)) error {
	return Source{s.follower.server, s.keyspace}.Each(ctx, func(id string, text []byte) {
		s.follower.note(id, text, s.keyspace)
		fn(id, text)
	})
}

// note remembers a document, and tells whether it is another one than before.
func (f *Follower) note(id string, text []byte, keyspace int) bool {
	hash := maphash.Bytes(f.seed, text)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.keyspaces, keyspace) {
		return false
	}
	if f.hashes[keyspace] == nil {
		f.hashes[keyspace] = make(map[string]uint64)
	}
	before, known := f.hashes[keyspace][id]
	f.hashes[keyspace][id] = hash
	return !known || before != hash
}

func (f *Follower) forget(id string, keyspace int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.hashes[keyspace], id)
}

// Run follows until ctx ends.
func (f *Follower) Run(ctx context.Context) {
	group := new(errgroup.Group)
	group.Go(func() error { f.read(ctx); return nil })
	said := false
	for ctx.Err() == nil {
		err := f.listen(ctx)
		f.connected.Store(false)
		if ctx.Err() != nil {
			break
		}
		if !said || wasUp(err) {
			f.log.Error("changes of other nodes' calls are not heard of", "server", f.server.cfg.Address.String(), "err", err)
		}
		said = true
		wait(ctx, again)
	}
	_ = group.Wait()
}

// wasUp tells whether a connection that has failed had been established.
func wasUp(err error) bool {
	var lost *lostError
	return errors.As(err, &lost)
}

// lostError is the end of a connection that was up.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

// listen hears notifications until the connection is lost.
func (f *Follower) listen(ctx context.Context) error {
	if err := f.server.Check(ctx); err != nil {
		return err
	}
	client := f.server.open(0)
	defer client.Close()
	f.arm(ctx, client)
	pubsub := client.PSubscribe(ctx)
	f.mu.Lock()
	var patterns []string
	for _, n := range f.keyspaces {
		patterns = append(patterns, pattern(n))
	}
	f.pubsub = pubsub
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.pubsub = nil
		f.mu.Unlock()
		_ = pubsub.Close()
	}()
	if len(patterns) > 0 {
		if err := pubsub.PSubscribe(ctx, patterns...); err != nil {
			return err
		}
	}
	// A connection that waits for a message cannot be interrupted otherwise.
	defer context.AfterFunc(ctx, func() { _ = pubsub.Close() })()
	if err := pubsub.Ping(ctx); err != nil {
		return err
	}
	up := false
	for {
		message, err := pubsub.ReceiveTimeout(ctx, idle)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			if err = pubsub.Ping(ctx); err == nil {
				message, err = pubsub.ReceiveTimeout(ctx, idle)
			}
		}
		if err != nil {
			if up {
				err = &lostError{err}
			}
			return err
		}
		if !up {
			up = true
			f.connected.Store(true)
			f.log.Info("changes of other nodes' calls are followed", "server", f.server.cfg.Address.String())
		}
		f.heed(message)
	}
}

func (f *Follower) heed(message any) {
	switch m := message.(type) {
	case *redis.Subscription:
		if n, _, ok := parseChannel(m.Channel); ok && m.Kind == "psubscribe" {
			f.changes(n, "", true) // what has changed before nobody tells
		}
	case *redis.Message:
		if n, id, ok := parseChannel(m.Channel); ok {
			f.changes(n, id, false)
		}
	}
}

// parseChannel reads __keyspace@N__:KEY.
func parseChannel(text string) (keyspace int, key string, ok bool) {
	rest, ok := strings.CutPrefix(text, "__keyspace@")
	if !ok {
		return 0, "", false
	}
	number, key, ok := strings.Cut(rest, "__:")
	if !ok {
		return 0, "", false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	return int(n), key, err == nil
}

// changes has a key be read, or all of them.
func (f *Follower) changes(keyspace int, id string, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.keyspaces, keyspace) {
		return
	}
	if whole || len(f.changed[keyspace]) >= maxChanged {
		f.whole[keyspace] = true
	} else {
		if f.changed[keyspace] == nil {
			f.changed[keyspace] = make(map[string]struct{})
		}
		f.changed[keyspace][id] = struct{}{}
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// read reads what has changed, until ctx ends.
func (f *Follower) read(ctx context.Context) {
	clients := make(map[int]*redis.Client)
	defer func() {
		for _, c := range clients {
			_ = c.Close()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		changed, whole := f.changed, f.whole
		f.changed, f.whole = make(map[int]map[string]struct{}), make(map[int]bool)
		f.mu.Unlock()
		for n := range whole {
			if changed[n] == nil {
				changed[n] = nil // a key in the map, for the loop below
			}
		}
		for n, keys := range changed {
			c := clients[n]
			if c == nil {
				c = f.server.open(n)
				clients[n] = c
			}
			if err := f.catchUp(ctx, c, n, keys, whole[n]); err != nil {
				_ = c.Close() // time limits may have changed
				delete(clients, n)
				_ = f.server.heed(err)
				for id := range keys {
					f.changes(n, id, false)
				}
				if whole[n] {
					f.changes(n, "", true)
				}
				wait(ctx, again)
			}
		}
	}
}

// catchUp reads some keys of a keyspace, or all.
func (f *Follower) catchUp(ctx context.Context, c *redis.Client, keyspace int, keys map[string]struct{}, whole bool) error {
	if whole {
		there := make(map[string]bool)
		if err := each(ctx, c, func(id string, text []byte) {
			there[id] = true
			f.take(id, text, keyspace)
		}); err != nil {
			return err
		}
		keys = make(map[string]struct{})
		for _, id := range f.calls.Known(keyspace) {
			if !there[id] {
				keys[id] = struct{}{}
			}
		}
	}
	ids := make([]string, 0, len(keys))
	for id := range keys {
		ids = append(ids, id)
	}
	for some := range slices.Chunk(ids, scanSize) {
		texts, err := c.MGet(ctx, some...).Result()
		if err != nil {
			return err
		}
		for i, text := range texts {
			if t, ok := text.(string); ok {
				f.take(some[i], []byte(t), keyspace)
			} else {
				f.forget(some[i], keyspace)
				f.calls.Drop(some[i], keyspace)
			}
		}
	}
	return nil
}

// take hands on a document that is another one than before.
func (f *Follower) take(id string, text []byte, keyspace int) {
	if !f.note(id, text, keyspace) {
		return
	}
	if err := f.calls.Take(id, text, keyspace); err != nil {
		f.forget(id, keyspace)
		f.refused.Add(1)
		f.refusals.say(id, keyspace, err)
		return
	}
	f.taken.Add(1)
}

// arm has the server notify, if it does not yet and lets us.
func (f *Follower) arm(ctx context.Context, c *redis.Client) {
	const setting = "notify-keyspace-events"
	const help = "changes of other nodes' calls may not be heard of: the server has to notify of them, and does not let us see to that; " +
		"give its configuration the line \"notify-keyspace-events " + notified + "\""
	have, err := c.ConfigGet(ctx, setting).Result()
	if err != nil {
		f.log.Warn(help, "server", f.server.cfg.Address.String(), "err", err)
		return
	}
	want, enough := notifications(have[setting])
	if enough {
		return
	}
	if err := c.ConfigSet(ctx, setting, want).Err(); err != nil {
		f.log.Warn(help, "server", f.server.cfg.Address.String(), "err", err)
		return
	}
	f.log.Info("the server notifies of changes now", "server", f.server.cfg.Address.String(), "notify_keyspace_events", want)
}

// notified are the classes of events that tell of the change and the end of keys: by commands of any kind (g), of strings ($), expired (x),
// evicted (e); K is the form that names the key.
const notified = "Kg$xe"

// notifications adds what is missing to a setting of notify-keyspace-events.
func notifications(have string) (want string, enough bool) {
	want = have
	for _, class := range notified {
		if strings.ContainsRune(want, class) || class != 'K' && strings.ContainsRune(want, 'A') {
			continue
		}
		want += string(class)
	}
	return want, want == have
}

// refusals logs documents that are refused, one in a while: another node may write very many.
type refusals struct {
	log *slog.Logger

	mu   sync.Mutex
	next time.Time
	more int
}

// refusalEvery is between two lines.
const refusalEvery = 10 * time.Second

func (r *refusals) say(id string, keyspace int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Before(r.next) {
		r.more++
		return
	} else {
		r.next = now.Add(refusalEvery)
	}
	r.log.Warn("a call of another node cannot be followed", "call", fmt.Sprintf("%.200s", id), "keyspace", keyspace, "err", err, "more_since", r.more)
	r.more = 0
}

// Close ends the connections.
func (f *Follower) Close() error { return f.server.Close() }

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
