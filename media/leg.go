package media

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Leg is one local port and the peer behind it. Its methods are safe for concurrent use, also with traffic and after
// Close.
type Leg struct {
	plane      *Plane
	worker     *worker
	local      netip.AddrPort
	advertised netip.AddrPort
	lease      *lease
	beside     *Leg // the other one of the pair
	affinity   string
	iface      string // name of the interface it was opened on
	keyed      bool   // by a handshake of a process before
	sock       transport

	plan   atomic.Pointer[plan]   // nil until the first Apply
	peer   atomic.Pointer[peer]   // as learnt; nil until then
	cipher atomic.Pointer[cipher] // nil before the first keys; the worker changes it
	closed atomic.Bool
	// shared is set before a leg of another worker may send through this one; closing then takes the long way.
	shared atomic.Bool

	player atomic.Pointer[player] // that the peer is sent from instead of what it hears; nil: none
	splice atomic.Pointer[splice] // onto which what it hears next is joined; nil: none
	fits   atomic.Bool            // packets of the peer have the wanted packet time

	route   atomic.Pointer[route]   // that ICE has selected; nil: learning says where packets go
	allowed atomic.Pointer[sources] // that ICE has authenticated; nil: learning says who is heard

	count     counters
	strange   stranger
	odd       stranger
	inKernel  atomic.Bool
	streams   *streams               // shared with the leg beside
	stream    atomic.Pointer[stream] // of the last RTP packet at the socket; nil before it
	roundTrip atomic.Int64           // between the peer and us, as RTCP has it last; 0: not known
	reference reference
	enlisted  atomic.Bool // in the worker's calendar

	// The worker's own.
	key        int32
	lastRound  uint32
	streak     uint32
	seen       *plan
	learn      learner
	loop       loop
	astray     astray
	proof      proof
	due        time.Duration // when to report next
	reportSSRC uint32        // of receiver reports of ours; 0 before the first

	apply     sync.Mutex // serializes Apply
	hears     feeders
	reporters feeders // whose RTCP leaves by this leg, if their RTP leaves by another
	kernel    kernelFlow
	queued    atomic.Bool // for the offloader
}

// peer is what a leg has learnt. It is immutable.
type peer struct {
	epoch  uint32
	source *endpoint
	closed bool
	named  bool          // at an address that signalling knows of
	at     time.Duration // when source was chosen
}

// counters have few writers and many readers; all are safe for both.
type counters struct {
	in        tally // but for RTP, which its streams count
	out       tally
	outKernel tally // sent for this leg by flows in the kernel
	learning  atomic.Uint64
	// DTLS handshakes that found keys, and that did not.
	handshakes, failed atomic.Uint64
	stray              atomic.Uint64 // RTP packets that reached userspace while the flow was in the kernel
	lost               atomic.Uint64
	last               atomic.Int64 // when the last packet came that is not RTP
	drops              [dropCount]atomic.Uint64
}

type tally struct{ packets, bytes atomic.Uint64 }

func (t *tally) add(packets, bytes uint64) {
	t.packets.Add(packets)
	t.bytes.Add(bytes)
}

func (t *tally) load() Counts { return Counts{Packets: t.packets.Load(), Bytes: t.bytes.Load()} }

// feeders are the legs whose packets leave by a leg.
type feeders struct {
	mu   sync.Mutex
	legs []*Leg
}

func (f *feeders) add(l *Leg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.legs = append(f.legs, l)
}

func (f *feeders) remove(l *Leg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, have := range f.legs {
		if have == l {
			f.legs = append(f.legs[:i:i], f.legs[i+1:]...)
			return
		}
	}
}

// list returns a snapshot, which later changes leave alone.
func (f *feeders) list() []*Leg {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.legs[:len(f.legs):len(f.legs)]
}

// Local returns the address and port the leg receives on.
func (l *Leg) Local() netip.AddrPort { return l.local }

// Advertised returns what to tell the peer: Local, or its public form behind a NAT.
func (l *Leg) Advertised() netip.AddrPort { return l.advertised }

