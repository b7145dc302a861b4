package fastpath

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
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

	pins     *pins // nil: nothing outlives the process
	unpinned string
	pending  []func() error // replaces programs of another schema
	took     bool

	netlink *netlink.Handle
	ports   *ports
	devices []*device
	noRoute map[bool]error // by "is IPv4": why routes cannot be looked up

	batches sync.Pool // of *batch

	mu     sync.RWMutex // closed, and through it the life of all above
	closed bool
}

// tweaks are for tests: they take away what the machine has.
type tweaks struct {
	noTCX    bool // as before kernel 6.6
	noAttach bool // load only
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
	p := &Plane{log: cfg.Log, maxFlows: cfg.MaxFlows, tweaks: t, noRoute: map[bool]error{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.maxFlows == 0 {
		p.maxFlows = DefaultMaxFlows
	}
	p.batches.New = func() any { return newBatch() }

	var err error
	if p.netlink, err = netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_GENERIC); err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := p.start(cfg); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Plane) start(cfg Config) error {
	var err error
	if p.devices, err = findDevices(p.netlink, cfg.Addrs); err != nil {
		return err
	}
	netns, err := p.openPins(cfg)
	if err != nil {
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
	if p.heart, err = newHeart(p.maps.Life, netns, cfg.Outlive); err != nil {
		return fmt.Errorf("give a sign of life: %w", err)
	}
	p.heart.start(func(err error) {
		p.log.Error("flows will end: the kernel plane takes no sign of life", "in", p.heart.after, "err", err)
	})
	p.allowRouting(cfg.Addrs)
	if p.ports, err = newPorts(p.netlink, p.maps.Ports, p.maps.Vlans, p.log); err != nil {
		return err
	}
	if !p.tweaks.noAttach {
		if cfg.Mode == Auto || cfg.Mode == XDP {
			p.ports.fans = p.prepareFans()
		}
		p.attach(cfg.Mode)
		p.ports.watch()
	}
	for _, d := range p.devices {
		p.log.Info("kernel plane", "device", d.Name, "engine", d.Engine, "reason", d.Reason)
	}
	return nil
}

// openPins looks for what a dead process has left. Without a place for pins the plane works all the same.
func (p *Plane) openPins(cfg Config) (netns uint64, err error) {
	if netns, err = netnsCookie(); err != nil {
		return 0, err
	}
	if cfg.Outlive <= 0 {
		p.unpinned = "switched off by configuration"
		return netns, nil
	}
	spec, err := loadRelay()
	if err != nil {
		return 0, err
	}
	if p.pins, err = openPins(cfg.BPFFS, cfg.Table, schemaOf(spec)); err != nil {
		p.unpinned = explain(err)
		p.log.Warn("flows end with this process", "reason", p.unpinned)
		return netns, nil
	}
	if cfg.Mode == None {
		return netns, p.pins.discard() // there will be nobody to look after them
	}
	return netns, p.pins.check(netns, p.log)
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
	for _, spec := range []*ebpf.CollectionSpec{xdp, tc} {
		spec.Maps[relayMapFlows].MaxEntries = uint32(p.maxFlows)
		spec.Maps[relayMapTargets].MaxEntries = uint32(p.maxFlows)
		spec.Maps[relayMapTaps].MaxEntries = tapRing
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
		p.log.Debug("changed routes take a second to be heeded", "err", err)
	}
	p.forget = programs.LifeForget
	return nil
}

// Interfaces are the devices that own media addresses, in the order of Config.Addrs.
func (p *Plane) Interfaces() []Interface {
	all := make([]Interface, len(p.devices))
	for i, d := range p.devices {
		all[i] = d.Interface
		all[i].Addrs = append([]netip.Addr(nil), d.Addrs...)
	}
	return all
}

// Serves tells whether flows that arrive on local can be installed, and if not, why in words.
func (p *Plane) Serves(local netip.Addr) (ok bool, why string) {
	local = local.Unmap().WithZone("")
	d := p.deviceOf(local)
	switch {
	case d == nil:
		return false, fmt.Sprintf("no network device of this host owns %v", local)
	case d.Engine == None && !p.tweaks.noAttach:
		return false, d.Reason
	case p.noRoute[local.Is4()] != nil:
		return false, p.noRoute[local.Is4()].Error()
	}
	return true, ""
}

// deviceOf returns the device that owns a plain address, nil when there is none.
func (p *Plane) deviceOf(local netip.Addr) *device {
	for _, d := range p.devices {
		if slices.Contains(d.Addrs, local) {
			return d
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
	errs = append(errs, p.tapping.close(), p.programs.close(), p.forget.Close(), p.maps.Close())
	p.netlink.Close()
	return errors.Join(errs...)
}
