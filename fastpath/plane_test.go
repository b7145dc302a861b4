package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf/btf"
)

func TestEveryReasonHasTheNameItHasInC(t *testing.T) {
	spec := must(loadRelay())(t)
	var reason *btf.Enum
	check(t, spec.Types.TypeByName("reason", &reason))
	if len(reason.Values) != len(exits)+1 {
		t.Fatalf("%d reasons in C, %d in Go", len(reason.Values)-1, len(exits))
	}
	for _, v := range reason.Values[:len(exits)] {
		name := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(v.Name, "REASON_")), "_", "-")
		if exits[v.Value].name != name || exits[v.Value].meaning == "" {
			t.Errorf("reason %d is %s in C, and %q (%q) in Go", v.Value, v.Name, exits[v.Value].name, exits[v.Value].meaning)
		}
	}
}

func TestVersionsOfFlowAgree(t *testing.T) {
	s := newStage(t)
	check(t, s.Install(flow4))
	s.edit(t, flow4, func(v *relayFlow) {
		if v.Version != flowVersion || v.Action != relayFlowActionFLOW_RELAY {
			t.Errorf("installed as %+v", v)
		}
	})
}

func TestInstallRefusesWhatTheKernelCannotRelay(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Flow)
		is     error
		says   string
	}{
		{"several receivers of two families", func(f *Flow) { f.More = []Target{flow6.Target} }, ErrFamily, "several"},
		{"too many receivers", func(f *Flow) { f.More = slices.Repeat([]Target{f.Target}, MaxReceivers) }, ErrReceivers, "more than 32"},
		{"RTCP of the port for several receivers", func(f *Flow) { f.More, f.ToRTCP = []Target{f.Target}, f.Target }, ErrReceivers, "one receiver"},
		{"a source of the other family", func(f *Flow) { f.Source = flow6.Source }, ErrFamily, "source"},
		{"from and to of two families", func(f *Flow) { f.To = flow6.To }, ErrFamily, "differ"},
		{"no destination", func(f *Flow) { f.To = netip.AddrPort{} }, nil, "missing"},
		{"port 0", func(f *Flow) { f.To = netip.AddrPortFrom(f.To.Addr(), 0) }, nil, "port is 0"},
		{"a multicast destination", func(f *Flow) { f.To = addrPort("224.0.0.5:5000") }, nil, "global unicast"},
		{"a local address of another host", func(f *Flow) { f.Local = addrPort("203.0.113.7:3000") }, ErrNoPlane, "no network device"},
	}
	s := newStage(t)
	for _, c := range cases {
		f := flow4
		c.change(&f)
		err := s.Install(f)
		if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestFlowsAreInstalledCountedReplacedAndRemoved(t *testing.T) {
	s := newStage(t)
	if _, err := s.Remove(flow4.Local); !errors.Is(err, ErrNoFlow) {
		t.Errorf("removing nothing: %v", err)
	}
	if _, err := s.Counters(flow4.Local); !errors.Is(err, ErrNoFlow) {
		t.Errorf("counting nothing: %v", err)
	}
	mapped := flow4
	mapped.Local = netip.AddrPortFrom(netip.AddrFrom16(flow4.Local.Addr().As16()), flow4.Local.Port())
	check(t, s.Install(mapped)) // the same as flow4
	s.edit(t, flow4, func(v *relayFlow) {
		v.Sources[0].Last, v.Sources[0].Packets, v.Sources[0].When = 1, 5, uint64(time.Hour)
	})
	if got := must(s.Counters(mapped.Local))(t); got.Packets != 5 || got.LastSeen != time.Hour {
		t.Errorf("got %+v", got)
	}
	check(t, s.Install(flow4))
	if got := must(s.Counters(flow4.Local))(t); got != (Counters{}) {
		t.Errorf("a replaced flow starts with %+v", got)
	}
	s.edit(t, flow4, func(v *relayFlow) { v.Refused = 3 })
	if got := must(s.Remove(flow4.Local))(t); got.Refused != 3 {
		t.Errorf("final counters are %+v", got)
	}
	if _, err := s.Counters(flow4.Local); !errors.Is(err, ErrNoFlow) {
		t.Errorf("a removed flow is still there: %v", err)
	}
}

func TestAFullMapSaysSo(t *testing.T) {
	s := newStage(t)
	var err error
	for port := uint16(1); err == nil && port < 1000; port++ {
		f := flow4
		f.Local = netip.AddrPortFrom(f.Local.Addr(), port)
		err = s.Install(f)
	}
	if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "64") {
		t.Errorf("got %v, want ErrFull with the cap", err)
	}
}

// many installs n flows whose packet counts are their ports.
func many(t testing.TB, p *Plane, n int) {
	t.Helper()
	for i := range n {
		f := flow4
		f.Local = netip.AddrPortFrom(f.Local.Addr(), uint16(1000+i))
		check(t, p.Install(f))
		key, value := encodeEndpoint(f.Local), encodeFlow(&f)
		value.Untracked = uint64(f.Local.Port())
		check(t, p.maps.Flows.Put(&key, &value))
	}
}

