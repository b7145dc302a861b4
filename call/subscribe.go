package call

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/weir-media/weir/sdp"
)

// SubscribeRequest asks for a description that offers the media of some parties to another one.
type SubscribeRequest struct {
	// Request names the call and in ToTag the party that is to hear, made up when empty; its options are of the description.
	Request
	Sources Selection // whom to hear
	Label   string    // of the party that is to hear

	Bidirectional bool // those parties hear it, too
	Inactive      bool // offered, but nothing flows
	Mix           bool // one section per media type for all sources
	RTCPMirror    bool // RTCP of the party goes to the sources
	Egress        bool // the media is wanted as the sources' peers get it
	Labels        bool // each section gets a label that is unique in the call (RFC 7866, section 8.3)
}

// Subscribed is what came of a SubscribeRequest.
type Subscribed struct {
	SDP     string
	ToTag   string
	Sources []Source
}

// Source is a party with those of its medias that are heard.
type Source struct {
	Tag, Label string
	Media      []SourceMedia
}

// SourceMedia is one of them.
type SourceMedia struct {
	Index int // of the section, from 0
	Type  string
	Label string        // of the section that offers it
	Mode  sdp.Direction // of the source's section, as we see it
}

// Subscribe carries out a SubscribeRequest. What the party heard by an earlier one, it hears no longer. It fails with
// ErrUnknownCall, the errors of a selection, ErrNoMedia when nothing is there to be heard, and those of Offer.
func (m *Manager) Subscribe(req *SubscribeRequest) (*Subscribed, error) {
	var result *Subscribed
	err := m.change(req.CallID, func(d *draft) (err error) {
		result, err = d.subscribe(req)
		return err
	})
	return result, err
}

func (d *draft) subscribe(req *SubscribeRequest) (*Subscribed, error) {
	sources, err := d.sources(&req.Sources, req.ToTag)
	if err != nil {
		return nil, err
	}
	to, err := d.hearer(req)
	if err != nil {
		return nil, err
	}
	to.forget(func(s Subscription) bool { return s.Added })
	for _, p := range d.plan.Parties {
		p.forget(func(s Subscription) bool { return s.Added && s.Party == to.ID })
	}
	result := &Subscribed{ToTag: to.Tag}
	out := &sdp.Description{}
	for _, from := range sources {
		if from == to {
			continue
		}
		src := Source{Tag: from.Tag, Label: from.Label}
		for i, fm := range from.Media {
			if !fm.heardOf() {
				continue
			}
			if err := d.hearMedia(to, Ref{from.ID, i}, fm, req); err != nil {
				return nil, fmt.Errorf("media %d of %q: %w", i+1, from.Tag, err)
			}
			label := ""
			if req.Labels {
				label = fm.uniqueLabel()
			}
			src.Media = append(src.Media, SourceMedia{Index: i, Type: fm.Type, Label: label, Mode: fm.direction().Reverse()})
		}
		if len(src.Media) > 0 {
			result.Sources = append(result.Sources, src)
		}
	}
	if len(result.Sources) == 0 {
		return nil, ErrNoMedia
	}
	d.tellSubscription(out, to, req)
	result.SDP = to.tell(out, req.Replace, editor(req.Attributes))
	return result, nil
}

// sources returns the parties a request wants to hear. All of them are those of offers and answers, but for the one itself.
func (d *draft) sources(sel *Selection, self string) ([]*Party, error) {
	if sel.All {
		return slices.DeleteFunc(slices.Clone(d.plan.Parties), func(p *Party) bool {
			return p.Role != RoleDialogue || p == d.plan.byTag(self)
		}), nil
	}
	found, err := d.selected(sel)
	if err == nil && len(found) == 0 {
		err = ErrNoMedia
	}
	return found, err
}

// hearer finds or makes the party that is to hear.
func (d *draft) hearer(req *SubscribeRequest) (*Party, error) {
	to := d.plan.byTag(req.ToTag)
	switch {
	case to == nil:
		tag := req.ToTag
		if tag == "" {
			tag = newID()
		}
		var err error
		if to, err = d.addParty(&Party{Tag: tag, Role: RoleSubscriber, Interface: d.logical(req.ToInterface), Created: time.Now()}); err != nil {
			return nil, err
		}
	case to.Role != RoleSubscriber:
		return nil, fmt.Errorf("%w: %q is not a subscriber", ErrDialogue, req.ToTag)
	}
	if req.Label != "" {
		to.Label = req.Label
	}
	return to, nil
}

