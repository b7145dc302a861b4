package media

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestEvenPorts(t *testing.T) {
	for _, c := range []struct {
		name      string
		low, high uint16
		exclude   []uint16
		want      []uint16
	}{
		{name: "a range of two pairs", low: 100, high: 103, want: []uint16{100, 102}},
		{name: "an odd start and an even end lose a port each", low: 99, high: 102, want: []uint16{100}},
		{name: "no room for a pair", low: 100, high: 100},
		{name: "an empty range", low: 200, high: 100},
		{name: "an excluded port takes its pair along", low: 100, high: 105, exclude: []uint16{103}, want: []uint16{100, 104}},
		{name: "the last ports there are", low: 65532, high: 65535, want: []uint16{65532, 65534}},
		{name: "port 0 is none", low: 0, high: 3, want: []uint16{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := evenPorts(c.low, c.high, c.exclude)
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("got %v, want %v", got, c.want)
				}
			}
		})
	}
}

func TestFreedPortsRest(t *testing.T) {
	h := &hostPool{addr: loopback4}
	r := h.addRing(evenPorts(1000, 1003, nil))
	first, second := r.take(0), r.take(0)
	if first == 0 || second == 0 || first == second || r.take(0) != 0 {
		t.Fatalf("took %d and %d of two pairs", first, second)
	}
	h.free(second, 10*time.Second)
	h.free(first, 11*time.Second)
	if got := r.take(10*time.Second - 1); got != 0 {
		t.Errorf("took %d, which rests", got)
	}
	if st, want := h.stats(10*time.Second), (PoolStats{Address: loopback4, Free: 1, Resting: 1}); st != want {
		t.Errorf("got %+v, want %+v", st, want)
	}
	if got := r.take(10 * time.Second); got != second {
		t.Errorf("took %d, want the one freed first, %d", got, second)
	}
	if got := r.take(10 * time.Second); got != 0 {
		t.Errorf("took %d, which rests", got)
	}
	if got := r.take(11 * time.Second); got != first {
		t.Errorf("took %d, want %d", got, first)
	}
	if st, want := h.stats(0), (PoolStats{Address: loopback4, Used: 2}); st != want {
		t.Errorf("got %+v, want %+v", st, want)
	}
}

func TestFreeingTwiceDoesNotDoubleAPort(t *testing.T) {
	h := &hostPool{}
	r := h.addRing(evenPorts(1000, 1003, nil))
	port := r.take(0)
	h.free(port, 0)
	h.free(port, 0)
	a, b, c := r.take(0), r.take(0), r.take(0)
	if a == 0 || b == 0 || a == b || c != 0 {
		t.Errorf("took %d, %d, %d of two pairs", a, b, c)
	}
}

func TestOverlappingRangesOfOneAddressNeverCollide(t *testing.T) {
	h := &hostPool{}
	rings := []*ring{h.addRing(evenPorts(1000, 1199, nil)), h.addRing(evenPorts(1100, 1299, nil))}
	if got := h.capacity(); got != 150 {
		t.Errorf("capacity %d, want 150", got)
	}
	var mu sync.Mutex
	inUse := make(map[uint16]bool)
	var wg sync.WaitGroup
	for i := range 8 {
		r := rings[i%2]
		wg.Go(func() {
			for range 2000 {
				port := r.take(0)
				if port == 0 {
					continue
				}
				mu.Lock()
				if inUse[port] || !r.covers(port) {
					t.Errorf("port %d taken twice, or out of range", port)
				}
				inUse[port] = true
				mu.Unlock()

				mu.Lock()
				delete(inUse, port)
				mu.Unlock()
				h.free(port, 0)
			}
		})
	}
	wg.Wait()
	if st, want := h.stats(0), (PoolStats{Free: 150}); st != want {
		t.Errorf("in the end %+v, want %+v", st, want)
	}
	for _, r := range rings { // every port can still be had
		n := 0
		var held []uint16
		for port := r.take(0); port != 0; port = r.take(0) {
			held = append(held, port)
			n++
		}
		if n != 100 {
			t.Errorf("a range of 100 pairs gave %d", n)
		}
		for _, port := range held {
			h.free(port, 0)
		}
	}
}

