package sdp

import "strings"

// AsReceived returns a copy of the section that is printed with the attribute lines it came with, in their order, followed by
// those of the session that hold for it. Type, port, protocol, formats, i=, c= and b= are those of the fields. Sections that
// were not parsed have no lines.
func (m *Media) AsReceived(s *Session) *Media {
	c := m.Clone()
	c.Verbatim, c.Other, c.Appended = true, m.lines(), nil
	if c.Conn == nil && s.Conn != nil {
		conn := *s.Conn
		c.Conn = &conn
	}
	var p printer
	if !m.Direction.Given() {
		p.attribute("", s.Direction.String())
	}
	p.inherited(s, m)
	for line := range strings.SplitSeq(string(p.dst), "\r\n") {
		if text, ok := strings.CutPrefix(line, "a="); ok {
			c.Other = append(c.Other, Attribute(text))
		}
	}
	return c
}

// lines returns all attributes of the section as they came.
func (m *Media) lines() []Attribute {
	var all []Attribute
	for line := range strings.SplitSeq(m.Received, "\n") {
		line = strings.TrimRight(line, "\r")
		if line == "" || line[0] == 'm' || line[0] == 'v' {
			break
		}
		if text, ok := strings.CutPrefix(line, "a="); ok {
			all = append(all, Attribute(text))
		}
	}
	return all
}
