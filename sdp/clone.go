package sdp

import "slices"

// Clone returns a copy that shares nothing that can be written to.
func (d *Description) Clone() *Description {
	c := &Description{Sessions: slices.Clone(d.Sessions)}
	for i, s := range c.Sessions {
		c.Sessions[i] = s.Clone()
	}
	return c
}

// Clone returns a copy that shares nothing that can be written to.
func (s *Session) Clone() *Session {
	c := *s
	c.Section = s.Section.Clone()
	c.Emails = slices.Clone(s.Emails)
	c.Phones = slices.Clone(s.Phones)
	c.Groups = slices.Clone(s.Groups)
	for i := range c.Groups {
		c.Groups[i].Mids = slices.Clone(c.Groups[i].Mids)
	}
	c.Media = slices.Clone(s.Media)
	for i, m := range c.Media {
		c.Media[i] = m.Clone()
	}
	return &c
}

// Clone returns a copy that shares nothing that can be written to.
func (s *Section) Clone() Section {
	c := *s
	if s.Conn != nil {
		conn := *s.Conn
		c.Conn = &conn
	}
	c.Fingerprints = slices.Clone(s.Fingerprints)
	c.ExtMaps = slices.Clone(s.ExtMaps)
	c.Other = slices.Clone(s.Other)
	c.Appended = slices.Clone(s.Appended)
	return c
}

// Clone returns a copy that shares nothing that can be written to.
func (m *Media) Clone() *Media {
	c := *m
	c.Section = m.Section.Clone()
	c.Codecs = slices.Clone(m.Codecs)
	for i := range c.Codecs {
		c.Codecs[i].RTCPFeedback = slices.Clone(c.Codecs[i].RTCPFeedback)
	}
	c.Formats = slices.Clone(m.Formats)
	c.RTCPFeedback = slices.Clone(m.RTCPFeedback)
	if m.RTCP != nil {
		rtcp := *m.RTCP
		c.RTCP = &rtcp
	}
	c.Crypto = slices.Clone(m.Crypto)
	c.Candidates = slices.Clone(m.Candidates)
	c.RemoteCandidates = slices.Clone(m.RemoteCandidates)
	return &c
}
