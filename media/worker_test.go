package media

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
)

// faulty is a transport that panics on the first send.
type faulty struct {
	transport
	sends atomic.Int32
}

func (f *faulty) send(b *outBatch, first, end int) (int, error) {
	if f.sends.Add(1) == 1 {
		panic("a fault on purpose")
	}
	return f.transport.send(b, first, end)
}

func TestFaultCostsOnePacket(t *testing.T) {
	r := newRig(t, nil)
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	r.settle()
	b.sock = &faulty{transport: b.sock}
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	alice.rtp(a)
	r.until("a fault", func() bool { return a.Stats().Drops[DropFault] == 1 })
	bob.wants(b, alice.rtp(a))
	if st := a.Stats(); st.Errors != 1 || r.Totals().Drops[DropFault] != 1 {
		t.Errorf("errors %d, totals %v", st.Errors, r.Totals().Drops)
	}
}

func TestCloseUnderTraffic(t *testing.T) {
	r := newRig(t, func(c *Config) { c.FastPath, c.Quarantine = newFakeKernel(), -1 })
	var wg sync.WaitGroup
	for range 4 {
		alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
		var current atomic.Pointer[[2]*Leg]
		stop := make(chan struct{})
		for i, p := range []*phone{alice, bob} {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if legs := current.Load(); legs != nil {
						p.rtp(legs[i])
						legs[i].Stats()
					}
				}
			})
		}
		wg.Go(func() {
			defer close(stop)
			for i := range 25 {
				// Without affinity the legs may be on different workers.
				a, aRTCP := r.pair(4, "")
				b, bRTCP := r.pair(4, "")
				bridge(a, aRTCP, Settings{Signalled: alice.addr()}, b, bRTCP, Settings{Signalled: bob.addr()})
				current.Store(&[2]*Leg{a, b})
				before := a.Stats().In.Packets
				r.until("traffic", func() bool { return a.Stats().In.Packets > before })
				legs := []*Leg{a, aRTCP, b, bRTCP}
				rand.Shuffle(len(legs), func(i, j int) { legs[i], legs[j] = legs[j], legs[i] })
				for _, l := range legs {
					l.Close()
					if i%2 == 0 {
						l.Apply(Settings{})
					}
				}
				r.Totals()
			}
		})
	}
	wg.Wait()
	r.until("all legs released", func() bool { return r.Totals().Legs == 0 })
	if tot := r.Totals(); tot.Faults != 0 || tot.Drops[DropFault] != 0 {
		t.Errorf("in the end: %+v", tot)
	}
}

func TestClosingReleasesTheSocket(t *testing.T) {
	r := newRig(t, nil)
	a, aRTCP := r.pair(4, "")
	local := a.Local()
	a.Close()
	aRTCP.Close()
	r.settle()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(local))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	conn.Close()
}

func TestLegsOfOneAffinityShareAWorker(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Workers = 8 })
	a, aRTCP := r.pair(4, "call")
	for range 5 {
		if b, bRTCP := r.pair(4, "call"); b.worker != a.worker || bRTCP.worker != aRTCP.worker || aRTCP.worker != a.worker {
			t.Fatal("two workers")
		}
	}
}

func TestOpenPairAfterCloseFails(t *testing.T) {
	p, err := New(Config{Interfaces: []Interface{
		{Name: "x", Addresses: []Address{{IP: loopback4, PortMin: 42300, PortMax: 42399}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.OpenPair("x", 4, ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.OpenPair("x", 4, ""); err == nil {
		t.Error("a closed plane opens ports")
	}
	if err := p.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// silent is a transport without a socket: it delivers the same packet again and again and swallows what is sent.
type silent struct {
	data []byte
	from netip.AddrPort
}

func (s *silent) receive(b *inBatch, _ int) error {
	b.n, b.data[0], b.from[0], b.tooLong[0] = 1, s.data, s.from, false
	return nil
}
func (s *silent) send(_ *outBatch, first, end int) (int, error) { return end - first, nil }
func (s *silent) setTOS(uint8) error                            { return nil }
func (s *silent) attach(*poller, int32) error                   { return nil }
func (s *silent) detach(*poller) error                          { return nil }
func (s *silent) close() error                                  { return nil }

// packetPath returns a function that takes one packet through a worker that nobody else uses.
func packetPath(tb testing.TB) (step func()) {
	p, err := New(Config{Workers: 1, Interfaces: []Interface{{Name: "x", Addresses: []Address{{IP: loopback4}}}}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	w := &worker{plane: p, in: newInBatch(), out: newOutBatch(), commands: []func(){nil}} // full: do does not wake
	alice, bob := netip.MustParseAddrPort("192.0.2.1:4000"), netip.MustParseAddrPort("192.0.2.2:4000")
	packet := rtpPacket(0)
	a := &Leg{plane: p, worker: w, streams: new(streams), local: netip.MustParseAddrPort("10.0.0.1:30000"), sock: &silent{packet, alice}}
	b := &Leg{plane: p, worker: w, streams: new(streams), local: netip.MustParseAddrPort("10.0.0.1:30002"), sock: &silent{packet, bob}}
	bridge(a, nil, Settings{Signalled: alice}, b, nil, Settings{Signalled: bob})
	for range confirmations {
		w.serve(a)
		w.serve(b)
	}
	tb.Cleanup(func() {
		if st := a.Stats(); st.In.Packets != b.Stats().Out.Packets || !st.Confirmed {
			tb.Errorf("received %d, relayed %d", st.In.Packets, b.Stats().Out.Packets)
		}
	})
	return func() {
		packet[3]++
		w.round += 2
		w.now++
		w.serve(a)
	}
}

func TestRelayingAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, packetPath(t)); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func TestRelayingBySocketsAllocatesNothing(t *testing.T) {
	r := newRig(t, nil)
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	for range confirmations {
		bob.wants(b, alice.rtp(a))
		alice.wants(a, bob.rtp(b))
	}
	data, buf := rtpPacket(9), make([]byte, 2000)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := alice.conn.WriteToUDPAddrPort(data, a.local); err != nil {
			t.Error(err)
		}
		if _, _, err := bob.conn.ReadFromUDPAddrPort(buf); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func BenchmarkPacketPath(b *testing.B) {
	step := packetPath(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}
