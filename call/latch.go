package call

import (
	"net/netip"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// A party whose counterpart moves to another port is told another port of ours, as rtpengine does: for the party it is a new
// stream. The ports told before stay open and are told again should the counterpart move back. What still comes to them
// counts as having come to the new ones, and until the party has answered it is sent to from where it expects, so that no
// audio is lost.

// former are the ports of a media before the latest change, and where the counterpart was then.
type former struct {
	rtp, rtcp *media.Leg
	remote    netip.AddrPort
}

// leg returns the leg for RTP or RTCP, nil when there is none.
func (f *former) leg(rtcp bool) *media.Leg {
	if rtcp {
		return f.rtcp
	}
	return f.rtp
}

// latch gives `to` other ports for section i if `from` has moved. The error is ErrNoPorts.
func (d *draft) latch(to *Party, tm *Media, i int, from *Party, fm *Media, req *Request) error {
	if tm.RTP.Leg == nil || tm.carried(i) {
		return nil
	}
	remote := fm.RTP.Signalled
	if !tm.latched.IsValid() || tm.latchedTo != from.ID {
		tm.latched, tm.latchedTo = remote, from.ID // another counterpart has not moved
	}
	if !d.moves(tm, fm, req) {
		return nil
	}
	d.call.manager.cfg.Log.Info("the other side has moved to another port, so that ours changes, too", "call", d.call.id,
		"party", to.Tag, "from", tm.latched, "to", remote, "local", tm.RTP.Leg.Local())
	before := former{tm.RTP.Leg, tm.RTCP.Leg, tm.latched}
	family := familyOf(before.rtp.Local().Addr())
	if tm.latched = remote; tm.ICE.Active() {
		session := tm.ICE
		tm.dropLegs() // with ICE it is a restart, which leaves nothing behind
		tm.ICE = session
		if tm.ICE.begin(session.Controlling); req.answer {
			tm.ICE.Remote = session.Remote // the offer that is answered told it
		}
		return d.reopenFor(to, tm, family, req)
	}
	if back := tm.former; back.rtp != nil && back.remote == remote {
		tm.RTP.Leg, tm.RTCP.Leg, tm.RTP.Alternates, tm.RTCP.Alternates = back.rtp, back.rtcp, nil, nil
	} else if err := d.reopenFor(to, tm, family, req); err != nil {
		return err
	}
	tm.former, tm.moving = before, true
	return nil
}

// reopenFor is reopen for a party that is told of it by a message. In an answer it is the party's own offer that has said which
// certificate and role it has in the association over the new ports.
func (d *draft) reopenFor(to *Party, tm *Media, family int, req *Request) error {
	said := tm.Security.DTLS
	if err := d.reopen(to, tm, family); err != nil {
		return err
	}
	if a := &tm.Security.DTLS; req.answer && a.Association != said.Association {
		a.Setup, a.Peer, a.PeerTLSID = said.Setup, said.Peer, said.PeerTLSID
	}
	return nil
}

// moves tells whether a party has moved in a way that changes the ports told to the other.
func (d *draft) moves(tm, fm *Media, req *Request) bool {
	remote := fm.RTP.Signalled
	if !remote.IsValid() || !tm.latched.IsValid() || remote == tm.latched {
		return false
	}
	if req.NoPortLatching {
		return true
	}
	// ICE finds the way by itself; who only sends, or is silent, gets nothing at the ports.
	dir := fm.direction()
	return remote.Port() != tm.latched.Port() && !req.PortLatching && !d.call.manager.cfg.PortLatching && !tm.ICE.Active() && !fm.ICE.Active() &&
		dir != sdp.SendOnly && dir != sdp.Inactive
}
