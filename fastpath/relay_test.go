package fastpath

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
)

// verdict is what a program decides, in words that fit every hook.
type verdict string

const (
	relayed verdict = "relayed"
	up      verdict = "up"
	dropped verdict = "dropped"
)

// hook is a program under test and the numbers of its verdicts.
type hook struct {
	mode     Mode
	program  *ebpf.Program
	verdicts map[uint32]verdict
}

func (p *Plane) testHooks() []hook {
	xdp := map[uint32]verdict{1: dropped, 2: up, 3: relayed, 4: relayed}
	return []hook{
		{XDP, p.xdp.RelayXdp, xdp},
		{XDPGeneric, p.xdp.RelayXdpGeneric, xdp},
		{TC, p.tc.RelayTc, map[uint32]verdict{2: dropped, 0xffffffff: up, 7: relayed}},
	}
}

// run gives a frame to the program and returns what came out.
func (h hook) run(t testing.TB, frame []byte) (verdict, []byte) {
	t.Helper()
	out := make([]byte, len(frame)+256)
	opts := &ebpf.RunOptions{Data: frame, DataOut: out}
	code, err := h.program.Run(opts)
	check(t, err)
	v, ok := h.verdicts[code]
	if !ok {
		t.Fatalf("%s: verdict %d is not one of ours", h.mode, code)
	}
	return v, opts.DataOut
}

// exits of one hook, by number.
func (h hook) exits(t testing.TB, p *Plane) [relayReasonREASON_COUNT]uint64 {
	t.Helper()
	var all [relayReasonREASON_COUNT]uint64
	var cpus []relayExitCount
	for n := range all {
		check(t, p.maps.Exits.Lookup(relayReason(n), &cpus))
		for i := range cpus {
			all[n] += cpus[i].of(h.mode)
		}
	}
	return all
}

// The stage of the table: a host with media addresses on one device; the peers are on its link and have MAC addresses.
var (
	peerMAC = net.HardwareAddr{2, 0, 0, 0, 0, 0x20}

	flow4 = Flow{
		Local: addrPort("192.0.2.1:30000"), Source: addrPort("192.0.2.10:4000"),
		Target: Target{From: addrPort("192.0.2.1:30002"), To: addrPort("192.0.2.20:5000"), TOS: 0xb8}, DropForeign: true,
	}
	flow6 = Flow{
		Local: addrPort("[2001:db8::1]:30000"), Source: addrPort("[2001:db8::10]:4000"),
		Target: Target{From: addrPort("[2001:db8::1]:30002"), To: addrPort("[2001:db8::20]:5000"), TOS: 0xb8}, DropForeign: true,
	}
)

type stage struct {
	*Plane
	host *netrig.Host
	link netlink.Link
}

func newStage(t testing.TB) stage {
	t.Helper()
	return newStageOf(t, tweaks{noAttach: true, noCrypto: true}) // loading that takes long on slow machines
}

func newStageOf(t testing.TB, tweaks tweaks) stage {
	t.Helper()
	rig := newRig(t)
	s := stage{host: newHost(t, rig, "host")}
	check(t, rig.Link(netrig.End{Host: s.host, Device: "media", Addrs: prefixes("192.0.2.1/24", "2001:db8::1/64")},
		netrig.End{Host: newHost(t, rig, "peer"), Device: "peer"}))
	inside(t, s.host, func() {
		s.link = must(netlink.LinkByName("media"))(t)
		neighbour(t, s.link.Attrs().Index, "192.0.2.20", peerMAC)
		neighbour(t, s.link.Attrs().Index, "2001:db8::20", peerMAC)
		addrs := []netip.Addr{flow4.Local.Addr(), flow6.Local.Addr()}
		s.Plane = must(open(Config{Addrs: addrs, MaxFlows: 64}, tweaks))(t)
	})
	t.Cleanup(func() { check(t, s.Close()) })
	if s.xdpErr != nil || s.tcErr != nil {
		t.Fatalf("xdp: %v\ntc: %v", s.xdpErr, s.tcErr)
	}
	s.port(t, relayPortFlagPORT_XMIT)
	return s
}

func (s stage) port(t testing.TB, flags relayPortFlag) {
	t.Helper()
	index := uint32(s.link.Attrs().Index)
	check(t, s.maps.Ports.Update(index, relayPort{Flags: flags, Ifindex: index}, ebpf.UpdateAny))
}

// wanted is the frame that must come out for a payload.
func (s stage) wanted(f Flow, payload []byte, opts ...testpkt.Option) []byte {
	opts = append([]testpkt.Option{
		testpkt.MAC([6]byte(peerMAC), [6]byte(s.link.Attrs().HardwareAddr)), testpkt.TOS(f.TOS),
	}, opts...)
	return testpkt.UDP(f.From, f.To, payload, opts...)
}

