package fastpath

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/weir-media/weir/internal/testpkt"
)

// extended puts a header extension of a profile and contributing sources into an RTP packet without any.
func extended(rtp []byte, contributors int, profile uint16, words ...uint32) []byte {
	out := bytes.Clone(rtp[:12])
	out[0] |= uint8(contributors)
	for i := range contributors {
		out = binary.BigEndian.AppendUint32(out, uint32(i))
	}
	if profile != 0 {
		out[0] |= 0x10
		out = binary.BigEndian.AppendUint16(out, profile)
		out = binary.BigEndian.AppendUint16(out, uint16(len(words)))
		for _, w := range words {
			out = binary.BigEndian.AppendUint32(out, w)
		}
	}
	return append(out, rtp[12:]...)
}

// padded adds n bytes of padding (RFC 3550, section 5.1).
func padded(rtp []byte, n int) []byte {
	out := append(bytes.Clone(rtp), make([]byte, n)...)
	out[0] |= 0x20
	out[len(out)-1] = uint8(n)
	return out
}

// filled has all bytes from one on replaced, but for the last ones.
func filled(rtp []byte, from int, octet byte, keep int) []byte {
	out := bytes.Clone(rtp)
	for i := from; i < len(out)-keep; i++ {
		out[i] = octet
	}
	return out
}

func rtcp(kind uint8, words int) []byte {
	b := []byte{0x80, kind, 0, uint8(words - 1)}
	for i := 1; i < words; i++ {
		b = binary.BigEndian.AppendUint32(b, uint32(i))
	}
	return b
}

// fullCase is a packet and what becomes of it. Flows are installed in order.
type fullCase struct {
	name    string
	flows   []Flow
	in      []byte
	opts    []testpkt.Option
	vlan    uint16 // of the frame that comes in
	to      Target // of the frame that leaves
	out     []byte // payload; nil: the frame stays as it is
	verdict verdict
	reason  relayReason
	counts  Counters    // of the first flow
	tcUp    relayReason // tc passes it up for this reason
}

func with(f Flow, change func(f *Flow)) Flow { change(&f); return f }

