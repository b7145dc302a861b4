package media

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/dtls"
)

// What OpenPair can fail with; the errors it returns wrap one of them or one of the system's.
var (
	ErrNoInterface = errors.New("no such media interface")
	ErrNoFamily    = errors.New("media interface has no address of the family")
	ErrNoPorts     = errors.New("no free media ports")
	ErrClosed      = errors.New("media plane is closed")
)

// bindTries bounds how many ports in use by others one OpenPair steps over.
const bindTries = 64

// Plane is the userspace packet plane. Its methods are safe for concurrent use.
type Plane struct {
	log        *slog.Logger
	logs       logs
	now        func() time.Duration
	quarantine time.Duration
	floating   bool // addresses may come to this host later
	seed       maphash.Seed

	pools      []*hostPool
	interfaces map[string]*logical
	first      *logical
	capacity   Capacity

	handshakes  Handshakes
	handshaking *dtls.Pool

	interval      time.Duration // of reports of our own
	measures      bool
	mos           MOS
	canonicalName string
	wall          time.Time // at wallAt
	wallAt        time.Duration

	changed atomic.Pointer[func(affinity string)]

	workers []*worker
	sharing *sharing // nil: every leg has a socket
	engine  Engine
	turn    atomic.Uint32 // for legs without affinity
	offload *offloader
	limits  limits
	copier  copier
	faults  atomic.Uint64
	made    made

	mu      sync.RWMutex
	legs    map[netip.AddrPort]*Leg
	retired Totals // of legs that are gone
	closed  bool
	open    sync.WaitGroup // legs not yet released
}

// logs are those of what has a name of its own among the subsystems of the log, which the attribute "system" tells.
type logs struct{ ice, crypto, srtp, rtcp *slog.Logger }

func newLogs(log *slog.Logger) logs {
	of := func(system string) *slog.Logger { return log.With("system", system) }
	return logs{ice: of("ice"), crypto: of("crypto"), srtp: of("srtp"), rtcp: of("rtcp")}
}

// limits are the rate limits of what packets can cause to be logged.
type limits struct{ handshake, ice, foreign, learnt, send, receive, fault, ban logLimit }

// Capacity is how many pairs of ports can be open at a time.
type Capacity struct {
	Ports       int // in the pools
	Descriptors int // that the limit of open files leaves room for
}

// Pairs returns the lesser.
func (c Capacity) Pairs() int { return min(c.Ports, c.Descriptors) }

// Engine is how packets of the userspace plane are received and sent.
type Engine struct {
	Shared bool   // by sockets that serve all legs of a worker; false: by one for each leg
	Reason string // in words: why not shared, or what keeps it from sending frames; may be empty
}

// logical is an interface, or the members of a group, which take turns.
type logical struct {
	members []*member
	turn    atomic.Uint32
}

type member struct {
	name  string
	hosts []host
}

type host struct {
	name           string // of the interface
	ip, advertised netip.Addr
	ring           *ring
}

// New checks the configuration, raises the limit of open files as far as needed and starts the workers. The error names
// every fault of the configuration and how to mend it.
func New(cfg Config) (*Plane, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Plane{
		log: cfg.Log, logs: newLogs(cfg.Log), now: cfg.Clock, floating: cfg.Floating, handshakes: cfg.Handshakes, quarantine: cfg.Quarantine, seed: maphash.MakeSeed(),
		interfaces: make(map[string]*logical), legs: make(map[netip.AddrPort]*Leg),
		interval: cfg.RTCPInterval, measures: cfg.Measure, mos: cfg.MOS, canonicalName: newCanonicalName(),
		wall: time.Now(), wallAt: cfg.Clock(),
	}
	p.handshakes.Profiles = usableProfiles(p.handshakes.Profiles)
	p.handshaking = dtls.NewPool(p.handshakes.Limit)
	p.addInterfaces(cfg.Interfaces)
	for _, h := range p.pools {
		p.capacity.Ports += h.capacity()
	}
	sockets, err := raiseDescriptorLimit(2 * p.capacity.Ports)
	if err != nil {
		return nil, err
	}
	for n := range cfg.Workers {
		w, err := newWorker(p, n)
		if err != nil {
			return nil, errors.Join(err, p.closeWorkers())
		}
		p.workers = append(p.workers, w)
	}
	p.share(&cfg)
	p.capacity.Descriptors = sockets / 2
	if p.sharing != nil {
		p.capacity.Descriptors = p.capacity.Ports // legs need none
	}
	if p.capacity.Descriptors < p.capacity.Ports {
		p.log.Warn("the limit of open files is below what the port ranges allow; raise it (LimitNOFILE, ulimit -n)",
			"port_pairs", p.capacity.Ports, "descriptor_pairs", p.capacity.Descriptors)
	}
	p.offload = newOffloader(p, cfg.FastPath)
	for _, w := range p.workers {
		go w.run()
	}
	p.offload.start(cfg.poll)
	return p, nil
}