func TestWalkSeesEveryFlowOnceAndAllocatesNothingPerFlow(t *testing.T) {
	const flows = 3000
	s := newStage(t)
	var p *Plane
	inside(t, s.host, func() {
		p = must(open(Config{Addrs: []netip.Addr{flow4.Local.Addr()}, MaxFlows: flows}, tweaks{noAttach: true}))(t)
	})
	defer p.Close()
	many(t, p, flows)
	seen := map[uint16]int{}
	check(t, p.Walk(func(local netip.AddrPort, c Counters) {
		seen[local.Port()]++
		if local.Addr() != flow4.Local.Addr() || c.Packets != uint64(local.Port()) {
			t.Errorf("%v has %+v", local, c)
		}
	}))
	if len(seen) != flows {
		t.Errorf("saw %d flows, want %d", len(seen), flows)
	}
	for port, n := range seen {
		if n != 1 {
			t.Errorf("port %d was seen %d times", port, n)
		}
	}
	total := uint64(0)
	count := func(_ netip.AddrPort, c Counters) { total += c.Packets }
	if got := testing.AllocsPerRun(10, func() { check(t, p.Walk(count)) }); got > flows/20 {
		t.Errorf("%v allocations for %d flows", got, flows)
	}
}

func TestAPlaneServesSeveralGoroutines(t *testing.T) {
	s := newStage(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			f := flow4
			f.Local = netip.AddrPortFrom(f.Local.Addr(), uint16(40000+worker))
			for range 200 {
				if err := s.Install(f); err != nil {
					t.Error(err)
				}
				if _, err := s.Counters(f.Local); err != nil {
					t.Error(err)
				}
				if err := s.Walk(func(netip.AddrPort, Counters) {}); err != nil {
					t.Error(err)
				}
				s.Reasons()
				if _, err := s.Remove(f.Local); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestAClosedPlaneSaysSo(t *testing.T) {
	s := newStage(t)
	check(t, s.Close())
	_, removed := s.Remove(flow4.Local)
	_, counted := s.Counters(flow4.Local)
	for i, err := range []error{s.Install(flow4), removed, counted, s.Walk(func(netip.AddrPort, Counters) {})} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if got := s.Reasons(); got != nil {
		t.Errorf("reasons: %v", got)
	}
}

func TestOpenRefusesWhatItDoesNotUnderstand(t *testing.T) {
	for _, c := range []Config{{Mode: "dpdk"}, {MaxFlows: -1}} {
		if p, err := Open(c); err == nil {
			t.Errorf("%+v is accepted", c)
			p.Close()
		}
	}
}

func TestSumsAreThoseOfTheProtocol(t *testing.T) {
	// RFC 1071, section 3, in the order of memory of any machine: the sum has the bytes dd f2.
	got := sum16([]byte{0x00, 0x01, 0xf2, 0x03}, []byte{0xf4, 0xf5, 0xf6, 0xf7})
	if b := fmt.Sprintf("%04x", networkPort(got)); b != "ddf2" {
		t.Errorf("got %s, want ddf2", b)
	}
}

func TestPortsOfDevices(t *testing.T) {
	const basic, transmit = netdevXDPBasic, netdevXDPTransmit
	xmit, tx := relayPortFlagPORT_XMIT, relayPortFlagPORT_TX
	cases := []struct {
		name string
		got  relayPortFlag
		want relayPortFlag
	}{
		{"a card that does all", portOfFeatures(basic|transmit, false), xmit | tx},
		{"a card that takes nothing from others", portOfFeatures(basic, false), tx},
		{"a veth whose peer takes frames", portOfFeatures(basic|transmit, true), xmit},
		{"a veth whose peer does not", portOfFeatures(basic, true), 0},
		{"a bridge", portOfFeatures(0, false), 0},
		{"an old kernel and a card with our program", portOfKind(false, true), xmit | tx},
		{"an old kernel and another card", portOfKind(false, false), 0},
		{"an old kernel and a veth", portOfKind(true, true), 0},
	}
	for _, c := range cases {
		if c.got != c.want {
			t.Errorf("%s: got %b, want %b", c.name, c.got, c.want)
		}
	}
}

func TestInterfacesAreCopies(t *testing.T) {
	s := newStage(t)
	a := s.Interfaces()
	addrs := []netip.Addr{flow4.Local.Addr(), flow6.Local.Addr()}
	if len(a) != 1 || a[0].Name != "media" || !slices.Equal(a[0].Addrs, addrs) {
		t.Fatalf("got %+v", a)
	}
	a[0].Addrs[0] = netip.Addr{}
	if b := s.Interfaces(); b[0].Addrs[0] != flow4.Local.Addr() {
		t.Error("the plane has changed with the copy")
	}
}
