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
	sign := h.sign
	sign.DeadlineNs = uint64(now + h.after)
	return h.life.Update(uint32(0), &sign, ebpf.UpdateAny)
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
	if ok, _ := p.Serves(f.Local.Addr()); ok && p.adopted() && f.Validate() == nil {
		if have, same := p.has(&f); same {
			p.fans(&f)
			return decodeCounters(&have), true, nil
		}
	}
	return Counters{}, false, p.Install(f)
}

// has tells whether the kernel has the very same flow, with the same receivers.
func (p *Plane) has(f *Flow) (have relayFlow, same bool) {
	key := encodeEndpoint(f.Local)
	err := p.flow(f.Local, func(m *ebpf.Map) error {
		if err := m.Lookup(&key, &have); err != nil {
			return err
		}
		same = have.work() == encodeFlow(f).work()
		for index, group := range encodeTargets(f) {
			at, v := key, relayTargetGroup{}
			at.Index = index
			if err := p.maps.Targets.Lookup(&at, &v); err != nil {
				return err
			}
			for i := range v.Of {
				same = same && v.Of[i].work() == group.Of[i]
			}
		}
		return nil
	})
	return have, err == nil && same
}

// work is what a flow is to do, without what it has done so far.
func (v relayFlow) work() relayFlow {
	return relayFlow{
		Action: v.Action, Flags: v.Flags, Version: v.Version, Targets: v.Targets, AddrsIn: v.AddrsIn, PortsIn: v.PortsIn,
		Source: v.Source, PayloadTypes: v.PayloadTypes, Target: v.Target.work(), Events: v.Events, ClockScales: v.ClockScales,
		ClockTypes: v.ClockTypes, SilenceTypes: v.SilenceTypes, SilenceOctets: v.SilenceOctets, Open: v.Open, Seal: v.Seal,
	}
}

// work is a receiver without the next hop as it is for the time being.
func (v relayTarget) work() relayTarget {
	v.Hop = relayTarget{}.Hop
	return v
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
	p.following.Lock()
	defer p.following.Unlock()
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
	held := map[string]bool{}
	for _, d := range p.devices {
		for _, a := range d.held {
			held[pinName(a.kind, d.Index)] = true
		}
	}
	errs = append(errs, p.pins.prune(held))
	return errors.Join(append(errs, p.pins.clean(), p.sweepCiphers())...)
}
