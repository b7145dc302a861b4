package media

import "github.com/weir-media/weir/rtp"

// transform does to a packet what one hearer needs, and returns what to send. What is changed is changed in the room of
// the packet's place in the outgoing batch: the packet as it came stays whole for the other hearers. w.header is that of an
// RTP packet. It is false when there is nothing to be sent, and why.
//
// The order of all that happens to a packet: decrypt where it arrives, find its media, then for each hearer rewrite and
// encrypt, which finds the packet in the room already and changes it there.
func (w *worker) transform(s *Sink, class rtp.Class, data []byte) (out []byte, why Drop, ok bool) {
	switch {
	case class == rtp.RTP && s.Extensions != nil:
		out, ok = s.Extensions.Rewrite(w.out.room(), data, &w.header)
		return out, DropTooLong, ok
	case class == rtp.RTCP && s.NoFeedback && rtp.TypesIn(data)&feedback != 0:
		out = rtp.AppendWithout(w.out.room(), data, feedback)
		return out, DropFeedback, len(out) > 0
	}
	return data, 0, true
}
