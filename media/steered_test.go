package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hold keeps the worker of a leg from serving until the function it returns is called.
func hold(l *Leg) (release func()) {
	held, gate := make(chan struct{}), make(chan struct{})
	l.worker.do(func() { close(held); <-gate })
	<-held
	return func() { close(gate) }
}

// byOutletOnly leaves a leg no other way out until the test ends.
func byOutletOnly(t *testing.T, legs ...*Leg) {
	t.Helper()
	set := func(closed bool) {
		for _, l := range legs {
			s := l.sock.(*steered)
			s.mu.Lock()
			s.closed = closed
			s.mu.Unlock()
		}
	}
	set(true)
	t.Cleanup(func() { set(false) })
}

func TestPacketsLeaveAsFrames(t *testing.T) {
	if elsewhere == nil {
		t.Skip("on loopback there are no frames; TestOnSharedSockets runs this")
	}
	for _, c := range []struct{ caller, callee int }{{4, 4}, {6, 6}, {4, 6}} {
		r := newRig(t, nil)
		loop := map[int]netip.Addr{4: loopback4, 6: loopback6}
		alice, bob := newPhone(t, loop[c.caller]), newPhone(t, loop[c.callee])
		a, _ := r.pair(c.caller, "call")
		b, _ := r.pair(c.callee, "call")
		bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
		byOutletOnly(t, a, b)
		frame := func(l *Leg) bool { return l.sock.(*steered).aim.Load().hop != nil }
		r.until("both ways are known", func() bool {
			bob.wants(b, alice.rtp(a))
			alice.wants(a, bob.rtp(b))
			return frame(a) && frame(b)
		})
		exchange(a, b, alice, bob)
		if !frame(a) || !frame(b) {
			t.Error("the ways are not known any more")
		}
		if e := r.Engine(); !e.Shared || e.Reason != "" {
			t.Errorf("engine %+v", e)
		}
	}
}

// exchange has two phones send each other packets of all kinds of lengths.
func exchange(a, b *Leg, alice, bob *phone) {
	for n := range 200 {
		data := rtpPacket(uint16(1000 + n))
		data = data[:len(data)-n%160]
		alice.send(a, data)
		bob.wants(b, data)
		bob.send(b, data)
		alice.wants(a, data)
	}
}

func TestWhoSniffsSeesFramesThatLeave(t *testing.T) {
	if elsewhere == nil {
		t.Skip("on loopback there are no frames; TestOnSharedSockets runs this")
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	sniffer, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all&0xffff)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sniffer)
	if err := unix.SetsockoptTimeval(sniffer, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(patience.Seconds())}); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	path := r.sharing.paths.Path(loopback4, phones4)
	r.until("the table notices", func() bool { h := path.Hop(); return h != nil && h.Queue })
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	byOutletOnly(t, a, b)
	data := alice.rtp(a)
	bob.wants(b, data)
	for buf := make([]byte, maxDatagram); ; {
		n, from, err := unix.Recvfrom(sniffer, buf, 0)
		if err != nil {
			t.Fatalf("the frame was not seen: %v", err)
		}
		if at, ok := from.(*unix.SockaddrLinklayer); ok && at.Pkttype == unix.PACKET_OUTGOING && bytes.HasSuffix(buf[:n], data) {
			return
		}
	}
}

func TestWhatCannotBeFramesLeavesAsPackets(t *testing.T) {
	if elsewhere == nil {
		t.Skip("addresses of the loopback device have sockets; TestOnSharedSockets runs this")
	}
	for _, c := range []struct {
		family int
		ip     netip.Addr
	}{{4, second4}, {6, shared6}} {
		r := newRig(t, nil)
		here := func() *phone { // a phone on the same host as the plane
			conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.ip, 0)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return &phone{t: t, conn: conn}
		}
		alice, bob := here(), here()
		a, _ := r.pair(c.family, "call")
		b, _ := r.pair(c.family, "call")
		bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
		byOutletOnly(t, a, b)
		exchange(a, b, alice, bob)
		if a.sock.(*steered).aim.Load().hop != nil {
			t.Error("frames to this host")
		}
	}
}

