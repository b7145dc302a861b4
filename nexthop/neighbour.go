package nexthop

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

type neighbourKey struct {
	device int
	ip     netip.Addr
}

// neighbour is a host or router on a link. It belongs to the table's goroutine.
type neighbour struct {
	key   neighbourKey
	mac   [6]byte
	state int
	paths map[*Path]struct{} // that go by it

	probed time.Time // the last time, that many paths by a dead one do not cause as many requests
}

// usable tells whether the MAC address is good (NUD_VALID of the kernel, but for devices without resolution).
func (n *neighbour) usable() bool {
	return n.state&(unix.NUD_PERMANENT|unix.NUD_REACHABLE|unix.NUD_PROBE|unix.NUD_STALE|unix.NUD_DELAY) != 0
}

// wants tells whether the kernel should be told that the neighbour is in use: then it resolves it, or makes sure that it is
// still there. It does so by itself only for packets of its own.
func (n *neighbour) wants() bool {
	return n.state&(unix.NUD_PERMANENT|unix.NUD_REACHABLE|unix.NUD_PROBE|unix.NUD_DELAY|unix.NUD_INCOMPLETE|unix.NUD_NOARP) == 0
}

// move has a path go by another neighbour, or by none.
func (p *Path) move(n *neighbour, t *Table) {
	old := p.neighbour
	if old == n {
		return
	}
	if old != nil {
		delete(old.paths, p)
		if len(old.paths) == 0 && old.state == unix.NUD_NONE {
			delete(t.neighbours, old.key)
		}
	}
	if p.neighbour = n; n != nil {
		n.paths[p] = struct{}{}
	}
}

func (t *Table) neighbourAt(key neighbourKey) *neighbour {
	n := t.neighbours[key]
	if n == nil {
		n = &neighbour{key: key, paths: make(map[*Path]struct{})}
		t.neighbours[key] = n
	}
	return n
}

// probe has the kernel resolve a neighbour, or ask it whether it is still there, if need be.
func (t *Table) probe(n *neighbour) {
	if !n.wants() || time.Since(n.probed) < refreshInterval/2 {
		return
	}
	n.probed = time.Now()
	err := t.handle.NeighSet(&netlink.Neigh{LinkIndex: n.key.device, IP: n.key.ip.AsSlice(), Flags: unix.NTF_USE})
	if err != nil {
		t.cfg.Log.Debug("a neighbour cannot be probed", "neighbour", n.key.ip, "device", n.key.device, "err", err)
	}
}

func (t *Table) reloadNeighbours() error {
	list, err := dump(func() ([]netlink.Neigh, error) { return t.handle.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		return fmt.Errorf("list the neighbours of this host: %w", err)
	}
	old := t.neighbours
	t.neighbours = make(map[neighbourKey]*neighbour, len(list))
	for i := range list {
		key, ok := keyOf(&list[i])
		if !ok {
			continue
		}
		n := old[key]
		if n == nil {
			n = &neighbour{key: key, paths: make(map[*Path]struct{})}
		}
		n.take(&list[i])
		t.neighbours[key] = n
		delete(old, key)
	}
	for key, n := range old { // that the kernel has no more
		if n.state = unix.NUD_NONE; len(n.paths) > 0 {
			t.neighbours[key] = n
		}
	}
	return nil
}

func keyOf(e *netlink.Neigh) (key neighbourKey, ok bool) {
	ip, ok := netip.AddrFromSlice(e.IP)
	if !ok || e.Flags&unix.NTF_PROXY != 0 || e.Family != unix.AF_INET && e.Family != unix.AF_INET6 {
		return key, false
	}
	return neighbourKey{e.LinkIndex, ip.Unmap()}, true
}

func (n *neighbour) take(e *netlink.Neigh) {
	n.state = e.State
	if len(e.HardwareAddr) != len(n.mac) {
		n.state &= unix.NUD_INCOMPLETE | unix.NUD_FAILED // nothing to write into a frame
	}
	copy(n.mac[:], e.HardwareAddr)
}

// notice takes a change that the kernel tells of.
func (t *Table) notice(change *neighbourChange) {
	key, ok := keyOf(&change.entry)
	if !ok {
		return
	}
	n := t.neighbours[key]
	if n == nil {
		if change.gone {
			return
		}
		n = t.neighbourAt(key)
	}
	if change.gone {
		n.state = unix.NUD_NONE
	} else {
		n.take(&change.entry)
	}
	if len(n.paths) == 0 {
		if change.gone {
			delete(t.neighbours, key)
		}
		return
	}
	if t.Means() == Frames {
		for p := range n.paths {
			p.set()
		}
	}
}
