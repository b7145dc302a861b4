package fastpath

import (
	"errors"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// DefaultOutlive is long enough to mend a configuration that keeps the daemon from starting, and short enough that calls
// which ended meanwhile do not linger: nobody hears of their end.
const DefaultOutlive = 5 * time.Minute

// heartbeats is how often the deadline is moved before it comes: a process that is starved for a while loses nothing.
const heartbeats = 30

// heart moves the deadline of all flows as long as the process lives.
type heart struct {
	life  *ebpf.Map
	sign  relayLifeSign
	after time.Duration

	done chan struct{}
	once sync.Once
	wg   sync.WaitGroup
}

// newHeart begins with a first beat, before there are flows. A process that is not to be outlived has a deadline, too: a
// filter on clsact stays when it dies.
func newHeart(life *ebpf.Map, netns uint64, outlive time.Duration) (*heart, error) {
	if outlive <= 0 {
		outlive = 10 * time.Second
	}
	h := &heart{life: life, sign: relayLifeSign{Netns: netns}, after: outlive, done: make(chan struct{})}
	return h, h.beat()
}

func (h *heart) beat() error {
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	h.sign.DeadlineNs = uint64(now + h.after)
	return h.life.Update(uint32(0), &h.sign, ebpf.UpdateAny)
}

// start beats until stop. fail is called with the first error of a row of them.
func (h *heart) start(fail func(error)) {
	h.wg.Go(func() {
		tick := time.NewTicker(h.after / heartbeats)
		defer tick.Stop()
		failed := false
		for {
			select {
			case <-h.done:
				return
			case <-tick.C:
			}
			err := h.beat()
			if err != nil && !failed {
				fail(err)
			}
			failed = err != nil
		}
	})
}

func (h *heart) stop() {
	if h != nil {
		h.once.Do(func() { close(h.done) })
		h.wg.Wait()
	}
}

func sinceBoot() (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0, err
	}
	return time.Duration(ts.Nano()), nil
}

// Adopt is Install for a flow that a process before may have installed. When the kernel has the very same one it goes on as it
// is, and what it has counted so far is returned.
func (p *Plane) Adopt(f Flow) (c Counters, adopted bool, err error) {
	f = f.plain()
	if ok, _ := p.Serves(f.Local.Addr()); ok && p.adopted() {
		key, have := encodeEndpoint(f.Local), relayFlow{}
		want := encodeFlow(f)
		err := p.flow(f.Local, func(m *ebpf.Map) error { return m.Lookup(&key, &have) })
		if err == nil && sameWork(have, want) {
			return decodeCounters(&have, p.tick), true, nil
		}
	}
	return Counters{}, false, p.Install(f)
}

// sameWork tells whether two flows do the same, whatever they have done so far.
func sameWork(a, b relayFlow) bool {
	a.Hop, a.Stats, b.Hop, b.Stats = relayFlow{}.Hop, relayFlow{}.Stats, relayFlow{}.Hop, relayFlow{}.Stats
	return a == b
}

// adopted tells whether the flow map is that of a process before.
func (p *Plane) adopted() bool { return p.pins != nil && p.pins.adopted }

// Persistence says where maps and links outlive the process, or why they do not.
func (p *Plane) Persistence() (path, why string) {
	if p.pins != nil {
		return p.pins.dir, ""
	}
	return "", p.unpinned
}

// TakeOver ends what programs of another version still do for flows of a dead process: what is to go on must have been
// installed by now. It does nothing when there are none.
func (p *Plane) TakeOver() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	var errs []error
	for _, f := range p.pending {
		errs = append(errs, f())
	}
	p.pending = nil
	p.took = true
	return errors.Join(append(errs, p.pins.clean())...)
}
