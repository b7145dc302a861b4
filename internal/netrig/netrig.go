// Package netrig builds small networks of Linux network namespaces and veth pairs for tests and benchmarks.
package netrig

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Rig owns hosts, the links between them and the commands started in them. Close removes them all.
// Its methods may be called from several goroutines.
type Rig struct {
	prefix string // of the names of all its namespaces

	mu     sync.Mutex
	hosts  []*Host
	mounts []string
}

// New makes an empty rig, after it has removed what dead processes left behind. It needs root.
func New() (*Rig, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root: run this as root or with sudo")
	}
	if err := Sweep(); err != nil {
		return nil, err
	}
	var unique [3]byte
	rand.Read(unique[:]) // never fails
	return &Rig{prefix: fmt.Sprintf("%s%d-%s-", namePrefix, os.Getpid(), hex.EncodeToString(unique[:]))}, nil
}

// Start makes a rig that lives as long as the test. Without root it skips the test and says so.
func Start(t testing.TB) *Rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the rig: %v", err)
		}
	})
	return r
}

// Close kills the commands that still run and removes every host, and with them the links.
func (r *Rig) Close() error {
	r.mu.Lock()
	hosts, mounts := r.hosts, r.mounts
	r.hosts, r.mounts = nil, nil
	r.mu.Unlock()

	var errs []error
	for _, h := range hosts {
		errs = append(errs, h.close())
	}
	for _, dir := range mounts {
		errs = append(errs, unmount(dir))
	}
	return errors.Join(errs...)
}

// BPFFS mounts a BPF file system of the rig's own and returns where. It is as shared as the mounts of this process are.
func (r *Rig) BPFFS() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	dir := fmt.Sprintf("%s/%sbpf%d", mountsDir, r.prefix, len(r.mounts))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	r.mounts = append(r.mounts, dir)
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		return "", fmt.Errorf("mount a BPF file system: %w", err)
	}
	return dir, nil
}

// End is one end of a link.
type End struct {
	Host   *Host
	Device string         // its name inside the host
	Addrs  []netip.Prefix // IPv4 and IPv6

	// GRO turns generic receive offload on. A veth end without an XDP program takes redirected XDP frames only then.
	GRO bool

	// Neighbours gives this end a permanent neighbour entry for every address of the other end.
	Neighbours bool
}

// Link joins two hosts by a veth pair and brings both ends up. IPv6 addresses are usable at once: there is no
// duplicate address detection on these links.
func (r *Rig) Link(a, b End) error {
	handle, err := netlink.NewHandleAt(a.Host.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("link %s: %w", a.Device, err)
	}
	defer handle.Close()

	veth := netlink.NewVeth(netlink.LinkAttrs{Name: a.Device, TxQLen: -1})
	veth.PeerName = b.Device
	veth.PeerNamespace = netlink.NsFd(b.Host.ns)
	if err := handle.LinkAdd(veth); err != nil {
		return fmt.Errorf("link %s to %s: %w", a.Device, b.Device, err)
	}
	for _, end := range []End{a, b} {
		if err := end.raise(); err != nil {
			return fmt.Errorf("device %s: %w", end.Device, err)
		}
	}
	for _, end := range []End{a, b} {
		if err := end.awaitUp(); err != nil {
			return fmt.Errorf("device %s: %w", end.Device, err)
		}
	}
	if err := a.meet(b); err != nil {
		return err
	}
	return b.meet(a)
}

// upTimeout is far more than a device takes to come up on a machine under load.
const upTimeout = 10 * time.Second

// awaitUp waits until the device is operational. The kernel gets there by itself some time after both ends are up, and
// silently drops what is sent before.
func (e End) awaitUp() error {
	handle, err := netlink.NewHandleAt(e.Host.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	for deadline := time.Now().Add(upTimeout); ; time.Sleep(time.Millisecond) {
		link, err := handle.LinkByName(e.Device)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			if ready, err := e.receives(handle); ready || err != nil {
				return err
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("still %v after %v", link.Attrs().OperState, upTimeout)
		}
	}
}

// receives tells whether the host takes packets to each IPv6 address. The kernel makes their local routes from a work
// queue, after the device is up, and refuses what comes before (Ip6InAddrErrors).
func (e End) receives(handle *netlink.Handle) (bool, error) {
	for _, p := range e.Addrs {
		if !p.Addr().Is6() {
			continue
		}
		dst := ipNet(netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
		routes, err := handle.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_LOCAL, Dst: dst},
			netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		if err != nil || len(routes) == 0 {
			return false, err
		}
	}
	return true, nil
}

// raise gives the end its addresses and brings it up.
func (e End) raise() error {
	acceptDAD := "/proc/sys/net/ipv6/conf/" + e.Device + "/accept_dad"
	if err := e.Host.Do(func() error { return setSysctl(acceptDAD, "0") }); err != nil {
		return err
	}
	handle, err := netlink.NewHandleAt(e.Host.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	link, err := handle.LinkByName(e.Device)
	if err != nil {
		return err
	}
	for _, p := range e.Addrs {
		addr := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := handle.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("address %v: %w", p, err)
		}
	}
	if err := handle.LinkSetUp(link); err != nil {
		return err
	}
	// Only now: when set on a device that is down, the kernel still refuses redirected frames (seen with Linux 6.18).
	return e.Host.Do(func() error { return setGRO(e.Device, e.GRO) })
}

// meet enters the other end's addresses into the neighbour table, when the end asks for it.
func (e End) meet(other End) error {
	if !e.Neighbours {
		return nil
	}
	dev, err := e.Host.Device(e.Device)
	if err != nil {
		return err
	}
	peer, err := other.Host.Device(other.Device)
	if err != nil {
		return err
	}
	handle, err := netlink.NewHandleAt(e.Host.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	for _, p := range other.Addrs {
		neigh := &netlink.Neigh{
			LinkIndex:    dev.Index,
			Family:       nl.GetIPFamily(p.Addr().AsSlice()),
			State:        netlink.NUD_PERMANENT,
			IP:           p.Addr().AsSlice(),
			HardwareAddr: peer.HardwareAddr,
		}
		if err := handle.NeighSet(neigh); err != nil {
			return fmt.Errorf("neighbour %v of %s: %w", p.Addr(), e.Device, err)
		}
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
