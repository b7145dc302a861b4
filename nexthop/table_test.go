package nexthop

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/internal/netrig"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

var (
	here4, there4 = netip.MustParseAddr("10.66.0.1"), netip.MustParseAddr("10.66.0.2")
	here6, there6 = netip.MustParseAddr("fd66::1"), netip.MustParseAddr("fd66::2")
	far4, far6    = netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
)

// bed is a host with a table and two links to another one.
type bed struct {
	*testing.T
	host, other *netrig.Host
	table       *Table
}

func newBed(t *testing.T) *bed {
	r := netrig.Start(t)
	b := &bed{T: t}
	for name, h := range map[string]**netrig.Host{"host": &b.host, "other": &b.other} {
		var err error
		if *h, err = r.Host(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, l := range []struct {
		name                     string
		near4, near6, far4, far6 string
	}{
		{"first", "10.66.0.1/24", "fd66::1/64", "10.66.0.2/24", "fd66::2/64"},
		{"second", "10.67.0.1/24", "fd67::1/64", "10.67.0.2/24", "fd67::2/64"},
	} {
		end := func(h *netrig.Host, ip4, ip6 string) netrig.End {
			return netrig.End{Host: h, Device: l.name, Addrs: []netip.Prefix{netip.MustParsePrefix(ip4), netip.MustParsePrefix(ip6)}}
		}
		if err := r.Link(end(b.host, l.near4, l.near6), end(b.other, l.far4, l.far6)); err != nil {
			t.Fatal(err)
		}
	}
	b.in(b.host, func() (err error) {
		b.table, err = Open(Config{})
		return err
	})
	t.Cleanup(b.table.Close)
	return b
}

func (b *bed) in(h *netrig.Host, f func() error) {
	b.Helper()
	if err := h.Do(f); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) device(h *netrig.Host, name string) *net.Interface {
	b.Helper()
	d, err := h.Device(name)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// until waits for a hop of the path that fits, or for none when fits is nil.
func (b *bed) until(p *Path, what string, fits func(h *Hop) bool) {
	b.Helper()
	var h *Hop
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if h = p.Hop(); h == nil && fits == nil || h != nil && fits != nil && fits(h) {
			return
		}
	}
	b.Fatalf("did not happen: %s; the hop is %+v, frames are not sent because of %q", what, h, b.table.Why())
}

// by tells whether a hop leaves by the device to the other host's end of it.
func (b *bed) by(name string) func(h *Hop) bool {
	near, far := b.device(b.host, name), b.device(b.other, name)
	return func(h *Hop) bool {
		return h.Device == near.Index && string(h.Ethernet[:6]) == string(far.HardwareAddr) &&
			string(h.Ethernet[6:12]) == string(near.HardwareAddr) && h.MTU == near.MTU && h.TTL == 64 && !h.Queue
	}
}

func (b *bed) route(dst, gateway string, mtu int) {
	b.Helper()
	b.in(b.host, func() error {
		_, to, err := net.ParseCIDR(dst)
		if err != nil {
			return err
		}
		return netlink.RouteReplace(&netlink.Route{Dst: to, Gw: net.ParseIP(gateway), MTU: mtu})
	})
}

func TestPathsFollowTheKernel(t *testing.T) {
	b := newBed(t)
	onLink4, onLink6 := b.table.Path(here4, there4), b.table.Path(here6, there6)
	// Nobody has sent anything: the table has the kernel resolve the neighbours.
	b.until(onLink4, "an IPv4 neighbour", b.by("first"))
	b.until(onLink6, "an IPv6 neighbour", b.by("first"))
	if h := onLink4.Hop(); h.Ethernet[12] != 8 || h.Ethernet[13] != 0 {
		t.Errorf("frame type %x", h.Ethernet[12:])
	}
	if h := onLink6.Hop(); h.Ethernet[12] != 0x86 || h.Ethernet[13] != 0xdd {
		t.Errorf("frame type %x", h.Ethernet[12:])
	}
	if again := b.table.Path(here4, there4); again != onLink4 {
		t.Error("one path is two")
	}

	far := b.table.Path(here4, far4)
	b.until(far, "no route", nil)
	b.route("198.51.100.0/24", "10.66.0.2", 0)
	b.until(far, "a route", b.by("first"))
	b.route("198.51.100.0/24", "10.67.0.2", 0)
	b.until(far, "another route", b.by("second"))
	b.route("198.51.100.0/24", "10.67.0.2", 1400)
	b.until(far, "a smaller MTU", func(h *Hop) bool { return h.MTU == 1400 })
	b.route("2001:db8::/32", "fd67::2", 0)
	b.until(b.table.Path(here6, far6), "an IPv6 route", b.by("second"))

	// Another network card takes over.
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	b.in(b.other, func() error {
		l, err := netlink.LinkByName("first")
		if err != nil {
			return err
		}
		return netlink.LinkSetHardwareAddr(l, mac)
	})
	for _, ip := range []netip.Addr{there4, there6} {
		b.neighbour(ip, netlink.NUD_REACHABLE, mac)
	}
	b.until(onLink4, "another MAC address", b.by("first"))
	b.until(onLink6, "another MAC address", b.by("first"))

	b.in(b.host, func() error {
		l, err := netlink.LinkByName("second")
		if err != nil {
			return err
		}
		return netlink.LinkSetDown(l)
	})
	b.until(far, "the device is down", nil)
}

// neighbour sets what the host knows of a neighbour on the first link.
func (b *bed) neighbour(ip netip.Addr, state int, mac net.HardwareAddr) {
	b.Helper()
	index := b.device(b.host, "first").Index
	b.in(b.host, func() error {
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: index, IP: ip.AsSlice(), State: state, HardwareAddr: mac})
	})
}

