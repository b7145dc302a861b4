package sdp

import "strings"

// attribute stores one a= line. Known attributes that say nothing where they are given, or are malformed, are
// dropped; unknown ones are kept as they are.
func (p *parser) attribute(line, text string) error {
	if p.attributes++; p.attributes > MaxAttributes {
		return p.fail(line, limitReason("section", MaxAttributes, "attributes"))
	}
	name, value, _ := strings.Cut(text, ":")
	name, value = trim(name), trim(value)
	switch {
	case p.media == nil:
		p.sessionAttribute(name, value, text)
		return nil
	case p.rtp:
		return p.mediaAttribute(line, name, value, text)
	default:
		m := p.media
		m.Other = append(m.Other, Attribute(text))
		if !m.Section.attribute(name, value) {
			m.identity(name, value)
		}
		return nil
	}
}

// consumed names the attributes that are never passed on as unknown ones: they describe the link between a party
// and the proxy, or belong to media sections alone.
func (o Options) consumed(name string) bool {
	switch name {
	case "mid", "rtcp", "fmtp", "group", "ptime", "crypto", "rtpmap", "ice-lite", "ice-mismatch", "remote-candidates",
		"candidate", "rtcp-mux", "rtpengine", "rtcp-fb", "maxptime", "label":
		return true
	}
	return strings.HasPrefix(name, "T38") || (o.MusicOnHold != "" && name == o.MusicOnHold)
}

func (p *parser) sessionAttribute(name, value, text string) {
	s := p.session
	if s.Section.attribute(name, value) {
		return
	}
	switch {
	case name == "rtpengine":
		s.LoopProtect = value
	case name == "ice-lite":
		s.ICELite = true
	case name == "group":
		if words := fields(value); len(words) > 0 {
			s.addGroup(Group{Semantics: words[0], Mids: words[1:]})
		}
	case p.options.MusicOnHold != "" && name == p.options.MusicOnHold:
		s.MusicOnHold = name
	case !p.options.consumed(name):
		s.Other = append(s.Other, Attribute(text))
	}
}

// addGroup keeps the groups in the order they are printed, which is BUNDLE first.
func (s *Session) addGroup(g Group) {
	i := len(s.Groups)
	for g.bundle() && i > 0 && !s.Groups[i-1].bundle() {
		i--
	}
	s.Groups = append(s.Groups, Group{})
	copy(s.Groups[i+1:], s.Groups[i:])
	s.Groups[i] = g
}

func (g Group) bundle() bool { return g.Semantics == "BUNDLE" }

// attribute stores an attribute both kinds of sections may have and reports whether it was one.
func (s *Section) attribute(name, value string) bool {
	if d := ParseDirection(name); d.Given() {
		s.Direction = d
		return true
	}
	switch name {
	case "ice-ufrag":
		s.ICE.Ufrag = value
	case "ice-pwd":
		s.ICE.Pwd = value
	case "ice-options":
		s.ICE.Options = value
	case "setup":
		s.Setup = Setup(value)
	case "fingerprint":
		hash, digest := field(value)
		if digest = trim(digest); digest != "" {
			s.Fingerprints = append(s.Fingerprints, Fingerprint{Hash: hash, Value: digest})
		}
	case "tls-id":
		s.TLSID = value
	case "extmap-allow-mixed":
		s.ExtMapAllowMixed = true
	case "extmap":
		if e, ok := parseExtMap(value); ok {
			s.ExtMaps = append(s.ExtMaps, e)
		}
	case "end-of-candidates":
		s.EndOfCandidates = true
	default:
		return false
	}
	return true
}

// identity stores what tells a media section from others, whatever it carries.
func (m *Media) identity(name, value string) bool {
	switch name {
	case "mid":
		m.Mid = value
	case "label":
		m.Label = value
	case "bundle-only":
		m.BundleOnly = true
	default:
		return false
	}
	return true
}

func (p *parser) mediaAttribute(line, name, value, text string) error {
	m := p.media
	if m.Section.attribute(name, value) || m.identity(name, value) {
		return nil
	}
	switch name {
	case "rtpmap":
		m.parseRTPMap(value)
	case "fmtp":
		// Everything after the first blank is verbatim, doubled and trailing blanks included.
		_, verbatim, _ := strings.Cut(text, ":")
		format, params, _ := strings.Cut(strings.TrimLeft(verbatim, " \t"), " ")
		if c := m.codecOf(format); c != nil {
			c.Params = params
		}
	case "rtcp-fb":
		format, feedback := field(value)
		if feedback = trim(feedback); feedback == "" {
			break
		}
		if format == "*" {
			m.RTCPFeedback = append(m.RTCPFeedback, feedback)
		} else if c := m.codecOf(format); c != nil {
			c.RTCPFeedback = append(c.RTCPFeedback, feedback)
		}
	case "rtcp":
		rtcp, ok := parseRTCP(value)
		if !ok {
			return p.failure(ErrIncomplete, line, `bad a=rtcp, want "port" or "port IN IP4|IP6 address"`)
		}
		m.RTCP = rtcp
	case "rtcp-mux":
		m.RTCPMux = true
	case "crypto":
		if c, ok := parseCrypto(value); ok {
			if len(m.Crypto) >= MaxCrypto {
				return p.fail(line, limitReason("section", MaxCrypto, "crypto lines"))
			}
			m.Crypto = append(m.Crypto, c)
		}
	case "ptime":
		m.PTime = parseMillis(value)
	case "maxptime":
		m.MaxPTime = parseMillis(value)
	case "candidate":
		if c, ok := ParseCandidate(value); ok {
			if len(m.Candidates) >= MaxCandidates {
				return p.fail(line, limitReason("section", MaxCandidates, "candidates"))
			}
			m.Candidates = append(m.Candidates, c)
		}
	case "remote-candidates":
		m.parseRemoteCandidates(value)
		if len(m.RemoteCandidates) > MaxCandidates {
			return p.fail(line, limitReason("section", MaxCandidates, "remote candidates"))
		}
	case "ice-lite":
		// Belongs in the session part (RFC 8839, section 5.3), where it is printed.
		p.session.ICELite = true
	default:
		if !p.options.consumed(name) {
			m.Other = append(m.Other, Attribute(text))
		}
	}
	return nil
}

// parseMillis returns 0, which stands for not given, when the value is no number of milliseconds.
func parseMillis(value string) int {
	n, ok := parseUint(value, 1<<31-1)
	if !ok {
		return 0
	}
	return int(n)
}

func parseRTCP(value string) (*RTCP, bool) {
	port, rest := field(value)
	n, ok := parseUint(port, 65535)
	if !ok {
		return nil, false
	}
	r := &RTCP{Port: uint16(n)}
	if trim(rest) == "" {
		return r, true
	}
	conn, reason := parseConnection(rest)
	if reason != "" || conn.Scope != "" {
		return nil, false
	}
	r.Addr = conn.Addr
	return r, true
}

func parseExtMap(value string) (e ExtMap, ok bool) {
	id, rest := field(value)
	id, direction, _ := strings.Cut(id, "/")
	n, ok := parseUint(id, 255)
	e.ID = uint8(n)
	e.Direction = ParseDirection(direction)
	e.URI, rest = field(rest)
	e.Params = trim(rest)
	// 0 is padding and 15 stops the one-byte form (RFC 8285, section 4.2).
	return e, ok && n != 0 && n != 15 && e.URI != ""
}
