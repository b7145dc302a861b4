package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// portsInterval bounds how long a changed device is misjudged: what makes a veth take frames is switched at its peer.
const portsInterval = 2 * time.Second

// Constants of the generic-netlink family "netdev" (Linux uapi, netdev.h).
const (
	netdevFamily      = "netdev"
	netdevCmdDevGet   = 1
	netdevAttrIndex   = 1
	netdevAttrXDP     = 3
	netdevXDPBasic    = 1 << 0 // ABORTED, DROP, PASS and TX
	netdevXDPTransmit = 1 << 2 // takes redirected frames
)

// ports keeps the map that tells XDP which devices take its frames. The kernel drops frames for others without a trace.
type ports struct {
	handle *netlink.Handle
	socket *nl.NetlinkSocket
	family uint16 // of "netdev"; 0 before kernel 6.3
	table  *ebpf.Map
	vlans  *ebpf.Map
	log    *slog.Logger

	mu    sync.Mutex
	xdp   map[int]bool // devices with our native program
	known map[uint32]relayPort
	tags  map[relayVlan]uint32

	fans    map[uint32]bool      // devices that copies of XDP may leave by
	fanning bool                 // there are flows for them, or have been
	since   map[uint32]time.Time // since when all frames for a device leave the way of copies
	kick    chan struct{}        // refreshes before it is time

	done     chan struct{}
	stopOnce sync.Once
	wg       sync.WaitGroup
}

func newPorts(h *netlink.Handle, table, vlans *ebpf.Map, log *slog.Logger) (*ports, error) {
	p := &ports{
		handle: h, table: table, vlans: vlans, log: log, xdp: map[int]bool{},
		known: contents[uint32, relayPort](table), tags: contents[relayVlan, uint32](vlans), // of a process before
		fans: map[uint32]bool{}, since: map[uint32]time.Time{}, kick: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, port := range p.known {
		p.fanning = p.fanning || port.Flags&relayPortFlagPORT_EGRESS != 0
	}
	// The socket belongs to the network namespace of this thread, and so do the answers.
	var err error
	if p.socket, err = nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_GENERIC); err != nil {
		return nil, fmt.Errorf("open generic netlink: %w", err)
	}
	if err := p.socket.SetReceiveTimeout(&unix.Timeval{Sec: 2}); err != nil {
		p.socket.Close()
		return nil, fmt.Errorf("generic netlink: %w", err)
	}
	if family, err := h.GenlFamilyGet(netdevFamily); err == nil {
		p.family = family.ID
	} else if !errors.Is(err, unix.ENOENT) {
		p.log.Debug("no device features", "err", err)
	}
	return p, nil
}

// watch refreshes the map until stop.
func (p *ports) watch() {
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		tick := time.NewTicker(portsInterval)
		defer tick.Stop()
		failed := false
		for {
			select {
			case <-p.done:
				return
			case <-tick.C:
			case <-p.kick:
			}
			err := p.refresh()
			if err != nil && !failed {
				p.log.Warn("which network devices take frames from XDP cannot be refreshed", "err", err)
			}
			failed = err != nil
		}
	}()
}

func (p *ports) stop() {
	p.stopOnce.Do(func() {
		close(p.done)
		p.wg.Wait()
		p.socket.Close()
	})
}

// attached and detached tell where our native program is.
func (p *ports) attached(index int) { p.mu.Lock(); p.xdp[index] = true; p.mu.Unlock() }
func (p *ports) detached(index int) { p.mu.Lock(); delete(p.xdp, index); p.mu.Unlock() }

// takes tells whether frames of XDP may leave by the device, as of the last refresh.
func (p *ports) takes(index int) bool { return p.flags(index)&relayPortFlagPORT_XMIT != 0 }

func (p *ports) flags(index int) relayPortFlag {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[uint32(index)].Flags
}

// refresh asks the kernel and writes what has changed.
func (p *ports) refresh() error {
	links, err := dump(p.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list the network devices: %w", err)
	}
	features, err := p.features()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	able := func(l netlink.Link) relayPortFlag {
		index := l.Attrs().Index
		if p.family != 0 {
			return portOfFeatures(features[uint32(index)], l.Type() == "veth")
		}
		return portOfKind(l.Type() == "veth", p.xdp[index])
	}
	now, tags := map[uint32]relayPort{}, map[relayVlan]uint32{}
	for _, l := range links {
		below, port := l, relayPort{Ifindex: uint32(l.Attrs().Index)}
		if v, ok := l.(*netlink.Vlan); ok && v.VlanProtocol == netlink.VLAN_PROTOCOL_8021Q {
			if i := slices.IndexFunc(links, func(l netlink.Link) bool { return l.Attrs().Index == v.ParentIndex }); i >= 0 {
				below = links[i]
				port = relayPort{Ifindex: uint32(v.ParentIndex), Tag: vlanTag | uint32(v.VlanId)}
				tags[relayVlan{Ifindex: port.Ifindex, Tag: port.Tag}] = uint32(v.Index)
			}
		}
		if port.Flags = p.withFans(port.Ifindex, able(below)); port.Flags != 0 {
			now[uint32(l.Attrs().Index)] = port
		}
	}
	err = errors.Join(bring(p.table, p.known, now), bring(p.vlans, p.tags, tags))
	p.known, p.tags = now, tags
	for _, port := range now {
		if _, have := p.since[port.Ifindex]; !have && port.Flags&relayPortFlagPORT_EGRESS != 0 && err == nil {
			p.since[port.Ifindex] = time.Now()
		}
	}
	return err
}