func fullCases() []fullCase {
	audio := testpkt.RTP(0, 7, 160, 0xabcd, 160)
	one := func(in, out int) Counters {
		return Counters{Packets: 1, Bytes: uint64(in), Out: 1, OutBytes: uint64(out)}
	}
	rtcpOne := func(n int) Counters { return Counters{RTCP: 1, RTCPBytes: uint64(n)} }
	silent := func(f *Flow) {
		f.Silence = true
		f.Silences = [MaxSilences]Silence{{0, 0xff}, {8, 0xd5}}
		f.Events = [2]uint64{1: 1 << (101 - 64)}
	}
	to6 := with(flow4, func(f *Flow) { f.Target = flow6.Target })
	to4 := with(flow6, func(f *Flow) { f.Target = flow4.Target })
	strip := with(flow4, func(f *Flow) { f.Strip = true })
	report := rtcp(200, 7)
	oneByte := extended(audio, 0, 0xbede, 0x10ff0000)
	chain := with(flow4, func(f *Flow) { f.To = addrPort("192.0.2.1:30010") })
	second := Flow{Local: chain.To, Source: chain.From, Target: flow4.Target, DropForeign: true}
	second.From = addrPort("192.0.2.1:30012")

	var cases []fullCase
	for _, n := range []int{0, 1, 159, 160, 1400} {
		p := testpkt.RTP(0, 7, 160, 0xabcd, n)
		cases = append(cases,
			fullCase{name: "IPv4 to IPv6", flows: []Flow{to6}, in: p, to: to6.Target, out: p, verdict: relayed, counts: one(len(p), len(p))},
			fullCase{name: "IPv6 to IPv4", flows: []Flow{to4}, in: p, to: to4.Target, out: p, verdict: relayed, counts: one(len(p), len(p))},
			fullCase{name: "IPv4 without checksum to IPv6 gets one", flows: []Flow{to6}, in: p, opts: []testpkt.Option{testpkt.NoChecksum()},
				to: to6.Target, out: p, verdict: relayed, counts: one(len(p), len(p)), tcUp: relayReasonREASON_UDP_CHECKSUM},
		)
	}
	return append(cases, []fullCase{
		{name: "an IPv4 packet with other TOS and TTL becomes an IPv6 one of the flow's", flows: []Flow{to6}, in: audio,
			opts: []testpkt.Option{testpkt.TOS(4), testpkt.TTL(3), testpkt.ID(9, 0)}, to: to6.Target, out: audio, verdict: relayed, counts: one(172, 172)},
		{name: "a wrong checksum stays wrong across families", flows: []Flow{to4}, in: audio, opts: nil, to: to4.Target, out: audio, verdict: relayed,
			counts: one(172, 172)},

		{name: "a stream is shifted", flows: []Flow{with(flow4, func(f *Flow) { f.Shift = Shift{0x5a5a5a5a, 0xfffa, 1000} })}, in: audio,
			to: flow4.Target, out: append(append([]byte{0x80, 0, 0, 1}, be(1160, 0xabcd^0x5a5a5a5a)...), audio[12:]...), verdict: relayed, counts: one(172, 172)},

		{name: "PCMU is silenced", flows: []Flow{with(flow4, silent)}, in: audio, to: flow4.Target, out: filled(audio, 12, 0xff, 0),
			verdict: relayed, counts: one(172, 172)},
		{name: "an odd payload is silenced", flows: []Flow{with(flow6, silent)}, in: audio[:171], to: flow6.Target, out: filled(audio[:171], 12, 0xff, 0),
			verdict: relayed, counts: one(171, 171)},
		{name: "PCMA is silenced on its way to IPv6", flows: []Flow{with(to6, silent)}, in: testpkt.RTP(8, 1, 1, 1, 80), to: to6.Target,
			out: filled(testpkt.RTP(8, 1, 1, 1, 80), 12, 0xd5, 0), verdict: relayed, counts: one(92, 92)},
		{name: "header extension, contributing sources and padding are not silenced", flows: []Flow{with(flow4, silent)},
			in: padded(extended(audio, 2, 0xbede, 1, 2), 4), to: flow4.Target,
			out: filled(padded(extended(audio, 2, 0xbede, 1, 2), 4), 12+8+12, 0xff, 4), verdict: relayed, counts: one(196, 196)},
		{name: "padding longer than the packet goes up where the payload is silenced", flows: []Flow{with(flow4, silent)},
			in: testpkt.Mutate(padded(audio, 4), func(b []byte) { b[len(b)-1] = 200 }), verdict: up, reason: relayReasonREASON_BAD_RTP},
		{name: "what has no silence is blocked", flows: []Flow{with(flow4, silent)}, in: testpkt.RTP(18, 1, 1, 1, 20), verdict: dropped,
			reason: relayReasonREASON_BLOCKED, counts: Counters{Packets: 1, Bytes: 32, Blocked: 1}},
		{name: "events pass where media is silenced", flows: []Flow{with(flow4, silent)}, in: testpkt.RTP(101, 1, 1, 1, 4), to: flow4.Target,
			out: testpkt.RTP(101, 1, 1, 1, 4), verdict: relayed, counts: one(16, 16)},
		{name: "media is blocked", flows: []Flow{with(flow4, func(f *Flow) { f.BlockMedia = true })}, in: audio, verdict: dropped,
			reason: relayReasonREASON_BLOCKED, counts: Counters{Packets: 1, Bytes: 172, Blocked: 1}},
		{name: "events are blocked", flows: []Flow{with(flow4, func(f *Flow) { f.BlockEvents, f.Events = true, [2]uint64{1: 1 << (101 - 64)} })},
			in: testpkt.RTP(101, 1, 1, 1, 4), verdict: dropped, reason: relayReasonREASON_BLOCKED, counts: Counters{Packets: 1, Bytes: 16, Blocked: 1}},
		{name: "media passes where events are blocked",
			flows: []Flow{with(flow4, func(f *Flow) { f.BlockEvents, f.Events = true, [2]uint64{1: 1 << (101 - 64)} })},
			in:    audio, to: flow4.Target, out: audio, verdict: relayed, counts: one(172, 172)},

		{name: "a header extension is taken out", flows: []Flow{strip}, in: oneByte, to: flow4.Target, out: audio, verdict: relayed,
			counts: one(180, 172), tcUp: relayReasonREASON_STRIP},
		{name: "one in the two-byte form is, too", flows: []Flow{with(strip, func(f *Flow) { f.Target = flow6.Target })},
			in: extended(audio, 0, 0x1003, 1, 2, 3), to: flow6.Target, out: audio, verdict: relayed, counts: one(188, 172), tcUp: relayReasonREASON_STRIP},
		{name: "an empty one is, too", flows: []Flow{strip}, in: extended(audio, 0, 0xbede), to: flow4.Target, out: audio, verdict: relayed,
			counts: one(176, 172), tcUp: relayReasonREASON_STRIP},
		{name: "one of another kind stays", flows: []Flow{strip}, in: extended(audio, 0, 0x1234, 9), to: flow4.Target,
			out: extended(audio, 0, 0x1234, 9), verdict: relayed, counts: one(180, 180)},
		{name: "behind contributing sources it goes up", flows: []Flow{strip}, in: extended(audio, 1, 0xbede, 9), verdict: up,
			reason: relayReasonREASON_STRIP},
		{name: "a packet without one passes", flows: []Flow{strip}, in: audio, to: flow4.Target, out: audio, verdict: relayed, counts: one(172, 172)},

		{name: "RTCP on the port of RTP goes where RTCP goes", flows: []Flow{with(flow4, func(f *Flow) { f.ToRTCP = flow6.Target })}, in: report,
			to: flow6.Target, out: report, verdict: relayed, counts: rtcpOne(28)},
		{name: "RTP goes the short way where RTCP goes elsewhere", flows: []Flow{with(flow4, func(f *Flow) { f.ToRTCP = flow6.Target })}, in: audio,
			to: flow4.Target, out: audio, verdict: relayed, counts: one(172, 172)},
		{name: "RTCP on its own port is relayed", flows: []Flow{with(flow4, func(f *Flow) { f.RTCP = true })}, in: report, to: flow4.Target,
			out: report, verdict: relayed, counts: rtcpOne(28)},
		{name: "the shortest RTCP is relayed", flows: []Flow{with(flow6, func(f *Flow) { f.RTCP = true })}, in: rtcp(201, 2), to: flow6.Target,
			out: rtcp(201, 2), verdict: relayed, counts: rtcpOne(8)},
		{name: "RTCP across families", flows: []Flow{with(to6, func(f *Flow) { f.RTCP = true })}, in: report, to: to6.Target, out: report,
			verdict: relayed, counts: rtcpOne(28)},
		{name: "RTP on the port of RTCP goes up", flows: []Flow{with(flow4, func(f *Flow) { f.RTCP = true })}, in: audio, verdict: up,
			reason: relayReasonREASON_RTCP},
		{name: "RTCP longer than its packet goes up", flows: []Flow{with(flow4, func(f *Flow) { f.RTCP = true })}, in: report[:24], verdict: up,
			reason: relayReasonREASON_BAD_RTP},

		{name: "contributing sources and an extension are relayed", flows: []Flow{flow4}, in: extended(audio, 3, 0xbede, 1, 2), to: flow4.Target,
			out: extended(audio, 3, 0xbede, 1, 2), verdict: relayed, counts: one(196, 196)},
		{name: "more contributing sources than the packet has room for go up", flows: []Flow{flow4},
			in: testpkt.Mutate(audio[:40], testpkt.Set8(0, 0x88)), verdict: up, reason: relayReasonREASON_BAD_RTP},
		{name: "an extension longer than the packet goes up", flows: []Flow{flow4},
			in: testpkt.Mutate(oneByte, testpkt.Set16(14, 60)), verdict: up, reason: relayReasonREASON_BAD_RTP},
		{name: "an extension that begins behind the packet goes up", flows: []Flow{flow4},
			in: testpkt.Mutate(audio[:14], testpkt.Set8(0, 0x90)), verdict: up, reason: relayReasonREASON_BAD_RTP},

		{name: "a call of this host is the next hop", flows: []Flow{chain, second}, in: audio, to: second.Target, out: audio, verdict: relayed,
			counts: one(172, 172)},
		{name: "both calls change the packet", flows: []Flow{with(chain, func(f *Flow) { f.Shift.Sequence = 1 }), with(second, silent)}, in: audio,
			to: second.Target, out: filled(testpkt.RTP(0, 8, 160, 0xabcd, 160), 12, 0xff, 0), verdict: relayed, counts: one(172, 172)},
		{name: "the second call blocks", flows: []Flow{chain, with(second, func(f *Flow) { f.BlockMedia = true })}, in: audio, verdict: dropped,
			reason: relayReasonREASON_BLOCKED, counts: Counters{Packets: 1, Bytes: 172, Out: 1, OutBytes: 172}},
		{name: "a call of this host that is not in the kernel goes up", flows: []Flow{chain}, in: audio, verdict: up, reason: relayReasonREASON_NO_ROUTE},
		{name: "a call of this host that has another peer goes up",
			flows: []Flow{chain, with(second, func(f *Flow) { f.Source = flow4.Source })}, in: audio, verdict: up, reason: relayReasonREASON_NO_ROUTE},
		{name: "a call of this host with itself goes up", verdict: up, reason: relayReasonREASON_NO_ROUTE, in: audio,
			flows: []Flow{chain, with(second, func(f *Flow) { f.From, f.To = chain.From, second.Local }),
				with(second, func(f *Flow) { f.Source, f.From, f.To = chain.From, chain.From, second.Local })}},

		{name: "a tagged frame of a VLAN device is relayed", flows: []Flow{flow4}, in: audio, vlan: 5, to: flow4.Target, out: audio, verdict: relayed,
			counts: one(172, 172), tcUp: relayReasonREASON_VLAN},
		{name: "a tagged frame to the other family", flows: []Flow{to6}, in: audio, vlan: 5, to: to6.Target, out: audio, verdict: relayed,
			counts: one(172, 172), tcUp: relayReasonREASON_VLAN},
		{name: "a tagged frame for no device goes up", flows: []Flow{flow4}, in: audio, vlan: 6, verdict: up, reason: relayReasonREASON_VLAN},
		{name: "a foreign tagged frame is dropped and counted", flows: []Flow{with(flow4, func(f *Flow) { f.Source = addrPort("192.0.2.10:4002") })},
			in: audio, vlan: 5, verdict: dropped, reason: relayReasonREASON_FOREIGN_DROP, counts: Counters{Refused: 1}, tcUp: relayReasonREASON_VLAN},
	}...)
}

