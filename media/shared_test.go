package media

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/vishvananda/netns"
	"go.uber.org/goleak"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/internal/netrig"
)

// The tests of relaying, learning, keys and so on are run twice: with a socket for each leg, on loopback, and by
// TestOnSharedSockets in a network namespace where legs have none.

// phonesVar names, in the environment of the second run, the network namespace that the phones are in.
const phonesVar = "WEIR_TEST_PHONES"

// elsewhere is where phones are; nil: on this host.
var elsewhere *remote

// The addresses of the second run.
var (
	shared4, shared6 = netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::1")
	phones4, phones6 = netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")
	stranger4        = netip.MustParseAddr("10.77.0.66")
	third4           = netip.MustParseAddr("10.77.0.3") // another one of the plane
)

type remote struct{ ns netns.NsHandle }

func TestMain(m *testing.M) {
	if name := os.Getenv(phonesVar); name != "" {
		ns, err := netns.GetFromName(name)
		if err != nil {
			panic(err)
		}
		elsewhere = &remote{ns}
		loopback4, loopback6, second4 = shared4, shared6, third4
	}
	goleak.VerifyTestMain(m)
}

// listen opens a socket where phones are. The plane's address stands for that of a phone.
func (r *remote) listen(ip netip.Addr) (conn *net.UDPConn, err error) {
	if r == nil {
		return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
	}
	switch {
	case ip == shared4:
		ip = phones4
	case ip == shared6:
		ip = phones6
	case ip.IsLoopback():
		ip = stranger4
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err = netns.Set(r.ns); err == nil {
			conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		}
	}()
	<-done
	return conn, err
}

// newSteering steers to all addresses of a plane.
func newSteering(t testing.TB, interfaces []Interface) *fastpath.Steering {
	t.Helper()
	var addrs []netip.Addr
	for _, f := range interfaces {
		for _, a := range f.Addresses {
			addrs = append(addrs, a.IP)
		}
	}
	s, err := fastpath.OpenSteering(addrs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// apart returns two hosts on one link, with the addresses of the second run, for the plane and for the phones.
func apart(t *testing.T) (plane, phones *netrig.Host) {
	r := netrig.Start(t)
	var err error
	if plane, err = r.Host("plane"); err != nil {
		t.Fatal(err)
	}
	if phones, err = r.Host("phones"); err != nil {
		t.Fatal(err)
	}
	prefixes := func(addrs ...netip.Addr) (all []netip.Prefix) {
		for _, a := range addrs {
			bits := 24
			if a.Is6() {
				bits = 64
			}
			all = append(all, netip.PrefixFrom(a, bits))
		}
		return all
	}
	if err := r.Link(
		netrig.End{Host: plane, Device: "phones", Addrs: prefixes(shared4, third4, shared6)},
		netrig.End{Host: phones, Device: "plane", Addrs: prefixes(phones4, phones6, stranger4)},
	); err != nil {
		t.Fatal(err)
	}
	return plane, phones
}

func TestOnSharedSockets(t *testing.T) {
	if elsewhere != nil {
		t.Skip("this is the second run")
	}
	plane, phones := apart(t)
	args := []string{"-test.run=.", "-test.skip=^(" + onlySockets + ")$", "-test.timeout=5m"}
	if testing.Verbose() {
		args = append(args, "-test.v")
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), phonesVar+"="+phones.Name())
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := plane.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	text, readErr := os.ReadFile(out.Name())
	if err != nil || readErr != nil || testing.Verbose() {
		t.Logf("%s", text)
	}
	if err != nil || readErr != nil {
		t.Fatalf("the tests on shared sockets: %v, %v", err, readErr)
	}
}

// onlySockets are tests that cannot be in the second run: of planes that are in yet another network namespace.
const onlySockets = "TestOnSharedSockets|TestCallMovesToTheRealKernelAndBack"
