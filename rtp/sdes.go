package rtp

import "encoding/binary"

// SourceItem is one item of a source description (RFC 3550, section 6.5). Text is a view of the packet.
type SourceItem struct {
	SSRC uint32
	Type uint8
	Text []byte
}

// SourceItems yields the items of a source description in their order, up to where it is broken, until yield wants no more.
func (p Packet) SourceItems(yield func(SourceItem) bool) {
	if p.Type != TypeSourceDescription {
		return
	}
	b := p.Body
	for range p.Count {
		if len(b) < 4 {
			return
		}
		item := SourceItem{SSRC: binary.BigEndian.Uint32(b)}
		at := 4
		for at < len(b) && b[at] != 0 {
			if at+2 > len(b) || at+2+int(b[at+1]) > len(b) {
				return
			}
			item.Type, item.Text = b[at], b[at+2:at+2+int(b[at+1])]
			at += 2 + len(item.Text)
			if !yield(item) {
				return
			}
		}
		at += 4 - at%4 // at least one zero ends the items, and more fill up to a multiple of four
		b = b[min(at, len(b)):]
	}
}
