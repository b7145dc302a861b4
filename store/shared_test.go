package store

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

// server is a backend that nodes share, and that may be away.
type server struct {
	mu    sync.Mutex
	texts map[string][]byte
	away  error
}

func (s *server) Name() string     { return "server" }
func (s *server) Shared() bool     { return true }
func (s *server) Close(bool) error { return nil }

func (s *server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away
}

func (s *server) Put(texts map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		return s.away
	}
	for id, text := range texts {
		if text == nil {
			delete(s.texts, id)
		} else {
			s.texts[id] = text
		}
	}
	return nil
}

func (s *server) goes(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = err
}

func (s *server) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.texts))
}

// Each implements Source.
func (s *server) Each(_ context.Context, fn func(id string, text []byte)) error {
	s.mu.Lock()
	texts := maps.Clone(s.texts)
	err := s.away
	s.mu.Unlock()
	for id, text := range texts {
		fn(id, text)
	}
	return err
}

func newServer(docs ...*call.Document) *server {
	s := &server{texts: make(map[string][]byte)}
	for _, d := range docs {
		d.Version = call.DocumentVersion
		text, err := d.Encode()
		if err != nil {
			panic(err)
		}
		s.texts[d.CallID] = text
	}
	return s
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within half a minute: %s", what)
		}
	}
}

func TestChangesWaitWhileAServerIsAway(t *testing.T) {
	srv := newServer()
	calls := newFakeCalls("a", "b")
	s := New(Config{}, Kept{Backend: srv, Delay: time.Millisecond})
	defer s.Close()
	s.Start(calls)
	s.Changed("a")
	s.Changed("b")
	within(t, "both are there", func() bool { return len(srv.ids()) == 2 })
	if s.Shared("a").IsZero() || !s.Shared("c").IsZero() {
		t.Error("it is not known what is there")
	}

	srv.goes(errors.New("it is away"))
	calls.mu.Lock()
	calls.ids["c"] = true
	calls.mu.Unlock()
	calls.end("b")
	for range 100 {
		for _, id := range []string{"b", "c", "never was"} {
			s.Changed(id)
		}
	}
	within(t, "two changes wait", func() bool {
		st := s.States()[0]
		return st.Pending == 2 && st.Failed > 2 && st.Trouble == "it is away" && st.Lag > 0
	})
	srv.mu.Lock()
	srv.texts = make(map[string][]byte) // it has lost what it had
	srv.mu.Unlock()
	srv.goes(nil)
	within(t, "all that should be there is", func() bool { return slices.Equal(srv.ids(), []string{"a", "c"}) })
	within(t, "nothing waits", func() bool {
		st := s.States()[0]
		return st.Pending == 0 && st.Lag == 0 && st.Trouble == ""
	})
}

func TestWhatIsAnothersStaysWhereNodesShareIt(t *testing.T) {
	srv := newServer(&call.Document{CallID: "theirs"}, &call.Document{CallID: "ours"})
	path := filepath.Join(t.TempDir(), "calls.db")
	calls := newFakeCalls("ours", "left", "theirs")
	calls.foreign = map[string]int{"theirs": 1}
	s := mustOpen(t, testConfig{Path: path, Delay: time.Millisecond}, Kept{Backend: srv, Delay: time.Millisecond})
	s.Start(calls)
	for _, id := range []string{"ours", "left", "theirs", "unknown"} {
		s.Changed(id)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	calls.mu.Lock()
	calls.foreign["left"] = 1 // for others to take
	calls.mu.Unlock()
	s.Changed("left")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	calls.end("left")
	calls.end("theirs")
	for _, id := range []string{"left", "theirs"} {
		s.Changed(id) // it is none of our business that they have ended here
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if ids := srv.ids(); !slices.Equal(ids, []string{"left", "ours", "theirs"}) {
		t.Errorf("the server has %q", ids)
	}
	if kept, _ := s.counts(); kept != 1 {
		t.Errorf("the file has %d calls", kept)
	}
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
	calls.end("ours") // with this process
	s.Changed("ours")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if ids := srv.ids(); !slices.Contains(ids, "ours") {
		t.Errorf("the server has %q", ids)
	}
	newFakeCalls().expect(t, path)
}

func TestOfTheFileAndAServerWhoHasIsRightThatWasTakenOverLast(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	before := newFakeCalls("same", "taken over here", "taken over there", "only here")
	before.terms = map[string]uint64{"same": 1, "taken over here": 3, "taken over there": 1}
	s := mustOpen(t, testConfig{Path: path})
	s.Start(before)
	for id := range before.ids {
		s.Changed(id)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	s.die()

	srv := newServer()
	own := newServer(&call.Document{CallID: "same", Term: 1}, &call.Document{CallID: "taken over here", Term: 2}, &call.Document{CallID: "only there"})
	own.texts["broken"], own.texts["another's"] = []byte("{"), own.texts["only there"]
	followed := newServer(&call.Document{CallID: "taken over there", Term: 2}, &call.Document{CallID: "theirs"})
	calls := newFakeCalls()
	s = mustOpen(t, testConfig{Path: path}, Kept{Backend: srv})
	n, err := s.Restore(t.Context(), calls, 2, Origin{Source: followed, Keyspace: 7, Foreign: true}, Origin{Source: own, Keyspace: 3})
	if want := (Restored{Own: 4, Foreign: 2, Lost: 2}); n != want || err != nil {
		t.Errorf("restored are %+v, %v, want %+v", n, err, want)
	}
	slices.Sort(calls.restored)
	if want := []string{"only here", "only there", "same", "taken over here", "taken over there", "theirs"}; !slices.Equal(calls.restored, want) {
		t.Errorf("restored are %q, want %q", calls.restored, want)
	}
	if want := map[string]int{"taken over there": 7, "theirs": 7}; !maps.Equal(calls.foreign, want) {
		t.Errorf("foreign are %v, want %v", calls.foreign, want)
	}
	s.Start(calls)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if ids, want := srv.ids(), []string{"only here", "only there", "same", "taken over here"}; !slices.Equal(ids, want) {
		t.Errorf("the server gets %q, want %q", ids, want)
	}
	s.die()
	newFakeCalls().expect(t, path, "only here", "only there", "same", "taken over here")

	own.goes(errors.New("it is away"))
	s = New(Config{}, Kept{Backend: srv})
	if _, err := s.Restore(t.Context(), newFakeCalls(), 0, Origin{Source: own}); err == nil {
		t.Error("nobody says that a server is away")
	}
}

// FuzzTake gives a node what it might find under a key: anything.
func FuzzTake(f *testing.F) {
	f.Add("a", []byte(`{"version":1,"call_id":"a","created":"2026-11-27T12:00:00Z","parties":[]}`))
	f.Add("a", []byte("d4:jsond7:createdi1eee")) // by rtpengine
	f.Fuzz(func(t *testing.T, id string, text []byte) {
		calls := newFakeCalls()
		calls.refuse = "panic at b"
		err := Take(calls, id, text, 1)
		if (err == nil) != slices.Equal(calls.restored, []string{id}) || err == nil && !json.Valid(text) {
			t.Errorf("%v, and restored are %q", err, calls.restored)
		}
	})
}
