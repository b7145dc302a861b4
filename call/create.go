package call

import (
	"fmt"
	"slices"
	"time"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// CreateRequest asks for an offer that is made here, of a new party or of one that is there.
type CreateRequest struct {
	// Request names the call and in FromTag the party; either is made up when empty. SDP is not looked at.
	Request
	Media []CreateMedia // of a new party; empty is one of audio
}

// CreateMedia is a section of the offer.
type CreateMedia struct {
	Type   string
	Codecs []CodecSpec // empty: the default
}

// Create carries out a CreateRequest. It fails as Offer does.
func (m *Manager) Create(req *CreateRequest) (*Published, error) {
	if n := len(req.Media); n > MaxSections {
		return nil, fmt.Errorf("%w: %d sections are more than the %d a call may have", ErrRewrite, n, MaxSections)
	}
	made := &Published{CallID: req.CallID, Tag: req.FromTag}
	made.fill()
	err := m.ensure(made.CallID, func(d *draft) (err error) {
		made.SDP, err = d.createOffer(req, made.Tag)
		return err
	})
	return made, err
}

// CreateAnswer takes the answer of req.FromTag to the description of Create. It fails with ErrUnknownCall, ErrNoSource,
// ErrRefused, ErrIncompleteSDP or ErrNoPorts.
func (m *Manager) CreateAnswer(req *Request) error {
	return m.change(req.CallID, func(d *draft) error {
		p := d.plan.byTag(req.FromTag)
		if p == nil {
			return fmt.Errorf("%w: %q", ErrNoSource, req.FromTag)
		}
		return d.takeAnswer(p, req, true)
	})
}

func (d *draft) createOffer(req *CreateRequest, tag string) (string, error) {
	p := d.plan.byTag(tag)
	if p == nil {
		var err error
		p, err = d.addParty(&Party{Tag: tag, Role: RoleCreated, Interface: d.logical(req.ToInterface), Created: time.Now()})
		if err != nil {
			return "", err
		}
		d.createMedia(p, req)
	}
	var session *sdp.Session
	var medias []*sdp.Media
	lite := false
	for i, tm := range p.Media {
		if tm.Hidden {
			continue
		}
		fm, from := d.proposal(p, i)
		if fm == nil || tm.Rejected || tm.Foreign {
			medias = append(medias, nothing(tm))
			continue
		}
		if session == nil && from.Description != nil && len(from.Description.Sessions) > 0 {
			said := from.Description.Sessions[0]
			session = &sdp.Session{Origin: said.Origin, Name: said.Name, Timing: said.Timing}
		}
		if err := d.offerOurs(fm, p, tm, &req.Request); err != nil {
			return "", fmt.Errorf("media %d: %w", i+1, err)
		}
		// What the offer is to have beside the rest is here what another command calls transcode.
		asked := req.Codecs
		asked.Transcode, asked.Offer = append(slices.Clone(asked.Offer), asked.Transcode...), nil
		d.offerCodecs(fm, tm, &asked)
		ours := fm.sharing()
		t := telling{draft: d, from: from, to: p, fm: ours, tm: tm, index: i, said: ours.Section, req: &req.Request, offer: true}
		medias = append(medias, t.section())
		lite = lite || t.lite
	}
	if session == nil {
		session = d.ourSession(p)
	}
	session.Media, session.ICELite = medias, lite
	out := &sdp.Description{Sessions: []*sdp.Session{session}}
	appendAttributes(out, req.Attributes)
	return p.tell(out, req.Replace, editor(req.Attributes)), nil
}

// createMedia gives a new party its medias.
func (d *draft) createMedia(p *Party, req *CreateRequest) {
	wanted := req.Media
	if len(wanted) == 0 {
		wanted = []CreateMedia{{Type: "audio"}}
	}
	for i, w := range wanted {
		names := w.Codecs
		if len(names) == 0 && w.Type == "audio" {
			if names, req.Codecs.Offer = req.Codecs.Offer, nil; len(names) == 0 {
				names = []CodecSpec{{Name: "PCMU", PayloadType: -1}, {Name: "PCMA", PayloadType: -1}}
			}
		}
		m := p.at(i)
		d.number(m)
		m.Type = w.Type
		m.ours = &sdp.Media{Type: w.Type, Protocol: sdp.ProtoAVP, Codecs: extended(nil, names)}
		if len(m.ours.Codecs) == 0 {
			m.ours.Codecs = []sdp.Codec{{}} // payload type 0: a section needs something to list
		}
	}
	if len(req.Media) > 0 {
		req.Codecs.Offer = nil // each media has its own list
	}
}

// proposal returns a media to make an offer of: that of whom the party hears by offer and answer, else the one made up for it.
// It is in no plan.
func (d *draft) proposal(p *Party, index int) (*Media, *Party) {
	tm := p.Media[index]
	for _, s := range tm.Hears {
		if from, fm := d.plan.byID(s.Party), d.plan.media(s.Ref); !s.Added && fm != nil && fm.heardOf() {
			ours := *fm
			ours.Section = fm.Section.Clone()
			if tm.Section != nil {
				ours.Section.Codecs = slices.Clone(d.plan.inUse(p, index))
			}
			return &ours, from
		}
	}
	if tm.ours != nil {
		return ourMedia(tm.ours.Clone()), &Party{}
	}
	return nil, nil
}

// extended appends codecs to a list, those that are not in it.
func extended(list []sdp.Codec, names []CodecSpec) []sdp.Codec {
	for i := range names {
		n := &names[i]
		if slices.ContainsFunc(list, func(c sdp.Codec) bool { return n.means(&c, codec.Same) }) {
			continue
		}
		if c, ok := n.made(list); ok {
			list = append(list, c)
		}
	}
	return list
}

// made makes a codec of what the spec says and, where that is not enough, of what is usual. Its payload type is not in the list.
func (n *CodecSpec) made(list []sdp.Codec) (sdp.Codec, bool) {
	if n.PayloadType >= 0 {
		return sdp.StaticCodec(uint8(n.PayloadType))
	}
	e := codec.Find(n.Name)
	if e == nil {
		e = &codec.Encoding{Name: n.Name, ClockRate: 90000} // of video and the like
	}
	b := offerBuilder{list: list}
	c := n.codec(e)
	var free bool
	c.PayloadType, free = b.number(e, &c)
	return printed(c), free
}
