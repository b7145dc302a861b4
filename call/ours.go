package call

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/weir-media/weir/sdp"
)

// ourMedia returns the media of this proxy where it offers or answers by itself: plain RTP, described by said. It is in no plan.
func ourMedia(said *sdp.Media) *Media {
	return &Media{Section: said, Type: said.Type, Protocol: said.Protocol, session: &sdp.Session{}, Opaque: !said.Protocol.IsRTP()}
}

// offerOurs prepares a media for an offer that is made here, of what fm has. fm stays as it is.
func (d *draft) offerOurs(fm *Media, to *Party, tm *Media, req *Request) error {
	tm.Rejected = false
	tm.Protocol = towards(tm, fm.Protocol, req.Protocol)
	if fm.Opaque != !tm.Protocol.IsRTP() {
		return fmt.Errorf("%w: %s cannot become %s", ErrRewrite, fm.Protocol, tm.Protocol)
	}
	tm.Mux = !req.RTCPMux.Demux && (tm.Mux || req.RTCPMux.Require)
	tm.MuxTold = tm.Mux || req.RTCPMux.Offer || fm.MuxOffered && !req.RTCPMux.Demux && !req.RTCPMux.Reject
	known := d.wantedFamily(req)
	if known == 0 && tm.RTP.Leg != nil {
		known = familyOf(tm.RTP.Leg.Local().Addr())
	}
	wanted := fm.family
	if wanted == 0 {
		wanted = 4
	}
	if err := d.open(to, tm, d.family(to.Interface, wanted, known)); err != nil {
		return err
	}
	if !fm.Opaque {
		// ICE is between the party and us; of keys the source's may do, so that packets need not be encrypted anew.
		own := ourMedia(&sdp.Media{Type: fm.Type, Protocol: sdp.ProtoAVP})
		if err := d.iceOffer(&Party{}, to, own, tm, section{own.Section, own.session}, req); err != nil {
			return err
		}
		ours := *fm
		d.secureOffer(&ours, tm, section{fm.Section, fm.session}, req)
	}
	return nil
}

// takeAnswer takes a party's answer to an offer that was made here. Unless lenient, it must have every codec of the medias
// that the party hears.
func (d *draft) takeAnswer(to *Party, req *Request, lenient bool) error {
	said := sections(req.SDP)
	if len(said) > MaxSections {
		return fmt.Errorf("%w: %d m= sections", ErrRefused, len(said))
	}
	req.answer = true
	for k, s := range said {
		i := to.position(k)
		if i >= len(to.Media) {
			break // nobody offered that one
		}
		am := to.Media[i]
		if am.RTP.Leg == nil {
			continue
		}
		if err := d.hear(am, s, req); err != nil {
			return fmt.Errorf("media %d: %w", k+1, err)
		}
		am.Mux = am.MuxTold && s.RTCPMux
		if am.Rejected {
			am.dropLegs()
			continue
		}
		if !am.Opaque {
			om := ourMedia(&sdp.Media{Type: am.Type, Protocol: sdp.ProtoAVP})
			d.iceAnswer(am, om, s, req)
			answerProtocol(am, om, s.Protocol, req)
			d.secureAnswer(am, om, s, req)
		}
		if !lenient && !d.plan.takes(am, s.Codecs) {
			return fmt.Errorf("%w: media %d does not take every codec of its source", ErrRefused, k+1)
		}
		am.answered(s.Codecs, &req.Codecs)
	}
	d.heed(to, req)
	return nil
}

// ourSession returns the session part of a description that has no other source (RFC 8866, section 5.2). Its id stays the same
// for a party, its version goes up.
func (d *draft) ourSession(p *Party) *sdp.Session {
	const span = 1 << 28
	if p.ourVersion == 0 {
		p.ourID, p.ourVersion = 1+uint64(time.Now().UnixMicro())%span, 1+rand.Uint64N(span)
	} else {
		p.ourVersion++
	}
	addr := netip.IPv4Unspecified()
	for _, m := range p.Media {
		if m.RTP.Leg != nil {
			addr = m.RTP.Leg.Advertised().Addr()
			break
		}
	}
	name := d.call.manager.cfg.Software
	if name == "" {
		name = "-"
	}
	return &sdp.Session{Name: name, Origin: sdp.Origin{
		Username: "-", SessionID: strconv.FormatUint(p.ourID, 10), Version: strconv.FormatUint(p.ourVersion, 10),
		NetType: "IN", AddrType: addrType(addr), Address: addr.String(),
	}}
}
