package redis_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/internal/redistest"
	"github.com/weir-media/weir/store"
	"github.com/weir-media/weir/store/redis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 60 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func dial(s *redistest.Server, db int, password string, tuning redis.Tuning) *redis.Server {
	if tuning.ConnectTimeout == 0 {
		tuning.ConnectTimeout = 5 * time.Second
	}
	return redis.Dial(redis.Config{
		Address: redis.Address{Host: s.Host, Port: uint16(s.Port), DB: db, Password: password}, Tuning: tuning,
		KeepAlive: redis.KeepAlive{Time: time.Second, Interval: time.Second, Probes: 3},
	})
}

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		text, password string
		needDB         bool
		want           redis.Address
		shown          string
	}{
		{"127.0.0.1:6379/3", "", true, redis.Address{Host: "127.0.0.1", Port: 6379, DB: 3}, "127.0.0.1:6379/3"},
		{"secret@redis.example:6379/0", "other", true, redis.Address{Password: "secret", Host: "redis.example", Port: 6379}, "redis.example:6379/0"},
		{"a@b/c@[2001:db8::1]:6379/12", "", true, redis.Address{Password: "a@b/c", Host: "2001:db8::1", Port: 6379, DB: 12}, "[2001:db8::1]:6379/12"},
		{"2001:db8::1:6379/1", "", true, redis.Address{Host: "2001:db8::1", Port: 6379, DB: 1}, "[2001:db8::1]:6379/1"},
		{"127.0.0.1:6379/3", "from the environment", true, redis.Address{Password: "from the environment", Host: "127.0.0.1", Port: 6379, DB: 3}, "127.0.0.1:6379/3"},
		{"127.0.0.1:6379", "", false, redis.Address{Host: "127.0.0.1", Port: 6379, DB: -1}, "127.0.0.1:6379"},
	} {
		got, err := redis.ParseAddress(c.text, c.password, c.needDB)
		if err != nil || got != c.want || got.String() != c.shown {
			t.Errorf("%s: got %+v (%s), %v", c.text, got, got, err)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"127.0.0.1:6379", "number of the database is missing"}, {"127.0.0.1/1", "has no port"}, {"127.0.0.1:x/1", "is no port"},
		{"127.0.0.1:0/1", "is no port"}, {":6379/1", "host is missing"}, {"127.0.0.1:6379/x", "is no number"}, {"", "is missing"},
		{"hush@127.0.0.1:6379/-1", "is no number"},
	} {
		if got, err := redis.ParseAddress(c.text, "", true); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %+v, %v", c.text, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"pw@127.0.0.1:6379/3", "[::1]:6379/0", "::1:6379", "a@b@c:1/2", "@:/", "x:99999/1"} {
		f.Add(text, true)
	}
	f.Fuzz(func(t *testing.T, text string, needDB bool) {
		a, err := redis.ParseAddress(text, "", needDB)
		if err != nil {
			return
		}
		if a.Host == "" || a.Port == 0 || needDB && a.DB < 0 {
			t.Errorf("%q is read as %+v", text, a)
		}
		shown := a.String()
		if again, err := redis.ParseAddress(shown, a.Password, needDB); err != nil || again != a && !strings.Contains(a.Host, "@") {
			t.Errorf("%q is shown as %q, which is read as %+v, %v", text, shown, again, err)
		}
	})
}

