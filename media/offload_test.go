package media

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/fastpath"
)

// fakeKernel is a FastPath that relays what a test tells it to.
type fakeKernel struct {
	mu        sync.Mutex
	flows     map[netip.AddrPort]fastpath.Flow
	counts    map[netip.AddrPort]fastpath.Counters
	installed int
	fail      error
	unserved  string
	deaf      bool // nothing is removed

	ciphers  map[fastpath.Cipher]*fakeCipher
	made     fastpath.Cipher // the last one
	insecure string          // why there is no SRTP
	tap      func(fastpath.TappedPacket)
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{
		flows: make(map[netip.AddrPort]fastpath.Flow), counts: make(map[netip.AddrPort]fastpath.Counters),
		ciphers: make(map[fastpath.Cipher]*fakeCipher),
	}
}

func (k *fakeKernel) Serves(netip.Addr) (bool, string) { return k.unserved == "", k.unserved }

func (k *fakeKernel) Install(f fastpath.Flow) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.installed++
	k.flows[f.Local], k.counts[f.Local] = f, fastpath.Counters{}
	return nil
}

func (k *fakeKernel) Adopt(f fastpath.Flow) (c fastpath.Counters, adopted bool, err error) {
	k.mu.Lock()
	have, ok := k.flows[f.Local]
	c = k.counts[f.Local]
	k.mu.Unlock()
	if ok && have.Same(&f) {
		return c, true, nil
	}
	return fastpath.Counters{}, false, k.Install(f)
}

func (k *fakeKernel) Remove(local netip.AddrPort) (fastpath.Counters, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.flows[local]; !ok || k.deaf {
		return fastpath.Counters{}, errors.New("no such flow")
	}
	c := k.counts[local]
	delete(k.flows, local)
	delete(k.counts, local)
	return c, nil
}

func (k *fakeKernel) deafen(deaf bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf = deaf
}

func (k *fakeKernel) Walk(fn func(netip.AddrPort, fastpath.Counters)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for local, c := range k.counts {
		fn(local, c)
	}
	return nil
}

func (k *fakeKernel) Tap(fn func(fastpath.TappedPacket)) error { k.tap = fn; return nil }

func (k *fakeKernel) flow(l *Leg) (fastpath.Flow, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.flows[l.Local()]
	return f, ok
}

// count has the kernel relay n packets of 172 bytes for the leg, the last of which is seq.
func (k *fakeKernel) count(l *Leg, n uint64, seq uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counts[l.Local()]
	c.Packets, c.Bytes, c.Seq, c.SSRC, c.LastSeen = c.Packets+n, c.Bytes+172*n, seq, 0x01020304, Now()
	c.Out, c.OutBytes = c.Packets, c.Bytes
	c.Sources[0] = fastpath.SourceCounters{
		Used: true, SSRC: c.SSRC, Seq: seq, Packets: c.Packets, Bytes: c.Bytes, LastSeen: c.LastSeen,
	}
	k.counts[l.Local()] = c
}

// also has the kernel relay n packets of another SSRC.
func (k *fakeKernel) also(l *Leg, n uint64, ssrc uint32, seq uint16) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counts[l.Local()]
	c.Packets, c.Bytes = c.Packets+n, c.Bytes+172*n
	c.Out, c.OutBytes = c.Packets, c.Bytes
	c.Sources[1] = fastpath.SourceCounters{Used: true, SSRC: ssrc, Seq: seq, Packets: n, Bytes: 172 * n, LastSeen: Now()}
	k.counts[l.Local()] = c
}

// forget drops the flow, as when it expired in the kernel.
func (k *fakeKernel) forget(l *Leg) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.flows, l.Local())
	delete(k.counts, l.Local())
}

// offloadRig is an established call with a kernel.
type offloadRig struct {
	*rig
	kernel     *fakeKernel
	ticks      chan time.Time
	alice, bob *phone
	a, b       *Leg
	as, bs     Settings
}