// fanSettle is how long the programs may remember a device as it was (ROUTE_AGE in bpf/route.h), and a margin.
const fanSettle = time.Second + portsInterval/4

// prepared tells that there are lists of receivers for a device.
func (p *ports) prepared(index int) { p.mu.Lock(); p.fans[uint32(index)] = true; p.mu.Unlock() }

// fan is called when there is a flow with several receivers: XDP copies packets some seconds later.
func (p *ports) fan() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.fanning {
		p.fanning = true
		p.kick <- struct{}{}
	}
}

// withFans adds to what a device can do that copies may leave by it. The kernel would run the program for copies on none of
// the frames that it collects if the first of them did not come by the way of copies, so all others are sent there before.
func (p *ports) withFans(index uint32, flags relayPortFlag) relayPortFlag {
	if !p.fanning || !p.fans[index] || flags&relayPortFlagPORT_XMIT == 0 {
		delete(p.since, index)
		return flags
	}
	flags |= relayPortFlagPORT_EGRESS
	if since, ok := p.since[index]; ok && time.Since(since) >= fanSettle {
		flags |= relayPortFlagPORT_FAN
	}
	return flags
}

// vlanTag marks that there is a tag: VLAN 0 would be one, too. See struct port in bpf/types.h.
const vlanTag = 1 << 16

func contents[K comparable, V any](table *ebpf.Map) map[K]V {
	all := make(map[K]V)
	var key K
	var value V
	for entries := table.Iterate(); entries.Next(&key, &value); {
		all[key] = value
	}
	return all
}

// bring has a map hold what is now, of which it holds what was known before.
func bring[K, V comparable](table *ebpf.Map, known, now map[K]V) error {
	var errs []error
	for key, value := range now {
		if have, ok := known[key]; !ok || have != value {
			errs = append(errs, table.Update(&key, &value, ebpf.UpdateAny))
		}
	}
	for key := range known {
		if _, ok := now[key]; !ok {
			if err := table.Delete(&key); !errors.Is(err, ebpf.ErrKeyNotExist) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// portOfFeatures reads the XDP features of a device. A veth never gets XDP_TX: it lays such frames into the ring of its
// peer and wakes the peer only if that has an XDP program, so that they would lie there. Redirection wakes it always.
func portOfFeatures(features uint64, veth bool) relayPortFlag {
	var flags relayPortFlag
	if features&netdevXDPTransmit != 0 {
		flags |= relayPortFlagPORT_XMIT
	}
	if !veth && features&netdevXDPBasic != 0 {
		flags |= relayPortFlagPORT_TX
	}
	return flags
}

// portOfKind guesses for kernels that tell no features. A driver that took our program for native XDP sends frames as
// well, but for a veth that depends on its peer, which cannot be asked.
func portOfKind(veth, attached bool) relayPortFlag {
	if veth || !attached {
		return 0
	}
	return relayPortFlagPORT_XMIT | relayPortFlagPORT_TX
}

// features are the XDP features by device index. Only one goroutine at a time may ask.
func (p *ports) features() (map[uint32]uint64, error) {
	if p.family == 0 {
		return nil, nil
	}
	req := nl.NewNetlinkRequest(int(p.family), unix.NLM_F_DUMP)
	req.AddData(genericHeader{netdevCmdDevGet, 1, 0, 0})
	if err := p.socket.Send(req); err != nil {
		return nil, fmt.Errorf("ask for the features of the network devices: %w", err)
	}
	// The answers of this family are not marked as parts of a dump, so that the library's own loop would end after the
	// first.
	all := map[uint32]uint64{}
	for {
		messages, _, err := p.socket.Receive()
		if err != nil {
			return nil, fmt.Errorf("read the features of the network devices: %w", err)
		}
		for _, m := range messages {
			switch {
			case m.Header.Seq != req.Seq:
				continue // of a request that was given up
			case m.Header.Type == unix.NLMSG_DONE:
				return all, nil
			case m.Header.Type == unix.NLMSG_ERROR || len(m.Data) < nl.SizeofGenlmsg:
				return nil, fmt.Errorf("the features of the network devices are refused: %w", netlinkError(m.Data))
			}
			index, features, err := parseFeatures(m.Data[nl.SizeofGenlmsg:])
			if err != nil {
				return nil, err
			}
			all[index] = features
		}
	}
}

// netlinkError reads the number in an error message.
func netlinkError(b []byte) error {
	if len(b) < 4 {
		return unix.EPROTO
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(b)))
}

// genericHeader is struct genlmsghdr: command, version and two reserved bytes. The library's own type leaves the last two
// to chance, and this family refuses them unless they are 0 (seen as EINVAL now and then).
type genericHeader [nl.SizeofGenlmsg]byte

func (h genericHeader) Len() int          { return len(h) }
func (h genericHeader) Serialize() []byte { return h[:] }

// parseFeatures reads the attributes of one device.
func parseFeatures(b []byte) (index uint32, features uint64, err error) {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return 0, 0, fmt.Errorf("features of a network device: %w", err)
	}
	for _, a := range attrs {
		switch {
		case a.Attr.Type == netdevAttrIndex && len(a.Value) >= 4:
			index = binary.NativeEndian.Uint32(a.Value)
		case a.Attr.Type == netdevAttrXDP && len(a.Value) >= 8:
			features = binary.NativeEndian.Uint64(a.Value)
		}
	}
	return index, features, nil
}
