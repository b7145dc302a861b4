package fastpath

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/testpkt"
)

// listener is a receiver of a fan.
type listener struct {
	*net.UDPConn
	target Target
}

func (l listener) wants(t testing.TB, payload []byte) {
	t.Helper()
	buf := make([]byte, 2048)
	check(t, l.SetReadDeadline(time.Now().Add(10*time.Second)))
	n, from, err := l.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("%v got nothing: %v", l.target.To, err)
	}
	if !bytes.Equal(buf[:n], payload) {
		t.Errorf("%v got  %x\nwant %x", l.target.To, buf[:n], payload)
	}
	if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); from != l.target.From {
		t.Errorf("%v got it from %v, want %v", l.target.To, from, l.target.From)
	}
}

// TestOnePacketReachesSeveralReceivers has listeners, each with its own addresses and shift. XDP copies for one device, and tc
// for several.
func TestOnePacketReachesSeveralReceivers(t *testing.T) {
	for _, c := range []struct {
		mode   Mode
		spread bool // listeners at both peers, not only at the far one
		by     Mode
	}{{TC, true, TC}, {XDP, true, TC}, {XDP, false, XDP}} {
		t.Run(fmt.Sprintf("%s, by %s", c.mode, c.by), func(t *testing.T) {
			p := newPath(t, true)
			plane := p.open(t, c.mode, tweaks{})
			defer func() { check(t, plane.Close()) }()
			if c.by == XDP {
				c.by = p.fans(t, plane)
			}
			for _, family := range []int{4, 6} {
				for _, n := range []int{2, 3, MaxReceivers} {
					fan(t, p, plane, family, n, c.spread, c.by)
				}
			}
		})
	}
}

// fans waits until XDP copies packets for the far peer, if it can, and returns who copies.
func (p path) fans(t *testing.T, plane *Plane) Mode {
	t.Helper()
	if plane.ports.family == 0 {
		return TC // before kernel 6.3 nobody knows whether a veth takes frames
	}
	if err := plane.missing[stageOf{XDP, relayStageSTAGE_FAN}]; err != nil {
		t.Fatal(err)
	}
	plane.ports.fan()
	index := plane.deviceOf(across4.From.Addr()).Index
	for end := time.Now().Add(30 * time.Second); plane.ports.flags(index)&relayPortFlagPORT_FAN == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("XDP is not ready to copy")
		}
	}
	return XDP
}

func fan(t *testing.T, p path, plane *Plane, family, n int, spread bool, by Mode) {
	f := across4
	if family == 6 {
		f = across6
	}
	near := netip.AddrPortFrom(f.Source.Addr(), 0)
	var all []listener
	for i := range n {
		host, to, from := p.b, netip.AddrPortFrom(f.To.Addr(), 0), f.From.Addr()
		if spread && i%2 == 1 { // every other one sits beside the sender
			host, to, from = p.a, near, f.Local.Addr()
		}
		l := listener{target: Target{Shift: Shift{SSRC: uint32(i), Sequence: uint16(i), Timestamp: uint32(2 * i)}}}
		inside(t, host, func() { l.UDPConn = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(to)))(t) })
		defer l.Close()
		bound := l.LocalAddr().(*net.UDPAddr).AddrPort()
		l.target.To = netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port())
		l.target.From = netip.AddrPortFrom(from, uint16(31000+i))
		all = append(all, l)
	}
	f.Target = all[0].target
	for _, l := range all[1:] {
		f.More = append(f.More, l.target)
	}
	f.Silences[0], f.Events = Silence{8, 0xd5}, [2]uint64{1: 1 << (101 - 64)}
	f.Silence = true // of PCMA; other payload types would be blocked
	check(t, plane.Install(f))

	var out *net.UDPConn
	inside(t, p.a, func() {
		out = must(net.DialUDP("udp", net.UDPAddrFromAddrPort(f.Source), net.UDPAddrFromAddrPort(f.Local)))(t)
	})
	defer out.Close()
	const packets = 10
	before := count(plane, by)
	for seq := range uint16(packets) {
		must(out.Write(testpkt.RTP(0, seq, 0, 1, 20)))(t) // blocked
		must(out.Write(testpkt.RTP(8, seq, 160*uint32(seq), 7, 161)))(t)
		for i, l := range all {
			l.wants(t, filled(testpkt.RTP(8, seq+uint16(i), 160*uint32(seq)+2*uint32(i), 7^uint32(i), 161), 12, 0xd5, 0))
		}
	}
	c := must(plane.Remove(f.Local))(t)
	if c.Packets != 2*packets || c.Blocked != packets || c.Out != packets || c.OutBytes != packets*173 || c.Lost != 0 {
		t.Errorf("got %+v", c)
	}
	if got := count(plane, by) - before; got != packets {
		t.Errorf("IPv%d, %d receivers: %s relayed %d packets, want %d", family, n, by, got, packets)
	}
	entries := 0
	for range contents[relayEndpoint, relayTargetGroup](plane.maps.Targets) {
		entries++
	}
	if entries > 0 {
		t.Errorf("%d groups of receivers are left", entries)
	}
}

func TestAFanWithAReceiverThatCannotBeReachedGoesUpWhole(t *testing.T) {
	s := newStage(t)
	inside(t, s.host, func() {
		h := s.testHooks()[2]
		audio := testpkt.RTP(0, 7, 160, 0xabcd, 160)
		frame := testpkt.UDP(flow4.Source, flow4.Local, audio)
		for _, c := range []struct {
			name   string
			second Target
			reason relayReason
		}{
			{"no neighbour yet", with(flow4, func(f *Flow) { f.To = addrPort("192.0.2.99:5000") }).Target, relayReasonREASON_NO_NEIGHBOUR},
			{"no route", with(flow4, func(f *Flow) { f.To = addrPort("203.0.113.9:5000") }).Target, relayReasonREASON_NO_ROUTE},
		} {
			f := with(flow4, func(f *Flow) { f.More = []Target{c.second} })
			check(t, s.put(&f))
			if out := s.decide(t, h, frame, up, c.reason); !bytes.Equal(out, frame) {
				t.Errorf("%s: the frame has changed", c.name)
			}
			if got := must(s.Counters(f.Local))(t); got.Packets != 0 {
				t.Errorf("%s: counted as %+v", c.name, got)
			}
			s.decide(t, h, testpkt.UDP(addrPort("192.0.2.11:4000"), f.Local, audio), dropped, relayReasonREASON_FOREIGN_DROP)
			s.decide(t, h, testpkt.UDP(f.Source, f.Local, rtcp(200, 7)), up, relayReasonREASON_RTCP)
			check(t, drop(s.Remove(f.Local)))
		}
	})
}
