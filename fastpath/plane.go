package fastpath

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// DefaultMaxFlows allows 65,536 calls of two directions. The map takes 16 bytes for each flow it may hold and about 300
// for each it holds.
const DefaultMaxFlows = 1 << 17

// Config says what Open has to serve.
type Config struct {
	Mode     Mode         // Auto when empty
	Addrs    []netip.Addr // local media addresses; the network devices that own them get the programs
	MaxFlows int          // DefaultMaxFlows when 0
	// Outlive is for how long flows go on when the process has died. Maps and links are then pinned, for the next process
	// of the same table, which takes them over. 0: nothing outlives the process.
	Outlive time.Duration
	Table   int          // tells the instances of one host apart
	BPFFS   string       // the BPF file system; DefaultBPFFS when empty
	Log     *slog.Logger // nothing is logged when nil
}

// Interface is a network device that owns media addresses, and what serves it.
type Interface struct {
	Name   string
	Index  int
	Addrs  []netip.Addr
	Engine Mode   // XDP (with tc behind it), TC, XDPGeneric or None
	Reason string // why not a better engine, and what to do about it; empty for the best
}

// Plane owns the maps, programs and attachments. Its methods are safe for concurrent use.
type Plane struct {
	log      *slog.Logger
	maxFlows int
	tweaks   tweaks

	maps relayMaps // nil without a kernel plane
	programs
	tapping *tapping

	forget *ebpf.Program // has all flows look up their next hop anew; nil when the kernel cannot do it
	heart  *heart
	probes [3]atomic.Uint64 // packets of self-tests that were relayed, by hook

	netns    uint64
	table    int
	pins     *pins // nil: nothing outlives the process
	unpinned string
	pending  []func() error // replaces programs of another schema
	took     bool

	ciphers    ciphers
	cipherErr  error // why SRTP stays in userspace
	lastCipher atomic.Uint32
	ownCiphers sync.Map // of Cipher: those that no other process has left

	netlink *netlink.Handle
	ports   *ports
	addrs   []netip.Addr
	mode    Mode

	follower  *follower
	following sync.Mutex // devices and what is attached to them
	devices   []*device
	retried   time.Time                   // when devices without an engine last got another chance
	view      atomic.Pointer[[]Interface] // of devices, for everybody
	changed   atomic.Pointer[func()]

	noRoute map[bool]error // by "is IPv4": why routes cannot be looked up
	unread  atomic.Bool    // the exit counters could not be read, which is said once

	batches sync.Pool // of *batch
	lookups sync.Pool // of *cipherLookup

	mu     sync.RWMutex // closed, and through it the life of all above
	closed bool
}

// tweaks are for tests: they take away what the machine has.
type tweaks struct {
	noTCX    bool   // as before kernel 6.6
	noAttach bool   // load only
	noCrypto bool   // as before kernel 6.10
	schema   string // of another version
	mount    string // in place of ownBPFFS
}

// Open loads the programs and attaches them to the devices that own cfg.Addrs, in the network namespace of the calling
// thread. What the machine does not allow is no error: the devices get a worse engine, None in the end, and a reason.
// Open sets forwarding on for the loopback device only, which is what routing look-ups ask for.
func Open(cfg Config) (*Plane, error) { return open(cfg, tweaks{}) }