// share has the workers serve legs without sockets if that can be. It is before they run.
func (p *Plane) share(cfg *Config) {
	if cfg.Steering == nil {
		return
	}
	// Nothing is to be gained on loopback, where there are no frames to send.
	pools := slices.DeleteFunc(slices.Clone(p.pools), func(h *hostPool) bool { return h.addr.IsLoopback() })
	s, err := newSharing(cfg, pools)
	if err == nil {
		for _, w := range p.workers {
			if err = w.share(s); err != nil {
				break
			}
		}
		if err != nil {
			for _, w := range p.workers {
				err = errors.Join(err, w.unshare())
			}
			err = errors.Join(err, s.close())
		}
	}
	if err != nil {
		p.engine.Reason = err.Error()
		p.log.Info("every media port has a socket of its own", "reason", err)
		return
	}
	p.sharing, p.engine.Shared = s, true
}

// Engine tells how packets are received and sent at the moment.
func (p *Plane) Engine() Engine {
	e := p.engine
	if p.sharing != nil {
		e.Reason = p.sharing.paths.Why()
	}
	return e
}

func (p *Plane) addInterfaces(all []Interface) {
	for _, f := range all {
		m := &member{name: f.Name}
		for _, a := range f.Addresses {
			ring := p.pool(a.IP).addRing(evenPorts(a.PortMin, a.PortMax, a.Exclude))
			advertised := a.IP
			if a.Advertised.IsValid() {
				advertised = a.Advertised
			}
			m.hosts = append(m.hosts, host{name: f.Name, ip: a.IP, advertised: advertised, ring: ring})
		}
		p.interfaces[f.Name] = &logical{members: []*member{m}}
		if p.first == nil {
			p.first = p.interfaces[f.Name]
		}
	}
	for _, f := range all {
		base, _, grouped := strings.Cut(f.Name, ":")
		if !grouped {
			continue
		}
		group := p.interfaces[base]
		if group == nil {
			group = &logical{}
			p.interfaces[base] = group
		}
		group.members = append(group.members, p.interfaces[f.Name].members...)
	}
}

// pool returns the pool of a local address, made now if need be.
func (p *Plane) pool(ip netip.Addr) *hostPool {
	for _, h := range p.pools {
		if h.addr == ip {
			return h
		}
	}
	h := &hostPool{addr: ip}
	p.pools = append(p.pools, h)
	return h
}

// Capacity returns how many pairs the plane can have open.
func (p *Plane) Capacity() Capacity { return p.capacity }

// HasFamily tells whether an interface has an address of the family, 4 or 6. The empty name is the default interface.
func (p *Plane) HasFamily(iface string, family int) bool {
	f := p.logical(iface)
	if f == nil {
		return false
	}
	for _, m := range f.members {
		for _, h := range m.hosts {
			if h.ip.Is4() == (family == 4) {
				return true
			}
		}
	}
	return false
}

// Owns tells whether an address is one of the plane's, or stands for one.
func (p *Plane) Owns(addr netip.Addr) bool {
	for _, f := range p.interfaces {
		for _, m := range f.members {
			for _, h := range m.hosts {
				if h.ip == addr || h.advertised == addr {
					return true
				}
			}
		}
	}
	return false
}

func (p *Plane) logical(iface string) *logical {
	if iface == "" {
		return p.first
	}
	return p.interfaces[iface]
}