func TestDocumentsAreKeptUntilTheyExpire(t *testing.T) {
	s := redistest.Start(t, "--requirepass", "open sesame")
	s.Await(clientOf(t, s, "open sesame", 2))
	server := dial(s, 2, "open sesame", redis.Tuning{AllowedErrors: -1})
	b := redis.NewBackend(server, time.Hour)
	defer b.Close(true)
	if !b.Shared() || b.Name() != "redis" || b.Ready() != nil {
		t.Errorf("ready: %v", b.Ready())
	}
	texts := map[string][]byte{"a": []byte("one"), "M\xfcller\x00": {0, 255, 10}, "gone": []byte("three")}
	for i := range 1000 {
		texts[fmt.Sprint("many ", i)] = []byte(strings.Repeat("x", i))
	}
	if err := b.Put(texts); err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, s, "open sesame", 2)
	if ttl := c.TTL(t.Context(), "a").Val(); ttl <= 50*time.Minute || ttl > time.Hour {
		t.Errorf("it expires after %v", ttl)
	}
	if err := b.Put(map[string][]byte{"gone": nil, "never was": nil}); err != nil {
		t.Fatal(err)
	}
	delete(texts, "gone")
	c.LPush(t.Context(), "a list", "x") // what is no document
	got := make(map[string][]byte)
	if err := (redis.Source{Server: server, DB: 2}).Each(t.Context(), func(id string, text []byte) { got[id] = text }); err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(got, texts, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Errorf("%d documents are found, %d were written", len(got), len(texts))
	}
	if master, err := server.Master(t.Context()); !master || err != nil {
		t.Errorf("master: %v, %v", master, err)
	}
	// Of a call that came from another database the key there goes with it.
	there := clientOf(t, s, "open sesame", 5)
	there.Set(t.Context(), "came", "x", 0)
	there.Set(t.Context(), "stays", "x", 0)
	b.Moved("came", 5)
	b.Moved("own", 2) // is in ours
	if err := b.Put(map[string][]byte{"came": []byte("here"), "own": []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if keys := there.Keys(t.Context(), "*").Val(); !slices.Equal(keys, []string{"stays"}) {
		t.Errorf("in the other database are %q", keys)
	}
	if v := c.Get(t.Context(), "own").Val(); v != "x" {
		t.Errorf("own: %q", v)
	}
	wrong := dial(s, 2, "open barley", redis.Tuning{AllowedErrors: -1})
	defer wrong.Close()
	if err := wrong.Check(t.Context()); err == nil || strings.Contains(err.Error(), "barley") || !strings.Contains(err.Error(), s.Addr) {
		t.Errorf("with a wrong password: %v", err)
	}
}

// TestTheGoldenDocumentPassesUnchanged has a document with something in every field go through a server and back.
func TestTheGoldenDocumentPassesUnchanged(t *testing.T) {
	golden, err := os.ReadFile("../../call/testdata/document-1.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := call.DecodeDocument(golden)
	if err != nil {
		t.Fatal(err)
	}
	doc.Term = 3
	text, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := redistest.Start(t)
	s.Client(0)
	server := dial(s, 0, "", redis.Tuning{AllowedErrors: -1})
	b := redis.NewBackend(server, time.Hour)
	defer b.Close(true)
	if err := b.Put(map[string][]byte{doc.CallID: text}); err != nil {
		t.Fatal(err)
	}
	found := 0
	if err := (redis.Source{Server: server, DB: 0}).Each(t.Context(), func(id string, got []byte) {
		found++
		again, err := store.Decode(id, got)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := again.Encode(); err != nil || string(back) != string(text) || !reflect.DeepEqual(again, doc) {
			t.Errorf("%v\n%s\nbecomes\n%s", err, text, back)
		}
	}); err != nil || found != 1 {
		t.Errorf("%d documents, %v", found, err)
	}
}

func TestAReplicaIsNoMaster(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client(0)
	replica := redistest.Start(t, "--replicaof", s.Host+" "+fmt.Sprint(s.Port))
	replica.Client(0)
	server := dial(replica, 0, "", redis.Tuning{AllowedErrors: -1})
	b := redis.NewBackend(server, time.Hour)
	defer b.Close(true)
	if master, err := server.Master(t.Context()); master || err != nil {
		t.Errorf("master: %v, %v", master, err)
	}
	if err := b.Put(map[string][]byte{"a": []byte("x")}); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("written to a replica: %v", err)
	}
	c.Set(t.Context(), "b", "y", 0)
	eventually(t, "the replica has it", func() bool {
		n := 0
		err := (redis.Source{Server: server, DB: 0}).Each(t.Context(), func(string, []byte) { n++ })
		return err == nil && n == 1
	})
}

func TestTooManyErrorsSuspendUse(t *testing.T) {
	s := redistest.Start(t)
	s.Client(0)
	server := dial(s, 0, "", redis.Tuning{AllowedErrors: 2, DisableTime: time.Hour})
	b := redis.NewBackend(server, time.Hour)
	defer b.Close(true)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	for i := range 3 {
		if err := b.Ready(); err == nil || errors.Is(err, redis.ErrSuspended) {
			t.Errorf("error %d is %v", i+1, err)
		}
	}
	if err := b.Ready(); !errors.Is(err, redis.ErrSuspended) {
		t.Errorf("after three errors: %v", err)
	}
	s.Again()
	s.Client(0)
	if err := b.Ready(); !errors.Is(err, redis.ErrSuspended) {
		t.Errorf("before the time has passed: %v", err)
	}
	server.Disable(true)
	server.Tune(redis.Tuning{AllowedErrors: -1, ConnectTimeout: time.Second})
	if err := b.Ready(); !errors.Is(err, redis.ErrSuspended) || !strings.Contains(err.Error(), "operator") {
		t.Errorf("by the operator: %v", err)
	}
	server.Disable(false)
	if err := b.Ready(); err != nil {
		t.Errorf("once it is enabled: %v", err)
	}
}

func TestAServerThatHasHungHoldsNobodyUp(t *testing.T) {
	s := redistest.Start(t)
	s.Client(0)
	server := dial(s, 0, "", redis.Tuning{AllowedErrors: -1, CommandTimeout: 50 * time.Millisecond})
	b := redis.NewBackend(server, time.Hour)
	defer b.Close(true)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	s.Freeze()
	var timeout net.Error
	if err := b.Ready(); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
	s.Thaw()
	eventually(t, "the server is used again", func() bool { return b.Ready() == nil })
}

// followed are calls by documents of other nodes.
type followed struct {
	mu    sync.Mutex
	calls map[int]map[string]string
	times int
}

func (f *followed) Take(id string, text []byte, keyspace int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.HasPrefix(string(text), "bad") {
		return errors.New("it is bad")
	}
	f.times++
	if f.calls[keyspace] == nil {
		f.calls[keyspace] = make(map[string]string)
	}
	f.calls[keyspace][id] = string(text)
	return nil
}

func (f *followed) Drop(id string, keyspace int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls[keyspace], id)
}