func TestProgramsDecideByThePacket(t *testing.T) {
	rtp := testpkt.RTP(8, 7, 160, 0xabcd, 160)
	v4 := testpkt.UDP(flow4.Source, flow4.Local, rtp)
	v6 := testpkt.UDP(flow6.Source, flow6.Local, rtp)
	sound := func(frame []byte) []byte { testpkt.FixIPv4(frame); return frame }
	// set changes one byte of the IPv4 packet and makes the header checksum right again.
	set := func(offset int, v uint8) []byte { return sound(testpkt.Mutate(v4, testpkt.Set8(offset, v))) }
	set16 := func(offset int, v uint16) []byte { return sound(testpkt.Mutate(v4, testpkt.Set16(offset, v))) }

	one := Counters{Packets: 1, Bytes: 172}
	cases := []struct {
		name    string
		in      []byte
		flow    func(*Flow) // changes flow4 and flow6 before installation
		verdict verdict
		out     func(s stage, h hook) []byte // nil: as it came in
		reason  relayReason
		counts  Counters // Packets, Bytes, Refused and Lost that are new
		notTC   bool     // the kernel refuses to run such a frame for tc
	}{
		{name: "RTP of the learnt source over IPv4 is relayed", in: v4, verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return s.wanted(flow4, rtp) }},
		{name: "RTP of the learnt source over IPv6 is relayed", in: v6, verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return s.wanted(flow6, rtp) }},
		{name: "the shortest RTP packet is relayed",
			in: testpkt.UDP(flow4.Source, flow4.Local, rtp[:12]), verdict: relayed,
			counts: Counters{Packets: 1, Bytes: 12},
			out:    func(s stage, _ hook) []byte { return s.wanted(flow4, rtp[:12]) }},
		{name: "an odd payload is relayed", in: testpkt.UDP(flow6.Source, flow6.Local, rtp[:33]), verdict: relayed,
			counts: Counters{Packets: 1, Bytes: 33},
			out:    func(s stage, _ hook) []byte { return s.wanted(flow6, rtp[:33]) }},
		{name: "padding behind the packet stays behind it",
			in: append(bytes.Clone(v4), 0, 0, 0), verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return append(s.wanted(flow4, rtp), 0, 0, 0) }},
		{name: "TOS, TTL, id and flags are made new", in: testpkt.UDP(flow4.Source, flow4.Local, rtp, testpkt.TOS(4),
			testpkt.TTL(1), testpkt.ID(77, 0)), verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return s.wanted(flow4, rtp) }},
		{name: "traffic class, hop limit and flow label are made new", in: testpkt.UDP(flow6.Source, flow6.Local, rtp,
			testpkt.TOS(4), testpkt.TTL(1), testpkt.FlowLabel(0x12345)), verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return s.wanted(flow6, rtp) }},
		{name: "no UDP checksum over IPv4 stays none",
			in:      testpkt.UDP(flow4.Source, flow4.Local, rtp, testpkt.NoChecksum()),
			verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte { return s.wanted(flow4, rtp, testpkt.NoChecksum()) }},
		{name: "a wrong UDP checksum stays wrong", in: testpkt.Mutate(v4, testpkt.Set8(len(v4)-1, ^v4[len(v4)-1])),
			verdict: relayed, counts: one,
			out: func(s stage, _ hook) []byte {
				w := s.wanted(flow4, rtp)
				return testpkt.Mutate(w, testpkt.Set8(len(w)-1, ^w[len(w)-1]))
			}},
		{name: "an admitted payload type is relayed", in: v4, verdict: relayed, counts: one,
			flow: func(f *Flow) { f.PayloadTypes = [2]uint64{1 << 8} },
			out:  func(s stage, _ hook) []byte { return s.wanted(flow4, rtp) }},
		{name: "an admitted payload type above 63 is relayed whatever the marker bit", verdict: relayed, counts: one,
			in:   testpkt.UDP(flow4.Source, flow4.Local, mark(testpkt.RTP(101, 7, 0, 1, 160))),
			flow: func(f *Flow) { f.PayloadTypes = [2]uint64{0, 1 << (101 - 64)} },
			out:  func(s stage, _ hook) []byte { return s.wanted(flow4, mark(testpkt.RTP(101, 7, 0, 1, 160))) }},
		{name: "a payload type that is not admitted goes up",
			in: v4, verdict: up, reason: relayReasonREASON_PAYLOAD_TYPE,
			flow: func(f *Flow) { f.PayloadTypes = [2]uint64{1, 1 << 8} }},

		{name: "a foreign port is dropped and counted",
			in:      testpkt.UDP(addrPort("192.0.2.10:4002"), flow4.Local, rtp),
			verdict: dropped, reason: relayReasonREASON_FOREIGN_DROP, counts: Counters{Refused: 1}},
		{name: "a foreign address is dropped and counted",
			in:      testpkt.UDP(addrPort("192.0.2.11:4000"), flow4.Local, rtp),
			verdict: dropped, reason: relayReasonREASON_FOREIGN_DROP, counts: Counters{Refused: 1}},
		{name: "a foreign IPv6 address is dropped and counted",
			in:      testpkt.UDP(addrPort("[2001:db9::10]:4000"), flow6.Local, rtp),
			verdict: dropped, reason: relayReasonREASON_FOREIGN_DROP, counts: Counters{Refused: 1}},
		{name: "a foreign source goes up when the flow wants it",
			in:   testpkt.UDP(addrPort("192.0.2.11:4000"), flow4.Local, rtp),
			flow: func(f *Flow) { f.DropForeign = false }, verdict: up, reason: relayReasonREASON_FOREIGN},
		{name: "STUN of a foreign source goes up although foreign RTP is dropped",
			in:      testpkt.UDP(addrPort("192.0.2.11:4000"), flow4.Local, append([]byte{0, 1, 0, 8}, make([]byte, 24)...)),
			verdict: up, reason: relayReasonREASON_NOT_RTP},

		{name: "RTCP on the RTP port goes up",
			in:      testpkt.UDP(flow4.Source, flow4.Local, append([]byte{0x81, 200}, make([]byte, 26)...)),
			verdict: up, reason: relayReasonREASON_RTCP},
		{name: "the first RTCP type goes up",
			in:      testpkt.UDP(flow6.Source, flow6.Local, append([]byte{0x81, 192}, make([]byte, 26)...)),
			verdict: up, reason: relayReasonREASON_RTCP},
		{name: "the last RTCP type goes up",
			in:      testpkt.UDP(flow6.Source, flow6.Local, append([]byte{0x81, 223}, make([]byte, 26)...)),
			verdict: up, reason: relayReasonREASON_RTCP},
		{name: "payload type 96 with marker is no RTCP",
			in:      testpkt.UDP(flow4.Source, flow4.Local, mark(testpkt.RTP(96, 1, 1, 1, 0))),
			verdict: relayed, counts: Counters{Packets: 1, Bytes: 12},
			out: func(s stage, _ hook) []byte { return s.wanted(flow4, mark(testpkt.RTP(96, 1, 1, 1, 0))) }},
		{name: "DTLS goes up",
			in:      testpkt.UDP(flow4.Source, flow4.Local, append([]byte{22, 254}, make([]byte, 26)...)),
			verdict: up, reason: relayReasonREASON_NOT_RTP},
		{name: "a keep-alive shorter than RTP goes up", in: testpkt.UDP(flow4.Source, flow4.Local, []byte{0x80, 0}),
			verdict: up, reason: relayReasonREASON_NOT_RTP},
		{name: "another local port goes up", in: testpkt.UDP(flow4.Source, addrPort("192.0.2.1:30004"), rtp),
			verdict: up, reason: relayReasonREASON_NO_FLOW},
		{name: "another local address goes up", in: testpkt.UDP(flow6.Source, addrPort("[2001:db8::2]:30000"), rtp),
			verdict: up, reason: relayReasonREASON_NO_FLOW},

		{name: "a multicast frame goes up",
			in: testpkt.Mutate(v4, testpkt.Set8(0, 1)), verdict: up, reason: relayReasonREASON_OTHER_HOST},
		{name: "a VLAN tagged frame goes up", in: testpkt.Tag(v4, 5), verdict: up, reason: relayReasonREASON_VLAN},
		{name: "ARP goes up",
			in: testpkt.Mutate(v4, testpkt.Set16(12, 0x0806)), verdict: up, reason: relayReasonREASON_NOT_IP},
		{name: "IPv4 with options goes up",
			in: set(testpkt.IP, 0x46), verdict: up, reason: relayReasonREASON_IP_OPTIONS},
		{name: "IPv4 of version 5 goes up",
			in: set(testpkt.IP, 0x55), verdict: up, reason: relayReasonREASON_IP_OPTIONS},
		{name: "a damaged IPv4 header goes up", in: testpkt.Mutate(v4, testpkt.Set8(testpkt.IP+5, 99)), verdict: up,
			reason: relayReasonREASON_IP_CHECKSUM},
		{name: "the first fragment goes up",
			in: set16(testpkt.IP+6, 0x2000), verdict: up, reason: relayReasonREASON_FRAGMENT},
		{name: "a later fragment goes up",
			in: set16(testpkt.IP+6, 0x0010), verdict: up, reason: relayReasonREASON_FRAGMENT},
		{name: "an IPv6 fragment goes up",
			in: testpkt.Mutate(v6, testpkt.Set8(testpkt.IP+6, 44)), verdict: up, reason: relayReasonREASON_FRAGMENT},
		{name: "an IPv6 hop-by-hop header goes up",
			in: testpkt.Mutate(v6, testpkt.Set8(testpkt.IP+6, 0)), verdict: up,
			reason: relayReasonREASON_IP_OPTIONS},
		{name: "TTL 0 goes up", in: set(testpkt.IP+8, 0), verdict: up, reason: relayReasonREASON_TTL},
		{name: "hop limit 0 goes up",
			in: testpkt.Mutate(v6, testpkt.Set8(testpkt.IP+7, 0)), verdict: up, reason: relayReasonREASON_TTL},
		{name: "TCP goes up", in: set(testpkt.IP+9, 6), verdict: up, reason: relayReasonREASON_NOT_UDP},
		{name: "ICMPv6 goes up",
			in: testpkt.Mutate(v6, testpkt.Set8(testpkt.IP+6, 58)), verdict: up, reason: relayReasonREASON_NOT_UDP},
		{name: "an IPv4 packet longer than its frame goes up",
			in: v4[:len(v4)-1], verdict: up, reason: relayReasonREASON_LENGTH},
		{name: "an IPv6 packet longer than its frame goes up",
			in: v6[:len(v6)-1], verdict: up, reason: relayReasonREASON_LENGTH},
		{name: "a UDP length that differs from IP's goes up",
			in: testpkt.Mutate(v4, testpkt.Set16(testpkt.UDP4+4, 100)), verdict: up,
			reason: relayReasonREASON_LENGTH},
		{name: "a UDP length shorter than its header goes up",
			in: testpkt.Mutate(v4, testpkt.Set16(testpkt.UDP4+4, 7)), verdict: up,
			reason: relayReasonREASON_LENGTH},
		{name: "a frame that ends inside the IPv6 header goes up",
			in: v6[:testpkt.UDP6-1], notTC: true, verdict: up, reason: relayReasonREASON_TRUNCATED},
		{name: "a frame that ends inside the RTP header goes up",
			in: v4[:testpkt.UDP4+8+11], verdict: up, reason: relayReasonREASON_TRUNCATED},
		{name: "IPv6 without UDP checksum goes up",
			in: testpkt.UDP(flow6.Source, flow6.Local, rtp, testpkt.NoChecksum()), verdict: up,
			reason: relayReasonREASON_UDP_CHECKSUM},
	}

	s := newStage(t)
	for _, h := range s.testHooks() {
		for _, c := range cases {
			if h.mode == TC && c.notTC {
				continue
			}
			runInside(t, s.host, string(h.mode)+"/"+c.name, func(t *testing.T) {
				for _, f := range []Flow{flow4, flow6} {
					if c.flow != nil {
						c.flow(&f)
					}
					check(t, s.Install(f))
				}
				before := h.exits(t, s.Plane)
				v, out := h.run(t, c.in)
				if v != c.verdict {
					t.Errorf("verdict: got %s, want %s", v, c.verdict)
				}
				want := c.in
				if c.out != nil {
					want = c.out(s, h)
				}
				if !bytes.Equal(out, want) {
					t.Errorf("frame:\ngot  %x\nwant %x", out, want)
				}
				expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{c.reason: 1})
				a := must(s.Counters(flow4.Local))(t)
				b := must(s.Counters(flow6.Local))(t)
				got := a.Add(b)
				if (got.LastSeen != 0) != (c.verdict == relayed) {
					t.Errorf("last seen %v", got.LastSeen)
				}
				got.LastSeen, got.SSRC, got.Seq, got.Sources = 0, 0, 0, [MaxSources]SourceCounters{}
				got.Out, got.OutBytes = 0, 0 // as many as came
				if got != c.counts {
					t.Errorf("counters: got %+v, want %+v", got, c.counts)
				}
			})
		}
	}
}

// mark sets the marker bit.
func mark(rtp []byte) []byte { rtp[1] |= 0x80; return rtp }

// expectExits fails for every exit that did not move as it should, and no others.
func expectExits(t testing.TB, before, after [relayReasonREASON_COUNT]uint64, want map[relayReason]uint64) {
	t.Helper()
	for n := range after {
		if got := after[n] - before[n]; got != want[relayReason(n)] {
			t.Errorf("exit %s: got %d, want %d", exits[n].name, got, want[relayReason(n)])
		}
	}
}
