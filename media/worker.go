package media

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/weir-media/weir/rtp"
)

// hotRounds is after how many rounds in a row with something to read a leg is read in batches: before, a batch would
// nearly always be of one and cost a little more than a single receive.
const hotRounds = 16

// worker relays the packets of its legs on one OS thread. Everything but do and stop is for its own goroutine.
type worker struct {
	plane  *Plane
	number int
	poller *poller
	shared []*sharedSocket // none: every leg has its own
	outlet *outlet         // nil with the same meaning
	in     *inBatch
	out    *outBatch
	header rtp.Header

	wheel  wheel
	reader reader
	own    []*stream // room for report
	theirs []*stream
	nobody Sink

	prompts prompts
	tapped  TapPacket       // room for tap
	due     func(*Leg) bool // report

	legs    legTable // those with a socket that is polled
	round   uint32
	now     time.Duration // of the round
	current *Leg          // whose packets are being handled
	next    int           // the first packet of in that is not handled yet
	stopped bool
	done    chan struct{}

	mu       sync.Mutex
	commands []func()
}

func newWorker(p *Plane, number int) (*worker, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	w := &worker{plane: p, number: number, poller: poller, in: newInBatch(), out: newOutBatch(), done: make(chan struct{})}
	w.due = w.report
	return w, nil
}

// share opens the sockets that serve all legs of the worker, before it runs. After an error it has none.
func (w *worker) share(s *sharing) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, w.unshare())
		}
	}()
	if w.outlet, err = newOutlet(s); err != nil {
		return err
	}
	for _, ip4 := range s.legs.families() {
		sock, err := newSharedSocket(ip4, w.in)
		if err != nil {
			return fmt.Errorf("open a socket for all legs: %w", err)
		}
		w.shared = append(w.shared, sock)
		if err := s.steering.Serve(w.number, ip4, sock.fd); err != nil {
			return err
		}
		if err := w.poller.add(sock.fd, int32(sharedKey-len(w.shared)+1)); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) unshare() error {
	var errs []error
	for _, s := range w.shared {
		errs = append(errs, s.close())
	}
	if w.outlet != nil {
		errs = append(errs, w.outlet.close())
	}
	w.shared, w.outlet = nil, nil
	return errors.Join(errs...)
}

// do has f called by the worker's goroutine between two rounds, in the order of the calls of do.
func (w *worker) do(f func()) {
	w.mu.Lock()
	w.commands = append(w.commands, f)
	first := len(w.commands) == 1
	w.mu.Unlock()
	if first {
		w.poller.wake()
	}
}

// Settle waits until the workers of the legs have taken the packets that had come when it was called.
func Settle(legs []*Leg) {
	var visited []*worker
	for _, l := range legs {
		if slices.Contains(visited, l.worker) {
			continue
		}
		visited = append(visited, l.worker)
		passed := make(chan struct{})
		l.worker.do(func() { close(passed) })
		select {
		case <-passed:
		case <-l.worker.done: // with the plane
		}
	}
}

// stop ends the worker, which must have no legs any more, and waits for that.
func (w *worker) stop() error {
	w.do(func() { w.stopped = true })
	<-w.done
	return errors.Join(w.unshare(), w.poller.close())
}

func (w *worker) run() {
	defer close(w.done)
	// A thread of its own keeps the worker's caches warm and lets it block in epoll without hand-over.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	busy := false
	for !w.stopped {
		busy = w.turn(!busy)
	}
}

// turn waits for packets, at most if block is set, and relays those that are there. A fault costs the packet that caused
// it: sockets not served in this turn are reported again in the next one.
func (w *worker) turn(block bool) (busy bool) {
	defer w.contain()
	var patience time.Duration
	if block {
		patience = w.patience()
	}
	events := w.poller.wait(patience)
	w.round++
	w.now = w.plane.now()
	for i := range events {
		if key := events[i].Fd; key == wakeKey {
			w.poller.drain()
			w.runCommands()
		} else if key < wakeKey {
			w.serveShared(w.shared[sharedKey-key])
		} else if l := w.legs.get(key); l != nil {
			w.serve(l)
		}
	}
	if w.wheel.n > 0 {
		w.wheel.turn(w.now, w.due)
	}
	if len(w.prompts.heap) > 0 {
		w.playDue()
	}
	return len(events) > 0
}

// drain takes what is in the shared sockets, among which may be packets of a leg that is closed: the next leg on its port must
// not get them.
func (w *worker) drain() {
	const enough = 2 * sharedBuffer / (512 * batchSize) // no packet takes less
	for _, s := range w.shared {
		for range enough {
			if w.serveShared(s); w.in.n < batchSize {
				break
			}
		}
	}
}

