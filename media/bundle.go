package media

import (
	"encoding/binary"

	"github.com/weir-media/weir/rtp"
)

// Bundle says how to tell apart the medias that share a leg (RFC 9143).
type Bundle struct {
	Medias []Bundled
	// MIDExtension is the id of the header extension in which the peer names the media of a packet; 0 for none.
	MIDExtension uint8
}

// Bundled is one media of several that share a leg.
type Bundled struct {
	MID       string
	SSRCs     []uint32 // as signalled, if any
	Types     PayloadTypes
	Treatment Treatment
	Sinks     []Sink
}

// unbundle finds those who hear a packet that has come by a shared leg, and its stream if it is RTP. They are nil if it
// is of no media.
func (w *worker) unbundle(l *Leg, p *plan, class rtp.Class, data []byte) (*audience, *stream) {
	switch class {
	case rtp.RTP:
		media, s := w.demux(l, p.Bundle, data)
		if media < 0 {
			return nil, nil
		}
		l.stream.Store(s)
		return &p.medias[media], s
	case rtp.RTCP:
		if media := l.demuxRTCP(p.Bundle, data); media >= 0 {
			return &p.medias[media], nil
		}
		// A receiver reports under an SSRC of which nothing has come. Whom it does not concern pays no heed.
		return p.everyone, nil
	}
	return &p.audience, nil
}

// demux finds the media of an RTP packet whose header is w.header, by what the packet says itself, then by its SSRC, then
// by its payload type (RFC 9143, section 9.2). It is -1 when nothing tells.
func (w *worker) demux(l *Leg, b *Bundle, data []byte) (media int, s *stream) {
	h := &w.header
	l.unite(b)
	if b.MIDExtension != 0 {
		if mid := rtp.Extension(data, h, b.MIDExtension); mid != nil {
			for i := range b.Medias {
				if b.Medias[i].MID == string(mid) {
					return i, l.streams.learn(h.SSRC, i)
				}
			}
		}
	}
	if s = l.streams.get(h.SSRC); s != nil {
		if media = int(s.media.Load()); media >= 0 {
			return media, s
		}
	}
	first, count := -1, 0
	for i := range b.Medias {
		if b.Medias[i].Types.Has(h.PayloadType) {
			if count++; first < 0 {
				first = i
			}
		}
	}
	switch {
	case first < 0:
		return -1, nil
	case count == 1:
		return first, l.streams.learn(h.SSRC, first)
	}
	return first, l.streams.learn(h.SSRC, -1) // of several that have it a guess, which is not remembered
}

// demuxRTCP finds the media of an RTCP packet by the SSRC of its sender; -1 when that is not known.
func (l *Leg) demuxRTCP(b *Bundle, data []byte) int {
	l.unite(b)
	if s := l.streams.get(binary.BigEndian.Uint32(data[4:])); s != nil {
		return int(s.media.Load())
	}
	return -1
}

// unite has the leg's streams told apart as b says.
func (l *Leg) unite(b *Bundle) {
	if l.streams.of != b {
		l.streams.restart(b)
	}
}