func TestEqualRangesShareOneRing(t *testing.T) {
	h := &hostPool{}
	h.addRing(evenPorts(1000, 1099, nil))
	h.addRing(evenPorts(1000, 1099, nil))
	if len(h.rings) != 1 {
		t.Errorf("%d rings for the same ports", len(h.rings))
	}
}

func TestPortsInUseByOthersAreSteppedOver(t *testing.T) {
	taken, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback4, 42001)))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := newRig(t, func(c *Config) {
		c.Interfaces = []Interface{{Name: "v4", Addresses: []Address{{IP: loopback4, PortMin: 42000, PortMax: 42007}}}}
	})
	ports := make(map[uint16]bool)
	for range 3 {
		a, _ := r.pair(4, "")
		ports[a.Local().Port()] = true
	}
	if len(ports) != 3 || ports[42000] {
		t.Errorf("got %v, want three pairs without 42000", ports)
	}
	_, _, err = r.OpenPair("v4", 4, "")
	if !errors.Is(err, ErrNoPorts) || !strings.Contains(err.Error(), "widen the port range") {
		t.Errorf("a fourth pair: %v", err)
	}
	if st := r.Pools()[0]; st.Used != 3 || st.Resting != 1 || st.Free != 0 {
		t.Errorf("pool %+v", st)
	}
}