func TestAStaleNeighbourInUseIsProbed(t *testing.T) {
	b := newBed(t)
	p := b.table.Path(here4, there4)
	b.until(p, "a neighbour", b.by("first"))
	b.neighbour(there4, netlink.NUD_STALE, b.device(b.other, "first").HardwareAddr)
	index := b.device(b.host, "first").Index
	deadline := time.Now().Add(patience)
	for state := netlink.NUD_STALE; state == netlink.NUD_STALE; time.Sleep(10 * time.Millisecond) {
		if p.Hop() == nil {
			t.Fatal("a stale neighbour is good as long as nothing else is known")
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel was not told that the neighbour is in use")
		}
		b.in(b.host, func() error {
			all, err := netlink.NeighList(index, netlink.FAMILY_V4)
			for _, n := range all {
				if n.IP.Equal(there4.AsSlice()) {
					state = n.State
				}
			}
			return err
		})
	}
}

func TestWaysThatFramesCannotGo(t *testing.T) {
	b := newBed(t)
	b.until(b.table.Path(here4, there4), "a neighbour", b.by("first"))
	ways := []struct{ name, from, to string }{
		{"to this host", "10.66.0.1", "10.67.0.1"},
		{"to itself", "10.66.0.1", "10.66.0.1"},
		{"loopback", "127.0.0.1", "127.0.0.1"},
		{"to a group", "10.66.0.1", "224.0.0.9"},
		{"to everybody on the link", "10.66.0.1", "10.66.0.255"},
		{"from an address that this host has not", "10.66.0.77", "10.66.0.2"},
		{"where there is no route", "10.66.0.1", "203.0.113.1"},
		{"to a neighbour that does not answer", "10.66.0.1", "10.66.0.99"},
		{"to a link-local address", "fd66::1", "fe80::99"},
	}
	paths := make([]*Path, len(ways))
	for i, c := range ways {
		paths[i] = b.table.Path(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to))
	}
	// The table goes through new paths in order: with the hop of this one it has been through all of them.
	b.until(b.table.Path(here6, there6), "a hop of the last path", b.by("first"))
	for i, c := range ways {
		if h := paths[i].Hop(); h != nil {
			t.Errorf("%s: %+v", c.name, h)
		}
	}
}

