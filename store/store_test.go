package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCalls are calls of which nothing but the name is known.
type fakeCalls struct {
	mu       sync.Mutex
	ids      map[string]bool
	aliases  map[string]string
	restored []string
	refuse   string
	foreign  map[string]int // keyspaces of calls of other nodes
	terms    map[string]uint64
}

func newFakeCalls(ids ...string) *fakeCalls {
	c := &fakeCalls{ids: make(map[string]bool), aliases: make(map[string]string)}
	for _, id := range ids {
		c.ids[id] = true
	}
	return c
}

func (c *fakeCalls) Document(id string) (*call.Document, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to, ok := c.aliases[id]; ok {
		id = to
	}
	if !c.ids[id] {
		return nil, call.ErrUnknownCall
	}
	if _, ok := c.foreign[id]; ok {
		return nil, call.ErrForeign
	}
	return &call.Document{Version: call.DocumentVersion, CallID: id, Term: c.terms[id]}, nil
}

func (c *fakeCalls) Lives(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[id]
}

func (c *fakeCalls) Follow(doc *call.Document, keyspace int) error {
	if err := c.Restore(doc); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.foreign == nil {
		c.foreign = make(map[string]int)
	}
	c.foreign[doc.CallID] = keyspace
	return nil
}

func (c *fakeCalls) Restore(doc *call.Document) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.refuse {
	case doc.CallID:
		return errors.New("refused")
	case "panic at " + doc.CallID:
		panic("what nobody has thought of")
	}
	c.restored = append(c.restored, doc.CallID)
	c.ids[doc.CallID] = true
	return nil
}

// change does what is to happen to the calls while a store may be asking for them.
func (c *fakeCalls) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

func (c *fakeCalls) end(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.ids, id)
}

// testConfig is a store in a file.
type testConfig struct {
	Path, Scope    string
	Delay, Refresh time.Duration
}

func mustOpen(t *testing.T, cfg testConfig, more ...Kept) *Store {
	t.Helper()
	f, err := OpenFile(FileConfig{Path: cfg.Path, Scope: cfg.Scope})
	if err != nil {
		t.Fatal(err)
	}
	return New(Config{Refresh: cfg.Refresh}, append([]Kept{{Backend: f, Delay: cfg.Delay}}, more...)...)
}

// counts are those of the file.
func (s *Store) counts() (kept, pending int) {
	st := s.States()[0]
	return st.Kept, st.Pending
}

// read restores what the file has.
func (s *Store) read(c Calls) (restored, lost int, err error) {
	n, err := s.Restore(context.Background(), c, 0)
	return n.Own, n.Lost, err
}

// die ends a store as the death of its process does: nothing is written any more, the kernel gives up the lock.
func (s *Store) die() {
	for _, q := range s.queues {
		if q.stop != nil {
			q.stop()
			<-q.done
		}
	}
	s.file.db.Close()
}

func (c *fakeCalls) expect(t *testing.T, path string, want ...string) {
	t.Helper()
	s := mustOpen(t, testConfig{Path: path})
	defer s.die()
	if _, _, err := s.read(c); err != nil {
		t.Fatal(err)
	}
	slices.Sort(c.restored)
	if !slices.Equal(c.restored, want) {
		t.Errorf("restored %q, want %q", c.restored, want)
	}
}

func TestCallsAreFoundByTheNextProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "calls.db")
	s := mustOpen(t, testConfig{Path: path, Delay: time.Millisecond})
	calls := newFakeCalls("a", "b", "M\xfcller", "ended", "merged")
	s.Start(calls)
	for _, id := range []string{"a", "b", "M\xfcller", "ended", "merged", "never was"} {
		s.Changed(id)
	}
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	if kept, pending := s.counts(); kept != 5 || pending != 0 {
		t.Errorf("%d kept, %d pending", kept, pending)
	}
	calls.end("ended")
	calls.change(func() {
		delete(calls.ids, "merged")
		calls.aliases["merged"] = "a"
	})
	s.Changed("ended")
	s.Changed("merged")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", bbolt.MaxKeySize+1)
	calls.change(func() { calls.ids[""], calls.ids[long] = true, true })
	s.Changed("") // no call
	s.Changed(long)
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	s.die()
	newFakeCalls().expect(t, path, "M\xfcller", "a", "b")
}

func TestWhatChangesIsWrittenSoonByItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := mustOpen(t, testConfig{Path: path})
	defer s.die()
	s.Start(newFakeCalls("a", "b"))
	for i, id := range []string{"a", "b"} {
		s.Changed(id)
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			if kept, pending := s.counts(); kept == i+1 && pending == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%q is not written", id)
			}
		}
	}
}