// OpenPair opens an even port for RTP and the next one for RTCP on the named interface, or the default one for an empty
// name, in address family 4 or 6. Legs of equal affinity (the call-id, say) share a worker, which makes relaying between
// them cheapest; an empty one leaves the choice open. Errors are ErrNoInterface, ErrNoFamily, ErrNoPorts, ErrClosed or the
// system's.
func (p *Plane) OpenPair(iface string, family int, affinity string) (rtp, rtcp *Leg, err error) {
	f := p.logical(iface)
	if f == nil {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoInterface, iface)
	}
	start := f.turn.Add(1) - 1
	for i := range f.members {
		m := f.members[(int(start)+i)%len(f.members)]
		for _, h := range m.hosts {
			if h.ip.Is4() != (family == 4) {
				continue
			}
			rtp, rtcp, err = p.openOn(h, affinity)
			if err == nil || !errors.Is(err, ErrNoPorts) {
				return rtp, rtcp, err
			}
		}
	}
	if err == nil {
		err = fmt.Errorf("%w: %q has none of IPv%d", ErrNoFamily, iface, family)
	}
	return nil, nil, err
}

// OpenBeside opens a pair like that of an open leg on every other address of the same interface for the same peer
// to choose from (ICE): those of the same family first, in the order of the configuration. Addresses without free ports are left out. Errors are ErrClosed or the
// system's; what was open by then is returned, too.
func (p *Plane) OpenBeside(iface string, first *Leg, affinity string) (rtp, rtcp []*Leg, err error) {
	f := p.logical(iface)
	if f == nil {
		return nil, nil, fmt.Errorf("%w: %q", ErrNoInterface, iface)
	}
	here := first.Local().Addr()
	for _, m := range f.members {
		if !slices.ContainsFunc(m.hosts, func(h host) bool { return h.ip == here }) {
			continue
		}
		seen := []netip.Addr{here}
		hosts := slices.Clone(m.hosts)
		slices.SortStableFunc(hosts, func(a, b host) int {
			return cmp.Compare(familyRank(a.ip, here), familyRank(b.ip, here))
		})
		for _, h := range hosts {
			if slices.Contains(seen, h.ip) {
				continue
			}
			seen = append(seen, h.ip)
			a, b, err := p.openOn(h, affinity)
			if errors.Is(err, ErrNoPorts) {
				continue
			}
			if err != nil {
				return rtp, rtcp, err
			}
			rtp, rtcp = append(rtp, a), append(rtcp, b)
		}
		break
	}
	return rtp, rtcp, nil
}

// familyRank is 0 for addresses of one family, 1 for others.
func familyRank(a, b netip.Addr) int {
	if a.Is4() == b.Is4() {
		return 0
	}
	return 1
}

func (p *Plane) workerFor(affinity string) *worker {
	if affinity == "" {
		return p.workers[int(p.turn.Add(1)-1)%len(p.workers)]
	}
	return p.workers[maphash.String(p.seed, affinity)%uint64(len(p.workers))]
}

func (p *Plane) openOn(h host, affinity string) (rtp, rtcp *Leg, err error) {
	for range bindTries {
		port := h.ring.take(p.now())
		if port == 0 {
			break
		}
		rtp, rtcp, err := p.openPort(h, port, affinity, nil)
		if err == nil || errors.Is(err, ErrClosed) {
			return rtp, rtcp, err
		}
		// A port that somebody else uses rests like one of ours and is tried again later.
		h.ring.pool.free(port, p.now()+p.quarantine)
		switch {
		case errors.Is(err, unix.EADDRINUSE):
		case errors.Is(err, unix.EMFILE):
			return nil, nil, fmt.Errorf("open media ports: %w; raise the limit of open files (LimitNOFILE, ulimit -n)", err)
		default:
			return nil, nil, fmt.Errorf("open media ports: %w", err)
		}
	}
	st := h.ring.pool.stats(p.now())
	return nil, nil, fmt.Errorf("%w: on %v %d pairs are in use and %d are resting; widen the port range or end calls",
		ErrNoPorts, h.ip, st.Used, st.Resting)
}