// newOffloadRig makes a call whose settings can be changed before they are applied.
func newOffloadRig(t *testing.T, change func(r *offloadRig)) *offloadRig {
	t.Helper()
	r := &offloadRig{kernel: newFakeKernel(), ticks: make(chan time.Time)}
	r.rig = newRig(t, func(c *Config) { c.FastPath, c.poll = r.kernel, r.ticks })
	r.alice, r.bob = newPhone(t, loopback4), newPhone(t, loopback4)
	r.a, _ = r.pair(4, "call")
	r.b, _ = r.pair(4, "call")
	r.as, r.bs = Settings{Signalled: r.alice.addr()}, Settings{Signalled: r.bob.addr()}
	r.as.Sinks, r.bs.Sinks = []Sink{{RTP: r.b, RTCP: r.b}}, []Sink{{RTP: r.a, RTCP: r.a}}
	if change != nil {
		change(r)
	}
	r.a.Apply(r.as)
	r.b.Apply(r.bs)
	return r
}

// talk sends n packets each way through userspace.
func (r *offloadRig) talk(n int) {
	r.Helper()
	for range n {
		r.bob.wants(r.b, r.alice.rtp(r.a))
		r.alice.wants(r.a, r.bob.rtp(r.b))
	}
	r.settle() // what is sent is counted after it was sent
}

// poll has the offloader poll, and returns when it has.
func (r *offloadRig) poll() {
	r.ticks <- time.Time{}
	r.ticks <- time.Time{} // taken after the first one is dealt with
}

func (r *offloadRig) inKernel(legs ...*Leg) {
	r.Helper()
	for _, l := range legs {
		r.until("flow in the kernel", func() bool { return l.Stats().Plane == PlaneKernel })
	}
}

func TestEstablishedCallMovesToTheKernel(t *testing.T) {
	r := newOffloadRig(t, func(r *offloadRig) { r.bs.TOS = 0xb8 })
	r.talk(confirmations - 1)
	if _, ok := r.kernel.flow(r.a); ok {
		t.Error("in the kernel before learning has closed")
	}
	r.talk(1)
	r.inKernel(r.a, r.b)
	got, _ := r.kernel.flow(r.a)
	want := fastpath.Flow{
		Local: r.a.Local(), Source: r.alice.addr(), DropForeign: true, Taps: fastpath.Taps{RTCP: true}, Clocks: got.Clocks,
		Target: fastpath.Target{From: r.b.Local(), To: r.bob.addr(), TOS: 0xb8},
		Seq:    confirmations, SSRC: 0x01020304, Seeded: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	r.kernel.count(r.a, 100, confirmations+100)
	r.poll()
	st := r.a.Stats()
	if st.Kernel.Packets != 100 || st.In.Packets != confirmations || st.Why != "" || st.LastKernel == 0 {
		t.Errorf("after 100 packets in the kernel: %+v", st)
	}
	if out := r.b.Stats().Out; out.Packets != confirmations+100 || out.Bytes != 172*(confirmations+100) {
		t.Errorf("sent to the hearer: %+v", out)
	}
	// The last confirming packet of the second party closes both ends; everything up to there is learning.
	if st.LearningPackets != confirmations {
		t.Errorf("%d learning packets, want %d", st.LearningPackets, confirmations)
	}
	if tot := r.Totals(); tot.KernelFlows != 2 || tot.UserFlows != 0 || tot.Kernel.Packets != 100 ||
		tot.Userspace.Packets != 2*confirmations {
		t.Errorf("totals %+v", tot)
	}
}

func TestWhatKeepsAFlowInUserspace(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *offloadRig)
		want   string
	}{
		{"a reason of the caller", func(r *offloadRig) { r.as.UserspaceReason = "recording" }, "needs userspace: recording"},
		{"muted", func(r *offloadRig) { r.as.Muted = true }, whyMuted},
		{"nobody hears", func(r *offloadRig) { r.as.Sinks = nil }, whyNoSink},
		{"more hear than the kernel can clone for", func(r *offloadRig) {
			r.as.Sinks = slices.Repeat(r.as.Sinks, fastpath.MaxReceivers+1)
		}, whySinks},
		{"unknown media", func(r *offloadRig) { r.as.Kind = Opaque }, whyKind},
		{"the address is not served", func(r *offloadRig) { r.kernel.unserved = "loopback" },
			"local address not served: loopback"},
		{"the kernel refuses", func(r *offloadRig) { r.kernel.fail = errors.New("map is full") },
			"installation failed: map is full"},
		{"one of several hearers is on the other address family", func(r *offloadRig) {
			six, _ := r.pair(6, "call")
			six.Apply(Settings{Signalled: netip.MustParseAddrPort("[::1]:9"), Learning: LearnOff})
			r.as.Sinks = append(r.as.Sinks, Sink{RTP: six})
		}, whyFamily},
		{"the hearer has not sent", func(r *offloadRig) {
			other, _ := r.pair(4, "call")
			other.Apply(Settings{Signalled: netip.MustParseAddrPort("127.0.0.1:9")})
			r.as.Sinks = []Sink{{RTP: other}}
		}, whyPeer},
		{"the hearer's address is unknown", func(r *offloadRig) {
			other, _ := r.pair(4, "call")
			other.Apply(Settings{})
			r.as.Sinks = []Sink{{RTP: other}}
		}, whyNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newOffloadRig(t, c.change)
			for range confirmations {
				r.alice.rtp(r.a)
				r.bob.rtp(r.b)
			}
			r.until(c.want, func() bool { return r.a.Stats().Why == c.want })
			if _, ok := r.kernel.flow(r.a); ok {
				t.Error("the flow is in the kernel")
			}
		})
	}
}

