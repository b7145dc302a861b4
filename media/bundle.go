package media

import (
	"encoding/binary"
	"slices"

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

// maxSSRCs is how many sources of a bundle are remembered: enough for cameras that send several resolutions with a
// retransmission stream each. Beyond it the one learnt first gives way.
const maxSSRCs = 64

// streams remembers which SSRC belongs to which media of a bundle. Only the worker of the legs uses it.
type streams struct {
	ssrc  [maxSSRCs]uint32
	media [maxSSRCs]uint8
	meter [maxSSRCs]meter
	n     int
	next  int // to be replaced when full
	of    *Bundle
}

// meter follows the packets of one SSRC, or of a leg that is not shared.
type meter struct {
	loss    rtp.Loss
	jitter  rtp.Jitter
	uniform uniform
}

// find returns the place of an SSRC, -1 when it is not known.
func (s *streams) find(ssrc uint32) int { return slices.Index(s.ssrc[:s.n], ssrc) }

// learn notes the media of an SSRC. A media says more than what was learnt before.
func (s *streams) learn(ssrc uint32, media int) (place int) {
	place = s.find(ssrc)
	switch {
	case place >= 0:
	case s.n < maxSSRCs:
		place = s.n
		s.n++
	default:
		place = s.next
		s.next = (s.next + 1) % maxSSRCs
	}
	if s.ssrc[place] != ssrc {
		s.ssrc[place], s.meter[place] = ssrc, meter{}
	}
	s.media[place] = uint8(media)
	return place
}

// restart prepares for new settings. What was learnt stays as long as the medias are the same.
func (s *streams) restart(b *Bundle) {
	same := func(a, b Bundled) bool { return a.MID == b.MID }
	if s.of == nil || !slices.EqualFunc(s.of.Medias, b.Medias, same) {
		s.n, s.next = 0, 0
	}
	s.of = b
	for i := range b.Medias {
		for _, ssrc := range b.Medias[i].SSRCs {
			s.learn(ssrc, i)
		}
	}
}

// unbundle finds those who hear a packet that has come by a shared leg, and what meters it if it is RTP. They are nil if it
// is of no media.
func (w *worker) unbundle(l *Leg, p *plan, class rtp.Class, data []byte) (*audience, *meter) {
	switch class {
	case rtp.RTP:
		media, m := w.demux(l, p.Bundle, data)
		if media < 0 {
			return nil, nil
		}
		return &p.medias[media], m
	case rtp.RTCP:
		if media := l.demuxRTCP(p.Bundle, data); media >= 0 {
			return &p.medias[media], nil
		}
		// A receiver reports under an SSRC of which nothing has come. Whom it does not concern pays no heed.
		return &p.everyone, nil
	}
	return &p.audience, nil
}

// demux finds the media of an RTP packet whose header is w.header, by what the packet says itself, then by its SSRC, then
// by its payload type (RFC 9143, section 9.2). It is -1 when nothing tells.
func (w *worker) demux(l *Leg, b *Bundle, data []byte) (media int, m *meter) {
	h, s := &w.header, l.streamsOf(b)
	if b.MIDExtension != 0 {
		if mid := rtp.Extension(data, h, b.MIDExtension); mid != nil {
			for i := range b.Medias {
				if b.Medias[i].MID == string(mid) {
					return i, &s.meter[s.learn(h.SSRC, i)]
				}
			}
		}
	}
	if place := s.find(h.SSRC); place >= 0 {
		return int(s.media[place]), &s.meter[place]
	}
	first, count := -1, 0
	for i := range b.Medias {
		if b.Medias[i].Types.Has(h.PayloadType) {
			if count++; first < 0 {
				first = i
			}
		}
	}
	if count == 1 {
		return first, &s.meter[s.learn(h.SSRC, first)]
	}
	return first, &l.meter // of several that have it a guess, which is not remembered
}

// demuxRTCP finds the media of an RTCP packet by the SSRC of its sender; -1 when that is not known.
func (l *Leg) demuxRTCP(b *Bundle, data []byte) int {
	s := l.streamsOf(b)
	if place := s.find(binary.BigEndian.Uint32(data[4:])); place >= 0 {
		return int(s.media[place])
	}
	return -1
}

// streamsOf returns what is known of the SSRCs of a leg and of the one beside it.
func (l *Leg) streamsOf(b *Bundle) *streams {
	if l.streams == nil {
		if l.streams = l.beside.streams; l.streams == nil {
			l.streams = new(streams)
			l.beside.streams = l.streams
		}
	}
	if l.streams.of != b {
		l.streams.restart(b)
	}
	return l.streams
}
