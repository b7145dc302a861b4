package ng

import (
	"strconv"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// SSRCReporting says where replies to query and delete have the figures of each SSRC.
type SSRCReporting uint8

// The places.
const (
	SSRCFull   SSRCReporting = iota // both of the next two
	SSRCInline                      // with the media
	SSRCGlobal                      // in one dictionary for the call; medias name their SSRCs
	SSRCNone
)

// ssrcWriter writes the figures of SSRCs into a reply.
type ssrcWriter struct {
	where SSRCReporting
	all   ngproto.Dict
	seen  map[uint32]bool
}

// media writes the SSRCs that come from a media and those that go to it.
func (w *ssrcWriter) media(d *ngproto.Dict, m *call.MediaSnapshot) {
	d.Set("ingress SSRCs", w.list(m.Ingress))
	d.Set("egress SSRCs", w.list(m.Egress))
}

func (w *ssrcWriter) list(streams []media.StreamStats) ngproto.Value {
	var list []ngproto.Value
	if w.where == SSRCNone {
		return ngproto.List()
	}
	for i := range streams {
		s := &streams[i]
		entry := ngproto.Dict{{Key: "SSRC", Value: ngproto.Int(int64(s.SSRC))}}
		if w.where != SSRCGlobal {
			entry = append(entry, describeSSRC(s)...)
		}
		list = append(list, ngproto.Map(entry))
		if w.where != SSRCInline && !w.seen[s.SSRC] {
			if w.seen == nil {
				w.seen = make(map[uint32]bool)
			}
			w.seen[s.SSRC] = true
			w.all.Set(strconv.FormatUint(uint64(s.SSRC), 10), ngproto.Map(describeSSRC(s)))
		}
	}
	return ngproto.List(list...)
}

// finish writes the figures of the call.
func (w *ssrcWriter) finish(reply *ngproto.Reply) {
	if w.where == SSRCFull || w.where == SSRCGlobal {
		reply.Set("SSRC", ngproto.Map(w.all))
	}
}

func describeSSRC(s *media.StreamStats) ngproto.Dict {
	d := ngproto.Dict{
		{Key: "bytes", Value: ngproto.Int(int64(s.Bytes))},
		{Key: "packets", Value: ngproto.Int(int64(s.Packets))},
		{Key: "last RTP timestamp", Value: ngproto.Int(int64(s.Timestamp))},
		{Key: "last RTP seq", Value: ngproto.Int(int64(s.Sequence))},
	}
	q := s.Quality
	if q == nil {
		return d
	}
	d.Set("cumulative loss", ngproto.Int(int64(s.Lost)))
	average := describeSample(&q.Average)
	average.Set("samples", ngproto.Int(int64(q.Samples)))
	d.Set("average MOS", ngproto.Map(average))
	d.Set("lowest MOS", ngproto.Map(datedSample(&q.Lowest)))
	d.Set("highest MOS", ngproto.Map(datedSample(&q.Highest)))
	var entries []ngproto.Value
	for i := range q.Progression {
		entries = append(entries, ngproto.Map(datedSample(&q.Progression[i])))
	}
	d.Set("MOS progression", ngproto.Map(ngproto.Dict{
		{Key: "interval", Value: ngproto.Int(int64(q.Interval / time.Second))},
		{Key: "entries", Value: ngproto.List(entries...)},
	}))
	return d
}

// describeSample has the MOS times ten, round trips in µs, the jitter in ms and the loss in percent.
func describeSample(s *media.Sample) ngproto.Dict {
	return ngproto.Dict{
		{Key: "MOS", Value: ngproto.Int(int64(s.MOS))},
		{Key: "round-trip time", Value: ngproto.Int(s.RoundTrip.Microseconds())},
		{Key: "round-trip time leg", Value: ngproto.Int(s.RoundTripLeg.Microseconds())},
		{Key: "jitter", Value: ngproto.Int(s.Jitter.Milliseconds())},
		{Key: "packet loss", Value: ngproto.Int(int64(s.Loss))},
	}
}

func datedSample(s *media.Sample) ngproto.Dict {
	d := describeSample(s)
	d.Set("reported at", ngproto.Int(epoch(s.At)))
	return d
}
