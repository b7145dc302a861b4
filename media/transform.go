package media

import "github.com/weir-media/weir/rtp"

// transform does to a packet what one hearer needs, and returns what to send. What is changed is changed in the room of
// the packet's place in the outgoing batch: the packet as it came stays whole for the other hearers. w.header is that of an
// RTP packet. It is false when the packet cannot be sent.
//
// The order of all that happens to a packet: decrypt where it arrives, find its media, then for each hearer rewrite and
// encrypt, which finds the packet in the room already and changes it there.
func (w *worker) transform(s *Sink, class rtp.Class, data []byte) (out []byte, ok bool) {
	if s.Extensions != nil && class == rtp.RTP {
		return s.Extensions.Rewrite(w.out.room(), data, &w.header)
	}
	return data, true
}