func (w *worker) contain() {
	fault := recover()
	if fault == nil {
		return
	}
	whose := w.current
	if b := w.out; b.sending {
		whose = b.from[b.first]
		b.first++
	}
	if w.current = nil; whose != nil {
		whose.drop(DropFault)
	} else {
		w.plane.faults.Add(1)
	}
	if ok, more := w.plane.limits.fault.allow(w.plane.now()); ok {
		w.plane.log.Error("fault in the media plane", "fault", fault, "unlogged", more, "stack", string(debug.Stack()))
	}
	w.flushRest()
}

// flushRest sends what is queued after a fault. Each fault on the way takes one packet out of it.
func (w *worker) flushRest() {
	defer w.contain()
	w.flush()
}

func (w *worker) runCommands() {
	w.mu.Lock()
	todo := w.commands
	w.commands = nil
	w.mu.Unlock()
	for i, f := range todo {
		w.runCommand(f)
		todo[i] = nil
	}
}

func (w *worker) runCommand(f func()) {
	defer w.contain()
	f()
}

// adopt has a leg served from now on. It is for any goroutine: waking the worker for each new leg would cost a call's setup
// more than all the rest of it does.
func (w *worker) adopt(l *Leg) {
	l.key = w.legs.put(l)
	if err := l.sock.attach(w.poller, l.key); err != nil {
		w.plane.log.Error("a leg cannot receive", "local", l.local, "err", err)
	}
}

func (w *worker) setTOS(l *Leg) {
	p := l.plan.Load()
	if w.legs.get(l.key) != l || p == nil {
		return
	}
	if err := l.sock.setTOS(p.TOS); err != nil {
		w.plane.log.Warn("cannot set the TOS of media packets", "local", l.local, "err", err)
	}
}

// release ends serving a leg. If other workers may be sending by its socket, each of them passes between two rounds before
// the descriptor is closed; by then they have seen that the leg is closed. Closing it ends the polling, too (epoll(7)): nobody
// else has the descriptor.
func (w *worker) release(l *Leg) {
	w.legs.take(l.key)
	shut := func() {
		if err := l.sock.close(); err != nil {
			w.plane.log.Error("a media socket is not closed", "local", l.local, "err", err)
		}
		w.drain()
		w.plane.retire(l)
	}
	if l.shared.Load() {
		if err := l.sock.detach(w.poller); err != nil {
			w.plane.log.Error("a leg is still polled", "local", l.local, "err", err)
		}
		visit(append(slices.Clone(w.plane.workers), w), shut)
		return
	}
	shut()
}

// serve receives what there is for a leg, once: epoll tells if there is more.
func (w *worker) serve(l *Leg) {
	limit := 1
	if l.lastRound+1 == w.round {
		if l.streak++; l.streak >= hotRounds {
			limit = batchSize
		}
	} else {
		l.streak = 0
	}
	l.lastRound = w.round
	w.current = l
	if err := l.sock.receive(w.in, limit); err != nil {
		if ok, more := w.plane.limits.receive.allow(w.now); ok {
			w.plane.log.Warn("cannot receive media packets", "local", l.local, "err", err, "unlogged", more)
		}
		w.current = nil
		return
	}
	if limit > 1 && w.in.n <= 1 {
		l.streak = 0
	}
	for w.next = 0; w.next < w.in.n; {
		w.relayRest(l, nil)
	}
	w.flush()
	w.current = nil
}

// serveShared receives what there is at a shared socket, once: epoll tells if there is more.
func (w *worker) serveShared(s *sharedSocket) {
	if err := s.receive(); err != nil {
		if ok, more := w.plane.limits.receive.allow(w.now); ok {
			w.plane.log.Warn("cannot receive media packets", "err", err, "unlogged", more)
		}
		return
	}
	if l := s.crowded(w.plane.sharing.legs); l != nil {
		w.part(l)
	}
	for w.next = 0; w.next < w.in.n; {
		w.relayRest(nil, s)
	}
	w.flush()
}

// part gives a leg a socket of its own, because of what comes to it the packets of others get lost.
func (w *worker) part(l *Leg) {
	err := l.sock.(*steered).depart(w.poller, l.key)
	if ok, more := w.plane.limits.receive.allow(w.now); ok {
		w.plane.log.Warn("too many packets come to a port: it gets a socket of its own", "local", l.local, "err", err, "unlogged", more)
	}
}

// relayRest relays the packets received that are left, of a leg or else of those of a shared socket. A fault ends it and costs
// the packet at fault.
func (w *worker) relayRest(l *Leg, s *sharedSocket) {
	defer w.contain()
	for w.next < w.in.n {
		i := w.next
		w.next++
		if s != nil {
			l = s.leg(w.plane.sharing.legs, i)
		}
		switch w.current = l; {
		case l == nil: // closed meanwhile
		case w.in.tooLong[i]:
			l.drop(DropTooLong)
		default:
			w.relay(l, w.in.data[i], w.in.from[i])
		}
	}
	w.current = nil
}
