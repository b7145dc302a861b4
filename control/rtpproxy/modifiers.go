package rtpproxy

import (
	"strconv"
	"strings"
)

// modifiers are those of U and L.
type modifiers struct {
	asymmetric, weak, newPort, ip6 bool

	sides  []byte // E or I, as they came
	ptime  int    // ms; 0: not given
	codecs []uint8
	local  string // an address, or a label in braces
	route  string // an address to be reached
}

// parseModifiers reads the letters behind U or L. Bridged tells that there are interfaces for e and i.
func parseModifiers(text string, bridged bool) (modifiers, error) {
	var m, timed modifiers
	var behind string // the packet time, after which m was timed
	for text != "" {
		rest, err := m.read(upper(text[0]), text[1:], bridged)
		switch {
		case err == nil:
		case timed.ptime == 0:
			return m, err
		default:
			// Kamailio's module leaves bytes there that it forgot to clear, between the packet time and the codecs, which come last.
			timed.codecs = codecsAtEnd(behind)
			return timed, nil
		}
		if upper(text[0]) == 'Z' {
			timed, behind = m, rest
		}
		text = rest
	}
	return m, nil
}

// read takes over one modifier and returns what follows it.
func (m *modifiers) read(letter byte, rest string, bridged bool) (string, error) {
	switch letter {
	case 'A':
		m.asymmetric = true
	case 'S':
		m.asymmetric = false
	case 'W':
		m.weak = true
	case 'N':
		m.newPort = true
	case '6':
		m.ip6 = true
	case 'E', 'I':
		if !bridged || len(m.sides) == 2 {
			if letter == 'E' {
				return rest, codeExternal
			}
			return rest, codeInternal
		}
		m.sides = append(m.sides[:len(m.sides):len(m.sides)], letter)
	case 'Z':
		digits, after := span(rest, "0123456789")
		ms, err := strconv.Atoi(digits)
		if err != nil || ms < 1 || ms > 999 {
			return rest, codePtime
		}
		m.ptime, rest = ms, after
	case 'C':
		digits, after := span(rest, "0123456789,")
		if digits == "" || m.codecs != nil {
			return rest, codeCodecs
		}
		m.codecs, rest = payloadTypes(digits), after
	case 'L':
		if m.local, rest = address(rest, true); m.local == "" {
			return rest, codeLocal
		}
	case 'R':
		if m.route, rest = address(rest, false); m.route == "" {
			return rest, codeRoute
		}
	default:
		return rest, codeModifier
	}
	return rest, nil
}

// codecsAtEnd returns the payload types of the modifier that a text ends in, nil when it ends in something else.
func codecsAtEnd(text string) []uint8 {
	if at := strings.LastIndexAny(text, "cC"); at >= 0 {
		if digits, after := span(text[at+1:], "0123456789,"); digits != "" && after == "" {
			return payloadTypes(digits)
		}
	}
	return nil
}

// span cuts off the bytes at the start that are in a set.
func span(text, set string) (head, rest string) {
	n := 0
	for n < len(text) && strings.IndexByte(set, text[n]) >= 0 {
		n++
	}
	return text[:n], text[n:]
}

// payloadTypes reads numbers between commas, and drops those that are none. It is never nil.
func payloadTypes(text string) []uint8 {
	list := make([]uint8, 0, 8)
	for item := range strings.SplitSeq(text, ",") {
		if n, err := strconv.ParseUint(item, 10, 7); err == nil {
			list = append(list, uint8(n))
		}
	}
	return list
}

// address cuts off what stands for an address: an IPv6 one in brackets, which go, a label in braces, which stay, if there may be one, else
// digits and dots. It is empty when there is none.
func address(text string, label bool) (addr, rest string) {
	switch {
	case strings.HasPrefix(text, "["):
		addr, rest = span(text[1:], "0123456789abcdefABCDEF:")
		if !strings.HasPrefix(rest, "]") {
			return "", text
		}
		return addr, rest[1:]
	case label && strings.HasPrefix(text, "{"):
		at := strings.IndexByte(text, '}')
		if at < 2 {
			return "", text
		}
		return text[:at+1], text[at+1:]
	}
	return span(text, "0123456789.")
}
