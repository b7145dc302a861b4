package call_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

var (
	aliceAt = netip.MustParseAddrPort("192.0.2.1:4000")
	bobAt   = netip.MustParseAddrPort("192.0.2.2:5000")
)

func pairKey(id string, number int) call.PairKey {
	return call.PairKey{CallID: id, FromTag: "alice", ToTag: "bob", Number: number}
}

// paired makes and answers a pair.
func paired(t *testing.T, m *call.Manager, id string, number int) {
	t.Helper()
	req := call.PairRequest{PairKey: pairKey(id, number), Language: call.RTPproxy, Remote: aliceAt}
	offered, err := m.OfferPair(&req)
	if err != nil || !offered.Created || offered.Completed {
		t.Fatalf("offer: %+v, %v", offered, err)
	}
	req = call.PairRequest{PairKey: pairKey(id, number), Remote: bobAt}
	answered, err := m.AnswerPair(&req)
	if err != nil || answered.Created || !answered.Completed || answered.Told == offered.Told {
		t.Fatalf("answer: %+v, %v", answered, err)
	}
}

func TestPairsLiveApart(t *testing.T) {
	m, plane := newManager(t, nil)
	for n := range 3 {
		paired(t, m, "c", n)
	}
	for n := range 3 {
		key := pairKey("c", 2-n) // the last ends first; 0 means all that are left
		if err := m.ReleasePairs(&key, false); err != nil {
			t.Fatal(err)
		}
		if _, _, err := m.QueryPair(&key); !errors.Is(err, call.ErrNoPair) && !errors.Is(err, call.ErrUnknownCall) {
			t.Errorf("pair %d: %v", 2-n, err)
		}
	}
	if n := len(m.List(9)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	if !eventually(func() bool { return plane.Totals().Legs == 0 }) {
		t.Error("legs are left")
	}
}

func TestPairThatCannotBeMadeLeavesNothing(t *testing.T) {
	m, plane := newManager(t, nil)
	for name, req := range map[string]call.PairRequest{
		"the family of the party": {Remote: netip.MustParseAddrPort("[2001:db8::1]:4000"), Interfaces: [2]string{"callee", "callee"}},
		"a foreign address":       {Remote: aliceAt, Local: netip.MustParseAddr("192.0.2.99")},
	} {
		req.PairKey = pairKey("c", 1)
		if _, err := m.OfferPair(&req); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := len(m.List(9)); n != 0 {
			t.Errorf("%s: %d calls are left", name, n)
		}
	}
	if !eventually(func() bool { return plane.Totals().Legs == 0 }) {
		t.Error("legs are left")
	}
	key := pairKey("c", 1)
	for name, err := range map[string]error{
		"release": m.ReleasePairs(&key, false), "adjust": m.AdjustPair(&key, call.PairChange{}), "stop": m.StopPair(&key),
		"tap": m.TapPairs(&key, nil), "untap": m.UntapPairs(&key, true), "mirror": m.MirrorPair(&key, &key),
	} {
		if !errors.Is(err, call.ErrUnknownCall) {
			t.Errorf("%s of an unknown call: %v", name, err)
		}
	}
}

func TestPairsEndOneByOneAndAreToldOf(t *testing.T) {
	var mu sync.Mutex
	var ended []call.Ended
	m, _ := newManager(t, func(c *call.Config) {
		c.Ended = func(e *call.Ended) {
			mu.Lock()
			defer mu.Unlock()
			ended = append(ended, *e)
		}
	})
	for n := range 3 {
		req := call.PairRequest{
			PairKey: pairKey("c", 1+n), Language: call.RTPproxy, Client: netip.MustParseAddr("192.0.2.9"), Remote: aliceAt,
			SetupTTL: time.Duration(1+n) * 100 * time.Millisecond, Notify: call.Notify{Socket: "s", Tag: fmt.Sprint(n)},
		}
		if _, err := m.OfferPair(&req); err != nil {
			t.Fatal(err)
		}
	}
	if !eventually(func() bool { return len(m.List(9)) == 0 }) {
		t.Fatal("the call does not end")
	}
	mu.Lock()
	defer mu.Unlock()
	var tags []string
	for i, e := range ended {
		if e.CallID != "c" || e.Language != call.RTPproxy || e.Why != call.ReasonTimeout || e.Client != netip.MustParseAddr("192.0.2.9") ||
			e.Whole != (i == len(ended)-1) || !slices.Contains(e.Tags, "alice") {
			t.Errorf("told of %+v", e)
		}
		for _, p := range e.Pairs {
			tags = append(tags, p.Notify.Tag)
			if p.Opener != "alice" || p.Legs[0].Signalled != aliceAt {
				t.Errorf("told of %+v", p)
			}
		}
	}
	if slices.Sort(tags); !slices.Equal(tags, []string{"0", "1", "2"}) {
		t.Errorf("told of %v", tags)
	}
	if st := m.Stats(); st.TimedOut != 1 || st.ByLanguage[call.RTPproxy].Live != 0 {
		t.Errorf("counts are %+v", st)
	}
}

func TestPairsOfMergedCalls(t *testing.T) {
	m, _ := newManager(t, nil)
	paired(t, m, "one", 1)
	req := call.PairRequest{PairKey: call.PairKey{CallID: "two", FromTag: "carol", Number: 1}, Language: call.Mediaproxy, Remote: aliceAt}
	if _, err := m.OfferPair(&req); err != nil {
		t.Fatal(err)
	}
	one, two := pairKey("one", 1), req.PairKey
	if err := m.MirrorPair(&two, &one); err != nil {
		t.Fatal(err)
	}
	snap, err := m.Query("two", "carol", "")
	if err != nil || len(snap.Parties) != 2 || snap.Parties[0].Party.Tag != "alice" && snap.Parties[1].Party.Tag != "alice" {
		t.Errorf("carol hears %+v, %v", snap, err)
	}
	if err := m.MirrorPair(&two, &two); !errors.Is(err, call.ErrSelf) {
		t.Errorf("a pair that hears itself: %v", err)
	}
	for _, key := range []call.PairKey{two, one} {
		if _, side, err := m.QueryPair(&key); err != nil || side != 0 {
			t.Errorf("%s: side %d, %v", key.CallID, side, err)
		}
		if err := m.ReleasePairs(&key, false); err != nil {
			t.Errorf("%s: %v", key.CallID, err)
		}
	}
	if n := len(m.List(9)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
	for l, n := range m.Stats().ByLanguage {
		if n.Live != 0 {
			t.Errorf("%d calls of %v live", n.Live, l)
		}
	}
}

func TestPartyHasSoManyMediasOnly(t *testing.T) {
	m, _ := newManager(t, nil)
	for n := range call.MaxSections + 1 {
		req := call.PairRequest{PairKey: pairKey("c", 1+n), Remote: aliceAt}
		if _, err := m.OfferPair(&req); errors.Is(err, call.ErrDialogue) != (n == call.MaxSections) || err != nil && n < call.MaxSections {
			t.Errorf("medium %d: %v", n, err)
		}
	}
}
