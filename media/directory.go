package media

import (
	"net/netip"
	"slices"
	"sync/atomic"
)

// directory finds the legs of shared sockets by their local addresses and ports. The map itself never changes. Its methods
// are safe for concurrent use; get takes no lock. Legs of one port come one after the other.
type directory map[netip.Addr]*portTable

// portTable has the legs of one address by port. Its blocks are made when a port of theirs is first used.
type portTable [256]atomic.Pointer[[256]atomic.Pointer[Leg]]

func newDirectory(locals []netip.Addr) directory {
	d := make(directory)
	for _, local := range locals {
		d[local] = new(portTable)
	}
	return d
}

// families lists the address families, by "is IPv4".
func (d directory) families() (ip4 []bool) {
	for addr := range d {
		if !slices.Contains(ip4, addr.Is4()) {
			ip4 = append(ip4, addr.Is4())
		}
	}
	return ip4
}

func (d directory) put(local netip.AddrPort, l *Leg) {
	block := &d[local.Addr()][local.Port()>>8]
	if block.Load() == nil {
		block.CompareAndSwap(nil, new([256]atomic.Pointer[Leg]))
	}
	block.Load()[local.Port()&0xff].Store(l)
}

func (d directory) take(local netip.AddrPort) {
	if block := d[local.Addr()][local.Port()>>8].Load(); block != nil {
		block[local.Port()&0xff].Store(nil)
	}
}

// get returns the leg of a port, nil when there is none.
func (t *portTable) get(port uint16) *Leg {
	block := t[port>>8].Load()
	if block == nil {
		return nil
	}
	return block[port&0xff].Load()
}
