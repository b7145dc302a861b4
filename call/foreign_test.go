package call_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// node is a manager that may be given calls of others, with what it tells.
type node struct {
	*call.Manager
	plane *media.Plane

	mu      sync.Mutex
	changed []string
	moved   []int
}

func newNode(t *testing.T, switchover bool, change func(*call.Config)) *node {
	t.Helper()
	n := new(node)
	n.Manager, n.plane = newManager(t, func(cfg *call.Config) {
		cfg.Switchover = switchover
		cfg.Changed = func(id string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.changed = append(n.changed, id)
		}
		cfg.TakenOver = func(_ string, keyspace int) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.moved = append(n.moved, keyspace)
		}
		if change != nil {
			change(cfg)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Attend(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return n
}

// told returns what the node has told since the last time.
func (n *node) told() (changed []string, moved []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	changed, moved = n.changed, n.moved
	n.changed, n.moved = nil, nil
	return changed, moved
}

func (n *node) counts(t *testing.T, own, foreign int) {
	t.Helper()
	if st := n.Stats(); int(st.Live-st.Foreign) != own || int(st.Foreign) != foreign {
		t.Errorf("%d calls are our own and %d foreign, want %d and %d", st.Live-st.Foreign, st.Foreign, own, foreign)
	}
}

// another makes a call of two phones that leaves as a document of another node.
func (n *node) another(t *testing.T, id string, one, other phone) (text []byte, toOne, toOther uint16) {
	t.Helper()
	toOther = must(t)(n.Offer(request(t, id, "a", "", describe("127.0.0.1", one.port)))).Media()[0].Port
	toOne = must(t)(n.Answer(request(t, id, "a", "b", describe("127.0.0.1", other.port)))).Media()[0].Port
	text = stored(t, n.Manager, id)
	endNow(t, n.Manager, id)
	if !eventually(func() bool { return used(n.Manager) == 0 }) {
		t.Fatal("ports are not free")
	}
	n.told()
	return text, toOne, toOther
}

// with changes a document.
func with(t *testing.T, text []byte, change func(*call.Document)) *call.Document {
	t.Helper()
	doc := mustDecode(t, text)
	if change != nil {
		change(doc)
	}
	return doc
}

func (n *node) follow(t *testing.T, doc *call.Document, keyspace int) {
	t.Helper()
	var err error
	// The ports have been used by the call that the document was made of.
	if !eventually(func() bool { err = n.Follow(doc, keyspace); return !errors.Is(err, media.ErrPort) }) || err != nil {
		t.Fatal(err)
	}
}

func TestAForeignCallRelaysAndIsNobodysBusiness(t *testing.T) {
	n := newNode(t, false, func(cfg *call.Config) { cfg.Timeout = 50 * time.Millisecond })
	alice, bob := newPhone(t), newPhone(t)
	text, toBobsLeg, toAlicesLeg := n.another(t, "c", alice, bob)
	created := n.Stats().Created
	n.follow(t, mustDecode(t, text), 7)
	n.counts(t, 0, 1)
	if p := used(n.Manager); p != 2 {
		t.Errorf("%d pairs of ports are reserved", p)
	}
	talk(t, alice, bob, toBobsLeg, toAlicesLeg)
	snap, err := n.Look("c")
	if err != nil || !snap.Foreign || snap.Keyspace != 7 {
		t.Errorf("it is %+v, %v", snap, err)
	}
	if _, err := n.Document("c"); !errors.Is(err, call.ErrForeign) {
		t.Errorf("its document: %v", err)
	}
	// Signalling has its effect here, though its owner does not know.
	must(t)(n.Offer(request(t, "c", "a", "b", describe("127.0.0.1", alice.port))))
	time.Sleep(200 * time.Millisecond) // four timeouts, which it does not have
	n.counts(t, 0, 1)
	n.follow(t, mustDecode(t, text), 7)
	n.counts(t, 0, 1)
	talk(t, alice, bob, toBobsLeg, toAlicesLeg)
	n.Unfollow("c", 8) // of another keyspace
	n.counts(t, 0, 1)
	if ids := n.Foreign(7); !slices.Equal(ids, []string{"c"}) || len(n.Foreign(8)) > 0 {
		t.Errorf("foreign are %q", ids)
	}
	n.Unfollow("c", 7)
	n.counts(t, 0, 0)
	if changed, moved := n.told(); len(changed)+len(moved) > 0 {
		t.Errorf("told of %q, %v", changed, moved)
	}
	if st := n.Stats(); st.Created != created || st.Ended != created {
		t.Errorf("%d calls were made and %d have ended, before it were %d", st.Created, st.Ended, created)
	}
	if !eventually(func() bool { return used(n.Manager) == 0 }) {
		t.Error("ports are lost")
	}
}

func TestAForeignCallIsTakenOver(t *testing.T) {
	for _, c := range []struct {
		name       string
		switchover bool
		how        func(t *testing.T, n *node, alice phone, to uint16)
		silent     bool // no packet has come
	}{
		{"by an operator", false, func(t *testing.T, n *node, _ phone, _ uint16) {
			if k := n.TakeOver(); k != 1 {
				t.Errorf("%d calls are taken over", k)
			}
		}, true},
		{"by media", true, func(t *testing.T, n *node, alice phone, to uint16) {
			alice.say(t, to, 1)
		}, false},
		{"by an offer", true, func(t *testing.T, n *node, alice phone, _ uint16) {
			must(t)(n.Offer(request(t, "c", "a", "b", describe("127.0.0.1", alice.port))))
		}, true},
		{"by a delete", true, func(t *testing.T, n *node, _ phone, _ uint16) {
			later := time.Hour
			if _, err := n.Delete(&call.DeleteRequest{CallID: "c", Delay: &later}); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, c.switchover, func(cfg *call.Config) { cfg.Timeout, cfg.SilentTimeout = time.Minute, 2*time.Hour })
			alice, bob := newPhone(t), newPhone(t)
			text, toBobsLeg, toAlicesLeg := n.another(t, "c", alice, bob)
			n.follow(t, mustDecode(t, text), 7)
			c.how(t, n, alice, toBobsLeg)
			if !eventually(func() bool { return n.Stats().Foreign == 0 }) {
				t.Fatal("it stays foreign")
			}
			n.counts(t, 1, 0)
			if changed, moved := n.told(); !slices.Contains(changed, "c") || !slices.Equal(moved, []int{7}) {
				t.Errorf("told of %q, %v", changed, moved)
			}
			doc, err := n.Document("c")
			if err != nil || doc.Term != 1 {
				t.Fatalf("its document is %+v, %v", doc, err)
			}
			snap, err := n.Look("c")
			if err != nil {
				t.Fatal(err)
			}
			if left := time.Until(snap.Ends); snap.State != call.StateDeleted && (left > time.Hour) != c.silent {
				t.Errorf("it ends in %v", left)
			}
			talk(t, alice, bob, toBobsLeg, toAlicesLeg)
			if !eventually(func() bool {
				snap, err := n.Look("c")
				return err == nil && (snap.State == call.StateDeleted || time.Until(snap.Ends) <= time.Minute)
			}) {
				t.Error("packets do not bring back the timeout")
			}
			// What others write about the time before does not count.
			n.follow(t, mustDecode(t, text), 7)
			n.Unfollow("c", 7)
			n.counts(t, 1, 0)
			// Until somebody takes it over in turn.
			n.follow(t, with(t, text, func(d *call.Document) { d.Term = 2 }), 9)
			n.counts(t, 0, 1)
			n.follow(t, with(t, text, func(d *call.Document) { d.Term = 1 }), 7) // late
			if snap, err := n.Look("c"); err != nil || snap.Keyspace != 9 {
				t.Errorf("it is of keyspace %d, %v", snap.Keyspace, err)
			}
			n.told()
			n.Unfollow("c", 9)
			if changed, _ := n.told(); len(changed) > 0 {
				t.Errorf("told of %q, which would delete what another node keeps", changed)
			}
		})
	}
}

func TestCallsOfOurOwnAreLeftToOthers(t *testing.T) {
	n := newNode(t, false, func(cfg *call.Config) { cfg.Timeout, cfg.MaxSessions = 50*time.Millisecond, 1 })
	alice, bob := newPhone(t), newPhone(t)
	toBob := must(t)(n.Offer(request(t, "c", "a", "", describe("127.0.0.1", alice.port)))).Media()[0].Port
	if _, err := n.Offer(request(t, "d", "a", "", describe("127.0.0.1", alice.port))); !errors.Is(err, call.ErrSessionLimit) {
		t.Errorf("above the limit: %v", err)
	}
	n.told()
	if k := n.StandBy(3); k != 1 {
		t.Errorf("%d calls are left", k)
	}
	n.counts(t, 0, 1)
	if changed, _ := n.told(); !slices.Equal(changed, []string{"c"}) {
		t.Errorf("told of %q", changed)
	}
	toAlice := must(t)(n.Answer(request(t, "c", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0].Port
	time.Sleep(200 * time.Millisecond)
	n.counts(t, 0, 1)
	must(t)(n.Offer(request(t, "d", "a", "", describe("127.0.0.1", alice.port)))) // foreign calls do not count
	n.TerminateOwned(false)
	n.counts(t, 0, 1)
	n.TakeOver()
	n.counts(t, 1, 0)
	talk(t, alice, bob, toAlice, toBob)
	n.StandBy(3)
	n.TerminateOwned(true)
	n.counts(t, 0, 0)
}

func TestInterfacesAreFoundByName(t *testing.T) {
	n := newNode(t, false, nil)
	alice, bob := newPhone(t), newPhone(t)
	text, toBobsLeg, toAlicesLeg := n.another(t, "c", alice, bob)
	elsewhere := text
	for _, p := range mustDecode(t, text).Ports {
		for _, local := range []netip.AddrPort{p.Local, p.Second()} {
			there := netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), local.Port())
			elsewhere = bytes.ReplaceAll(elsewhere, []byte(`"`+local.String()+`"`), []byte(`"`+there.String()+`"`))
		}
	}
	doc := mustDecode(t, elsewhere)
	if !slices.ContainsFunc(doc.Ports, func(p media.PairState) bool { return p.Local.Addr() == netip.MustParseAddr("198.51.100.7") }) {
		t.Fatalf("the other node has no other address:\n%s", elsewhere)
	}
	n.follow(t, doc, 1)
	talk(t, alice, bob, toBobsLeg, toAlicesLeg)
	n.Unfollow("c", 1)
	doc = mustDecode(t, elsewhere)
	for i := range doc.Ports {
		doc.Ports[i].Interface = "nowhere"
	}
	if err := n.Follow(doc, 1); !errors.Is(err, media.ErrPort) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("on an interface that is not here: %v", err)
	}
}

// TestRandomCallsAreFollowed has random calls of another node come, change, and be taken over: what is known of them is what the
// other node knew.
func TestRandomCallsAreFollowed(t *testing.T) {
	m, _ := newRandomManager(t, 38000)
	c := chance{rand.New(rand.NewPCG(8, 9))}
	alive := 0
	for k := range 60 {
		id := "followed " + string(rune('A'+k%26)) + strings.Repeat("x", k/26)
		var docs []string
		for range 6 {
			text := c.description()
			if c.of(.5) {
				text = c.mixed()
			}
			req := &call.Request{CallID: id, FromTag: c.pick("a", "b"), ToTag: c.pick("", "a", "b"), SDP: parse(t, text), Options: c.wishes()}
			step := m.Offer
			if c.of(.5) {
				step, req.FromTag = m.Answer, "a"
			}
			if _, err := step(req); err == nil {
				docs = append(docs, string(stored(t, m, id)))
			}
		}
		if len(docs) == 0 {
			continue
		}
		alive++
		endNow(t, m, id)
		for i, text := range docs {
			doc, err := call.DecodeDocument([]byte(text))
			if err != nil {
				t.Fatal(err)
			}
			if !eventually(func() bool { err = m.Follow(doc, 4); return !errors.Is(err, media.ErrPort) }) || err != nil {
				t.Fatalf("document %d: %v, of\n%s", i, err, text)
			}
		}
		if n := m.TakeOver(); n != 1 {
			t.Fatalf("%d calls are taken over", n)
		}
		want := mustDecode(t, []byte(docs[len(docs)-1]))
		want.Term++
		text, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := agreed(t, stored(t, m, id)), agreed(t, text); got != want {
			t.Fatalf("%s:\n%s\nbecomes\n%s", id, want, got)
		}
		endNow(t, m, id)
	}
	if alive < 30 {
		t.Errorf("only %d calls came to life", alive)
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Error("ports are lost")
	}
}

// FuzzFollow gives a node documents that nobody has made: each is refused or followed, and none costs more than itself.
func FuzzFollow(f *testing.F) {
	f.Add([]byte(`{"version":1,"call_id":"a","created":"2026-11-27T12:00:00Z","last_id":2,"last_serial":2,"parties":[` +
		`{"id":1,"tag":"b","media":[{"type":"audio","rtp":{"leg":"127.0.0.1:43000"},"rtcp":{"leg":"127.0.0.1:43001"},"hears":[{"Party":2,"Media":0}]}]},` +
		`{"id":2,"tag":"c","media":[{"type":"audio","rtp":{"leg":"127.0.0.1:43002"},"rtcp":{"leg":"127.0.0.1:43003"},"hears":[{"Party":1,"Media":0}]}]}],` +
		`"ports":[{"local":"127.0.0.1:43000","rtp":{"peer":{"source":"127.0.0.1:4000"}}},{"local":"127.0.0.1:43002"}]}`))
	plane, err := media.New(media.Config{Quarantine: -1, Workers: 1, Interfaces: []media.Interface{{Name: "caller", Addresses: []media.Address{
		{IP: loopback, PortMin: 43000, PortMax: 43099},
	}}}})
	if err != nil {
		f.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1, Switchover: true})
	f.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := call.DecodeDocument(text)
		if err != nil {
			return
		}
		if m.Follow(doc, 1) == nil {
			for _, s := range m.Snapshots(-1) {
				if !s.Foreign {
					t.Error("it is our own")
				}
			}
			m.TakeOver()
			_, _ = m.Document(doc.CallID)
			_ = m.Terminate(doc.CallID)
		}
		m.TerminateAll()
		if n := m.Stats().Live; n != 0 {
			t.Errorf("%d calls are left", n)
		}
		if !eventually(func() bool { return used(m) == 0 }) {
			t.Error("ports are lost")
		}
	})
}