func TestOneWayFlowNeedsUnidirectional(t *testing.T) {
	r := newOffloadRig(t, func(r *offloadRig) { r.as.Unidirectional = true })
	for range confirmations {
		r.bob.wants(r.b, r.alice.rtp(r.a))
	}
	r.inKernel(r.a)
	if f, _ := r.kernel.flow(r.a); f.To != r.bob.addr() {
		t.Errorf("to %v, want the signalled %v", f.To, r.bob.addr())
	}
}

func TestAsymmetricPeerGetsPacketsWhereSignalled(t *testing.T) {
	listener := newPhone(t, loopback4)
	r := newOffloadRig(t, func(r *offloadRig) { r.as.Asymmetric, r.as.Signalled = true, listener.addr() })
	for range confirmations {
		listener.wants(r.a, r.bob.rtp(r.b))
	}
	r.inKernel(r.b)
	if f, _ := r.kernel.flow(r.b); f.To != listener.addr() {
		t.Errorf("to %v, want the signalled %v", f.To, listener.addr())
	}
	r.alice.rtp(r.a)
	r.until("the source is learnt", func() bool { return r.a.Stats().Source == r.alice.addr() })
	if st := r.a.Stats(); st.Destination != listener.addr() {
		t.Errorf("destination %v, want the signalled %v", st.Destination, listener.addr())
	}
}

