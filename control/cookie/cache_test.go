package cookie

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// clock is a time that stands still until it is moved.
type clock struct{ now atomic.Int64 }

func (c *clock) read() time.Time         { return time.Unix(0, c.now.Load()) }
func (c *clock) advance(d time.Duration) { c.now.Add(int64(d)) }

func answer(text string) func() []byte { return func() []byte { return []byte(text) } }

func TestRepeatsGetTheStoredReplyUntilItExpires(t *testing.T) {
	steps := []struct {
		name          string
		advance       time.Duration
		execute, want string
	}{
		{"the first request is executed", 0, "first", "first"},
		{"a repeat gets the same reply", 0, "second", "first"},
		{"so it does in the next generation", Life, "second", "first"},
		{"being asked for does not prolong its life", Life - 1, "second", "first"},
		{"after two generations it is executed again", 1, "second", "second"},
		{"a pause of hours expires everything", 5 * time.Hour, "third", "third"},
		{"generations still last their time after that", Life, "fourth", "third"},
	}
	var c clock
	cache := New(c.read)
	for _, s := range steps {
		c.advance(s.advance)
		got, err := cache.Do(context.Background(), "cookie", answer(s.execute))
		if err != nil || string(got) != s.want {
			t.Errorf("%s: got %q, %v; want %q", s.name, got, err, s.want)
		}
	}
	c.advance(2 * Life)
	cache.Expire()
	for i := range cache.shards {
		if n := len(cache.shards[i].young) + len(cache.shards[i].old); n != 0 {
			t.Errorf("shard %d still holds %d replies", i, n)
		}
	}
}

func TestARepeatOfARequestUnderWayWaitsForItsReply(t *testing.T) {
	var c clock
	cache := New(c.read)
	started, finish := make(chan struct{}), make(chan struct{})
	var executed atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Do(context.Background(), "k", func() []byte {
			executed.Add(1)
			close(started)
			<-finish
			return []byte("reply")
		})
	})
	<-started
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := cache.Do(ended, "k", answer("other")); !errors.Is(err, context.Canceled) {
		t.Errorf("a repeat that must not wait gets %v", err)
	}
	for range 3 { // a slow request outlives its generation
		c.advance(Life)
		cache.Expire()
	}
	for range 8 {
		wg.Go(func() {
			got, err := cache.Do(context.Background(), "k", func() []byte { executed.Add(1); return nil })
			if err != nil || string(got) != "reply" {
				t.Errorf("repeat got %q, %v", got, err)
			}
		})
	}
	if got, err := cache.Do(context.Background(), "other", answer("x")); err != nil || string(got) != "x" {
		t.Errorf("another cookie has to wait: %q, %v", got, err)
	}
	close(finish)
	wg.Wait()
	if n := executed.Load(); n != 1 {
		t.Errorf("executed %d times, want once", n)
	}
}

func TestARequestWithoutAReplyLeavesNothingBehind(t *testing.T) {
	cache := New(nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		_, _ = cache.Do(context.Background(), "k", func() []byte { panic("fault") })
	}()
	if got, err := cache.Do(context.Background(), "k", func() []byte { return nil }); got != nil || err != nil {
		t.Errorf("after a panic: %q, %v; want to be executed", got, err)
	}
	if got, err := cache.Do(context.Background(), "k", answer("x")); err != nil || string(got) != "x" {
		t.Errorf("after an execution without reply: %q, %v; want to be executed", got, err)
	}
	started, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = cache.Do(context.Background(), "n", func() []byte { close(started); <-finish; return nil })
	})
	<-started
	entry, first, _ := cache.shards[0].claim("unused", cache.now()) // any shard: its lock is free while a request runs
	cache.shards[0].finish("unused", entry, nil)
	if !first {
		t.Error("a shard is blocked or remembers another cookie")
	}
	wg.Go(func() {
		if _, err := cache.Do(context.Background(), "n", answer("second")); err != nil && !errors.Is(err, errNoReply) {
			t.Errorf("a waiting repeat got %v", err)
		}
	})
	close(finish)
	wg.Wait()
}

func TestTheCacheIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	fill := func(reply []byte, n int) (cookies, size int) {
		s := &New(func() time.Time { return now }).shards[0]
		for i := range n {
			cookie := strconv.Itoa(i)
			entry, _, _ := s.claim(cookie, now)
			s.finish(cookie, entry, reply)
			cookies, size = max(cookies, len(s.young)+len(s.old)), max(size, s.size)
		}
		return cookies, size
	}
	if cookies, _ := fill([]byte("x"), 3*maxShardCookies); cookies > 2*maxShardCookies {
		t.Errorf("two generations hold %d cookies, cap %d", cookies, 2*maxShardCookies)
	}
	if _, size := fill([]byte("x"), 3*maxShardCookies); size > maxShardReplySize+2*entrySize {
		t.Errorf("a generation of small replies holds %d bytes, cap %d", size, maxShardReplySize)
	}
	big := make([]byte, 64<<10)
	if _, size := fill(big, 3*maxShardReplySize/len(big)); size > maxShardReplySize+len(big)+entrySize {
		t.Errorf("a generation holds %d bytes, cap %d", size, maxShardReplySize)
	}
}
