package ice

import (
	"cmp"
	"net/netip"
)

// CandidateType says how a candidate was found (RFC 8445, section 4).
type CandidateType uint8

const (
	Host CandidateType = iota
	ServerReflexive
	PeerReflexive
	Relayed
)

// String returns the word SDP has for the type (RFC 8839, section 5.1).
func (t CandidateType) String() string {
	switch t {
	case Host:
		return "host"
	case ServerReflexive:
		return "srflx"
	case PeerReflexive:
		return "prflx"
	}
	return "relay"
}

// ParseCandidateType reads the word that SDP has for a type.
func ParseCandidateType(word string) (CandidateType, bool) {
	for t := Host; t <= Relayed; t++ {
		if word == t.String() {
			return t, true
		}
	}
	return 0, false
}

// preference is the type preference recommended by RFC 8445, section 5.1.2.2.
func (t CandidateType) preference() uint32 {
	switch t {
	case Host:
		return 126
	case ServerReflexive:
		return 100
	case PeerReflexive:
		return 110
	}
	return 0
}

// FirstLocalPreference is the local preference of the first local address; each further address has one less.
const FirstLocalPreference = 65535

// Priority returns the priority of a candidate (RFC 8445, section 5.1.2.1).
func Priority(t CandidateType, localPreference uint16, component int) uint32 {
	return t.preference()<<24 | uint32(localPreference)<<8 | uint32(256-component)
}

// Candidate is one UDP candidate of either side. What cannot be reached (names of mDNS, TCP, addresses of a family that
// no base has) need not be sorted out first, if its Addr is left zero.
type Candidate struct {
	Foundation string         `json:",omitzero"`
	Component  int            `json:",omitzero"` // 1 for RTP, 2 for RTCP
	Priority   uint32         `json:",omitzero"`
	Addr       netip.AddrPort `json:",omitzero"`
	Type       CandidateType  `json:",omitzero"`
	Related    netip.AddrPort `json:",omitzero"` // raddr and rport; zero when not given
}

// Base is one local socket of a component.
type Base struct {
	Component int // 1 or 2
	Addr      netip.AddrPort
	// Advertised is what the peer is told; zero means Addr.
	Advertised netip.AddrPort
	// Foundation is what Foundation returned for the local address.
	Foundation string
	// Socket is the caller's number for the socket, different for each base of an agent.
	Socket int
}

// pairPriority orders pairs alike on both sides (RFC 8445, section 6.1.2.3).
func pairPriority(local, remote uint32, controlling bool) uint64 {
	g, d := uint64(remote), uint64(local)
	if controlling {
		g, d = d, g
	}
	p := min(g, d)<<32 + 2*max(g, d)
	if g > d {
		p++
	}
	return p
}

// usable reports whether checks can be sent to an address at all.
func usable(addr netip.AddrPort) bool {
	a := addr.Addr()
	return addr.IsValid() && addr.Port() != 0 && !a.IsUnspecified() && !a.IsMulticast() && a != limitedBroadcast
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// reachable reports whether a base can send to an address: the same family, and link-local addresses among themselves
// (RFC 8445, section 6.1.2.2).
func reachable(base, remote netip.Addr) bool {
	return base.Is4() == remote.Is4() && (base.Is4() || base.IsLinkLocalUnicast() == remote.IsLinkLocalUnicast())
}

func unmapped(addr netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

func byPriority(a, b *pair) int { return cmp.Compare(b.priority, a.priority) }
