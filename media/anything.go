package media

import "github.com/weir-media/weir/rtp"

// shapeless tells whether a datagram has to pass as it is on a leg that relays anything: a class of packet that it only looks like,
// or one that nothing is known of here, such as fax over UDPTL, SRTCP or the checks of ICE between the parties.
func (w *worker) shapeless(class rtp.Class, data []byte) bool {
	switch class {
	case rtp.RTP:
		return w.header.Parse(data) != nil
	case rtp.RTCP:
		return rtp.CheckRTCP(data) != nil
	case rtp.STUN:
		return true
	}
	return false
}
