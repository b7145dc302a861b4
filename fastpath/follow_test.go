package fastpath

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/weir-media/weir/internal/netrig"
)

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// engine is what serves a device now.
func engine(p *Plane, device string) (Mode, string) {
	for _, i := range p.Interfaces() {
		if i.Name == device {
			return i.Engine, i.Reason
		}
	}
	return "", "there is no such device"
}

// detachXDP does to a device what `bpftool link detach` does to the link of its XDP program.
func (p path) detachXDP(t testing.TB, device string) {
	t.Helper()
	inside(t, p.host, func() {
		dev := must(netlink.LinkByName(device))(t).Attrs()
		it := new(link.Iterator)
		defer it.Close()
		for it.Next() {
			info, err := it.Link.Info()
			if err == nil && info.XDP() != nil && int(info.XDP().Ifindex) == dev.Index && uint32(info.Program) == dev.Xdp.ProgId {
				check(t, it.Link.Detach())
				return
			}
		}
		t.Fatalf("%s has no XDP link: %v", device, it.Err())
	})
}

func TestAProgramThatSomebodyTakesOffComesBack(t *testing.T) {
	mode, beside, first := Auto, TC, []string{"xdp", "tcx"}
	if k := kernelOf(t); !k.features {
		mode, beside, first = XDP, None, []string{"xdp", "clsact filter", "clsact"} // on a veth only if it is demanded
	}
	p := newPath(t, true)
	plane := p.open(t, mode, tweaks{})
	defer plane.Close()
	var changes atomic.Int32
	plane.Notify(func() { changes.Add(1) })
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	p.detachXDP(t, "left")
	p.eventually(t, "left", first)
	until(t, "the engine is XDP again", func() bool { e, _ := engine(plane, "left"); return e == XDP })
	p.send(t, across4, 5)

	// Now somebody else comes instead.
	var foreign link.Link
	p.detachXDP(t, "left")
	inside(t, p.host, func() {
		prog := must(ebpf.NewProgram(passAll()))(t)
		defer prog.Close()
		left := must(netlink.LinkByName("left"))(t).Attrs().Index
		var err error
		for range 100 { // the plane may have been faster
			if foreign, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: left, Flags: link.XDPDriverMode}); err == nil {
				return
			}
			p.detachXDP(t, "left")
		}
		t.Fatal(err)
	})
	until(t, "the best beside the foreign program serves", func() bool {
		e, why := engine(plane, "left")
		return e == beside && strings.Contains(why, "another XDP program")
	})
	if ok, why := plane.Serves(across4.Local.Addr()); ok != (beside == TC) {
		t.Errorf("the address is served: %v (%s)", ok, why)
	}
	if beside == TC {
		p.send(t, across4, 5)
	}
	check(t, foreign.Close())
	until(t, "the engine is XDP once more", func() bool { e, _ := engine(plane, "left"); return e == XDP })
	p.send(t, across4, 5)
	until(t, "the last change is told, too", func() bool { return changes.Load() >= 2 })
}

func TestAFilterThatSomebodyTakesOffComesBack(t *testing.T) {
	p := newPath(t, true)
	plane := p.open(t, TC, tweaks{noTCX: true})
	defer plane.Close()
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	inside(t, p.host, func() {
		left := must(netlink.LinkByName("left"))(t)
		for _, f := range must(netlink.FilterList(left, netlink.HANDLE_MIN_INGRESS))(t) {
			check(t, netlink.FilterDel(f))
		}
	})
	p.eventually(t, "left", []string{"clsact filter", "clsact"})
	p.send(t, across4, 5)
}

func TestADeviceThatIsDownServesNobody(t *testing.T) {
	p := newPath(t, true)
	plane := p.open(t, Auto, tweaks{})
	defer plane.Close()
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	set := func(change func(netlink.Link) error) {
		inside(t, p.host, func() { check(t, change(must(netlink.LinkByName("left"))(t))) })
	}
	set(netlink.LinkSetDown)
	until(t, "the address is not served", func() bool {
		ok, why := plane.Serves(across4.Local.Addr())
		return !ok && strings.Contains(why, "down")
	})
	set(netlink.LinkSetUp)
	until(t, "the address is served again", func() bool { ok, _ := plane.Serves(across4.Local.Addr()); return ok })
	inside(t, p.host, func() { awaitUp(t, "left") })
	p.send(t, across4, 5)
}

// awaitUp waits until the kernel lets packets pass a device.
func awaitUp(t testing.TB, device string) {
	t.Helper()
	until(t, device+" is operational", func() bool {
		return must(netlink.LinkByName(device))(t).Attrs().OperState == netlink.OperUp
	})
}

