package call

import (
	"slices"
	"time"

	"github.com/weir-media/weir/sdp"
)

// Caps of what is kept of trickled candidates that come before the description they belong to.
const (
	maxEarly  = 16               // fragments of a call
	earlyLife = 10 * time.Second // of a call that has nothing but fragments
)

// fragment is a trickle ICE fragment (RFC 8840, section 9) that waits for its description.
type fragment struct {
	tag string
	sdp *sdp.Description
}

// Fragment takes the candidates of a trickle ICE fragment. In an offer the sender is req.FromTag, in an answer req.ToTag.
// Candidates of a party or ICE session that is not known yet wait for it. It fails with ErrSessionLimit.
func (m *Manager) Fragment(req *Request, answer bool) error {
	f := fragment{tag: req.FromTag, sdp: req.SDP}
	if answer {
		f.tag = req.ToTag
	}
	return m.with(req.CallID, true, func(c *Call) error {
		d := c.draft()
		defer d.discard()
		if d.trickle(f) {
			d.commit()
		} else {
			if len(c.early) == maxEarly {
				c.early = slices.Delete(c.early, 0, 1) // what it was for has not come
			}
			c.early = append(c.early, f)
		}
		c.signalled()
		return nil
	})
}

// catchUp takes the fragments whose time has come.
func (d *draft) catchUp() {
	d.call.early = slices.DeleteFunc(d.call.early, d.trickle)
}

// trickle applies a fragment, and reports whether it found its ICE session in every section.
func (d *draft) trickle(f fragment) bool {
	p := d.plan.byTag(f.tag)
	if p == nil || p.Description == nil {
		return false
	}
	for k, s := range sections(f.sdp) {
		m := p.meant(k, s)
		if m == nil {
			return false
		}
		said := s.ICEOf(s.session)
		if said.Ufrag != "" && said.Ufrag != m.ICE.Remote.Credentials.Ufrag {
			if m.ICE.Active() || m.Section.ICEOf(m.session).Ufrag != said.Ufrag {
				return false
			}
			continue // the session has been declined: nobody needs its candidates
		}
		if m.ICE.Remote.Credentials.Ufrag == "" {
			continue
		}
		m.ICE.Remote.Candidates = addCandidates(m.ICE.Remote.Candidates, candidates(s.Candidates))
		m.ICE.Remote.EndOfCandidates = m.ICE.Remote.EndOfCandidates || s.EndOfCandidatesOf(s.session)
	}
	return true
}

// meant returns the media that a section of a fragment is about: by its mid, or else by its place.
func (p *Party) meant(k int, s section) *Media {
	if s.Mid != "" {
		for _, m := range p.Media {
			if m.Section != nil && m.Section.Mid == s.Mid {
				return m
			}
		}
	}
	if i := p.position(k); i < len(p.Media) && p.Media[i].Section != nil {
		return p.Media[i]
	}
	return nil
}
