package nexthop

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// route is what the kernel says of a path that frames can go.
type route struct {
	device *device
	key    neighbourKey
	mtu    int
}

// route asks the kernel for the way of a path. It is false for ways that frames cannot go: within this host, to groups, into
// tunnels, by devices that are no Ethernet, and where there is none.
func (t *Table) route(p *Path) (r route, ok bool) {
	if p.to.IsLinkLocalUnicast() && p.to.Is6() {
		return r, false // which link is not said
	}
	routes, err := t.handle.RouteGetWithOptions(p.to.AsSlice(), &netlink.RouteGetOptions{SrcAddr: p.from.AsSlice()})
	if err != nil || len(routes) != 1 {
		return r, false // sockets get the same answer and make an error of it
	}
	found := &routes[0]
	r.device = t.links[found.LinkIndex]
	if r.device == nil || !r.device.fit || found.Type != unix.RTN_UNICAST || found.Encap != nil || found.Via != nil || len(found.MultiPath) > 0 {
		return r, false
	}
	r.key = neighbourKey{found.LinkIndex, p.to}
	if found.Gw != nil {
		gateway, valid := netip.AddrFromSlice(found.Gw)
		if !valid {
			return r, false
		}
		r.key.ip = gateway.Unmap()
	}
	if r.mtu = r.device.mtu; found.MTU > 0 {
		r.mtu = min(r.mtu, found.MTU)
	}
	return r, true
}