func TestOpenPairErrorsAreDistinct(t *testing.T) {
	r := newRig(t, nil)
	for _, c := range []struct {
		name, iface string
		family      int
		want        error
	}{
		{"an unknown interface", "v5", 4, ErrNoInterface},
		{"a family the interface has not", "v4", 6, ErrNoFamily},
	} {
		if _, _, err := r.OpenPair(c.iface, c.family, ""); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	a, b, err := r.OpenPair("", 4, "")
	if err != nil {
		t.Fatalf("the default interface: %v", err)
	}
	if port := a.Local().Port(); a.Local().Addr() != loopback4 || port%2 != 0 || b.Local().Port() != port+1 {
		t.Errorf("the default interface gave %v and %v", a.Local(), b.Local())
	}
	if !r.HasFamily("v6", 6) || r.HasFamily("v6", 4) || r.HasFamily("v5", 4) || !r.HasFamily("", 4) {
		t.Error("HasFamily does not fit the configuration")
	}
}

func TestGroupOfInterfacesTakesTurns(t *testing.T) {
	other := second4
	r := newRig(t, func(c *Config) {
		c.Interfaces = []Interface{
			{Name: "pub:1", Addresses: []Address{{IP: loopback4, PortMin: 42100, PortMax: 42199}}},
			{Name: "pub:2", Addresses: []Address{{IP: other, PortMin: 42100, PortMax: 42199}}},
		}
	})
	got := make(map[netip.Addr]int)
	for range 4 {
		a, _, err := r.OpenPair("pub", 4, "")
		if err != nil {
			t.Fatal(err)
		}
		got[a.Local().Addr()]++
	}
	if got[loopback4] != 2 || got[other] != 2 {
		t.Errorf("got %v, want two each", got)
	}
}

func TestPairsBesideAnOpenOne(t *testing.T) {
	other, third := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")
	r := newRig(t, func(c *Config) {
		c.Interfaces = []Interface{
			{Name: "pub:1", Addresses: []Address{
				{IP: loopback4, PortMin: 42100, PortMax: 42199}, {IP: netip.IPv6Loopback(), PortMin: 42100, PortMax: 42199},
				{IP: other, PortMin: 42100, PortMax: 42101}, {IP: other, PortMin: 42102, PortMax: 42103},
			}},
			{Name: "pub:2", Addresses: []Address{{IP: third, PortMin: 42100, PortMax: 42199}}},
		}
	})
	first, _, err := r.OpenPair("pub:1", 4, "call")
	if err != nil {
		t.Fatal(err)
	}
	for round, want := range []string{"127.0.0.2 ::1", "::1"} { // the second address has one pair
		rtp, rtcp, err := r.OpenBeside("pub", first, "call")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range rtp {
			got = append(got, rtp[i].Local().Addr().String())
			if rtcp[i].Local() != netip.AddrPortFrom(rtp[i].Local().Addr(), rtp[i].Local().Port()+1) {
				t.Errorf("%v goes with %v", rtcp[i].Local(), rtp[i].Local())
			}
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("round %d: opened on %s, want %s", round+1, text, want)
		}
	}
	if _, _, err := r.OpenBeside("nowhere", first, ""); !errors.Is(err, ErrNoInterface) {
		t.Errorf("on an unknown interface: %v", err)
	}
}

func TestClosedPairRestsOnceBothLegsAreClosed(t *testing.T) {
	r := newRig(t, nil)
	a, aRTCP := r.pair(4, "")
	a.Close()
	a.Close()
	r.settle()
	if st := r.Pools()[0]; st.Used != 1 || st.Resting != 0 {
		t.Errorf("with one leg open: %+v", st)
	}
	aRTCP.Close()
	r.settle()
	if st := r.Pools()[0]; st.Used != 0 || st.Resting != 1 {
		t.Errorf("with both closed: %+v", st)
	}
}

func TestNewRefusesAConfigurationAndNamesTheFix(t *testing.T) {
	taken, err := listenUDP(netip.AddrPortFrom(loopback4, 42198))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.close()
	ok := Address{IP: loopback4, PortMin: 42200, PortMax: 42299}
	with := func(f func(a *Address)) []Interface {
		a := ok
		f(&a)
		return []Interface{{Name: "x", Addresses: []Address{a}}}
	}
	for _, c := range []struct {
		name       string
		interfaces []Interface
		want       string
	}{
		{"no interface", nil, "--interface="},
		{"an interface without address", []Interface{{Name: "x"}}, `"x" has no address`},
		{"two interfaces of one name", []Interface{{"x", []Address{ok}}, {"x", []Address{ok}}}, "twice"},
		{"an address of another host", with(func(a *Address) { a.IP = netip.MustParseAddr("203.0.113.9") }),
			"203.0.113.9 is not an address of this host; if it is the public side of a NAT write interface="},
		{"the unspecified address", with(func(a *Address) { a.IP = netip.IPv4Unspecified() }), "0.0.0.0 is no address"},
		{"no address at all", with(func(a *Address) { a.IP = netip.Addr{} }), "no address to receive"},
		{"an advertised address of the other family",
			with(func(a *Address) { a.Advertised = netip.MustParseAddr("2001:db8::1") }), "families differ"},
		{"an empty range", with(func(a *Address) { a.PortMin, a.PortMax = 300, 200 }), "widen the range"},
		{"a range that another program has", with(func(a *Address) { a.PortMin, a.PortMax = 42198, 42199 }), "choose another range"},
		{"a range of one odd port and the next", with(func(a *Address) { a.PortMin, a.PortMax = 201, 202 }), "widen the range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := New(Config{Interfaces: c.interfaces})
			if err == nil {
				t.Fatal(errors.Join(errors.New("accepted"), p.Close()))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
		})
	}
}

func TestAdvertisedAddress(t *testing.T) {
	public := netip.MustParseAddr("198.51.100.1")
	r := newRig(t, func(c *Config) { c.Interfaces[0].Addresses[0].Advertised = public })
	a, _ := r.pair(4, "")
	if got, want := a.Advertised(), netip.AddrPortFrom(public, a.Local().Port()); got != want {
		t.Errorf("advertised %v, want %v", got, want)
	}
}

func TestDescriptorLimit(t *testing.T) {
	if n, err := raiseDescriptorLimit(10); n != 10 || err != nil {
		t.Errorf("room for %d of 10 sockets, %v", n, err)
	}
	const absurd = 1 << 40
	if n, err := raiseDescriptorLimit(absurd); n <= 0 || n >= absurd || err != nil {
		t.Errorf("room for %d of %d sockets, %v", n, absurd, err)
	}
	r := newRig(t, nil)
	if c := r.Capacity(); c.Ports != 1000 || c.Pairs() != min(c.Ports, c.Descriptors) || c.Pairs() == 0 {
		t.Errorf("capacity %+v of two ranges of 500 pairs", c)
	}
}
