package nexthop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// device is a network device as the table needs it. It is immutable.
type device struct {
	index int
	mac   [6]byte
	mtu   int
	fit   bool // for whole frames
	queue bool
	ttl   map[bool]uint8 // by "is IPv4"
}

// plainQueues are the queueing disciplines that only queue. A frame that does not see them loses nothing.
var plainQueues = []string{"noqueue", "pfifo_fast", "pfifo", "bfifo", "fq", "fq_codel", "mq"}

// dump repeats a netlink listing that something changed under, which the kernel reports instead of hiding.
func dump[T any](list func() ([]T, error)) (all []T, err error) {
	for range 10 {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return all, err
}

func (t *Table) reloadLinks() error {
	links, err := dump(t.handle.LinkList)
	if err != nil {
		return fmt.Errorf("list the network devices: %w", err)
	}
	queues, err := dump(func() ([]netlink.Qdisc, error) { return t.handle.QdiscList(nil) })
	if err != nil {
		return fmt.Errorf("list the queueing disciplines: %w", err)
	}
	vrfs := make(map[int]bool)
	for _, l := range links {
		if l.Type() == "vrf" {
			vrfs[l.Attrs().Index] = true
		}
	}
	ttl4 := TTL(true)
	clear(t.links)
	for _, l := range links {
		a := l.Attrs()
		d := &device{index: a.Index, mtu: a.MTU, ttl: map[bool]uint8{true: ttl4}}
		d.ttl[false] = hopLimit("/proc/sys/net/ipv6/conf/" + a.Name + "/hop_limit")
		d.fit = a.EncapType == "ether" && a.Flags&net.FlagLoopback == 0 && a.RawFlags&unix.IFF_NOARP == 0 &&
			a.Flags&net.FlagUp != 0 && len(a.HardwareAddr) == len(d.mac) && !vrfs[a.MasterIndex]
		copy(d.mac[:], a.HardwareAddr)
		for _, q := range queues {
			// The egress side of clsact may have filters. Those of an ingress discipline do not see what leaves.
			if q.Attrs().LinkIndex == a.Index && q.Type() != "ingress" && !slices.Contains(plainQueues, q.Type()) {
				d.queue = true
			}
		}
		d.queue = d.queue || t.watched
		t.links[a.Index] = d
	}
	return nil
}

// watched tells whether a program such as tcpdump looks at all packets of a device. It sees a frame that leaves only if that goes
// by the queueing discipline.
func watched() bool {
	list, err := os.ReadFile("/proc/thread-self/net/ptype")
	return err == nil && watchedIn(string(list))
}

// watchedIn looks for handlers of all types in a list of packet handlers.
func watchedIn(list string) bool {
	for line := range strings.Lines(list) {
		if kind, _, _ := strings.Cut(line, " "); kind == "ALL" {
			return true
		}
	}
	return false
}

// TTL returns the time to live, or hop limit, that this host gives packets of its own.
func TTL(ip4 bool) uint8 {
	if ip4 {
		return hopLimit("/proc/sys/net/ipv4/ip_default_ttl")
	}
	return hopLimit("/proc/sys/net/ipv6/conf/default/hop_limit")
}

// hopLimit reads a setting of the kernel, or the usual value where it does not tell.
func hopLimit(path string) uint8 {
	text, err := os.ReadFile(path)
	if err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 8); err == nil && n > 0 {
			return uint8(n)
		}
	}
	return 64
}
