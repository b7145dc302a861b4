package fastpath

import (
	"fmt"
	"net/netip"
	"time"
)

// Mode says which engines Open may use.
type Mode string

// The engine choices of Config.Mode, best first. Auto takes the best engine each network device allows.
const (
	Auto       Mode = "auto"
	XDP        Mode = "xdp"
	TC         Mode = "tc"
	XDPGeneric Mode = "xdp-generic"
	None       Mode = "none"
)

// Flow is one direction of RTP that needs nothing from userspace: packets that arrive on Local from Source leave
// again from From to To. It is a plain value; Install copies it.
type Flow struct {
	Local  netip.AddrPort // where the packets arrive; the key of the flow
	Source netip.AddrPort // the learnt peer
	From   netip.AddrPort // local address and port the relayed packets carry
	To     netip.AddrPort // destination, same address family as From

	DropForeign bool  // true: packets from other sources end here and are counted; false: they go up to the socket
	TOS         uint8 // IPv4 TOS or IPv6 traffic class of relayed packets

	// PayloadTypes admits RTP payload types, one bit each (type 0 is bit 0 of element 0). All zero admits every type.
	// Others go up to the socket.
	PayloadTypes [2]uint64

	// Seq and SSRC are those of the last packet userspace relayed, so that loss is counted across the change of
	// plane. Seeded is false when there was none.
	Seq    uint16
	SSRC   uint32
	Seeded bool
}

// Counters are what the kernel has seen of one flow since its installation.
type Counters struct {
	Packets  uint64        // relayed
	Bytes    uint64        // RTP bytes relayed: UDP payload, without headers
	Refused  uint64        // from a source that is not the flow's, dropped here
	Lost     uint64        // gaps in the sequence numbers, less late arrivals
	LastSeen time.Duration // of the last relayed packet, on CLOCK_MONOTONIC; 0 when none
	SSRC     uint32        // of the last relayed packet
	Seq      uint16        // of the last relayed packet
}

// Add sums the counts of c and d; the last-packet fields are the later one's.
func (c Counters) Add(d Counters) Counters {
	sum := c
	if d.LastSeen >= c.LastSeen {
		sum = d
	}
	sum.Packets = c.Packets + d.Packets
	sum.Bytes = c.Bytes + d.Bytes
	sum.Refused = c.Refused + d.Refused
	sum.Lost = c.Lost + d.Lost
	return sum
}

// Validate reports what makes f impossible to install.
func (f *Flow) Validate() error {
	local, source, from, to := f.Local.Addr(), f.Source.Addr(), f.From.Addr(), f.To.Addr()
	switch {
	case !f.Local.IsValid() || !f.Source.IsValid() || !f.From.IsValid() || !f.To.IsValid():
		return fmt.Errorf("flow %v: an address is missing", f.Local)
	case local.Is4() != source.Is4():
		return fmt.Errorf("flow %v: source %v is of another address family: %w", f.Local, f.Source, ErrFamily)
	case from.Is4() != to.Is4():
		return fmt.Errorf("flow %v: from %v and to %v differ: %w", f.Local, f.From, f.To, ErrFamily)
	case local.Is4() != from.Is4():
		return fmt.Errorf("flow %v: relayed from %v: %w", f.Local, f.From, ErrFamily)
	case f.Local.Port() == 0 || f.Source.Port() == 0 || f.From.Port() == 0 || f.To.Port() == 0:
		return fmt.Errorf("flow %v: a port is 0", f.Local)
	case !to.IsGlobalUnicast():
		return fmt.Errorf("flow %v: the kernel plane cannot route to %v: not a global unicast address", f.Local, to)
	}
	return nil
}

// plain is f with IPv4 addresses in their own form.
func (f Flow) plain() Flow {
	for _, a := range []*netip.AddrPort{&f.Local, &f.Source, &f.From, &f.To} {
		*a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	}
	return f
}
