package fastpath

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const flowVersion = 3 // FLOW_VERSION in bpf/types.h

// encodeEndpoint gives the form of the maps: 16-byte address and port in network order.
func encodeEndpoint(a netip.AddrPort) relayEndpoint {
	var e relayEndpoint
	ip := a.Addr().As16()
	for i := range e.Addr {
		e.Addr[i] = binary.NativeEndian.Uint32(ip[4*i:])
	}
	e.Port = networkPort(a.Port())
	return e
}

func decodeEndpoint(e *relayEndpoint) netip.AddrPort {
	var ip [16]byte
	for i, word := range e.Addr {
		binary.NativeEndian.PutUint32(ip[4*i:], word)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(ip).Unmap(), networkPort(e.Port))
}

// networkPort turns a port to network order, or back.
func networkPort(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}

// sum16 adds the words of parts in the order in which they lie in memory, as the programs do (RFC 1071, section 2).
func sum16(parts ...[]byte) uint16 {
	var sum uint32
	for _, p := range parts {
		for ; len(p) > 1; p = p[2:] {
			sum += uint32(binary.NativeEndian.Uint16(p))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func sumAddrs(a, b netip.AddrPort) uint16 { return sum16(a.Addr().AsSlice(), b.Addr().AsSlice()) }

func sumPorts(a, b netip.AddrPort) uint16 {
	var words [4]byte
	binary.BigEndian.PutUint16(words[:], a.Port())
	binary.BigEndian.PutUint16(words[2:], b.Port())
	return sum16(words[:])
}

func encodeTarget(t *Target) relayTarget {
	v := relayTarget{
		From: encodeEndpoint(t.From), To: encodeEndpoint(t.To), Tos: t.TOS,
		AddrsOut: sumAddrs(t.From, t.To), PortsOut: sumPorts(t.From, t.To),
		Ssrc: t.Shift.SSRC, Seq: t.Shift.Sequence, Timestamp: t.Shift.Timestamp,
	}
	if !t.To.Addr().Is4() {
		v.Ipv6 = 1
	}
	return v
}

// targetGroup is how many receivers lie together: TARGET_GROUP in bpf/types.h.
const targetGroup = len(relayTargetGroup{}.Of)

// groupOf is the index of the group of a receiver, counted from 0.
func groupOf(i int) uint16 { return uint16(i/targetGroup) + 1 }

// encodeTargets returns the receivers that are not in the flow itself, by the index of their group.
func encodeTargets(f *Flow) map[uint16]relayTargetGroup {
	if len(f.More) == 0 && f.ToRTCP == (Target{}) {
		return nil
	}
	groups := make(map[uint16]relayTargetGroup)
	put := func(index uint16, place int, t *Target) {
		group := groups[index]
		group.Of[place] = encodeTarget(t)
		groups[index] = group
	}
	if len(f.More) > 0 {
		put(groupOf(0), 0, &f.Target)
	}
	for i := range f.More {
		put(groupOf(i+1), (i+1)%targetGroup, &f.More[i])
	}
	if f.ToRTCP != (Target{}) {
		put(rtcpTarget, 0, &f.ToRTCP)
	}
	return groups
}

// encodeFlow expects a validated flow with plain addresses.
func encodeFlow(f *Flow) relayFlow {
	v := relayFlow{
		Version: flowVersion, Action: relayFlowActionFLOW_RELAY, Flags: f.flags(), Source: encodeEndpoint(f.Source),
		AddrsIn: sumAddrs(f.Source, f.Local), PortsIn: sumPorts(f.Source, f.Local), Target: encodeTarget(&f.Target),
		PayloadTypes: f.PayloadTypes, Events: f.Events,
	}
	switch {
	case len(f.More) > 0:
		v.Action, v.Targets = relayFlowActionFLOW_FAN, uint8(len(f.More)+1)
	case f.secure():
		v.Action, v.Open, v.Seal = relayFlowActionFLOW_SECURE, uint32(f.Open), uint32(f.Seal)
	case !f.simple():
		v.Action = relayFlowActionFLOW_FULL
	}
	for i, s := range f.Silences {
		v.SilenceTypes[i], v.SilenceOctets[i] = s.PayloadType, s.Octet
	}
	for i, c := range f.Clocks {
		v.ClockTypes[i], v.ClockScales[i] = c.PayloadType, clockScale(c.Rate)
		if c.Rate == 0 {
			v.ClockTypes[i] = noPayloadType
		}
	}
	if f.Seeded {
		v.Sources[0].Last = uint64(f.SSRC)<<32 | uint64(f.Seq)<<16 | 1
	}
	return v
}

// noPayloadType is none that a packet may have.
const noPayloadType = 0xff

// clockScale gives units of a clock per ns, times 1<<32; 0 for clocks too fast to be told.
func clockScale(rate uint32) uint32 {
	const maxRate = 500_000_000
	if rate > maxRate {
		return 0
	}
	return uint32((uint64(rate)<<32 + uint64(time.Second)/2) / uint64(time.Second))
}

func (f *Flow) flags() (flags relayFlowFlag) {
	for _, b := range []struct {
		set  bool
		flag relayFlowFlag
	}{
		{f.DropForeign, relayFlowFlagFLOW_DROP_FOREIGN},
		{f.PayloadTypes != [2]uint64{}, relayFlowFlagFLOW_FILTER},
		{f.RTCP, relayFlowFlagFLOW_RTCP},
		{f.BlockMedia, relayFlowFlagFLOW_BLOCK_MEDIA},
		{f.Silence, relayFlowFlagFLOW_SILENCE},
		{f.BlockEvents, relayFlowFlagFLOW_BLOCK_EVENTS},
		{f.Strip, relayFlowFlagFLOW_STRIP},
		{f.ToRTCP != Target{}, relayFlowFlagFLOW_TO_RTCP},
		{f.Taps.All, relayFlowFlagFLOW_TAP},
		{f.Taps.RTCP, relayFlowFlagFLOW_TAP_RTCP},
		{f.Taps.Events, relayFlowFlagFLOW_TAP_EVENTS},
	} {
		if b.set {
			flags |= b.flag
		}
	}
	return flags
}

func decodeCounters(v *relayFlow) Counters {
	c := Counters{
		Packets: v.Untracked, Bytes: v.UntrackedBytes, Out: v.OutPackets, OutBytes: v.OutBytes, RTCP: v.Rtcp, RTCPBytes: v.RtcpBytes,
		Blocked: v.Blocked, Refused: v.Refused, Unauthenticated: v.Unauthenticated, Replayed: v.Replayed, Untapped: v.Untapped, LastSeen: time.Duration(v.RtcpWhen),
	}
	var latest time.Duration
	for i := range v.Sources {
		s := &v.Sources[i]
		if s.Last == 0 {
			break
		}
		one := SourceCounters{
			Used: true, SSRC: uint32(s.Last >> 32), Seq: uint16(s.Last >> 16), Packets: s.Packets, Bytes: s.Bytes,
			Lost: uint64(s.Lost), Late: uint64(s.Late), Repeated: uint64(s.Repeated), Timestamp: s.Timestamp, Jitter: s.Jitter,
			PayloadType: s.PayloadType, PayloadTypes: v.SeenTypes[i], LastSeen: time.Duration(s.When),
		}
		c.Sources[i] = one
		c.Packets, c.Bytes = c.Packets+one.Packets, c.Bytes+one.Bytes
		c.Lost, c.Late, c.Repeated = c.Lost+one.Lost, c.Late+one.Late, c.Repeated+one.Repeated
		c.LastSeen = max(c.LastSeen, one.LastSeen)
		if i == 0 || one.LastSeen >= latest { // those of one tick in their order
			c.SSRC, c.Seq, latest = one.SSRC, one.Seq, one.LastSeen
		}
	}
	if v.Action == relayFlowActionFLOW_RELAY {
		c.Out, c.OutBytes = c.Packets, c.Bytes
	}
	return c
}
