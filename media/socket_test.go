package media

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/netrig"
	"golang.org/x/sys/unix"
)

func TestDatagramLongerThanTheLinkTakesIsFragmentedAfterAll(t *testing.T) {
	r := netrig.Start(t)
	var hosts [2]*netrig.Host
	var ends [2]netrig.End
	var socks [2]*udpSocket
	for i, name := range []string{"left", "right"} {
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		h, err := r.Host(name)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = h
		ends[i] = netrig.End{Host: h, Device: name, Addrs: []netip.Prefix{netip.PrefixFrom(ip, 24)}, Neighbours: true}
	}
	if err := r.Link(ends[0], ends[1]); err != nil {
		t.Fatal(err)
	}
	for i, h := range hosts {
		if err := h.Do(func() (err error) {
			socks[i], err = listenUDP(netip.AddrPortFrom(ends[i].Addrs[0].Addr(), 4000))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { socks[i].close() })
	}
	out, in := newOutBatch(), newInBatch()
	short, long := rtpPacket(1), bytes.Repeat([]byte("long"), 1000)
	to := newEndpoint(netip.MustParseAddrPort("10.0.0.2:4000"))
	for i, data := range [][]byte{short, long, long} {
		out.data[i], out.to[i] = data, to
	}
	for _, c := range []struct {
		name       string
		first, end int
		before     bool // whether the socket fragments yet
		sent       int
	}{
		{"a short one alone", 0, 1, false, 1},
		{"a batch ends before a long one", 0, 2, false, 1},
		{"a long one alone", 1, 2, false, 1},
		{"a batch of long ones", 1, 3, true, 2},
	} {
		if got := socks[0].fragments.Load(); got != c.before {
			t.Errorf("%s: fragments %v, want %v", c.name, got, c.before)
		}
		sent, err := socks[0].send(out, c.first, c.end)
		if err != nil || sent != c.sent {
			t.Fatalf("%s: sent %d, %v, want %d", c.name, sent, err, c.sent)
		}
		for i := range sent {
			for deadline := time.Now().Add(patience); ; {
				if err := socks[1].receive(in, 1); err != nil {
					t.Fatal(err)
				}
				if in.n > 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: nothing came", c.name)
				}
			}
			if !bytes.Equal(in.data[0], out.data[c.first+i]) {
				t.Errorf("%s: %d bytes came, want %d", c.name, len(in.data[0]), len(out.data[c.first+i]))
			}
		}
	}
}

func TestDatagramsKeepTheirSourcesInABatch(t *testing.T) {
	listen := func() *udpSocket {
		s, err := listenUDP(netip.AddrPortFrom(loopback6, 0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.close() })
		return s
	}
	local := func(s *udpSocket) netip.AddrPort {
		sa, err := unix.Getsockname(s.fd)
		if err != nil {
			t.Fatal(err)
		}
		return netip.AddrPortFrom(loopback6, uint16(sa.(*unix.SockaddrInet6).Port))
	}
	a, b, c := listen(), listen(), listen()
	out, in := newOutBatch(), newInBatch()
	for i, s := range []*udpSocket{a, b, a} {
		out.data[0], out.to[0] = rtpPacket(uint16(i)), newEndpoint(local(c))
		if _, err := s.send(out, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.receive(in, batchSize); err != nil || in.n != 3 {
		t.Fatalf("%d datagrams, %v, want 3", in.n, err)
	}
	for i, s := range []*udpSocket{a, b, a} {
		if in.from[i] != local(s) || !bytes.Equal(in.data[i], rtpPacket(uint16(i))) {
			t.Errorf("datagram %d from %v, want %v", i, in.from[i], local(s))
		}
	}
	if err := c.receive(in, batchSize); err != nil || in.n != 0 {
		t.Errorf("an empty socket gives %d datagrams, %v", in.n, err)
	}
}
