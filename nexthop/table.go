// Package nexthop knows how frames to a destination leave this host: by which device, with which MAC addresses. It follows
// the kernel's routes and neighbours.
package nexthop

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	// refreshInterval is between two looks at the routes of paths in use. What changes is told by the kernel at once, but for
	// the path MTU and redirections.
	refreshInterval = time.Second
	// refreshBudget bounds the look-ups of one interval; more paths than that take turns.
	refreshBudget = 1000
	// settleTime is waited for after a change of routes, which seldom comes alone.
	settleTime = 10 * time.Millisecond
	// keep is how long a path that nobody uses is remembered.
	keep = time.Minute
	// maxPaths caps the memory that peers can cause to be taken, at some 300 bytes each.
	maxPaths = 1 << 17
)

// Means is what may be sent from this host without getting around its configuration.
type Means uint8

// The means, each of which includes those after it.
const (
	Frames    Means = iota // whole ones; they meet neither firewall nor IPsec nor routing
	Packets                // of IP, by raw sockets; IPsec and routing do not know them for UDP
	Datagrams              // by UDP sockets
)

// Hop is how frames leave. It is immutable.
type Hop struct {
	Device   int      // index
	Ethernet [14]byte // the header of a frame
	MTU      int      // of an IP packet
	TTL      uint8    // or hop limit
	// Queue tells that the device's queueing discipline, a program behind it or a sniffer wants to see frames.
	Queue bool
}

// Path is the way from a local address to a destination. Its methods are safe for concurrent use and take no lock.
type Path struct {
	from, to netip.Addr

	hop  atomic.Pointer[Hop]
	used atomic.Bool // since the last refresh
	gone atomic.Bool

	// The table's own.
	neighbour *neighbour // nil: frames cannot go this way
	device    *device
	mtu       int
	idle      int // refreshes since it was used
}

// Hop returns the hop, or nil when the packet should be left to the kernel: there is no neighbour yet, or it is a way that
// frames cannot go.
func (p *Path) Hop() *Hop {
	if !p.used.Load() {
		p.used.Store(true)
	}
	return p.hop.Load()
}

// Gone tells that the path is followed no more, as it was not used for long. Another one can be had.
func (p *Path) Gone() bool { return p.gone.Load() }

// Config configures Open.
type Config struct {
	// Unfiltered has frames sent although the firewall wants to see the packets that leave.
	Unfiltered bool
	Log        *slog.Logger
}

// Table keeps paths. Its methods are safe for concurrent use.
type Table struct {
	cfg    Config
	handle *netlink.Handle
	guard  *guard
	events *events

	wake chan struct{} // there is something in fresh
	done chan struct{}
	wg   sync.WaitGroup

	mu    sync.Mutex
	paths map[pathKey]*Path
	fresh []*Path // not looked up yet

	verdict atomic.Pointer[verdict]

	// Of the goroutine.
	links      map[int]*device
	neighbours map[neighbourKey]*neighbour
	turn       []*Path // those still to be refreshed in this round
	watched    bool    // somebody sniffs
}

type pathKey struct{ from, to netip.Addr }

// Open makes a table for the network namespace of the calling thread, which needs CAP_NET_ADMIN.
func Open(cfg Config) (t *Table, err error) {
	t = &Table{
		cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{}),
		paths: make(map[pathKey]*Path), links: make(map[int]*device), neighbours: make(map[neighbourKey]*neighbour),
	}
	t.verdict.Store(&verdict{})
	if t.cfg.Log == nil {
		t.cfg.Log = slog.New(slog.DiscardHandler)
	}
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	if t.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if t.guard, err = newGuard(cfg.Unfiltered); err != nil {
		return nil, err
	}
	if t.events, err = subscribe(); err != nil {
		return nil, err
	}
	if err = t.reload(); err != nil {
		return nil, err
	}
	t.wg.Go(t.run)
	return t, nil
}

// Path returns the path from one of this host's addresses to a destination. It does not wait for the kernel: a path that is
// new has no hop for a moment.
func (t *Table) Path(from, to netip.Addr) *Path {
	key := pathKey{from, to}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.paths[key]; p != nil {
		return p
	}
	p := &Path{from: from, to: to}
	if len(t.paths) >= maxPaths {
		p.gone.Store(true)
		return p
	}
	p.used.Store(true)
	t.paths[key] = p
	t.fresh = append(t.fresh, p)
	select {
	case t.wake <- struct{}{}:
	default:
	}
	return p
}

// Means tells the best of what may be sent at the moment.
func (t *Table) Means() Means { return t.verdict.Load().means }

// Why tells in words why no frames are sent at all at the moment; it is empty when they are.
func (t *Table) Why() string { return t.verdict.Load().why }

