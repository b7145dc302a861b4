package fastpath

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
)

// A path is two peers with the host between them, each on a link of its own.
type path struct {
	rig        *netrig.Rig
	a, host, b *netrig.Host
}

// The flows of a path, from a to b. The second turns around on the first link.
var (
	across4 = Flow{
		Local: addrPort("10.0.1.1:30000"), Source: addrPort("10.0.1.2:4000"),
		Target: Target{From: addrPort("10.0.2.1:30002"), To: addrPort("10.0.2.2:5000")}, DropForeign: true,
	}
	across6 = Flow{
		Local: addrPort("[fd00:1::1]:30000"), Source: addrPort("[fd00:1::2]:4000"),
		Target: Target{From: addrPort("[fd00:2::1]:30002"), To: addrPort("[fd00:2::2]:5000")}, DropForeign: true,
	}
	hairpin4 = Flow{
		Local: addrPort("10.0.1.1:30004"), Source: addrPort("10.0.1.2:4004"),
		Target: Target{From: addrPort("10.0.1.1:30006"), To: addrPort("10.0.1.2:5004")}, DropForeign: true,
	}
	pathAddrs = []netip.Addr{
		across4.Local.Addr(), across4.From.Addr(), across6.Local.Addr(), across6.From.Addr(),
	}
)

func newPath(t testing.TB, gro bool) path {
	t.Helper()
	rig := newRig(t)
	p := path{rig, newHost(t, rig, "a"), newHost(t, rig, "host"), newHost(t, rig, "b")}
	p.wire(t, gro)
	return p
}

// wire lays the links.
func (p path) wire(t testing.TB, gro bool) {
	t.Helper()
	end := func(h *netrig.Host, dev string, addrs ...string) netrig.End {
		return netrig.End{Host: h, Device: dev, Addrs: prefixes(addrs...), GRO: gro, Neighbours: true}
	}
	check(t, p.rig.Link(end(p.host, "left", "10.0.1.1/24", "fd00:1::1/64"), end(p.a, "eth0", "10.0.1.2/24", "fd00:1::2/64")))
	check(t, p.rig.Link(end(p.host, "right", "10.0.2.1/24", "fd00:2::1/64"), end(p.b, "eth0", "10.0.2.2/24", "fd00:2::2/64")))
}

// open opens a plane on the host of the path.
func (p path) open(t testing.TB, mode Mode, tw tweaks) *Plane {
	t.Helper()
	return p.openBy(t, Config{Mode: mode, Addrs: pathAddrs}, tw)
}

func (p path) openBy(t testing.TB, cfg Config, tw tweaks) *Plane {
	t.Helper()
	var plane *Plane
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	inside(t, p.host, func() { plane = must(open(cfg, tw))(t) })
	return plane
}

// send relays n packets of a flow one after the other and fails for each that does not arrive as it was sent.
func (p path) send(t testing.TB, f Flow, n int) {
	t.Helper()
	receiver := p.b
	if f.To.Addr() == f.Source.Addr() {
		receiver = p.a
	}
	var in, out *net.UDPConn
	inside(t, receiver, func() { in = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(f.To)))(t) })
	inside(t, p.a, func() {
		out = must(net.DialUDP("udp", net.UDPAddrFromAddrPort(f.Source), net.UDPAddrFromAddrPort(f.Local)))(t)
	})
	defer in.Close()
	defer out.Close()
	buf := make([]byte, 2048)
	for i := range n {
		rtp := testpkt.RTP(0, uint16(i), uint32(160*i), 1, 100+i)
		must(out.Write(rtp))(t)
		check(t, in.SetReadDeadline(time.Now().Add(10*time.Second)))
		length, from, err := in.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Fatalf("packet %d of %d: %v", i+1, n, err)
		}
		if !bytes.Equal(buf[:length], rtp) {
			t.Fatalf("packet %d: got %x, want %x", i+1, buf[:length], rtp)
		}
		if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); from != f.From {
			t.Fatalf("packet %d comes from %v, want %v", i+1, from, f.From)
		}
	}
}

// count is how many packets a hook relayed.
func count(plane *Plane, hook Mode) (n uint64) {
	for _, r := range plane.Reasons() {
		if r.Hook == hook && r.Name == "relayed" {
			n += r.Packets
		}
	}
	return n
}

func TestEveryEngineRelaysOnRealDevices(t *testing.T) {
	const packets = 20
	cases := []struct {
		name   string
		mode   Mode
		tweaks tweaks
		gro    bool
		engine Mode // that the devices get
		hook   Mode // that does the work
		reason string
	}{
		{name: "auto takes XDP where devices take its frames", mode: Auto, gro: true, engine: XDP, hook: XDP},
		{name: "auto takes tc where no device takes frames of XDP", mode: Auto, engine: TC, hook: TC, reason: "xdp: no media device"},
		{name: "XDP on demand leaves to tc what cannot leave by XDP", mode: XDP, engine: XDP, hook: TC, reason: "tc sends them"},
		{name: "tc", mode: TC, gro: true, engine: TC, hook: TC, reason: "configuration"},
		{name: "tc by clsact, as before kernel 6.6", mode: TC, tweaks: tweaks{noTCX: true}, gro: true, engine: TC, hook: TC},
		{name: "XDP generic", mode: XDPGeneric, engine: XDPGeneric, hook: XDPGeneric, reason: "configuration"},
	}
	for _, c := range cases {
		if c.engine == XDP && c.hook == XDP && !kernelOf(t).features {
			c.engine, c.hook, c.reason = TC, TC, "6.3"
		}
		t.Run(c.name, func(t *testing.T) {
			p := newPath(t, c.gro)
			plane := p.open(t, c.mode, c.tweaks)
			for _, i := range plane.Interfaces() {
				if i.Engine != c.engine || !strings.Contains(i.Reason, c.reason) {
					t.Errorf("%s: engine %s (%s), want %s (%s)", i.Name, i.Engine, i.Reason, c.engine, c.reason)
				}
			}
			for _, f := range []Flow{across4, across6, hairpin4} {
				check(t, plane.Install(f))
				p.send(t, f, packets)
				got := must(plane.Remove(f.Local))(t)
				if got.Packets != packets || got.Lost != 0 || got.Refused != 0 || got.SSRC != 1 || got.Seq != packets-1 {
					t.Errorf("%v: counters %+v", f.Local, got)
				}
			}
			if got := count(plane, c.hook); got != 3*packets {
				t.Errorf("%s relayed %d packets, want %d: %+v", c.hook, got, 3*packets, plane.Reasons())
			}
			check(t, plane.Close())
			p.expectBare(t)
		})
	}
}