func TestADeviceThatComesBackAndOneThatIsNewGetTheirPrograms(t *testing.T) {
	p := newPath(t, true)
	bpffs := must(p.rig.BPFFS())(t)
	plane := p.openBy(t, Config{Mode: Auto, Addrs: append(pathAddrs, netip.MustParseAddr("10.0.3.1")), Outlive: time.Hour, BPFFS: bpffs}, tweaks{})
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	inside(t, p.host, func() {
		for _, name := range []string{"left", "right"} {
			check(t, netlink.LinkDel(must(netlink.LinkByName(name))(t)))
		}
	})
	until(t, "nothing is served", func() bool { return len(plane.Interfaces()) == 0 })
	if ok, why := plane.Serves(across4.Local.Addr()); ok || !strings.Contains(why, "no network device") {
		t.Errorf("without devices: %v (%s)", ok, why)
	}
	p.wire(t, true)
	c := newHost(t, p.rig, "c")
	check(t, p.rig.Link(netrig.End{Host: p.host, Device: "third", Addrs: prefixes("10.0.3.1/24"), GRO: true},
		netrig.End{Host: c, Device: "eth0", Addrs: prefixes("10.0.3.2/24"), GRO: true}))
	until(t, "all addresses are served", func() bool {
		for _, a := range append(pathAddrs, netip.MustParseAddr("10.0.3.1")) {
			if ok, _ := plane.Serves(a); !ok {
				return false
			}
		}
		return true
	})
	p.send(t, across4, 5)
	check(t, plane.Close())
	p.expectUnpinned(t, bpffs)
}

func TestChangesOfRoutesAndNeighboursAreHeededAtOnce(t *testing.T) {
	p := newPath(t, true)
	plane := p.open(t, TC, tweaks{})
	defer plane.Close()
	if plane.forget == nil {
		t.Skip("this kernel cannot forget next hops at once")
	}
	check(t, plane.Install(across4))
	looked := func() uint64 {
		key, value := encodeEndpoint(across4.Local), relayFlow{}
		check(t, plane.maps.Flows.Lookup(&key, &value))
		return value.Target.Hop.When
	}
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"another MAC address", func() error {
			right := must(netlink.LinkByName("right"))(t).Attrs().Index
			return netlink.NeighSet(&netlink.Neigh{
				LinkIndex: right, State: netlink.NUD_PERMANENT, IP: across4.To.Addr().AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9},
			})
		}},
		{"another route", func() error {
			right := must(netlink.LinkByName("right"))(t).Attrs().Index
			return netlink.RouteAdd(&netlink.Route{LinkIndex: right, Dst: &net.IPNet{IP: net.IPv4(10, 0, 9, 0), Mask: net.CIDRMask(24, 32)}})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mac net.HardwareAddr
			inside(t, p.b, func() { mac = must(netlink.LinkByName("eth0"))(t).Attrs().HardwareAddr })
			inside(t, p.host, func() { // it is known to begin with
				right := must(netlink.LinkByName("right"))(t).Attrs().Index
				check(t, netlink.NeighSet(&netlink.Neigh{
					LinkIndex: right, State: netlink.NUD_PERMANENT, IP: across4.To.Addr().AsSlice(), HardwareAddr: mac,
				}))
			})
			until(t, "a next hop is remembered", func() bool {
				p.send(t, across4, 1)
				time.Sleep(2 * followPause) // what the packet itself makes the kernel tell is over
				return looked() != 0
			})
			inside(t, p.host, func() { check(t, c.change()) })
			until(t, "the next hop is forgotten", func() bool { return looked() == 0 })
		})
	}
}

func TestTheSelfTestNamesWhatIsWrong(t *testing.T) {
	p := newPath(t, true)
	plane := p.open(t, Auto, tweaks{})
	defer plane.Close()
	foreign := must(ebpf.NewProgram(passAll()))(t)
	defer foreign.Close()
	plane.following.Lock()
	defer plane.following.Unlock()
	for _, d := range plane.devices {
		for mode, prog := range map[Mode]*ebpf.Program{XDP: plane.xdp.RelayXdp, XDPGeneric: plane.xdp.RelayXdpGeneric, TC: plane.tc.RelayTc} {
			before := plane.probed(mode).Load()
			if err := plane.probe(d, mode, prog); err != nil {
				t.Errorf("%s on %s: %v", mode, d.Name, err)
			}
			if n := plane.probed(mode).Load() - before; n < 2 {
				t.Errorf("%s on %s: %d probes, want one for each address family", mode, d.Name, n)
			}
		}
		if err := plane.probe(d, XDP, foreign); err == nil || !strings.Contains(err.Error(), "verdict") {
			t.Errorf("a program that passes everything up: %v", err)
		}
	}
	f := probeFlow(across6.Local.Addr())
	good := udpFrame(f.From, f.To, f.TOS, []byte("payload of a probe"))
	copy(good, probeTo[:])
	copy(good[6:], probeFrom[:])
	check(t, checkProbe(good, f, []byte("payload of a probe")))
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 1
		header := i >= etherSize && i < etherSize+8 // protocol, length and hop limit of IPv6 are not summed
		if err := checkProbe(bad, f, []byte("payload of a probe")); err == nil && !header && i != 12 && i != 13 {
			t.Errorf("byte %d is wrong, and nobody notices", i)
		}
	}
	check(t, plane.Walk(func(local netip.AddrPort, _ Counters) { t.Errorf("a flow at %v is left", local) }))
}
