package media

import (
	"errors"
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
	// Adopt is Install for a flow that a process before may have installed. If so, its counters go on and are returned.
	Adopt(fastpath.Flow) (c fastpath.Counters, adopted bool, err error)
	// Remove returns what the flow has counted since its installation.
	Remove(local netip.AddrPort) (fastpath.Counters, error)
	// Walk calls fn for every flow with what it has counted since its installation.
	Walk(fn func(local netip.AddrPort, c fastpath.Counters)) error

	// Secures tells whether SRTP can be encrypted and decrypted in the kernel, and if not, why.
	Secures() (ok bool, why string)
	AddCipher(fastpath.Keys) (fastpath.Cipher, error)
	// AdoptCipher returns the cipher of a flow that a process before may have installed, if it has these keys.
	AdoptCipher(local netip.AddrPort, seal bool, k fastpath.Keys) (c fastpath.Cipher, adopted bool)
	FollowStream(fastpath.Cipher, fastpath.Stream) error
	CipherState(fastpath.Cipher) (fastpath.CipherState, error)
	// RemoveCipher wipes the keys and returns what the kernel knew of the streams in the end.
	RemoveCipher(fastpath.Cipher) (fastpath.CipherState, error)
	// Tap has fn take the copies of packets that flows have taps for.
	Tap(fn func(fastpath.TappedPacket)) error
}

const (
	pollInterval = 500 * time.Millisecond
	// verifyPackets RTP packets at the socket while the kernel counts none show that a flow does not work. It is
	// enough for the neighbour to be resolved first.
	verifyPackets = 10
	offloadQueue  = 4096
)

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

	walk   atomic.Uint64 // number of the poll under way or the last one
	seen   []sighting    // reused by poll
	unread bool          // the last poll failed, which is said once
	mu     sync.Mutex
	legs   map[*Leg]struct{} // that have a flow in the kernel
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
	if err := o.fast.Tap(o.plane.tapped); err != nil {
		o.plane.logs.rtcp.Error("reports that pass by the kernel are not read", "err", err)
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
	feeders, reporters := l.hears.list(), l.reporters.list()
	for _, f := range feeders {
		o.reconcile(f, false)
	}
	for _, f := range reporters {
		o.reconcile(f, false)
	}
	if p := l.plan.Load(); len(feeders)+len(reporters) > 0 || p == nil || p.Kind != Opaque {
		o.enqueue(l) // others have nothing that could go to the kernel
	}
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
	for _, f := range l.reporters.list() {
		o.reconcile(f, true)
	}
}

// reconcile compares what the kernel should do for l with what it does. Each change of a leg is followed by a call, and
// the comparison is under the flow's lock, so that the last call sees the last state.
func (o *offloader) reconcile(l *Leg, install bool) {
	k := &l.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed && !install {
		return
	}
	want, to, why := k.wanted(l)
	have := k.flow
	have.Open, have.Seal = 0, 0 // turning is what they stand for
	if k.installed && (why.label != "" || !want.Same(&have) || to.turning != k.to.turning) {
		o.withdraw(l)
	}
	if why.label == "" && !k.installed {
		o.install(l, want, to)
	}
}

// install needs the flow's lock.
func (o *offloader) install(l *Leg, f fastpath.Flow, to hearers) {
	k := &l.kernel
	l.inKernel.Store(true) // from here on, packets at the socket are strays that the kernel sees as gaps
	if s := l.stream.Load(); s != nil {
		f.SSRC, f.Seq, f.Seeded = s.ssrc, uint16(s.last.Load()>>32), true
	}
	k.strays = l.count.stray.Load()
	live, err := o.put(l, &f, to.turning)
	if err != nil {
		l.inKernel.Store(false)
		k.refused = f
		o.ban(l, reason{whyInstall, err.Error()})
		return
	}
	k.installed, k.flow, k.to = true, f, to
	k.live, k.since, k.polled, k.checked = live, o.walk.Load(), 0, live.Packets
	o.mu.Lock()
	o.legs[l] = struct{}{}
	o.mu.Unlock()
}

// put installs a flow with its keys, or adopts it from a process before, and returns what is accounted for of its counters.
// It needs the flow's lock.
func (o *offloader) put(l *Leg, f *fastpath.Flow, t turning) (accounted fastpath.Counters, err error) {
	k := &l.kernel
	if err := t.join(o.fast, f, k.restored); err != nil {
		f.Open, f.Seal = 0, 0
		return accounted, err
	}
	if k.restored {
		accounted, err = o.adopt(l, f)
	} else {
		err = o.fast.Install(*f)
	}
	if err != nil {
		err = errors.Join(err, t.leave(o.fast))
		f.Open, f.Seal = 0, 0
	}
	return accounted, err
}

func (o *offloader) adopt(l *Leg, f *fastpath.Flow) (accounted fastpath.Counters, err error) {
	k := &l.kernel
	k.restored = false
	now, adopted, err := o.fast.Adopt(*f)
	if adopted && now.Packets >= k.former.Packets && now.Bytes >= k.former.Bytes {
		return k.former, err // the next poll accounts for the rest
	}
	k.withdrawn = k.withdrawn.Add(k.former) // that flow has ended since
	return accounted, err
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
	if err := k.to.turning.leave(o.fast); err != nil {
		if ok, more := o.plane.limits.ban.allow(o.plane.now()); ok {
			o.plane.logs.srtp.Error("how far SRTP streams have come in the kernel is not known", "local", l.local, "err", err, "unlogged", more)
		}
	}
	k.credit(l, last)
	k.withdrawn, k.live = k.withdrawn.Add(last), fastpath.Counters{}
	if last.Packets > 0 {
		l.streams.left(&last)
	}
	k.installed, k.to = false, hearers{}
	l.inKernel.Store(false)
	o.mu.Lock()
	delete(o.legs, l)
	o.mu.Unlock()
	l.tell()
}

// reconsider looks at all legs anew, those too whose flows did not work before.
func (o *offloader) reconsider() {
	if o.fast == nil {
		return
	}
	for _, l := range o.plane.openLegs() {
		l.kernel.mu.Lock()
		l.kernel.banned = reason{}
		l.kernel.mu.Unlock()
		o.reconcile(l, true)
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
		if !o.unread {
			o.plane.log.Warn("the kernel's counters cannot be read", "err", err)
		}
		o.unread = true
		return
	}
	o.unread = false
	for i := range o.seen {
		if l := o.plane.leg(o.seen[i].local); l != nil {
			l.kernel.merge(l, o.seen[i].counters, walk)
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
