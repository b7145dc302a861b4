package media

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/fastpath"
)

// FastPath is the kernel plane as this package uses it. Its methods must be safe for concurrent use.
type FastPath interface {
	// Serves tells whether packets for a local address can be relayed in the kernel, and if not, why.
	Serves(local netip.Addr) (ok bool, why string)
	Install(fastpath.Flow) error
	// Remove returns what the flow has counted since its installation.
	Remove(local netip.AddrPort) (fastpath.Counters, error)
	// Walk calls fn for every flow with what it has counted since its installation.
	Walk(fn func(local netip.AddrPort, c fastpath.Counters)) error
}

const (
	pollInterval = 500 * time.Millisecond
	// verifyPackets RTP packets at the socket while the kernel counts none show that a flow does not work. It is
	// enough for the neighbour to be resolved first.
	verifyPackets = 10
	offloadQueue  = 4096
)

// Why an RTP leg is not in the kernel. Details follow some of them in Stats.Why, never in Totals.
const (
	whyNoPlan     = "not set up"
	whyClosed     = "closed"
	whyKind       = "not RTP"
	whyUserspace  = "needs userspace"
	whyNoFastPath = "no kernel plane"
	whyMuted      = "muted"
	whyNoSink     = "no hearer"
	whySinks      = "several hearers"
	whyUnserved   = "local address not served"
	whySinkClosed = "hearer closed"
	whyFamily     = "address families differ"
	whyLearning   = "learning the source"
	whyNoAddress  = "hearer's address unknown"
	whyPeer       = "learning the hearer's address"
	whyPending    = "about to be installed"
	whyInstall    = "installation failed"
	whyStill      = "packets still reached the socket"
	whyGone       = "flow vanished from the kernel"
)

// reason is a label out of a closed set, and what else there is to say.
type reason struct{ label, detail string }

func (r reason) String() string {
	if r.detail == "" {
		return r.label
	}
	return r.label + ": " + r.detail
}

// kernelFlow is what the kernel does for a leg.
type kernelFlow struct {
	mu        sync.Mutex
	installed bool
	flow      fastpath.Flow
	sink      *Leg
	withdrawn fastpath.Counters // of flows taken out again
	live      fastpath.Counters // of the one installed, as of the last poll
	since     uint64            // the poll before the installation
	polled    uint64            // the last poll that saw the flow
	checked   uint64            // packets when the flow was last verified
	strays    uint64            // of the leg when the kernel last counted something new
	banned    reason            // set when it did not work, for the epoch
	epoch     uint32
}

// sum returns the counters of all flows the leg has had.
func (k *kernelFlow) sum() fastpath.Counters {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.withdrawn.Add(k.live)
}

func (k *kernelFlow) read(l *Leg) (c fastpath.Counters, installed bool, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed {
		why = k.why(l).String()
	}
	return k.withdrawn.Add(k.live), k.installed, why
}

func (k *kernelFlow) state(l *Leg) (installed bool, label string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed {
		label = k.why(l).label
	}
	return k.installed, label
}

func (k *kernelFlow) why(l *Leg) reason {
	_, _, why := k.wanted(l)
	if why.label == "" {
		why.label = whyPending
	}
	return why
}

// wanted returns the flow that l should have in the kernel, or why none.
func (k *kernelFlow) wanted(l *Leg) (f fastpath.Flow, sink *Leg, why reason) {
	p := l.plan.Load()
	switch {
	case l.closed.Load():
		return f, nil, reason{label: whyClosed}
	case p == nil:
		return f, nil, reason{label: whyNoPlan}
	case p.Kind != RTP:
		return f, nil, reason{label: whyKind}
	case p.UserspaceReason != "":
		return f, nil, reason{whyUserspace, p.UserspaceReason}
	case l.plane.offload.fast == nil:
		return f, nil, reason{label: whyNoFastPath}
	case p.Muted:
		return f, nil, reason{label: whyMuted}
	case len(p.Sinks) == 0 || len(p.Sinks) == 1 && p.Sinks[0].RTP == nil:
		return f, nil, reason{label: whyNoSink}
	case len(p.Sinks) > 1:
		return f, nil, reason{label: whySinks}
	case k.banned.label != "" && k.epoch == p.Epoch:
		return f, nil, k.banned
	}
	if ok, why := l.plane.offload.fast.Serves(l.local.Addr()); !ok {
		return f, nil, reason{whyUnserved, why}
	}
	sink = p.Sinks[0].RTP
	if sink.closed.Load() {
		return f, nil, reason{label: whySinkClosed}
	}
	if sink.local.Addr().Is4() != l.local.Addr().Is4() {
		return f, nil, reason{label: whyFamily}
	}
	source, closed := l.source()
	if !closed {
		return f, nil, reason{label: whyLearning}
	}
	to, settled := sink.destination(p.Unidirectional)
	switch {
	case to == nil:
		return f, nil, reason{label: whyNoAddress}
	case !settled:
		return f, nil, reason{label: whyPeer}
	}
	sp := sink.plan.Load() // not nil: it has a destination
	return fastpath.Flow{
		Local: l.local, Source: source, From: sink.local, To: to.addr, DropForeign: !p.Handover, TOS: sp.TOS,
	}, sink, reason{}
}

