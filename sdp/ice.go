package sdp

import (
	"net/netip"
	"strconv"
	"strings"
)

// ICE holds the ICE credentials and options of a section (RFC 8839, sections 5.4 and 5.6).
type ICE struct {
	Ufrag   string `json:",omitzero"`
	Pwd     string `json:",omitzero"`
	Options string `json:",omitzero"` // tokens separated by blanks, as received
}

// Given reports whether the section offers ICE at all.
func (i ICE) Given() bool { return i.Ufrag != "" || i.Pwd != "" }

// HasOption reports whether a token such as "trickle" or "ice2" is among the options.
func (i ICE) HasOption(token string) bool {
	for f, rest := field(i.Options); f != ""; f, rest = field(rest) {
		if f == token {
			return true
		}
	}
	return false
}

// Candidate is one a=candidate line (RFC 8839, section 5.1).
type Candidate struct {
	Foundation  string `json:",omitzero"`
	Component   uint16 `json:",omitzero"` // 1 for RTP, 2 for RTCP
	Transport   string `json:",omitzero"` // "UDP", as received
	Priority    uint32 `json:",omitzero"`
	Address     string `json:",omitzero"` // an address, or a name such as one ending in ".local"
	Port        uint16 `json:",omitzero"`
	Type        string `json:",omitzero"` // "host", "srflx", "prflx", "relay"
	RelatedAddr string `json:",omitzero"` // raddr, empty when not given
	RelatedPort uint16 `json:",omitzero"` // rport
	Extensions  string `json:",omitzero"` // everything after that ("tcptype active generation 0"), as received
}

// RemoteCandidate is one entry of a=remote-candidates (RFC 8839, section 5.2).
type RemoteCandidate struct {
	Component uint16     `json:",omitzero"`
	Addr      netip.Addr `json:",omitzero"`
	Port      uint16     `json:",omitzero"`
}

// ParseCandidate reads the value of a=candidate, with or without "candidate:" before it (the form browsers hand to
// applications).
func ParseCandidate(text string) (Candidate, bool) {
	var c Candidate
	rest := strings.TrimPrefix(trim(text), "candidate:")
	if strings.IndexByte(rest, '\t') >= 0 {
		return c, false // blanks separate the words, and nothing else does (RFC 8839, section 5.1)
	}
	var component, priority, port, typ string
	c.Foundation, rest = field(rest)
	component, rest = field(rest)
	c.Transport, rest = field(rest)
	priority, rest = field(rest)
	c.Address, rest = field(rest)
	port, rest = field(rest)
	typ, rest = field(rest)
	c.Type, rest = field(rest)

	n, ok := parseUint(component, 256)
	c.Component = uint16(n)
	prio, ok2 := parseUint(priority, 1<<32-1)
	c.Priority = uint32(prio)
	number, ok3 := parseUint(port, 65535)
	c.Port = uint16(number)
	if !ok || n == 0 || !ok2 || !ok3 || typ != "typ" || c.Type == "" ||
		strings.IndexByte(c.Foundation, ':') >= 0 {
		return Candidate{}, false
	}
	if key, after := field(rest); key == "raddr" {
		c.RelatedAddr, rest = field(after)
		if key, after := field(rest); key == "rport" {
			port, rest = field(after)
			if number, ok = parseUint(port, 65535); !ok {
				return Candidate{}, false
			}
			c.RelatedPort = uint16(number)
		}
	}
	c.Extensions = trim(rest)
	return c, true
}

// String returns the value of a=candidate.
func (c Candidate) String() string { return string(c.append(nil)) }

func (c *Candidate) append(dst []byte) []byte {
	dst = append(dst, c.Foundation...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(c.Component), 10)
	dst = append(dst, ' ')
	dst = append(dst, c.Transport...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(c.Priority), 10)
	dst = append(dst, ' ')
	dst = append(dst, c.Address...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(c.Port), 10)
	dst = append(dst, " typ "...)
	dst = append(dst, c.Type...)
	if c.RelatedAddr != "" {
		dst = append(dst, " raddr "...)
		dst = append(dst, c.RelatedAddr...)
		dst = append(dst, " rport "...)
		dst = strconv.AppendUint(dst, uint64(c.RelatedPort), 10)
	}
	if c.Extensions != "" {
		dst = append(dst, ' ')
		dst = append(dst, c.Extensions...)
	}
	return dst
}

// parseRemoteCandidates reads "component address port ..."; it keeps what comes before the first malformed entry.
func (m *Media) parseRemoteCandidates(value string) {
	for {
		var component, address, port string
		component, value = field(value)
		address, value = field(value)
		port, value = field(value)
		n, ok := parseUint(component, 256)
		number, ok2 := parseUint(port, 65535)
		if !ok || n == 0 || !ok2 || strings.IndexByte(address, '%') >= 0 {
			return
		}
		addr, err := netip.ParseAddr(address)
		if err != nil {
			return
		}
		m.RemoteCandidates = append(m.RemoteCandidates,
			RemoteCandidate{Component: uint16(n), Addr: addr, Port: uint16(number)})
	}
}