// Close ends the table; its paths have no hops any more.
func (t *Table) Close() {
	close(t.done)
	if t.events != nil {
		t.events.close()
	}
	t.wg.Wait()
	for _, p := range t.all() {
		p.gone.Store(true)
		p.hop.Store(nil)
	}
	if t.guard != nil {
		t.guard.close()
	}
	if t.handle != nil {
		t.handle.Close()
	}
}

// run follows the kernel until Close.
func (t *Table) run() {
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	var settled <-chan time.Time // nil: no change is waiting
	pause := settleTime
	for {
		select {
		case <-t.done:
			return
		case <-t.wake:
			t.mu.Lock()
			fresh := t.fresh
			t.fresh = nil
			t.mu.Unlock()
			for _, p := range fresh {
				t.resolve(p)
			}
		case e := <-t.events.queue:
			switch {
			case e.neighbour != nil:
				t.notice(e.neighbour)
			case settled == nil:
				settled = time.After(pause)
			}
		case <-settled:
			start := time.Now()
			t.renew()
			// On a host whose routes change all the time this must not take more than a small part of it.
			settled, pause = nil, min(max(settleTime, 20*time.Since(start)), refreshInterval)
		case <-tick.C:
			t.check()
			if now := watched(); now != t.watched {
				t.watched = now
				t.renew()
			}
			t.refresh()
		}
	}
}

// renew looks at everything again.
func (t *Table) renew() {
	if err := t.reload(); err != nil {
		t.cfg.Log.Warn("routes and neighbours cannot be read: packets go by sockets", "err", err)
		t.block(verdict{Datagrams, "routes and neighbours cannot be read: " + err.Error()})
		return
	}
	for _, p := range t.all() {
		t.resolve(p)
	}
}

// reload reads devices and neighbours, and whether frames may be sent at all.
func (t *Table) reload() error {
	if err := t.reloadLinks(); err != nil {
		return err
	}
	if err := t.reloadNeighbours(); err != nil {
		return err
	}
	t.check()
	return nil
}

// check finds out what may be sent.
func (t *Table) check() {
	was, now := *t.verdict.Load(), t.guard.judge(t.handle)
	switch {
	case now == was:
	case now.means != Frames:
		t.cfg.Log.Info("media packets do not leave as frames from now on", "why", now.why)
		t.block(now)
	default:
		t.verdict.Store(&now)
		for _, p := range t.all() {
			t.resolve(p)
		}
	}
}

// block leaves everything to the kernel.
func (t *Table) block(v verdict) {
	t.verdict.Store(&v)
	for _, p := range t.all() {
		p.hop.Store(nil)
	}
}

func (t *Table) all() []*Path {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Path, 0, len(t.paths))
	for _, p := range t.paths {
		all = append(all, p)
	}
	return all
}

// refresh looks at the paths in use again, has the kernel probe their neighbours, and forgets what is not used.
func (t *Table) refresh() {
	if len(t.turn) == 0 {
		t.turn = t.all()
	}
	n := min(len(t.turn), refreshBudget)
	for _, p := range t.turn[:n] {
		if p.used.Swap(false) {
			p.idle = 0
			t.resolve(p)
			continue
		}
		if p.idle++; time.Duration(p.idle)*refreshInterval > keep {
			t.forget(p)
		}
	}
	t.turn = t.turn[n:]
}

func (t *Table) forget(p *Path) {
	p.gone.Store(true)
	p.hop.Store(nil)
	p.move(nil, t)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.paths, pathKey{p.from, p.to})
}

// resolve asks the kernel for the route of a path.
func (t *Table) resolve(p *Path) {
	if p.gone.Load() {
		return
	}
	route, ok := t.route(p)
	if !ok || t.Means() != Frames {
		p.hop.Store(nil)
		p.move(nil, t)
		return
	}
	p.move(t.neighbourAt(route.key), t)
	p.device, p.mtu = route.device, route.mtu
	t.probe(p.neighbour)
	p.set()
}

// set works out the hop. One that is as before stays the same object.
func (p *Path) set() {
	n, d := p.neighbour, p.device
	if !n.usable() {
		p.hop.Store(nil)
		return
	}
	next := Hop{Device: d.index, MTU: p.mtu, TTL: d.ttl[p.to.Is4()], Queue: d.queue}
	copy(next.Ethernet[0:], n.mac[:])
	copy(next.Ethernet[6:], d.mac[:])
	next.Ethernet[12], next.Ethernet[13] = unix.ETH_P_IP>>8, unix.ETH_P_IP&0xff
	if !p.to.Is4() {
		next.Ethernet[12], next.Ethernet[13] = unix.ETH_P_IPV6>>8, unix.ETH_P_IPV6&0xff
	}
	if old := p.hop.Load(); old == nil || *old != next {
		p.hop.Store(&next)
	}
}
