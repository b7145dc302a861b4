package call

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// PublishRequest is the description of a party that wants to be heard, to be answered by us.
type PublishRequest struct {
	// Request names the call and in FromTag the party; either is made up when empty. Codecs.Accept lists what is to be taken, the
	// best first; without a match, and without a list, it is the first codec that can be converted. The word "any" takes the
	// first one in any case, "all" takes every codec that can be converted, both take everything.
	Request
	Bidirectional bool // the party may hear others, too
}

// Published names what was made up.
type Published struct {
	SDP, CallID, Tag string
}

// Publish carries out a PublishRequest. It fails as Offer does.
func (m *Manager) Publish(req *PublishRequest) (*Published, error) {
	if n := len(req.SDP.Media()); n > MaxSections {
		return nil, fmt.Errorf("%w: %d m= sections are more than the %d a call may have", ErrRewrite, n, MaxSections)
	}
	made := &Published{CallID: req.CallID, Tag: req.FromTag}
	made.fill()
	err := m.ensure(made.CallID, func(d *draft) (err error) {
		made.SDP, err = d.publish(req, made.Tag)
		return err
	})
	return made, err
}

func (p *Published) fill() {
	if p.CallID == "" {
		p.CallID = newID()
	}
	if p.Tag == "" {
		p.Tag = newID()
	}
}

func (d *draft) publish(req *PublishRequest, tag string) (string, error) {
	p := d.plan.byTag(tag)
	if p == nil {
		var err error
		p, err = d.addParty(&Party{Tag: tag, Role: RolePublisher, Interface: d.logical(req.FromInterface), Created: time.Now()})
		if err != nil {
			return "", err
		}
	}
	d.heed(p, &req.Request)
	d.ask(p, p, &req.Request)
	own := &Party{} // we, as the other side
	d.heedBundle(p, own, &req.Request)
	var told []*telling
	for k, s := range sections(req.SDP) {
		t, err := d.publishSection(p, own, p.position(k), s, req)
		if err != nil {
			return "", fmt.Errorf("media %d: %w", k+1, err)
		}
		told = append(told, t)
	}
	p.share()
	session := d.ourSession(p)
	for _, t := range told {
		session.Media = append(session.Media, t.section())
		session.ICELite = session.ICELite || t.lite
	}
	p.bundleGroups(false, func(_ int, line sdp.Group) { session.Groups = append(session.Groups, line) })
	answer := &sdp.Description{Sessions: []*sdp.Session{session}}
	appendAttributes(answer, req.Attributes)
	return p.tell(answer, req.Replace, editor(req.Attributes)), nil
}

// publishSection takes a section and prepares the answer to it.
func (d *draft) publishSection(p, own *Party, i int, s section, req *PublishRequest) (*telling, error) {
	m := p.at(i)
	d.number(m)
	if err := d.hear(m, s, &req.Request); err != nil {
		return nil, err
	}
	m.Protocol = s.Protocol
	accepted := usable(s.Codecs, req.Codecs.Accept)
	said := &sdp.Media{Type: s.Type, Protocol: s.Protocol, Codecs: accepted, Formats: s.Formats}
	if !m.Opaque {
		said.Protocol = sdp.ProtoAVP
		m.Rejected = m.Rejected || len(accepted) == 0
	}
	dir := m.direction()
	said.Direction = sdp.MakeDirection(req.Bidirectional && dir.Receives(), dir.Sends())
	ours := ourMedia(said)
	own.at(i)
	own.Media[i] = ours
	t := &telling{draft: d, from: own, to: p, fm: ours, tm: m, index: i, said: said, req: &req.Request}
	if m.Rejected || m.Foreign {
		m.dropLegs()
		t.said = s.Media // what is refused
		return t, nil
	}
	known := d.wantedFamily(&req.Request)
	if known == 0 && m.RTP.Leg != nil {
		known = familyOf(m.RTP.Leg.Local().Addr())
	}
	if !m.carried(i) {
		if err := d.open(p, m, d.family(p.Interface, m.family, known)); err != nil {
			return nil, err
		}
	}
	m.Sends, m.Receives, m.offered, m.ptime = accepted, accepted, nil, s.PTime
	m.MuxOffered = s.RTCPMux
	m.Mux = s.RTCPMux && !req.RTCPMux.Reject
	if m.Opaque {
		return t, nil
	}
	answer := section{said, ours.session}
	if err := d.iceOffer(p, own, m, ours, s, &req.Request); err != nil {
		return nil, err
	}
	d.secureOffer(m, ours, s, &req.Request)
	req.answer = true
	d.iceAnswer(ours, m, answer, &req.Request)
	d.secureAnswer(ours, m, answer, &req.Request)
	return t, nil
}

// usable returns the codecs of a description that we take, with what goes along with them.
func usable(codecs []sdp.Codec, accept []CodecSpec) []sdp.Codec {
	word := func(word string) bool {
		return slices.ContainsFunc(accept, func(n CodecSpec) bool { return n.PayloadType < 0 && n.Name == word })
	}
	all, anyway := word("all"), word("any")
	var taken []sdp.Codec
	pick := func(fits func(sdp.Codec) bool) {
		if i := slices.IndexFunc(codecs, func(c sdp.Codec) bool { return carriesMedia(c) && fits(c) }); i >= 0 && len(taken) == 0 {
			taken = codecs[i : i+1]
		}
	}
	switch {
	case all && anyway:
		taken = codecs
	case all:
		taken = slices.DeleteFunc(slices.Clone(codecs), func(c sdp.Codec) bool { return !convertible(c) })
	}
	for i := range accept {
		if n := &accept[i]; !n.wildcard() {
			pick(func(c sdp.Codec) bool { return n.means(&c, codec.Within) })
		}
	}
	if anyway {
		pick(func(sdp.Codec) bool { return true })
	}
	pick(convertible)
	rates := ratesOf(taken)
	var list []sdp.Codec
	for _, c := range codecs {
		if byType(taken, c.PayloadType) >= 0 || !carriesMedia(c) && rates[c.ClockRate] {
			list = append(list, printed(c))
		}
	}
	return list
}