// Apply replaces the leg's settings. When it returns, the kernel relays nothing any more that the new settings would
// have it do otherwise. On a closed leg it does nothing.
func (l *Leg) Apply(s Settings) {
	l.apply.Lock()
	defer l.apply.Unlock()
	if l.closed.Load() {
		return
	}
	old := l.plan.Load()
	p := newPlan(s, l.local, old, l.plane.now())
	p.events = s.track(old, l.plane.now)
	if s.Signalled.IsValid() && p.signalled == nil && !s.Signalled.Addr().IsUnspecified() && s.Signalled.Port() != 0 {
		l.plane.log.Warn("signalled address is of another family than the leg: it cannot be sent to",
			"local", l.local, "signalled", s.Signalled)
	}
	if sock, ok := l.sock.(*steered); ok && p.signalled != nil {
		sock.foresee(p.signalled)
	}
	// First be told of changes of the hearers, then look at them.
	listed := old != nil && slices.EqualFunc(old.everyone.sinks, p.everyone.sinks, func(a, b Sink) bool {
		return a.RTP == b.RTP && a.RTCP == b.RTCP
	})
	for _, sink := range p.everyone.sinks {
		for _, to := range [...]*Leg{sink.RTP, sink.RTCP} {
			if to != nil && to.worker != l.worker {
				to.shared.Store(true)
			}
		}
		if sink.RTP != nil && !listed {
			sink.RTP.hears.add(l)
		}
		if sink.RTCP != nil && sink.RTCP != sink.RTP && !listed {
			sink.RTCP.reporters.add(l)
		}
	}
	l.fits.Store(false) // whatever was said may be about the packet time
	l.detour(old, s.Via)
	l.plan.Store(p)
	if old != nil && !listed {
		l.leave(old)
	}
	if p.Keys != (Keys{}) {
		l.worker.do(func() { l.rekey(p.Keys) })
	}
	if old == nil && p.TOS != 0 || old != nil && p.TOS != old.TOS {
		l.worker.do(func() { l.worker.setTOS(l) })
	}
	l.enlist(p)
	l.plane.offload.changed(l)
}

// leave takes the leg off its hearers' lists.
func (l *Leg) leave(p *plan) {
	for _, sink := range p.everyone.sinks {
		if sink.RTP != nil {
			sink.RTP.hears.remove(l)
		}
		if sink.RTCP != nil && sink.RTCP != sink.RTP {
			sink.RTCP.reporters.remove(l)
		}
	}
}

// Close takes the flows from and to the leg out of the kernel and has the worker close the socket, after which the port
// rests. Stats stay readable. Closing twice does nothing.
func (l *Leg) Close() {
	l.apply.Lock()
	defer l.apply.Unlock()
	if l.closed.Swap(true) {
		return
	}
	l.plane.offload.changed(l)
	if p := l.plan.Load(); p != nil {
		p.events.end()
		l.leave(p)
	}
	l.worker.do(func() { l.worker.release(l) })
}

// source returns the peer's source as far as it is known, and whether it is final.
func (l *Leg) source() (from netip.AddrPort, closed bool) {
	p := l.plan.Load()
	if p == nil {
		return netip.AddrPort{}, false
	}
	if r := l.route.Load(); r != nil {
		return r.to.addr, true
	}
	if p.Learning == LearnOff {
		return p.Signalled, p.signalled != nil
	}
	if q := l.peer.Load(); q != nil && q.epoch == p.Epoch {
		return q.source.addr, q.closed
	}
	return netip.AddrPort{}, false
}

// found returns the address the peer is at when there is little doubt, else the zero value.
func (l *Leg) found() netip.Addr {
	from, closed := l.source()
	if q := l.peer.Load(); closed || q != nil && q.named {
		return from.Addr()
	}
	return netip.Addr{}
}

// destination returns where packets for the peer go, nil when unknown, and whether that is final. With signalledDoes, or
// when the leg's own settings say so, the signalled address is good enough to be final.
func (l *Leg) destination(signalledDoes bool) (to *endpoint, settled bool) {
	p := l.plan.Load()
	if p == nil {
		return nil, false
	}
	if r := l.route.Load(); r != nil {
		return r.to, true
	}
	if p.Asymmetric || p.Learning == LearnOff {
		return p.signalled, p.signalled != nil
	}
	to, settled = p.signalled, false
	if q := l.peer.Load(); q != nil && q.epoch == p.Epoch {
		to, settled = q.source, q.closed
	}
	return to, settled || to != nil && (signalledDoes || p.Unidirectional)
}

func (l *Leg) drop(why Drop) { l.count.drops[why].Add(1) }

// lease is the hold of a pair of legs on its ports.
type lease struct {
	pool *hostPool
	port uint16
	legs atomic.Int32 // still open
}

// release gives the ports back once both legs are closed.
func (s *lease) release(ready time.Duration) {
	if s.legs.Add(-1) == 0 {
		s.pool.free(s.port, ready)
	}
}