// heardOf tells whether there is a media that can be subscribed to.
func (m *Media) heardOf() bool {
	return m.Section != nil && m.RTP.Leg != nil && !m.Rejected && !m.Foreign && !m.Hidden
}

// uniqueLabel tells the sections of a call apart.
func (m *Media) uniqueLabel() string { return strconv.Itoa(int(m.serial) - 1) }

// hearMedia subscribes a media of the party to that of a source: the one that heard it before, or a new one.
func (d *draft) hearMedia(to *Party, source Ref, fm *Media, req *SubscribeRequest) error {
	tm := to.hearing(source, fm, req.Mix)
	if tm == nil {
		i := d.plan.idle(to)
		if i >= MaxSections {
			return fmt.Errorf("%w: more than %d sections", ErrRewrite, MaxSections)
		}
		tm = to.at(i)
		d.number(tm)
		tm.source, tm.Type, tm.Opaque = source, fm.Type, fm.Opaque
	}
	if len(tm.Hears) == 0 {
		if err := d.offerOurs(fm, to, tm, &req.Request); err != nil {
			return err
		}
	}
	tm.Hears = append(tm.Hears, Subscription{Ref: source, Added: true, Egress: req.Egress})
	self := Ref{to.ID, slices.Index(to.Media, tm)}
	switch {
	case req.Bidirectional:
		fm.Hears = append(fm.Hears, Subscription{Ref: self, Added: true})
	case req.RTCPMirror:
		fm.Hears = append(fm.Hears, Subscription{Ref: self, Added: true, OnlyRTCP: true})
	}
	return nil
}

// idle returns the index of a media for a new source: a new one, unless there is one whose source is gone (RFC 3264, section 8.2).
func (p *Plan) idle(to *Party) int {
	for i, m := range to.Media {
		if len(m.Hears) == 0 && p.media(m.source) == nil {
			*m = Media{serial: m.serial, Mid: m.Mid}
			return i
		}
	}
	return len(to.Media)
}

// hearing returns the media of the party that is there for a source; with mix, for any source of its type.
func (p *Party) hearing(source Ref, fm *Media, mix bool) *Media {
	for _, m := range p.Media {
		if m.source == source || mix && m.Type == fm.Type && len(m.Hears) > 0 {
			return m
		}
	}
	return nil
}

// tellSubscription writes the offer of everything a party hears.
func (d *draft) tellSubscription(out *sdp.Description, to *Party, req *SubscribeRequest) {
	session := &sdp.Session{}
	out.Sessions = []*sdp.Session{session}
	var first *Party
	several := false
	for i, tm := range to.Media {
		from, fm := d.plan.byID(tm.source.Party), d.plan.media(tm.source)
		if len(tm.Hears) == 0 || fm == nil {
			tm.dropLegs()
			session.Media = append(session.Media, nothing(tm))
			continue
		}
		if first == nil {
			first = from
		}
		several = several || from != first
		ours := fm.sharing()
		said := ours.Section
		said.Codecs = slices.Clone(d.plan.inUse(from, tm.source.Media))
		d.offerCodecs(ours, tm, &req.Codecs)
		t := telling{draft: d, from: from, to: to, fm: ours, tm: tm, index: i, said: said, req: &req.Request, offer: true}
		m := t.section()
		session.ICELite = session.ICELite || t.lite
		m.Mid = said.Mid
		m.Direction = req.direction(fm)
		if req.Labels {
			m.Label = fm.uniqueLabel()
		}
		session.Media = append(session.Media, m)
	}
	if s := first.Description.Sessions; len(s) > 0 {
		session.Origin, session.Name, session.Timing = s[0].Origin, s[0].Name, s[0].Timing
		if !several {
			session.Info, session.Bandwidth, session.Other = s[0].Info, s[0].Bandwidth, s[0].Other
		}
	}
	untangle(session)
	for i, tm := range to.Media {
		tm.Mid = session.Media[i].Mid
	}
	appendAttributes(out, req.Attributes)
}

