package fastpath

import (
	"errors"
	"net"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/internal/netrig"
)

// addVLAN puts a VLAN device with an address on a device of a host. False: this kernel has none.
func addVLAN(t *testing.T, h *netrig.Host, parent string, id int, addr string) bool {
	t.Helper()
	has := true
	inside(t, h, func() {
		below := must(netlink.LinkByName(parent))(t)
		vlan := &netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: parent + ".vlan", ParentIndex: below.Attrs().Index}, VlanId: id}
		err := netlink.LinkAdd(vlan)
		if has = !errors.Is(err, unix.EOPNOTSUPP); !has {
			return
		}
		check(t, err)
		check(t, netlink.AddrAdd(vlan, must(netlink.ParseAddr(addr))(t)))
		check(t, netlink.LinkSetUp(vlan))
	})
	return has
}

// TestFlowsOfVLANDevicesAreRelayed has media addresses on VLAN devices at both ends.
func TestFlowsOfVLANDevicesAreRelayed(t *testing.T) {
	for _, mode := range []Mode{Auto, TC} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPath(t, true)
			for _, end := range []struct {
				host         *netrig.Host
				device, addr string
				id           int
			}{
				{p.host, "left", "10.0.5.1/24", 5}, {p.a, "eth0", "10.0.5.2/24", 5}, {p.host, "right", "10.0.6.1/24", 6}, {p.b, "eth0", "10.0.6.2/24", 6},
			} {
				if !addVLAN(t, end.host, end.device, end.id, end.addr) {
					t.Log("this kernel has no VLAN devices: the programs are tested with tagged frames, see full_test.go")
					return
				}
			}
			f := Flow{
				Local: addrPort("10.0.5.1:30000"), Source: addrPort("10.0.5.2:4000"),
				Target: Target{From: addrPort("10.0.6.1:30002"), To: addrPort("10.0.6.2:5000")}, DropForeign: true,
			}
			var plane *Plane
			inside(t, p.host, func() {
				plane = must(open(Config{Mode: mode, Addrs: append(pathAddrs[2:4:4], f.Local.Addr(), f.From.Addr())}, tweaks{}))(t)
				for _, i := range plane.Interfaces() {
					if len(i.Addrs) == 0 || i.Engine == None {
						t.Errorf("%s is served by %s: %s", i.Name, i.Engine, i.Reason)
					}
				}
				resolve(t, f.To.Addr().String())
			})
			defer func() { check(t, plane.Close()) }()
			check(t, plane.Install(f))
			p.send(t, f, 30)
			if got := count(plane, XDP) + count(plane, TC); got != 30 {
				t.Errorf("%d packets were relayed, want 30", got)
			}
		})
	}
}

// resolve has the kernel find out the MAC address of a neighbour.
func resolve(t *testing.T, ip string) {
	t.Helper()
	conn := must(net.Dial("udp", ip+":9"))(t)
	defer conn.Close()
	until(t, "the neighbour is known", func() bool {
		_, _ = conn.Write([]byte("hello"))
		all := must(netlink.NeighList(0, netlink.FAMILY_V4))(t)
		for _, n := range all {
			if n.IP.String() == ip && n.State&(netlink.NUD_REACHABLE|netlink.NUD_STALE|netlink.NUD_DELAY|netlink.NUD_PROBE) != 0 {
				return true
			}
		}
		return false
	})
}
