package fastpath

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const flowVersion = 1 // FLOW_VERSION in bpf/types.h

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

// encodeFlow expects a validated flow with plain addresses.
func encodeFlow(f Flow) relayFlow {
	v := relayFlow{
		Version: flowVersion, Action: relayFlowActionFLOW_RELAY, Tos: f.TOS,
		Source: encodeEndpoint(f.Source), From: encodeEndpoint(f.From), To: encodeEndpoint(f.To),
		AddrsIn: sumAddrs(f.Source, f.Local), PortsIn: sumPorts(f.Source, f.Local),
		AddrsOut: sumAddrs(f.From, f.To), PortsOut: sumPorts(f.From, f.To),
		PayloadTypes: f.PayloadTypes,
	}
	if f.DropForeign {
		v.Flags |= relayFlowFlagFLOW_DROP_FOREIGN
	}
	if f.PayloadTypes != [2]uint64{} {
		v.Flags |= relayFlowFlagFLOW_FILTER
	}
	if f.Seeded {
		v.Stats.Last = uint64(f.SSRC)<<32 | uint64(f.Seq)<<16 | 1
	}
	return v
}

// decodeCounters needs the tick of the kernel, in which the programs count time.
func decodeCounters(v *relayFlow, tick time.Duration) Counters {
	s := &v.Stats
	c := Counters{
		Packets: s.Packets, Bytes: s.Bytes, Refused: s.Refused, Lost: s.Lost,
		SSRC: uint32(s.Last >> 32), Seq: uint16(s.Last >> 16),
	}
	if s.LastSeen != 0 {
		c.LastSeen = time.Duration(v.Hop.WhenNs) + time.Duration(s.LastSeen-v.Hop.When)*tick
	}
	return c
}