// direction returns what is offered of a source's media.
func (req *SubscribeRequest) direction(fm *Media) sdp.Direction {
	if req.Inactive {
		return sdp.Inactive
	}
	dir := fm.direction()
	return sdp.MakeDirection(dir.Sends(), req.Bidirectional && dir.Receives())
}

// untangle takes out the names of sections that come from several parties and are not unique together.
func untangle(session *sdp.Session) {
	seen := make(map[string]bool)
	for _, m := range session.Media {
		if m.Mid != "" && seen[m.Mid] {
			for _, m := range session.Media {
				m.Mid = ""
			}
			return
		}
		seen[m.Mid] = true
	}
}

// nothing writes a section that keeps a place.
func nothing(tm *Media) *sdp.Media {
	said := &sdp.Media{Type: tm.Type, Protocol: tm.Protocol, Formats: []string{"0"}}
	if tm.Section != nil {
		said = tm.Section
	}
	return refusal(said, tm, true, said.Mid)
}

// inUse returns the codecs that are agreed with a party for its media, the way it was told them.
func (p *Plan) inUse(party *Party, index int) []sdp.Codec {
	m := party.Media[index]
	if m.Sends != nil {
		return m.Sends
	}
	return m.Section.Codecs
}

// SubscribeAnswer takes the answer of req.ToTag to the description of Subscribe. Unless lenient, it must accept every codec
// of the sources. It fails with ErrUnknownCall, ErrNoHearer, ErrRefused, ErrIncompleteSDP or ErrNoPorts.
func (m *Manager) SubscribeAnswer(req *Request, lenient bool) error {
	return m.change(req.CallID, func(d *draft) error {
		to := d.plan.byTag(req.ToTag)
		if to == nil {
			return fmt.Errorf("%w: %q", ErrNoHearer, req.ToTag)
		}
		return d.takeAnswer(to, req, lenient)
	})
}

// takes tells whether an answer has all codecs that carry the media which m hears.
func (p *Plan) takes(m *Media, answer []sdp.Codec) bool {
	for _, s := range m.Hears {
		from := p.byID(s.Party)
		if from == nil || s.Media >= len(from.Media) || from.Media[s.Media].Section == nil {
			continue
		}
		for _, c := range p.inUse(from, s.Media) {
			if carriesMedia(c) && !slices.ContainsFunc(answer, func(a sdp.Codec) bool { return answers(&c, &a) }) {
				return false
			}
		}
	}
	return true
}

// UnsubscribeRequest ends what ToTag hears of FromTag. Without a FromTag it takes ToTag out of the call.
type UnsubscribeRequest struct {
	CallID         string
	FromTag, ToTag string
	Bidirectional  bool // FromTag does not hear ToTag any more either
}

// Unsubscribe carries out an UnsubscribeRequest. A party that was there to hear only and hears nothing any more is gone. It
// fails with ErrUnknownCall, ErrNoHearer, ErrNoSource or ErrNotSubscribed.
func (m *Manager) Unsubscribe(req *UnsubscribeRequest) error {
	return m.change(req.CallID, func(d *draft) error {
		to := d.plan.byTag(req.ToTag)
		if to == nil {
			return fmt.Errorf("%w: %q", ErrNoHearer, req.ToTag)
		}
		if req.FromTag == "" {
			d.remove([]*Party{to})
			return nil
		}
		from := d.plan.byTag(req.FromTag)
		if from == nil {
			return fmt.Errorf("%w: %q", ErrNoSource, req.FromTag)
		}
		ended := to.forget(func(s Subscription) bool { return s.Party == from.ID })
		if from.forget(func(s Subscription) bool { return s.Party == to.ID && (req.Bidirectional || s.OnlyRTCP) }) {
			ended = true
		}
		if !ended {
			return fmt.Errorf("%w: %q to %q", ErrNotSubscribed, req.ToTag, req.FromTag)
		}
		if to.Role == RoleSubscriber && !slices.ContainsFunc(to.Media, func(m *Media) bool { return len(m.Hears) > 0 }) {
			d.remove([]*Party{to})
		}
		return nil
	})
}

// forget ends the subscriptions of a party that which picks, and reports whether there were any.
func (p *Party) forget(which func(Subscription) bool) (any bool) {
	for _, m := range p.Media {
		before := len(m.Hears)
		m.forget(which)
		any = any || len(m.Hears) < before
	}
	return any
}