// be are words in network order.
func be(words ...uint32) (b []byte) {
	for _, w := range words {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

func TestProgramsDoAllThatAFlowWants(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		const loopback = 1 // where test runs come in
		tag := relayVlan{Ifindex: loopback, Tag: vlanTag | 5}
		check(t, s.maps.Vlans.Put(&tag, uint32(9)))
		for _, c := range fullCases() {
			c.run(t, s, h)
		}
	})
}

func (c fullCase) run(t *testing.T, s stage, h hook) {
	t.Helper()
	for _, f := range c.flows {
		check(t, s.put(&f))
	}
	source, local := flow4.Source, c.flows[0].Local
	if !local.Addr().Is4() {
		source = flow6.Source
	}
	frame := testpkt.UDP(source, local, c.in, c.opts...)
	if c.vlan != 0 {
		frame = testpkt.Tag(frame, c.vlan)
	}
	before := h.exits(t, s.Plane)
	v, out := h.run(t, frame)
	wantV, wantReason, want, counts := c.verdict, c.reason, frame, c.counts
	if h.mode == TC && c.tcUp != 0 {
		wantV, wantReason, counts = up, c.tcUp, Counters{}
	} else if c.out != nil {
		want = s.wanted(Flow{Target: c.to}, c.out)
	}
	if v != wantV {
		t.Errorf("%s: verdict: got %s, want %s", c.name, v, wantV)
	}
	if v == wantV && v != dropped && !bytes.Equal(out, want) {
		t.Errorf("%s: frame:\ngot  %x\nwant %x", c.name, out, want)
	}
	after := h.exits(t, s.Plane)
	for n := range after {
		wantN := uint64(0)
		if relayReason(n) == wantReason {
			wantN = 1
		}
		if got := after[n] - before[n]; got != wantN {
			t.Errorf("%s: exit %s: got %d, want %d", c.name, exits[n].name, got, wantN)
		}
	}
	got := must(s.Counters(local))(t)
	got.LastSeen, got.SSRC, got.Seq, got.Sources = 0, 0, 0, [MaxSources]SourceCounters{}
	if got != counts {
		t.Errorf("%s: counters: got %+v, want %+v", c.name, got, counts)
	}
	for _, f := range c.flows {
		_, _ = s.Remove(f.Local) // twice the same is no fault here
	}
}

