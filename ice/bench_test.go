package ice

import (
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

// completed is an agent with a nominated pair, what the peer sends it for the rest of the call, and the answer's size.
func completed(tb testing.TB, cfg Config) (a *Agent, check []byte) {
	tb.Helper()
	now := time.Unix(1700000000, 0)
	cfg.Local = []Base{{Component: RTP, Addr: netip.MustParseAddrPort("192.0.2.1:5000"), Foundation: "f", Socket: wireSocket}}
	cfg.Credentials = ownCredentials
	cfg.Software = "weir-1.0"
	cfg.Now = func() time.Time { return now }
	var reply []byte
	peer := newIntegrityKey(peerCredentials.Pwd)
	cfg.Send = func(_ int, pkt []byte, _ netip.AddrPort) {
		if m, ok := parse(pkt); ok && m.kind == bindingRequest {
			var w writer
			w.begin(bindingSuccess, m.id)
			reply = w.finish(peer)
		}
	}
	a, err := NewAgent(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := a.SetRemote(Remote{Credentials: peerCredentials, Candidates: []Candidate{peerCandidate}, EndOfCandidates: true}); err != nil {
		tb.Fatal(err)
	}
	var w writer
	w.begin(bindingRequest, transactionID{1})
	w.text(attrUsername, "weir:peer")
	w.uint64(attrControlling, 1)
	w.uint32(attrPriority, 1000)
	w.header(attrUseCandidate, 0)
	check = w.finish(newIntegrityKey(ownCredentials.Pwd))
	if !cfg.Lite {
		a.Handle(wireSocket, reply, peerAddr)
	}
	a.Handle(wireSocket, check, peerAddr)
	if a.State() != Completed {
		tb.Fatal(a.State())
	}
	return a, check
}

// TestAnswerDoesNotAllocate: a peer checks consent all through the call.
func TestAnswerDoesNotAllocate(t *testing.T) {
	for name, lite := range map[string]bool{"full": false, "lite": true} {
		a, check := completed(t, Config{Lite: lite})
		if n := testing.AllocsPerRun(1000, func() {
			if a.Handle(wireSocket, check, peerAddr) != Request {
				t.Error("not answered")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for an answer", name, n)
		}
		forged := append([]byte(nil), check...)
		forged[30]++
		if n := testing.AllocsPerRun(1000, func() { a.Handle(wireSocket, forged, peerAddr) }); n != 0 {
			t.Errorf("%s: %v allocations for a forged request", name, n)
		}
	}
}

// TestConsentCheckDoesNotAllocate: nor does what an idle agent sends.
func TestConsentCheckDoesNotAllocate(t *testing.T) {
	cfg := Config{}
	a, _ := completed(t, cfg)
	now := a.cfg.Now()
	a.cfg.Send = func(int, []byte, netip.AddrPort) {}
	if n := testing.AllocsPerRun(3, func() {
		now = now.Add(6 * time.Second)
		a.Tick(now)
	}); n != 0 {
		t.Errorf("%v allocations for a consent check", n)
	}
}

func BenchmarkAnswer(b *testing.B) {
	a, check := completed(b, Config{Lite: true})
	b.ReportAllocs()
	for b.Loop() {
		a.Handle(wireSocket, check, peerAddr)
	}
}

func BenchmarkForgedRequest(b *testing.B) {
	a, check := completed(b, Config{Lite: true})
	check[len(check)-20]++
	binaryFingerprint(check)
	b.ReportAllocs()
	for b.Loop() {
		a.Handle(wireSocket, check, peerAddr)
	}
}

func binaryFingerprint(pkt []byte) {
	var w writer
	w.buf = pkt[:len(pkt)-fingerprintSize]
	w.uint32(attrFingerprint, fingerprint(w.buf))
}

// BenchmarkIdleTick is one consent check of one of many agents.
func BenchmarkIdleTick(b *testing.B) {
	a, _ := completed(b, Config{})
	now := a.cfg.Now()
	a.cfg.Send = func(int, []byte, netip.AddrPort) {}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(6 * time.Second)
		a.Tick(now)
	}
}

// BenchmarkAgent is the making and completing of one, and reports what it then holds.
func BenchmarkAgent(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make([]*Agent, 0, 10000)
	for b.Loop() {
		a, _ := completed(b, Config{})
		if len(kept) < cap(kept) {
			kept = append(kept, a)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(kept)), "B/agent")
	runtime.KeepAlive(kept)
}

// TestConcurrentUse is for the race detector: packets of several sockets, ticks and descriptions at once.
func TestConcurrentUse(t *testing.T) {
	a, check := completed(t, Config{})
	var wg sync.WaitGroup
	for _, do := range []func(i int){
		func(int) { a.Handle(wireSocket, append([]byte(nil), check...), peerAddr) },
		func(i int) {
			a.Handle(wireSocket, append([]byte(nil), check...), netip.AddrPortFrom(peerAddr.Addr(), uint16(7000+i)))
		},
		func(i int) { a.Tick(time.Unix(1700000000, int64(i)*1e7)) },
		func(i int) {
			c := peerCandidate
			c.Addr = netip.AddrPortFrom(c.Addr.Addr(), uint16(8000+i))
			a.AddRemoteCandidate(c)
		},
		func(int) {
			a.State()
			a.Selected(RTP)
			a.LocalCandidates()
			a.Counters()
		},
	} {
		wg.Go(func() {
			for i := range 200 {
				do(i)
			}
		})
	}
	wg.Wait()
	if a.State() != Completed {
		t.Error(a.State())
	}
}