// kernel is what the running kernel offers beyond the oldest one.
type kernel struct {
	features bool // it tells which devices take frames of XDP: 6.3
	tcx      bool // 6.6
}

func kernelOf(t testing.TB) (k kernel) {
	t.Helper()
	_, err := netlink.GenlFamilyGet(netdevFamily)
	k.features = err == nil
	_, err = link.QueryPrograms(link.QueryOptions{Target: 1, Attach: ebpf.AttachTCXIngress})
	k.tcx = err == nil
	return k
}

// expectBare fails when something is attached to the devices of the host.
func (p path) expectBare(t testing.TB) {
	t.Helper()
	inside(t, p.host, func() {
		for _, name := range []string{"left", "right"} {
			if what := attachments(t, name); len(what) > 0 {
				t.Errorf("%s carries %v", name, what)
			}
		}
	})
}

// attachments lists the programs of a device.
func attachments(t testing.TB, name string) (found []string) {
	t.Helper()
	dev := must(netlink.LinkByName(name))(t)
	if x := dev.Attrs().Xdp; x != nil && x.Attached {
		found = append(found, "xdp")
	}
	tcx, err := link.QueryPrograms(link.QueryOptions{Target: dev.Attrs().Index, Attach: ebpf.AttachTCXIngress})
	if err == nil { // not before kernel 6.6
		for range tcx.Programs {
			found = append(found, "tcx")
		}
	}
	for range must(netlink.FilterList(dev, netlink.HANDLE_MIN_INGRESS))(t) {
		found = append(found, "clsact filter")
	}
	for _, q := range must(netlink.QdiscList(dev))(t) {
		if q.Type() == "clsact" {
			found = append(found, "clsact")
		}
	}
	return found
}

func TestAForeignXDPProgramStaysAndTcServes(t *testing.T) {
	p := newPath(t, true)
	var foreign link.Link
	inside(t, p.host, func() {
		prog := must(ebpf.NewProgram(passAll()))(t)
		defer prog.Close()
		left := must(netlink.LinkByName("left"))(t)
		foreign = must(link.AttachXDP(link.XDPOptions{Program: prog, Interface: left.Attrs().Index, Flags: link.XDPDriverMode}))(t)
	})
	defer foreign.Close()
	plane := p.open(t, Auto, tweaks{})
	for _, i := range plane.Interfaces() {
		switch {
		case i.Name == "left" && (i.Engine != TC || !strings.Contains(i.Reason, "another XDP program")):
			t.Errorf("left: %s (%s)", i.Engine, i.Reason)
		case i.Name == "right" && (i.Engine == XDP) != kernelOf(t).features:
			t.Errorf("right: %s (%s)", i.Engine, i.Reason)
		}
	}
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	check(t, plane.Close())
	inside(t, p.host, func() {
		if got := attachments(t, "left"); len(got) != 1 || got[0] != "xdp" {
			t.Errorf("left carries %v, want the foreign XDP program", got)
		}
	})
}

func TestWithoutAnEngineFlowsAreRefusedWithAReason(t *testing.T) {
	p := newPath(t, true)
	var plane *Plane
	lo := netip.MustParseAddr("127.0.0.1")
	inside(t, p.host, func() { plane = must(Open(Config{Addrs: []netip.Addr{lo, across4.Local.Addr()}}))(t) })
	defer plane.Close()
	if ok, why := plane.Serves(lo); ok || !strings.Contains(why, "loopback") {
		t.Errorf("loopback: %v (%s)", ok, why)
	}
	if ok, why := plane.Serves(netip.MustParseAddr("203.0.113.1")); ok || !strings.Contains(why, "no network device") {
		t.Errorf("a strange address: %v (%s)", ok, why)
	}
	if ok, why := plane.Serves(across4.Local.Addr()); !ok || why != "" {
		t.Errorf("a media address: %v (%s)", ok, why)
	}
}

func TestCloseGivesBackEveryDescriptor(t *testing.T) {
	p := newPath(t, true)
	for _, mode := range []Mode{XDP, TC, XDPGeneric, None} {
		before := descriptors(t)
		plane := p.open(t, mode, tweaks{})
		check(t, plane.Close())
		check(t, plane.Close()) // again does nothing
		if after := descriptors(t); after != before {
			t.Errorf("%s: %d descriptors before, %d after", mode, before, after)
		}
	}
}

func descriptors(t testing.TB) int { return len(must(os.ReadDir("/proc/self/fd"))(t)) }