func TestAProgramThatBindsAPortOfOursLaterDoesTheCallNoHarm(t *testing.T) {
	if elsewhere == nil {
		t.Skip("a port with a socket cannot be bound again; TestOnSharedSockets runs this")
	}
	r := newRig(t, nil)
	path := r.sharing.paths.Path(loopback4, phones4)
	r.until("the way is known", func() bool { return path.Hop() != nil }) // or else a packet would go by a socket
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	for _, local := range []netip.AddrPort{a.Local(), netip.AddrPortFrom(netip.IPv4Unspecified(), b.Local().Port())} {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(local))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		bob.wants(b, alice.rtp(a))
		alice.wants(a, bob.rtp(b))
	}
}

func TestAPortThatIsFreeAgainHasNoPacketsOfTheLegBefore(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Quarantine = -1
		c.Interfaces = []Interface{{Name: "v4", Addresses: []Address{{IP: loopback4, PortMin: 42000, PortMax: 42001}}}}
	})
	alice := newPhone(t, loopback4)
	before, beforeRTCP := r.pair(4, "")
	before.Apply(Settings{Signalled: alice.addr()})
	release := hold(before)
	for range 3 * batchSize {
		alice.rtp(before)
	}
	before.Close()
	beforeRTCP.Close()
	release()
	r.until("the port is free", func() bool { return r.Pools()[0].Free == 1 })
	after, _ := r.pair(4, "")
	if after.Local() != before.Local() {
		t.Fatal("another port")
	}
	after.Apply(Settings{Signalled: alice.addr()})
	alice.rtp(after)
	r.until("a packet", func() bool { st := after.Stats(); return st.In.Packets+st.Drops.Sum() > 0 })
	if st := after.Stats(); st.In.Packets != 1 || st.Lost != 0 {
		t.Errorf("%d packets came, %d are missing in between", st.In.Packets, st.Lost)
	}
}

func TestAFaultCostsNoOtherPacketOfItsBatch(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Workers = 1 })
	const calls = 5
	var alices, bobs [calls]*phone
	var as, bs [calls]*Leg
	for i := range calls {
		alices[i], bobs[i] = newPhone(t, loopback4), newPhone(t, loopback4)
		as[i], _ = r.pair(4, "")
		bs[i], _ = r.pair(4, "")
		r.settle()
		if i == 2 {
			bs[i].sock = &faulty{transport: bs[i].sock}
		}
		bridge(as[i], nil, Settings{Signalled: alices[i].addr()}, bs[i], nil, Settings{Signalled: bobs[i].addr()})
	}
	release := hold(as[0])
	var sent [3][calls][]byte
	for round := range sent {
		for i, alice := range alices {
			sent[round][i] = alice.rtp(as[i])
		}
	}
	release()
	for round := range sent {
		for i, bob := range bobs {
			if round > 0 || i != 2 {
				bob.wants(bs[i], sent[round][i])
			}
		}
	}
	if drops := as[2].Stats().Drops[DropFault]; drops != 1 || r.Totals().Drops[DropFault] != 1 {
		t.Errorf("%d packets of the leg at fault dropped, %d in all, want one", drops, r.Totals().Drops[DropFault])
	}
}

func TestALegThatCrowdsOutOthersGetsASocketOfItsOwn(t *testing.T) {
	if elsewhere == nil {
		t.Skip("on loopback every leg has a socket of its own; TestOnSharedSockets runs this")
	}
	r := newRig(t, func(c *Config) { c.Workers = 1 })
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "")
	b, _ := r.pair(4, "")
	other, _ := r.pair(4, "")
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	for range confirmations {
		bob.wants(b, alice.rtp(a))
	}
	b.Apply(Settings{Signalled: bob.addr(), Muted: true})
	a.Apply(Settings{Signalled: alice.addr(), Muted: true}) // or bob would drown
	r.settle()
	release := hold(a)
	const flood = 3 * sharedBuffer / 512 // more than fit: the kernel allows twice the size, and counts more for each packet
	for range flood {
		alice.rtp(a)
	}
	release()
	r.until("a socket of its own", func() bool { return a.sock.(*steered).own.Load() })
	over := make(chan struct{})
	a.worker.do(func() { a.worker.drain(); close(over) })
	<-over
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	r.settle()
	bob.wants(b, alice.rtp(a))
	alice.wants(a, bob.rtp(b))
	for _, l := range []*Leg{b, other} {
		if l.sock.(*steered).own.Load() {
			t.Errorf("%v has a socket of its own, too", l.local)
		}
	}
}