// same tells whether two flows relay alike.
func same(a, b fastpath.Flow) bool {
	a.Seq, a.SSRC, a.Seeded = b.Seq, b.SSRC, b.Seeded
	return a == b
}

// sighting is a flow as a poll finds it in the kernel.
type sighting struct {
	local    netip.AddrPort
	counters fastpath.Counters
}

// offloader keeps the kernel's flows as the legs want them. With a nil fast path it does nothing.
type offloader struct {
	plane *Plane
	fast  FastPath

	work     chan *Leg
	overflow atomic.Bool // a leg did not fit into work
	stop     chan struct{}
	done     sync.WaitGroup

	walk atomic.Uint64 // number of the poll under way or the last one
	seen []sighting    // reused by poll
	mu   sync.Mutex
	legs map[*Leg]struct{} // that have a flow in the kernel
}

func newOffloader(p *Plane, fast FastPath) *offloader {
	return &offloader{
		plane: p, fast: fast, work: make(chan *Leg, offloadQueue), stop: make(chan struct{}), legs: make(map[*Leg]struct{}),
	}
}

func (o *offloader) start(poll <-chan time.Time) {
	if o.fast == nil {
		return
	}
	o.done.Go(func() {
		if poll == nil {
			tick := time.NewTicker(pollInterval)
			defer tick.Stop()
			poll = tick.C
		}
		for {
			select {
			case l := <-o.work:
				o.settle(l)
			case <-poll:
				o.poll()
			case <-o.stop:
				return
			}
		}
	})
}

func (o *offloader) close() {
	close(o.stop)
	o.done.Wait()
}

// changed takes out what l and those it hears must not have in the kernel any more, and has the rest done later.
func (o *offloader) changed(l *Leg) {
	if o.fast == nil {
		return
	}
	o.reconcile(l, false)
	for _, f := range l.hears.list() {
		o.reconcile(f, false)
	}
	o.enqueue(l)
}

// enqueue has l looked at soon. It never blocks and allocates nothing.
func (o *offloader) enqueue(l *Leg) {
	if o.fast == nil || l.queued.Swap(true) {
		return
	}
	select {
	case o.work <- l:
	default:
		l.queued.Store(false)
		o.overflow.Store(true)
	}
}

// settle brings the kernel up to date with l and those it hears.
func (o *offloader) settle(l *Leg) {
	l.queued.Store(false) // first, so that a change from here on is seen
	o.reconcile(l, true)
	for _, f := range l.hears.list() {
		o.reconcile(f, true)
	}
}

// reconcile compares what the kernel should do for l with what it does. Each change of a leg is followed by a call, and
// the comparison is under the flow's lock, so that the last call sees the last state.
func (o *offloader) reconcile(l *Leg, install bool) {
	k := &l.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	want, sink, why := k.wanted(l)
	if k.installed && (why.label != "" || !same(want, k.flow)) {
		o.withdraw(l)
	}
	if why.label == "" && !k.installed && install {
		o.install(l, want, sink)
	}
}

