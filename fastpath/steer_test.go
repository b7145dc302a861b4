package fastpath

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSteering sends to ports of one address and looks at which socket the datagrams come to.
func TestSteering(t *testing.T) {
	rig := newRig(t)
	host := newHost(t, rig, "proxy")
	for _, local := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
		runInside(t, host, local.String(), func(t *testing.T) {
			other := netip.MustParseAddr("192.0.2.1")
			s := must(OpenSteering([]netip.Addr{other, local, local}))(t)
			defer func() { check(t, s.Close()) }()
			listen := func(port uint16) *net.UDPConn {
				return must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, port))))(t)
			}
			var shared [2]*net.UDPConn
			for i := range shared {
				shared[i] = listen(0)
				defer shared[i].Close()
				raw := must(shared[i].SyscallConn())(t)
				check(t, raw.Control(func(fd uintptr) { check(t, s.Serve(i, local.Is4(), int(fd))) }))
			}
			own := listen(4000) // of another program
			defer own.Close()
			source := must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))))(t)
			defer source.Close()
			port := func(n uint16) netip.AddrPort { return netip.AddrPortFrom(local, n) }
			arrives := func(at *net.UDPConn, n uint16, text string) {
				t.Helper()
				must(source.WriteToUDPAddrPort([]byte(text), port(n)))(t)
				check(t, at.SetReadDeadline(time.Now().Add(10*time.Second)))
				buf := make([]byte, 100)
				if n, _, err := at.ReadFromUDPAddrPort(buf); err != nil || string(buf[:n]) != text {
					t.Fatalf("got %q, %v, want %q", buf[:n], err, text)
				}
			}
			check(t, s.Steer(port(5000), 0))
			check(t, s.Steer(port(5001), 1))
			arrives(shared[0], 5000, "a port of the first worker")
			arrives(shared[1], 5001, "a port of the second worker")
			arrives(own, 4000, "a port with a socket of its own")
			check(t, s.Steer(port(4000), 1))
			arrives(shared[1], 4000, "a port that is steered although it has a socket")
			check(t, s.Release(port(4000)))
			arrives(own, 4000, "a port that is steered no more")
			check(t, s.Steer(port(5000), 1))
			arrives(shared[1], 5000, "a port with another worker")

			if err := s.Steer(netip.MustParseAddrPort("192.0.2.9:1"), 0); err == nil {
				t.Error("an address that was not named is steered")
			}
			if err := s.Serve(MaxSteered, true, 0); err == nil {
				t.Error("more workers than there may be")
			}
			check(t, s.Close())
			arrives(own, 4000, "after the end")
			if err := s.Steer(port(5000), 0); !errors.Is(err, ErrClosed) {
				t.Errorf("steering after the end: %v", err)
			}
		})
	}
}

// TestSteeringBesideAnother has two daemons in one network namespace.
func TestSteeringBesideAnother(t *testing.T) {
	rig := newRig(t)
	inside(t, newHost(t, rig, "proxy"), func() {
		local := netip.MustParseAddr("127.0.0.1")
		var daemons [2]*Steering
		var sockets [2]int
		for i := range daemons {
			daemons[i] = must(OpenSteering([]netip.Addr{local}))(t)
			defer daemons[i].Close()
			sockets[i] = must(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))(t)
			defer unix.Close(sockets[i])
			check(t, unix.Bind(sockets[i], &unix.SockaddrInet4{Addr: local.As4()}))
			check(t, unix.SetsockoptTimeval(sockets[i], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
			check(t, daemons[i].Serve(0, true, sockets[i]))
			check(t, daemons[i].Steer(netip.AddrPortFrom(local, uint16(5000+i)), 0))
		}
		for i, socket := range sockets {
			check(t, unix.Sendto(sockets[0], []byte{byte(i)}, 0, &unix.SockaddrInet4{Addr: local.As4(), Port: 5000 + i}))
			buf := make([]byte, 9)
			if n, _, err := unix.Recvfrom(socket, buf, 0); err != nil || n != 1 || buf[0] != byte(i) {
				t.Errorf("daemon %d: %d bytes, %v", i, n, err)
			}
		}
	})
}