func TestFlowLeavesTheKernelBefore(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *offloadRig)
		want   string
	}{
		{"Apply returns, when muted", func(r *offloadRig) { r.as.Muted = true; r.a.Apply(r.as) }, whyMuted},
		{"Apply returns, when learning starts again", func(r *offloadRig) { r.as.Epoch++; r.a.Apply(r.as) }, whyLearning},
		{"Apply on the hearer returns, when its learning starts again",
			func(r *offloadRig) { r.bs.Epoch++; r.b.Apply(r.bs) }, whyPeer},
		{"Apply returns, when another hears", func(r *offloadRig) {
			other, _ := r.pair(4, "call")
			other.Apply(Settings{})
			r.as.Sinks = []Sink{{RTP: other}}
			r.a.Apply(r.as)
		}, whyNoAddress},
		{"Close returns", func(r *offloadRig) { r.a.Close() }, whyClosed},
		{"Close of the hearer returns", func(r *offloadRig) { r.b.Close() }, whySinkClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newOffloadRig(t, nil)
			r.talk(confirmations)
			r.inKernel(r.a, r.b)
			r.kernel.count(r.a, 50, 55)
			c.change(r)
			if _, ok := r.kernel.flow(r.a); ok {
				t.Error("the flow is still in the kernel")
			}
			st := r.a.Stats()
			if st.Why != c.want || st.Plane != PlaneUserspace {
				t.Errorf("plane %v because %q, want %q", st.Plane, st.Why, c.want)
			}
			if st.Kernel.Packets != 50 || st.Kernel.Bytes != 50*172 {
				t.Errorf("%+v counted by a flow of 50 packets", st.Kernel)
			}
			if tot := r.Totals(); tot.Kernel.Packets != 50 {
				t.Errorf("totals forget: %+v", tot.Kernel)
			}
		})
	}
}

func TestNothingIsLostInTheAccounting(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.count(r.a, 30, 35)
	r.poll()
	r.kernel.count(r.a, 20, 55)
	r.as.TOS, r.bs.TOS = 8, 8 // another flow towards the hearer
	r.b.Apply(r.bs)
	r.inKernel(r.a)
	r.kernel.count(r.a, 10, 65)
	r.poll()
	if st := r.a.Stats(); st.Kernel.Packets != 60 || r.b.Stats().Out.Packets != 60+confirmations {
		t.Errorf("two flows with 60 packets counted as %d, the hearer got %d", st.Kernel.Packets, r.b.Stats().Out.Packets)
	}
	r.a.Close()
	r.b.Close()
	r.settle()
	if tot := r.Totals(); tot.Kernel.Packets != 60 || tot.Userspace.Packets != 2*confirmations || tot.Legs != 2 {
		t.Errorf("after both are closed: %+v", tot)
	}
}

func TestLossIsCountedAcrossThePlanes(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.count(r.a, 100, confirmations+100)
	r.as.UserspaceReason = "recording"
	r.a.Apply(r.as)
	r.alice.seq += 100 + 2 // two packets are lost on the way back
	r.bob.wants(r.b, r.alice.rtp(r.a))
	if st := r.a.Stats(); st.Lost != 2 {
		t.Errorf("lost %d, want 2", st.Lost)
	}
}

// TestAnEchoIsNoLoss has a peer send a stream of its own and one that it echoes: nothing is lost however often they change planes, as
// long as the kernel has counted both.
func TestAnEchoIsNoLoss(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	const echo = 0x0a0b0c0d
	at := uint16(40000)
	send := func(n int) {
		for range n {
			at++
			r.alice.send(r.a, append([]byte{0x80, 0, byte(at >> 8), byte(at), 0, 0, 0, 0, echo >> 24, echo >> 16 & 0xff, echo >> 8 & 0xff, echo & 0xff}, 0))
			r.bob.receive()
			r.bob.wants(r.b, r.alice.rtp(r.a))
		}
	}
	send(5)
	for range 5 {
		r.inKernel(r.a, r.b)
		r.kernel.count(r.a, 100, r.alice.seq+100)
		r.alice.seq += 100
		at += 100
		r.kernel.also(r.a, 100, echo, at)
		r.as.UserspaceReason = "recording"
		r.a.Apply(r.as)
		send(5)
		r.as.UserspaceReason = ""
		r.a.Apply(r.as)
	}
	if st := r.a.Stats(); st.Lost != 0 {
		t.Errorf("%d are lost", st.Lost)
	}
	for _, s := range r.a.Streams() {
		if s.Lost != 0 {
			t.Errorf("%d of stream %x are lost", s.Lost, s.SSRC)
		}
	}
}