// refusing is a Steering that takes no sockets.
type refusing struct{ Steering }

var errRefused = errors.New("refused on purpose")

func (refusing) Serve(int, bool, int) error { return errRefused }

func TestWithoutSteeringEveryLegHasASocket(t *testing.T) {
	for _, c := range []struct {
		name string
		ip   netip.Addr
		why  string
	}{
		{"loopback alone", netip.MustParseAddr("127.0.0.1"), "loopback"},
		{"the program refuses", loopback4, errRefused.Error()},
	} {
		if elsewhere == nil && !strings.Contains(c.why, "loopback") {
			continue // of the second run
		}
		p, err := New(Config{Steering: refusing{}, Interfaces: []Interface{
			{Name: "x", Addresses: []Address{{IP: c.ip, PortMin: 42300, PortMax: 42399}}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if e := p.Engine(); e.Shared || !strings.Contains(e.Reason, c.why) {
			t.Errorf("%s: engine %+v", c.name, e)
		}
		a, _, err := p.OpenPair("x", 4, "")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if _, own := a.sock.(*udpSocket); !own {
			t.Errorf("%s: the leg has no socket", c.name)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPortProbe(t *testing.T) {
	probe := newPortProbe()
	if probe == nil {
		t.Fatal("this kernel does not tell which ports have sockets")
	}
	defer probe.close()
	listen := func(network string, ip netip.Addr) (port uint16) {
		conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	}
	free := func() uint16 {
		s, err := listenUDP(netip.AddrPortFrom(loopback4, 0))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		name, err := unix.Getsockname(s.fd)
		if err != nil {
			t.Fatal(err)
		}
		return uint16(name.(*unix.SockaddrInet4).Port)
	}
	for _, c := range []struct {
		name  string
		local netip.Addr
		port  uint16
		taken bool
	}{
		{"nobody's", loopback4, free(), false},
		{"a socket of the address", loopback4, listen("udp4", loopback4), true},
		{"a socket of all IPv4 addresses", loopback4, listen("udp4", netip.IPv4Unspecified()), true},
		{"a socket of all addresses", loopback4, listen("udp", netip.IPv6Unspecified()), true},
		{"the same, for IPv6", loopback6, listen("udp", netip.IPv6Unspecified()), true},
		{"a socket of the IPv6 address", loopback6, listen("udp6", loopback6), true},
		{"a socket of another address", loopback4, listen("udp4", second4), false},
		{"a socket of the other family", loopback4, listen("udp6", loopback6), false},
	} {
		local := netip.AddrPortFrom(c.local, c.port)
		if taken, err := probe.taken(local); err != nil || taken != c.taken {
			t.Errorf("%s: taken %v, %v, want %v", c.name, taken, err, c.taken)
		}
		if taken, err := bound(false, local); err != nil || taken != c.taken {
			t.Errorf("%s: by trying: taken %v, %v, want %v", c.name, taken, err, c.taken)
		}
	}
}

func FuzzPortProbeAnswer(f *testing.F) {
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff})
	f.Add([]byte{16, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, m []byte) {
		if _, taken, err := diagFound(m); taken && err != nil {
			t.Errorf("taken, and %v", err)
		}
	})
}

// FuzzSum compares the fast sum of a checksum with the one of the book.
func FuzzSum(f *testing.F) {
	f.Add([]byte{}, []byte{1})
	f.Add(bytes.Repeat([]byte{0xff}, 77), bytes.Repeat([]byte{0xff}, 40))
	f.Add(rtpPacket(1), rtpPacket(65535))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, data := range [][]byte{a, b, append(bytes.Clone(a), b...)} {
			var want uint64
			for i := 0; i < len(data); i += 2 {
				var word [2]byte
				copy(word[:], data[i:])
				want += uint64(binary.BigEndian.Uint16(word[:]))
			}
			// 0 and 0xffff are the same number, but only all zeros may give 0.
			if got := fold(uint64(sum(data))); got != fold(want) {
				t.Errorf("%x: %#x, want %#x", data, got, fold(want))
			}
		}
	})
}