func TestDocumentsAreRefreshed(t *testing.T) {
	s := mustOpen(t, testConfig{Path: filepath.Join(t.TempDir(), "calls.db"), Delay: time.Millisecond, Refresh: 20 * time.Millisecond})
	defer s.die()
	calls := newFakeCalls("a")
	s.Start(calls)
	s.Changed("a")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	calls.end("a") // and nobody says so
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if kept, _ := s.counts(); kept == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it is never looked at again")
		}
	}
}

func TestACallThatCannotBeRestoredCostsOnlyItself(t *testing.T) {
	for _, refuse := range []string{"b", "panic at b"} {
		path := filepath.Join(t.TempDir(), "calls.db")
		s := mustOpen(t, testConfig{Path: path})
		s.Start(newFakeCalls("a", "b", "c"))
		for _, id := range []string{"a", "b", "c"} {
			s.Changed(id)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		s.die()

		s = mustOpen(t, testConfig{Path: path})
		calls := newFakeCalls()
		calls.refuse = refuse
		restored, lost, err := s.read(calls)
		if restored != 2 || lost != 1 || err != nil {
			t.Errorf("%d restored, %d lost, %v", restored, lost, err)
		}
		s.Start(calls)
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
		s.die()
		newFakeCalls().expect(t, path, "a", "c") // it is forgotten
	}
}

func TestAnOrderlyEndLeavesNoFileUnlessThereAreCalls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := mustOpen(t, testConfig{Path: path})
	calls := newFakeCalls("a")
	s.Start(calls)
	s.Changed("a")
	if err := s.Close(); err != nil { // writes it
		t.Fatal(err)
	}
	s = mustOpen(t, testConfig{Path: path})
	if n, _, err := s.read(calls); n != 1 || err != nil {
		t.Fatalf("%d restored, %v", n, err)
	}
	s.Start(calls)
	calls.end("a")
	s.Changed("a")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestCallsOfAnotherScopeAreGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := mustOpen(t, testConfig{Path: path, Scope: "here"})
	calls := newFakeCalls("a")
	if n, _, err := s.read(calls); n != 0 || err != nil {
		t.Fatalf("%d restored, %v", n, err)
	}
	s.Start(calls)
	s.Changed("a")
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
	s.die()
	for _, c := range []struct {
		scope string
		want  int
	}{{"here", 1}, {"there", 0}, {"here", 0}} {
		s := mustOpen(t, testConfig{Path: path, Scope: c.scope})
		if n, _, err := s.read(newFakeCalls()); n != c.want || err != nil {
			t.Errorf("%s: %d restored, want %d, %v", c.scope, n, c.want, err)
		}
		s.die()
	}
}

func TestAFileIsOneInstancesOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	s := mustOpen(t, testConfig{Path: path})
	defer s.die()
	if _, err := OpenFile(FileConfig{Path: path}); err == nil || !strings.Contains(err.Error(), "--table") {
		t.Errorf("opened twice: %v", err)
	}
}

func TestABrokenFileIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "calls.db")
	broken := []byte(strings.Repeat("no database ", 1000))
	if err := os.WriteFile(path, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, testConfig{Path: path})
	if n, _, err := s.read(newFakeCalls()); n != 0 || err != nil {
		t.Errorf("%d restored, %v", n, err)
	}
	s.die()
	if kept, err := os.ReadFile(path + ".broken"); err != nil || string(kept) != string(broken) {
		t.Errorf("the broken one is not kept: %v", err)
	}
}

func TestADirectoryThatCannotBeHadIsSaid(t *testing.T) {
	if _, err := OpenFile(FileConfig{Path: "/proc/none/calls.db"}); err == nil || !strings.Contains(err.Error(), "directory for calls") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkWrite writes calls of common telephones, a thousand at a time.
func BenchmarkWrite(b *testing.B) {
	const calls = 1000
	plane, err := media.New(media.Config{Interfaces: []media.Interface{
		{Name: "lo", Addresses: []media.Address{{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 20000, PortMax: 29999}}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1})
	defer plane.Close()
	defer m.Close()
	f, err := OpenFile(FileConfig{Path: filepath.Join(b.TempDir(), "calls.db")})
	if err != nil {
		b.Fatal(err)
	}
	s := New(Config{}, Kept{Backend: f, Delay: time.Hour})
	defer s.die()
	const text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n" +
		"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
	ids := make([]string, calls)
	for i := range ids {
		ids[i] = fmt.Sprint("call ", i)
		for _, step := range []struct {
			do func(*call.Request) (string, error)
			to string
		}{{m.Offer, ""}, {m.Answer, "b"}} {
			said, err := sdp.Parse(text)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := step.do(&call.Request{CallID: ids[i], FromTag: "a", ToTag: step.to, SDP: said, SDPText: text}); err != nil {
				b.Fatal(err)
			}
		}
	}
	s.queues[0].calls = m
	b.ReportAllocs()
	for b.Loop() {
		for _, id := range ids {
			s.Changed(id)
		}
		if err := s.queues[0].write(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/calls, "ns/call")
}