func TestFlowThatDoesNotWorkIsWithdrawn(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.poll()
	r.talk(verifyPackets - 1)
	r.poll()
	if st := r.a.Stats(); st.Plane != PlaneKernel {
		t.Fatalf("withdrawn after %d packets: %q", verifyPackets-1, st.Why)
	}
	r.talk(1)
	r.poll()
	for _, l := range []*Leg{r.a, r.b} {
		if st := l.Stats(); st.Plane != PlaneUserspace || st.Why != whyStill {
			t.Fatalf("plane %v because %q, want %q", st.Plane, st.Why, whyStill)
		}
	}
	before := r.kernel.installed
	r.a.Apply(r.as) // the same epoch
	r.talk(confirmations)
	r.poll()
	if r.kernel.installed != before {
		t.Error("tried again within the epoch")
	}
	r.as.Epoch, r.bs.Epoch = 1, 1
	r.a.Apply(r.as)
	r.b.Apply(r.bs)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
}

func TestFlowThatWorksKeepsItsStrays(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	for i := range 5 {
		r.talk(verifyPackets) // a few come up, say by a route being looked up again
		r.kernel.count(r.a, 1, uint16(i))
		r.kernel.count(r.b, 1, uint16(i))
		r.poll()
	}
	if st := r.a.Stats(); st.Plane != PlaneKernel || st.Lost != 0 {
		t.Errorf("plane %v because %q, lost %d", st.Plane, st.Why, st.Lost)
	}
}

func TestFlowThatVanishesIsNotedAndNotTriedAgain(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.count(r.a, 7, 12)
	r.poll()
	r.kernel.forget(r.a)
	r.poll()
	if st := r.a.Stats(); st.Why != whyGone || st.Kernel.Packets != 7 {
		t.Errorf("because %q with %d packets, want %q with 7", st.Why, st.Kernel.Packets, whyGone)
	}
	r.bob.wants(r.b, r.alice.rtp(r.a))
}

func TestHandoverMovesAFlowInTheKernel(t *testing.T) {
	r := newOffloadRig(t, func(r *offloadRig) { r.as.Handover = true })
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	if f, _ := r.kernel.flow(r.a); f.DropForeign {
		t.Error("the kernel drops foreign sources, so that no handover is seen")
	}
	moved := newPhone(t, loopback4)
	r.bob.wants(r.b, moved.rtp(r.a))
	r.until("both flows follow", func() bool {
		f, _ := r.kernel.flow(r.a)
		g, _ := r.kernel.flow(r.b)
		return f.Source == moved.addr() && g.To == moved.addr()
	})
}

func TestTotalsNameFewReasons(t *testing.T) {
	r := newOffloadRig(t, func(r *offloadRig) { r.kernel.unserved = "no rights" })
	r.until("a reason", func() bool { return strings.HasPrefix(r.a.Stats().Why, whyUnserved) })
	if tot := r.Totals(); tot.NotKernel[whyUnserved] != 2 || len(tot.NotKernel) != 1 || tot.UserFlows != 2 {
		t.Errorf("got %v", tot.NotKernel)
	}
}

func TestOverflowOfTheWorkQueueIsMadeUpForByThePoll(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	// Take a flow out behind the offloader's back, and pretend the order to install it again did not fit.
	k := &r.a.kernel
	k.mu.Lock()
	r.offload.withdraw(r.a)
	k.mu.Unlock()
	r.offload.overflow.Store(true)
	r.poll()
	r.inKernel(r.a)
}

func TestTheKernelLeavesOtherAuthenticatedSourcesToUserspace(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.a.allow(r.alice.addr())
	r.until("it drops no foreign packets", func() bool {
		f, ok := r.kernel.flow(r.a)
		return ok && !f.DropForeign
	})
}