func (f *followed) Known(keyspace int) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.calls[keyspace]))
}

func (f *followed) has(keyspace int, want map[string]string) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return maps.Equal(f.calls[keyspace], want)
	}
}

func TestKeyspacesAreFollowed(t *testing.T) {
	s := redistest.Start(t, "--notify-keyspace-events", "lK")
	one, two := s.Client(1), s.Client(2)
	ctx, cancel := context.WithCancel(t.Context())
	calls := &followed{calls: make(map[int]map[string]string)}
	f := redis.NewFollower(dial(s, -1, "", redis.Tuning{AllowedErrors: -1}), calls, []int{1, 1}, nil)
	one.Set(ctx, "before", "1", 0)
	if err := f.Source(1).Each(ctx, func(id string, text []byte) { _ = calls.Take(id, text, 1) }); err != nil {
		t.Fatal(err)
	}
	one.Set(ctx, "meanwhile", "2", 0) // nobody listens yet
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	want := map[string]string{"before": "1", "meanwhile": "2"}
	eventually(t, "what was there is found", calls.has(1, want))
	if have := one.ConfigGet(ctx, "notify-keyspace-events").Val()["notify-keyspace-events"]; !strings.Contains(have, "l") || !strings.Contains(have, "$") {
		t.Errorf("the server notifies of %q", have)
	}
	one.Set(ctx, "before", "3", time.Hour)
	one.Set(ctx, "new", "4", time.Hour)
	one.Set(ctx, "bad one", "bad", 0)
	one.Set(ctx, "short", "5", time.Hour)
	two.Set(ctx, "elsewhere", "6", 0)
	one.Del(ctx, "meanwhile")
	want = map[string]string{"before": "3", "new": "4", "short": "5"}
	eventually(t, "changes are followed", calls.has(1, want))
	one.PExpire(ctx, "short", 10*time.Millisecond)
	delete(want, "short")
	eventually(t, "what has expired is gone", calls.has(1, want))
	eventually(t, "what is bad is refused", func() bool { return f.State().Refused == 1 })

	if !f.Add(ctx, 2) || f.Add(ctx, 2) {
		t.Error("a keyspace is not added once")
	}
	eventually(t, "another keyspace is followed", calls.has(2, map[string]string{"elsewhere": "6"}))
	if st := f.State(); !slices.Equal(st.Keyspaces, []int{1, 2}) || !st.Connected {
		t.Errorf("the state is %+v", st)
	}
	// A server that comes back has other calls, and forgot to notify.
	s.Kill()
	eventually(t, "the loss is noticed", func() bool { return !f.State().Connected })
	s.Again()
	s.Await(one)
	one.Set(ctx, "new", "4", 0) // as before
	one.Set(ctx, "newest", "7", 0)
	want = map[string]string{"new": "4", "newest": "7"}
	eventually(t, "all is read again", calls.has(1, want))
	eventually(t, "calls of the other keyspace are gone", calls.has(2, map[string]string{}))
	one.Set(ctx, "newest", "8", 0)
	want["newest"] = "8"
	eventually(t, "changes are followed again", calls.has(1, want))
	if !f.Remove(ctx, 1) || f.Remove(ctx, 1) {
		t.Error("a keyspace is not removed once")
	}
	if !calls.has(1, map[string]string{})() {
		t.Errorf("calls are left: %v", calls.Known(1))
	}
	two.Set(ctx, "last", "9", 0)
	one.Set(ctx, "unheard", "10", 0)
	eventually(t, "the other one is still followed", calls.has(2, map[string]string{"last": "9"}))
	if n := len(calls.Known(1)); n > 0 {
		t.Errorf("%d calls of a keyspace that is not followed", n)
	}
}

func TestWhatAServerDoesNotAllowIsSaid(t *testing.T) {
	s := redistest.Start(t, "--rename-command", "CONFIG", "")
	one := s.Client(1)
	var log logged
	calls := &followed{calls: make(map[int]map[string]string)}
	f := redis.NewFollower(dial(s, -1, "", redis.Tuning{AllowedErrors: -1}), calls, []int{1}, log.logger())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Run(ctx)
	}()
	defer func() { cancel(); <-done; f.Close() }()
	one.Set(ctx, "a", "1", 0)
	eventually(t, "the line for the server's configuration is in the log", func() bool { return log.has("notify-keyspace-events Kg$xe") })
	eventually(t, "what is there is read none the less", calls.has(1, map[string]string{"a": "1"}))
}
