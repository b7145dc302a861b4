package call

import (
	"errors"
	"fmt"
	"slices"
)

// ConnectRequest asks to connect parties without their descriptions being exchanged.
type ConnectRequest struct {
	CallID   string
	Sources  Selection
	ToTag    string
	ToCallID string // of ToTag, if it is another one: the calls become one

	// Directional lets ToTag hear the sources beside what it hears. Without it, ToTag and the source talk to each other as after an
	// offer and an answer, and with nobody else.
	Directional   bool
	Bidirectional bool // with Directional: the sources hear ToTag, too
}

// Connect carries out a ConnectRequest. It fails with ErrUnknownCall, ErrMerge, ErrNoHearer, the errors of a selection, and
// ErrNoMedia.
func (m *Manager) Connect(req *ConnectRequest) error {
	otherID := req.ToCallID
	if otherID == "" {
		otherID = req.CallID
	}
	return m.withBoth(req.CallID, otherID, func(c, other *Call) error {
		if other.plan.byTag(req.ToTag) == nil {
			return fmt.Errorf("%w: %q", ErrNoHearer, req.ToTag)
		}
		return c.absorb(other, func(d *draft) error { return d.connect(req) })
	})
}

func (d *draft) connect(req *ConnectRequest) error {
	to := d.plan.byTag(req.ToTag)
	sources, err := d.sources(&req.Sources, req.ToTag)
	if err != nil {
		return err
	}
	sources = slices.DeleteFunc(sources, func(p *Party) bool { return p == to })
	if len(sources) == 0 {
		return ErrNoMedia
	}
	if !req.Directional {
		return d.plan.transfer(sources[0], to)
	}
	for _, from := range sources {
		if !d.plan.link(from, to, Subscription{Added: true}) {
			return fmt.Errorf("%w: %q has nothing for %q", ErrNoMedia, from.Tag, to.Tag)
		}
		if req.Bidirectional {
			d.plan.link(to, from, Subscription{Added: true})
		}
	}
	return nil
}

// pairs visits the medias of two parties that fit: the first of audio with the first of audio, and so on.
func pairs(from, to *Party, visit func(i, j int)) {
	used := make(map[int]bool)
	for i, fm := range from.Media {
		if fm.RTP.Leg == nil {
			continue
		}
		for j, tm := range to.Media {
			if !used[j] && tm.RTP.Leg != nil && tm.Type == fm.Type && tm.Opaque == fm.Opaque {
				used[j] = true
				visit(i, j)
				break
			}
		}
	}
}

// talksTo tells whether a media hears another one by offer and answer.
func (m *Media) talksTo(r Ref) bool {
	return slices.ContainsFunc(m.Hears, func(s Subscription) bool { return !s.Added && s.Ref == r })
}

// facing returns the index of the media of another party that the i-th of this one talks to. That is the one in the same place,
// unless parties were connected whose sections are in different orders.
func (p *Party) facing(i int, to *Party) int {
	if i < len(to.Media) && to.Media[i].talksTo(Ref{p.ID, i}) {
		return i
	}
	if i < len(p.Media) {
		for j, m := range to.Media {
			if m.talksTo(Ref{p.ID, i}) || p.Media[i].talksTo(Ref{to.ID, j}) {
				return j
			}
		}
	}
	taken := func(j int) bool {
		return slices.ContainsFunc(to.Media[j].Hears, func(s Subscription) bool { return !s.Added && s.Party == p.ID })
	}
	for j := i; j < len(to.Media); j++ {
		if !taken(j) {
			return j
		}
	}
	return max(i, len(to.Media))
}

// link lets one party hear another and reports whether they have medias that fit. What is there already stays.
func (p *Plan) link(from, to *Party, how Subscription) (linked bool) {
	pairs(from, to, func(i, j int) {
		linked = true
		sub := how
		if sub.Ref = (Ref{from.ID, i}); !to.Media[j].hears(sub.Ref) {
			to.Media[j].Hears = append(to.Media[j].Hears, sub)
		}
	})
	return linked
}

// transfer has two parties talk to each other, and those they talked to no longer to them.
func (p *Plan) transfer(from, to *Party) error {
	for _, q := range p.Parties {
		ours := q == from || q == to
		for _, m := range q.Media {
			m.forget(func(s Subscription) bool { return !s.Added && (ours || s.Party == from.ID || s.Party == to.ID) })
		}
		if ours || q.OfferedBy == from.ID || q.OfferedBy == to.ID {
			q.OfferedBy = 0
		}
	}
	to.OfferedBy = from.ID
	linked := false
	pairs(from, to, func(i, j int) {
		linked = true
		subscribe(from.Media[i], Ref{to.ID, j})
		subscribe(to.Media[j], Ref{from.ID, i})
	})
	if !linked {
		return fmt.Errorf("%w: %q has nothing for %q", ErrNoMedia, from.Tag, to.Tag)
	}
	return nil
}

