package sdp

import "strconv"

// ConnOf returns the connection of the section, else that of its session, else nil.
func (m *Media) ConnOf(s *Session) *Connection {
	if m.Conn != nil {
		return m.Conn
	}
	return s.Conn
}

// DirectionOf returns the direction of the section, else that of its session; zero when neither gives one.
func (m *Media) DirectionOf(s *Session) Direction {
	if m.Direction.Given() {
		return m.Direction
	}
	return s.Direction
}

// ICEOf returns credentials and options, each from the section or else from its session. Ufrag and password go
// together.
func (m *Media) ICEOf(s *Session) ICE {
	i := m.ICE
	if !i.Given() {
		i.Ufrag, i.Pwd = s.ICE.Ufrag, s.ICE.Pwd
	}
	if i.Options == "" {
		i.Options = s.ICE.Options
	}
	return i
}

// SetupOf returns the DTLS role of the section, else that of its session, else "".
func (m *Media) SetupOf(s *Session) Setup {
	if m.Setup != "" {
		return m.Setup
	}
	return s.Setup
}

// FingerprintsOf returns the fingerprints of the section, else those of its session.
func (m *Media) FingerprintsOf(s *Session) []Fingerprint {
	if len(m.Fingerprints) > 0 {
		return m.Fingerprints
	}
	return s.Fingerprints
}

// TLSIDOf returns the DTLS association id of the section, else that of its session, else "".
func (m *Media) TLSIDOf(s *Session) string {
	if m.TLSID != "" {
		return m.TLSID
	}
	return s.TLSID
}

// ExtMapsOf returns the header extensions of the section, else those of its session, and whether one-byte and
// two-byte headers may be mixed, which either may say (RFC 8285, section 6).
func (m *Media) ExtMapsOf(s *Session) (maps []ExtMap, allowMixed bool) {
	maps = m.ExtMaps
	if len(maps) == 0 {
		maps = s.ExtMaps
	}
	return maps, m.ExtMapAllowMixed || s.ExtMapAllowMixed
}

// EndOfCandidatesOf reports whether no more candidates will follow for the section.
func (m *Media) EndOfCandidatesOf(s *Session) bool {
	return m.EndOfCandidates || s.EndOfCandidates
}

// Rejected reports whether the section is refused: port 0, but not as the mark of a section that has no port of its
// own because it is bundled (RFC 9143, section 6).
func (m *Media) Rejected() bool { return m.Port == 0 && !m.BundleOnly }

// Attribute returns the first attribute of that name in Other.
func (s *Section) Attribute(name string) (Attribute, bool) {
	for _, a := range s.Other {
		if a.Name() == name {
			return a, true
		}
	}
	return "", false
}

// CheckAddresses returns an error that matches ErrIncomplete when a section in use has no connection address, neither
// its own nor one of its session. Parse does not check this, because the address may be known from elsewhere.
func (d *Description) CheckAddresses() error {
	n := 0
	for _, s := range d.Sessions {
		for _, m := range s.Media {
			n++
			if !m.Rejected() && m.ConnOf(s) == nil {
				return &ParseError{Kind: ErrIncomplete, Reason: "no address for media section " + strconv.Itoa(n) + " (" +
					m.Type + "), give it or the session a c= line"}
			}
		}
	}
	return nil
}