func TestWhatFramesWouldGetAroundKeepsThemFromBeingSent(t *testing.T) {
	b := newBed(t)
	p := b.table.Path(here4, there4)
	for _, c := range []struct {
		name    string
		do, end func() error
		why     string
	}{
		{
			"IPsec",
			func() error { return netlink.XfrmPolicyAdd(ipsec()) },
			func() error { return netlink.XfrmPolicyDel(ipsec()) }, "IPsec",
		},
		{
			"a routing rule that looks at ports",
			func() error { return netlink.RuleAdd(portRule()) },
			func() error { return netlink.RuleDel(portRule()) }, "ip rule",
		},
	} {
		b.until(p, "frames before "+c.name, b.by("first"))
		b.in(b.host, c.do)
		b.until(p, "no frames with "+c.name, nil)
		if why := b.table.Why(); !strings.Contains(why, c.why) || b.table.Means() != Datagrams {
			t.Errorf("%s: the reason is %q, the means %v", c.name, why, b.table.Means())
		}
		b.in(b.host, c.end)
		b.until(p, "frames after "+c.name, b.by("first"))
		if why := b.table.Why(); why != "" {
			t.Errorf("%s: afterwards the reason is %q", c.name, why)
		}
	}
}

func ipsec() *netlink.XfrmPolicy {
	link := &net.IPNet{IP: net.IPv4(10, 66, 0, 0), Mask: net.CIDRMask(24, 32)}
	return &netlink.XfrmPolicy{Src: link, Dst: link, Dir: netlink.XFRM_DIR_OUT, Tmpls: []netlink.XfrmPolicyTmpl{{
		Src: here4.AsSlice(), Dst: there4.AsSlice(), Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TUNNEL,
	}}}
}

func portRule() *netlink.Rule {
	r := netlink.NewRule()
	r.Family, r.Priority, r.Table, r.IPProto = netlink.FAMILY_V4, 100, 100, unix.IPPROTO_UDP
	r.Dport = netlink.NewRulePortRange(4000, 5000)
	return r
}

func TestQueueingDisciplinesThatShapeSeeFrames(t *testing.T) {
	b := newBed(t)
	p := b.table.Path(here4, there4)
	b.until(p, "a neighbour", b.by("first"))
	index := b.device(b.host, "first").Index
	for _, q := range []struct {
		disc  netlink.Qdisc
		queue bool
	}{
		{netlink.NewHtb(netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}), true},
		{&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}, true},
		{&netlink.Ingress{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}}, false},
	} {
		b.in(b.host, func() error { return netlink.QdiscAdd(q.disc) })
		b.until(p, q.disc.Type(), func(h *Hop) bool { return h.Queue == q.queue })
		b.in(b.host, func() error { return netlink.QdiscDel(q.disc) })
		b.until(p, "none", b.by("first"))
	}
}

func TestProgramsThatWatchAllPackets(t *testing.T) {
	const none = "Type Device      Function\n0800          ip_rcv\n88cc eth0     packet_rcv\n86dd          ipv6_rcv\n"
	for _, c := range []struct {
		list string
		want bool
	}{{none, false}, {"", false}, {none + "ALL  eth0     tpacket_rcv\n", true}, {"Type Device      Function\nALL           packet_rcv\n", true}} {
		if got := watchedIn(c.list); got != c.want {
			t.Errorf("%q: %v, want %v", c.list, got, c.want)
		}
	}
}

func TestPathsThatNobodyUsesAreForgotten(t *testing.T) {
	p := &Path{from: here4, to: there4}
	hop := new(Hop)
	p.hop.Store(hop)
	table := &Table{paths: map[pathKey]*Path{{here4, there4}: p}}
	table.verdict.Store(&verdict{})
	for range keep / refreshInterval {
		table.refresh()
	}
	if p.Gone() {
		t.Fatal("forgotten too soon")
	}
	table.refresh()
	if !p.Gone() || p.Hop() != nil || len(table.paths) != 0 {
		t.Errorf("gone %v, hop %v, %d paths left", p.Gone(), p.Hop(), len(table.paths))
	}
}

func TestPathsHaveACap(t *testing.T) {
	table := &Table{paths: make(map[pathKey]*Path), wake: make(chan struct{}, 1)}
	for i := range maxPaths {
		table.paths[pathKey{here4, netip.AddrFrom4([4]byte{1, byte(i >> 16), byte(i >> 8), byte(i)})}] = nil
	}
	if p := table.Path(here4, there4); !p.Gone() || p.Hop() != nil || len(table.paths) != maxPaths {
		t.Errorf("gone %v, %d paths", p.Gone(), len(table.paths))
	}
}