// install needs the flow's lock.
func (o *offloader) install(l *Leg, f fastpath.Flow, sink *Leg) {
	k := &l.kernel
	l.inKernel.Store(true) // from here on, packets at the socket are strays that the kernel sees as gaps
	f.SSRC, f.Seq, f.Seeded = unpackPosition(l.position.Load())
	k.strays = l.count.stray.Load()
	if err := o.fast.Install(f); err != nil {
		l.inKernel.Store(false)
		o.ban(l, reason{whyInstall, err.Error()})
		return
	}
	k.installed, k.flow, k.sink = true, f, sink
	k.live, k.since, k.polled, k.checked = fastpath.Counters{}, o.walk.Load(), 0, 0
	o.mu.Lock()
	o.legs[l] = struct{}{}
	o.mu.Unlock()
}

// ban needs the flow's lock.
func (o *offloader) ban(l *Leg, why reason) {
	k := &l.kernel
	k.banned = why
	if p := l.plan.Load(); p != nil {
		k.epoch = p.Epoch
	}
	if ok, more := o.plane.limits.ban.allow(o.plane.now()); ok {
		o.plane.log.Warn("flow stays in userspace", "local", l.local, "why", why.String(), "unlogged", more)
	}
}

// withdraw needs the flow's lock.
func (o *offloader) withdraw(l *Leg) {
	k := &l.kernel
	last, err := o.fast.Remove(k.flow.Local)
	if err != nil {
		last = k.live // the flow expired, or its device is gone: the last poll is all there is
		if ok, more := o.plane.limits.ban.allow(o.plane.now()); ok {
			o.plane.log.Warn("final counts of a flow are missing", "local", l.local, "err", err, "unlogged", more)
		}
	}
	k.credit(last)
	k.withdrawn, k.live = k.withdrawn.Add(last), fastpath.Counters{}
	if last.Packets > 0 {
		l.resume.Store(packPosition(last.SSRC, last.Seq))
	}
	k.installed, k.sink = false, nil
	l.inKernel.Store(false)
	o.mu.Lock()
	delete(o.legs, l)
	o.mu.Unlock()
}

// credit accounts to the hearer for what the kernel has sent since the last time.
func (k *kernelFlow) credit(c fastpath.Counters) {
	if c.Packets >= k.live.Packets && c.Bytes >= k.live.Bytes {
		k.sink.count.outKernel.add(c.Packets-k.live.Packets, c.Bytes-k.live.Bytes)
	}
}

// poll merges the kernel's counters into the legs and takes out flows that do not work.
func (o *offloader) poll() {
	if o.overflow.Swap(false) {
		for _, l := range o.plane.openLegs() {
			o.reconcile(l, true)
		}
	}
	o.mu.Lock()
	none := len(o.legs) == 0
	o.mu.Unlock()
	if none {
		return
	}
	walk := o.walk.Add(1)
	// Nothing is locked inside Walk, which may hold a lock that Install needs.
	o.seen = o.seen[:0]
	if err := o.fast.Walk(func(local netip.AddrPort, c fastpath.Counters) {
		o.seen = append(o.seen, sighting{local, c})
	}); err != nil {
		if ok, more := o.plane.limits.ban.allow(o.plane.now()); ok {
			o.plane.log.Warn("the kernel's counters cannot be read", "err", err, "unlogged", more)
		}
		return
	}
	for i := range o.seen {
		if l := o.plane.leg(o.seen[i].local); l != nil {
			l.kernel.merge(o.seen[i].counters, walk)
		}
	}
	o.mu.Lock()
	legs := make([]*Leg, 0, len(o.legs))
	for l := range o.legs {
		legs = append(legs, l)
	}
	o.mu.Unlock()
	for _, l := range legs {
		o.verify(l, walk)
	}
}

func (k *kernelFlow) merge(c fastpath.Counters, walk uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed || k.since >= walk {
		return // the counts are perhaps those of the flow before
	}
	k.polled = walk
	k.credit(c)
	k.live = c
}

// verify takes out a flow that the kernel does not relay, or has lost.
func (o *offloader) verify(l *Leg, walk uint64) {
	k := &l.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed || k.since >= walk {
		return
	}
	strays := l.count.stray.Load()
	switch {
	case k.polled != walk:
		o.ban(l, reason{label: whyGone})
		o.withdraw(l)
	case k.moved():
		k.strays = strays
	case strays-k.strays >= verifyPackets && walk > k.since+1:
		o.ban(l, reason{label: whyStill})
		o.withdraw(l)
	}
}

// moved tells whether the kernel has relayed anything since the last call.
func (k *kernelFlow) moved() bool {
	moved := k.live.Packets != k.checked
	k.checked = k.live.Packets
	return moved
}