// listenPair takes a port and the next one, unless another program has one of them.
func (p *Plane) listenPair(ip netip.Addr, port uint16, w *worker) (rtp, rtcp transport, err error) {
	if p.sharing.serves(ip) {
		return p.sharing.listenPair(ip, port, w)
	}
	a, err := openUDP(netip.AddrPortFrom(ip, port), p.floating)
	if err != nil {
		return nil, nil, err
	}
	b, err := openUDP(netip.AddrPortFrom(ip, port+1), p.floating)
	if err != nil {
		return nil, nil, joinClose(err, a)
	}
	return a, b, nil
}

// openPort opens a pair on a port that the pool has marked as taken. It gives the port back only with ErrClosed. Before the legs
// are served, prepare is called with them, unless it is nil.
func (p *Plane) openPort(h host, port uint16, affinity string, prepare func(rtp, rtcp *Leg)) (rtp, rtcp *Leg, err error) {
	w := p.workerFor(affinity)
	a, b, err := p.listenPair(h.ip, port, w)
	if err != nil {
		return nil, nil, err
	}
	hold := &lease{pool: h.ring.pool, port: port}
	hold.legs.Store(2)
	return p.register(h, hold, w, affinity, a, b, prepare)
}

func (p *Plane) register(h host, hold *lease, w *worker, affinity string, a, b transport, prepare func(rtp, rtcp *Leg)) (rtp, rtcp *Leg, err error) {
	leg := func(sock transport, port uint16) *Leg {
		l := &Leg{
			plane: p, worker: w, lease: hold, sock: sock, affinity: affinity, iface: h.name,
			local: netip.AddrPortFrom(h.ip, port), advertised: netip.AddrPortFrom(h.advertised, port),
		}
		if s, ok := sock.(*steered); ok {
			s.leg = l
		}
		return l
	}
	rtp, rtcp = leg(a, hold.port), leg(b, hold.port+1)
	rtp.beside, rtcp.beside = rtcp, rtp
	rtp.streams = new(streams)
	rtcp.streams = rtp.streams
	if prepare != nil {
		prepare(rtp, rtcp)
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		hold.pool.free(hold.port, 0)
		return nil, nil, joinClose(joinClose(ErrClosed, a), b)
	}
	p.open.Add(2)
	p.mu.Unlock()
	w.adopt(rtp)
	w.adopt(rtcp)
	p.mu.Lock()
	p.legs[rtp.local], p.legs[rtcp.local] = rtp, rtcp
	closed := p.closed
	p.mu.Unlock()
	if closed { // meanwhile; Close waits for these two
		rtp.Close()
		rtcp.Close()
		return nil, nil, ErrClosed
	}
	return rtp, rtcp, nil
}

// retire forgets a leg that its worker has closed, but for its counts, and has its port rest.
func (p *Plane) retire(l *Leg) {
	p.mu.Lock()
	delete(p.legs, l.local)
	p.retired.add(l, &l.lease.pool.retired)
	p.mu.Unlock()
	l.lease.release(p.now() + p.quarantine)
	p.open.Done()
}

func (p *Plane) leg(local netip.AddrPort) *Leg {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.legs[local]
}

func (p *Plane) openLegs() []*Leg {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := make([]*Leg, 0, len(p.legs))
	for _, l := range p.legs {
		all = append(all, l)
	}
	return all
}

// visit has every worker call next before then runs, each after what it was doing.
func visit(workers []*worker, then func()) {
	if len(workers) == 0 {
		then()
		return
	}
	workers[0].do(func() { visit(workers[1:], then) })
}

// Close closes all legs and stops the workers. OpenPair fails from then on.
func (p *Plane) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	p.mu.Unlock()
	for _, l := range p.openLegs() {
		l.Close()
	}
	p.open.Wait()
	p.offload.close()
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.stop())
	}
	if p.sharing != nil {
		errs = append(errs, p.sharing.close())
	}
	return errors.Join(errs...)
}

// closeWorkers is for workers that do not run yet.
func (p *Plane) closeWorkers() error {
	var errs []error
	for _, w := range p.workers {
		errs = append(errs, w.poller.close())
	}
	return errors.Join(errs...)
}