// TestTheKernelsSumOverAPacketStaysRight has the kernel check what network cards leave with a packet.
func TestTheKernelsSumOverAPacketStaysRight(t *testing.T) {
	const checksumComplete = 1 << 2 // BPF_F_TEST_SKB_CHECKSUM_COMPLETE, Linux 6.17
	s := newStage(t)
	inside(t, s.host, func() {
		h := s.testHooks()[2]
		probe := testpkt.UDP(flow4.Source, flow4.Local, []byte("no RTP at all, which goes up"))
		if _, err := h.program.Run(&ebpf.RunOptions{Data: probe, Flags: checksumComplete}); err != nil {
			t.Logf("this kernel cannot check it: %v", err)
			return
		}
		for _, c := range fullCases() {
			if c.verdict != relayed || c.tcUp != 0 || c.opts != nil {
				continue
			}
			for _, f := range c.flows {
				check(t, s.put(&f))
			}
			source := flow4.Source
			if !c.flows[0].Local.Addr().Is4() {
				source = flow6.Source
			}
			opts := &ebpf.RunOptions{Data: testpkt.UDP(source, c.flows[0].Local, c.in), DataOut: make([]byte, 2048), Flags: checksumComplete}
			code, err := h.program.Run(opts)
			if err != nil || h.verdicts[code] != relayed {
				t.Errorf("%s: %s, %v", c.name, h.verdicts[code], err)
			}
			for _, f := range c.flows {
				_, _ = s.Remove(f.Local)
			}
		}
	})
}

func TestFramesLeaveByAVLANDeviceWithItsTag(t *testing.T) {
	audio := testpkt.RTP(0, 7, 160, 0xabcd, 160)
	to6 := with(flow4, func(f *Flow) { f.Target = flow6.Target })
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		index := uint32(s.link.Attrs().Index)
		check(t, s.maps.Ports.Put(index, relayPort{Flags: relayPortFlagPORT_XMIT, Ifindex: 77, Tag: vlanTag | 9}))
		defer s.port(t, relayPortFlagPORT_XMIT)
		for _, f := range []Flow{flow4, to6} {
			check(t, s.put(&f))
			want := testpkt.Tag(s.wanted(f, audio), 9)
			if h.mode == TC { // the device does it
				want = s.wanted(f, audio)
			}
			out := s.decide(t, h, testpkt.UDP(f.Source, f.Local, audio), relayed, relayReasonREASON_RELAYED)
			if !bytes.Equal(out, want) {
				t.Errorf("frame:\ngot  %x\nwant %x", out, want)
			}
			check(t, drop(s.Remove(f.Local)))
		}
	})
}

func drop[T any](_ T, err error) error { return err }
