package sdp

import (
	"net/netip"
	"strconv"
)

// Edit decides on every attribute line that is about to be printed, given without its "a=". It returns the text to
// print instead, and false to leave the line out. m is nil in the session part.
type Edit func(m *Media, attribute string) (replacement string, keep bool)

// Append appends the description as text with CRLF line endings to dst.
func (d *Description) Append(dst []byte) []byte { return d.AppendEdited(dst, nil) }

// AppendEdited is Append with a say for edit, which may be nil, in every attribute line.
func (d *Description) AppendEdited(dst []byte, edit Edit) []byte {
	p := printer{dst: dst, edit: edit}
	for _, s := range d.Sessions {
		p.session(s)
		for _, m := range s.Media {
			p.media = m
			p.mediaSection(s, m)
		}
		p.media = nil
	}
	return p.dst
}

// String returns the description as text.
func (d *Description) String() string { return string(d.Append(make([]byte, 0, 1500))) }

type printer struct {
	dst   []byte
	edit  Edit
	media *Media
	line  int // where the attribute line being written begins in dst
}

func (p *printer) text(s string)   { p.dst = append(p.dst, s...) }
func (p *printer) number(n uint64) { p.dst = strconv.AppendUint(p.dst, n, 10) }
func (p *printer) crlf()           { p.dst = append(p.dst, '\r', '\n') }

// plain writes a line that is no attribute.
func (p *printer) plain(kind, value string) {
	p.text(kind)
	p.text(value)
	p.crlf()
}

// open begins an attribute line, close ends it.
func (p *printer) open(name string) {
	p.line = len(p.dst)
	p.text("a=")
	p.text(name)
}

func (p *printer) close() {
	if p.edit != nil {
		text, keep := p.edit(p.media, string(p.dst[p.line+len("a="):]))
		p.dst = p.dst[:p.line]
		if !keep {
			return
		}
		p.text("a=")
		p.text(text)
	}
	p.crlf()
}

// attribute writes an attribute line of two parts, unless the second is empty.
func (p *printer) attribute(name, value string) {
	if value != "" {
		p.open(name)
		p.text(value)
		p.close()
	}
}

func (p *printer) flag(name string, set bool) {
	if set {
		p.attribute("", name)
	}
}

func (p *printer) attributes(list []Attribute) {
	for _, a := range list {
		p.open(string(a))
		p.close()
	}
}

func (p *printer) session(s *Session) {
	p.text("v=0\r\n")
	p.origin(&s.Origin)
	p.plain("s=", s.Name)
	if s.Info != "" {
		p.plain("i=", s.Info)
	}
	if s.URI != "" {
		p.plain("u=", s.URI)
	}
	for _, e := range s.Emails {
		p.plain("e=", e)
	}
	for _, phone := range s.Phones {
		p.plain("p=", phone)
	}
	p.bandwidth(&s.Bandwidth)
	if s.Timing != "" {
		p.plain("t=", s.Timing)
	} else {
		p.plain("t=", "0 0")
	}
	p.attribute("rtpengine:", s.LoopProtect)
	p.attribute("", s.MusicOnHold)
	p.flag("ice-lite", s.ICELite)
	for _, bundle := range [...]bool{true, false} {
		for _, g := range s.Groups {
			if g.bundle() == bundle {
				p.group(g)
			}
		}
	}
	p.attributes(s.Other)
	p.attributes(s.Appended)
}

func (p *printer) origin(o *Origin) {
	if *o == (Origin{}) {
		p.text("o=- 0 0 IN IP4 0.0.0.0\r\n")
		return
	}
	p.text("o=")
	for i, part := range [...]string{o.Username, o.SessionID, o.Version, o.NetType, o.AddrType, o.Address} {
		if i > 0 {
			p.text(" ")
		}
		p.text(part)
	}
	p.crlf()
}

func (p *printer) group(g Group) {
	p.open("group:")
	p.text(g.Semantics)
	for _, mid := range g.Mids {
		p.text(" ")
		p.text(mid)
	}
	p.close()
}

func (p *printer) bandwidth(b *Bandwidth) {
	for t := range bandwidthTypes {
		if value, given := b.Get(t); given {
			p.text("b=")
			p.text(t.String())
			p.text(":")
			p.number(value)
			p.crlf()
		}
	}
}

// address writes "IN IP4 192.0.2.1".
func (p *printer) address(addr netip.Addr) {
	if addr.Is4() {
		p.text("IN IP4 ")
	} else {
		p.text("IN IP6 ")
	}
	p.dst = addr.AppendTo(p.dst)
}