func open(cfg Config, t tweaks) (*Plane, error) {
	switch cfg.Mode {
	case "":
		cfg.Mode = Auto
	case Auto, XDP, TC, XDPGeneric, None:
	default:
		return nil, fmt.Errorf("unknown engine %q: use auto, xdp, tc, xdp-generic or none", cfg.Mode)
	}
	if cfg.MaxFlows < 0 {
		return nil, fmt.Errorf("%d flows: the number must be positive", cfg.MaxFlows)
	}
	p := &Plane{log: cfg.Log, maxFlows: cfg.MaxFlows, tweaks: t, addrs: cfg.Addrs, mode: cfg.Mode, table: cfg.Table, noRoute: map[bool]error{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.maxFlows == 0 {
		p.maxFlows = DefaultMaxFlows
	}
	p.batches.New = func() any { return newBatch() }
	p.lookups.New = func() any { return new(cipherLookup) }

	var err error
	if p.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_GENERIC); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := p.start(cfg); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Plane) start(cfg Config) (err error) {
	p.following.Lock()
	defer p.following.Unlock()
	defer func() {
		if err == nil {
			p.publish()
		}
	}()
	if p.devices, err = findDevices(p.netlink, cfg.Addrs); err != nil {
		return err
	}
	if p.netns, err = netnsCookie(); err != nil {
		return err
	}
	if err := p.openPins(cfg); err != nil {
		return err
	}
	if cfg.Mode == None {
		for _, d := range p.devices {
			d.because("switched off by configuration")
		}
		return nil
	}
	if err := p.load(); err != nil {
		p.log.Warn("no kernel plane", "reason", explain(err))
		for _, d := range p.devices {
			d.because(explain(err))
		}
		return nil
	}
	if p.heart, err = newHeart(p.maps.Life, p.netns, cfg.Outlive); err != nil {
		return fmt.Errorf("give a sign of life: %w", err)
	}
	p.heart.start(func(err error) {
		p.log.Error("flows will end: the kernel plane takes no sign of life", "in", p.heart.after, "err", err)
	})
	if p.cipherErr = p.loadCiphers(); p.cipherErr != nil {
		p.log.Info("SRTP stays in userspace", "reason", explainCipher(p.cipherErr))
	}
	p.allowRouting(cfg.Addrs)
	if p.ports, err = newPorts(p.netlink, p.maps.Ports, p.maps.Vlans, p.log); err != nil {
		return err
	}
	if !p.tweaks.noAttach {
		// What changes from here on is not missed.
		if f, err := newFollower(p); err == nil {
			p.follower = f
			defer f.start()
		} else {
			p.log.Warn("changes of network devices are not followed", "err", err)
		}
		p.attach(cfg.Mode, p.devices)
		p.ports.watch()
	}
	return nil
}

// openPins looks for what a dead process has left. Without a place for pins the plane works all the same.
func (p *Plane) openPins(cfg Config) error {
	if cfg.Outlive <= 0 {
		p.unpinned = "switched off by configuration"
		return nil
	}
	relay, err := loadRelay()
	if err != nil {
		return err
	}
	ciphers, err := loadSrtp()
	if err != nil {
		return err
	}
	schema, mount := schemaOf(relay, ciphers), ownBPFFS
	if p.tweaks.schema != "" {
		schema = p.tweaks.schema
	}
	if p.tweaks.mount != "" {
		mount = p.tweaks.mount
	}
	if p.pins, err = openPins(cfg.BPFFS, mount, cfg.Table, schema); err != nil {
		p.unpinned = explain(err)
		p.log.Warn("flows end with this process", "reason", p.unpinned)
		return nil
	}
	if cfg.Mode == None {
		return p.pins.discard() // there will be nobody to look after them
	}
	return p.pins.check(p.netns, p.log)
}

// load brings maps and programs into the kernel. One kind of program may fail; the error is kept for the reasons.
func (p *Plane) load() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err // kernels before 5.11 count maps as locked memory
	}
	xdp, err := loadRelay()
	if err != nil {
		return err
	}
	tc, err := loadRelayTC()
	if err != nil {
		return err
	}
	life, err := loadLife()
	if err != nil {
		return err
	}
	if have := p.pins.mapAt(relayMapFlows); have != nil {
		p.maxFlows = int(have.MaxEntries()) // it cannot be changed
		have.Close()
	}
	for _, spec := range []*ebpf.CollectionSpec{xdp, tc, life} {
		spec.Maps[relayMapFlows].MaxEntries = uint32(p.maxFlows)
		if spec == life {
			spec.Maps[relayMapTargets].MaxEntries = uint32(p.maxFlows)
			continue
		}
		spec.Maps[relayMapTargets].MaxEntries = uint32(p.maxFlows)
		spec.Maps[relayMapTaps].MaxEntries = tapRing
		if slots := spec.Maps[relayMapFanSlots]; slots != nil {
			slots.MaxEntries = fanSlots(p.pins.mapAt(relayMapFanSlots))
		}
	}
	if err := xdp.LoadAndAssign(&p.maps, p.pins.options(xdp)); err != nil {
		return fmt.Errorf("create maps: %w", err)
	}
	if err := p.loadPrograms(xdp, tc); err != nil {
		return err
	}
	// It takes maps that the programs have as well, but no other one.
	own := &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{
		relayMapFlows: p.maps.Flows, relayMapTargets: p.maps.Targets,
	}}
	var programs lifePrograms
	if err := life.LoadAndAssign(&programs, own); err != nil {
		p.log.Info("no self-test is possible, and changed routes take a second to be heeded", "err", err)
	}
	p.forget = programs.LifeForget
	return nil
}

// Namespace names the network namespace that the plane serves, differently from all others since the host has started.
func (p *Plane) Namespace() uint64 { return p.netns }

// Interfaces are the devices that own media addresses now, in the order of Config.Addrs.
func (p *Plane) Interfaces() []Interface {
	all := slices.Clone(p.served())
	for i := range all {
		all[i].Addrs = slices.Clone(all[i].Addrs)
	}
	return all
}

// served is Interfaces, not to be changed.
func (p *Plane) served() []Interface {
	if all := p.view.Load(); all != nil {
		return *all
	}
	return nil
}

// Serves tells whether flows that arrive on local can be installed, and if not, why in words.
func (p *Plane) Serves(local netip.Addr) (ok bool, why string) {
	local = local.Unmap().WithZone("")
	i := p.deviceOf(local)
	switch {
	case i == nil:
		return false, fmt.Sprintf("no network device of this host owns %v", local)
	case i.Engine == None && !p.tweaks.noAttach:
		return false, i.Reason
	case p.noRoute[local.Is4()] != nil:
		return false, p.noRoute[local.Is4()].Error()
	}
	return true, ""
}

// deviceOf returns the device that owns a plain address now, nil when there is none.
func (p *Plane) deviceOf(local netip.Addr) *Interface {
	all := p.served()
	for i := range all {
		if slices.Contains(all[i].Addrs, local) {
			return &all[i]
		}
	}
	return nil
}

// Close detaches everything and gives back what the plane holds; it joins the errors. Flows end with it, but for those of
// a process before when it comes to no TakeOver: the next one may do better. The sysctl of the loopback device stays, other
// programs may have come to need it.
func (p *Plane) Close() error {
	return p.close(!p.took && p.pins != nil && (p.pins.adopted || len(p.pins.others) > 0))
}

// Leave gives back what the plane holds of this process. What is pinned stays, for the next one.
func (p *Plane) Leave() error { return p.close(p.pins != nil) }

func (p *Plane) close(leave bool) error {
	if p.ports != nil {
		p.ports.stop()
	}
	p.heart.stop()
	p.follower.stop()
	p.following.Lock()
	defer p.following.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	var errs []error
	for _, d := range p.devices {
		if leave {
			errs = append(errs, d.leave())
		} else {
			errs = append(errs, d.detach())
		}
	}
	if leave {
		errs = append(errs, p.pins.leave())
	} else {
		errs = append(errs, p.pins.remove())
	}
	errs = append(errs, p.tapping.close(), p.programs.close(), p.ciphers.Close(), p.forget.Close(), p.maps.Close())
	p.netlink.Close()
	return errors.Join(errs...)
}
