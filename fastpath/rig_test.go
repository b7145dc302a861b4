package fastpath

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/weir-media/weir/internal/netrig"
)

// newRig skips a test that cannot be run without rights.
func newRig(t testing.TB) *netrig.Rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: loads eBPF programs and makes network namespaces")
	}
	return netrig.Start(t)
}

func newHost(t testing.TB, rig *netrig.Rig, name string) *netrig.Host {
	t.Helper()
	return must(rig.Host(name))(t)
}

// inside runs fn in the host. A failure of fn ends the test.
func inside(t testing.TB, h *netrig.Host, fn func()) {
	t.Helper()
	if err := h.Do(func() error { fn(); return nil }); err != nil && !t.Failed() {
		t.Error(err)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// runInside is t.Run in the host.
func runInside(t *testing.T, h *netrig.Host, name string, fn func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inside(t, h, func() { fn(t) }) })
}

// must unwraps a value whose error ends the test.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// neighbour enters a MAC address for good.
func neighbour(t testing.TB, index int, ip string, mac net.HardwareAddr) {
	t.Helper()
	check(t, netlink.NeighSet(&netlink.Neigh{
		LinkIndex: index, State: netlink.NUD_PERMANENT, IP: net.ParseIP(ip), HardwareAddr: mac,
	}))
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// addrPortAt is another port of the same address.
func addrPortAt(a netip.AddrPort, port int) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr(), uint16(port))
}