// MeshRequest asks to merge calls and to let parties hear each other.
type MeshRequest struct {
	CallIDs       []string // unknown ones are passed over
	Flows         []MeshFlow
	Unsubscribe   bool // first, nobody hears the sources
	Bidirectional bool // the sources hear and, with Unsubscribe, first do not
}

// MeshFlow is one party and those who shall hear it.
type MeshFlow struct {
	From string
	To   []string
}

// Mesh carries out a MeshRequest. It fails with ErrUnknownCall when there is no such call at all, ErrMerge, ErrNoSource or
// ErrNoHearer.
func (m *Manager) Mesh(req *MeshRequest) error {
	var first string
	unknown := 0
	for _, id := range req.CallIDs {
		switch {
		case m.lookup(id) == nil:
			if unknown++; unknown == 1 { // one line for all
				m.cfg.Log.Warn("unknown call-ids in a mesh are passed over", "call", id)
			}
		case first == "":
			first = id
		default:
			if err := m.merge(first, id); err != nil && !errors.Is(err, ErrUnknownCall) {
				return err
			}
		}
	}
	if first == "" {
		return ErrUnknownCall
	}
	return m.change(first, func(d *draft) error { return d.plan.mesh(req) })
}

func (p *Plan) mesh(req *MeshRequest) error {
	for _, f := range req.Flows {
		from := p.byTag(f.From)
		if from == nil {
			return fmt.Errorf("%w: %q", ErrNoSource, f.From)
		}
		if req.Unsubscribe {
			p.silence(from, req.Bidirectional)
		}
	}
	for _, f := range req.Flows {
		from := p.byTag(f.From)
		for _, tag := range f.To {
			to := p.byTag(tag)
			if to == nil {
				return fmt.Errorf("%w: %q", ErrNoHearer, tag)
			}
			if to == from {
				continue
			}
			p.link(from, to, Subscription{Added: true})
			if req.Bidirectional {
				p.link(to, from, Subscription{Added: true})
			}
		}
	}
	return nil
}

// silence ends every subscription to a party, and with both ways what it hears itself.
func (p *Plan) silence(party *Party, bothWays bool) {
	for _, q := range p.Parties {
		for _, m := range q.Media {
			m.forget(func(s Subscription) bool { return s.Party == party.ID || bothWays && q == party })
		}
	}
}

// InjectRequest asks to add the audio of one party to what another one hears, or to end that.
type InjectRequest struct {
	CallID, ToTag           string
	SourceCallID, SourceTag string // the calls become one; an empty SourceCallID is CallID
	Stop                    bool
}

// Inject carries out an InjectRequest. It fails with ErrUnknownCall, ErrMerge, ErrNoHearer, ErrNoSource, ErrSelf, and with
// ErrNoMedia when the two have no audio, or nothing is injected that could be ended.
func (m *Manager) Inject(req *InjectRequest) error {
	sourceID := req.SourceCallID
	if sourceID == "" {
		sourceID = req.CallID
	}
	return m.withBoth(req.CallID, sourceID, func(c, source *Call) error {
		to, from := c.plan.byTag(req.ToTag), source.plan.byTag(req.SourceTag)
		switch {
		case to == nil:
			return fmt.Errorf("%w: %q", ErrNoHearer, req.ToTag)
		case from == nil:
			return fmt.Errorf("%w: %q", ErrNoSource, req.SourceTag)
		case to == from:
			return ErrSelf
		}
		return c.absorb(source, func(d *draft) error { return d.plan.inject(req) })
	})
}

func (p *Plan) inject(req *InjectRequest) error {
	from, to := p.byTag(req.SourceTag), p.byTag(req.ToTag)
	done := false
	pairs(from, to, func(i, j int) {
		m, r := to.Media[j], Ref{from.ID, i}
		switch {
		case m.Type != "audio":
		case req.Stop:
			before := len(m.Hears)
			m.forget(func(s Subscription) bool { return s.Injected && s.Ref == r })
			done = done || len(m.Hears) < before
		default:
			done = true
			if !m.hears(r) {
				m.Hears = append(m.Hears, Subscription{Ref: r, Added: true, Injected: true})
			}
		}
	})
	if !done {
		return fmt.Errorf("%w: from %q to %q", ErrNoMedia, req.SourceTag, req.ToTag)
	}
	return nil
}
