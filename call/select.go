package call

import (
	"fmt"
	"net/netip"
	"slices"
)

// Selection says which parties of a call a command is about. Of its members the first one that is given counts.
type Selection struct {
	All      bool     // every party
	Label    string   // the party of that label
	Address  string   // every party that told this address for its media
	FromTags []string // these parties; unknown tags are passed over
	FromTag  string   // the party of that tag

	SetLabel string // a new label for the party that is selected
}

// selected returns the parties a selection means, none when it means the call as a whole. It fails with ErrNoLabel,
// ErrBadAddress, ErrNoAddress or ErrNoTag.
func (d *draft) selected(s *Selection) ([]*Party, error) {
	found, err := d.match(s)
	if err == nil && len(found) == 1 && s.SetLabel != "" {
		found[0].Label = s.SetLabel
	}
	return found, err
}

func (d *draft) match(s *Selection) ([]*Party, error) {
	p := d.plan
	switch {
	case s.All:
		return nil, nil
	case s.Label != "":
		if party := p.byLabel(s.Label); party != nil {
			return []*Party{party}, nil
		}
		return nil, fmt.Errorf("%w: %q", ErrNoLabel, s.Label)
	case s.Address != "":
		return p.byAddress(s.Address)
	case len(s.FromTags) > 0:
		var found []*Party
		unknown := 0
		for _, tag := range s.FromTags {
			party := p.byTag(tag)
			if party == nil {
				if unknown++; unknown == 1 { // one line for all
					d.call.manager.cfg.Log.Warn("unknown tags in from-tags are passed over", "call", d.call.id, "tag", tag)
				}
			} else if !slices.Contains(found, party) {
				found = append(found, party)
			}
		}
		return found, nil
	case s.FromTag != "":
		if party := p.byTag(s.FromTag); party != nil {
			return []*Party{party}, nil
		}
		return nil, fmt.Errorf("%w: %q", ErrNoTag, s.FromTag)
	}
	return nil, nil
}

func (p *Plan) byLabel(label string) *Party {
	if i := slices.IndexFunc(p.Parties, func(q *Party) bool { return q.Label == label }); i >= 0 {
		return p.Parties[i]
	}
	return nil
}

func (p *Plan) byAddress(text string) ([]*Party, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAddress, err)
	}
	addr = addr.Unmap()
	var found []*Party
	for _, party := range p.Parties {
		if slices.ContainsFunc(party.Media, func(m *Media) bool { return m.RTP.Signalled.Addr() == addr }) {
			found = append(found, party)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrNoAddress, addr)
	}
	return found, nil
}

// Flows says which subscriptions of the selected parties, or of all when none is selected, a command is about.
type Flows uint8

// The choices of flows.
const (
	FlowsNone              Flows = iota // not flows but parties
	FlowsOfferAnswer                    // made by offer and answer
	FlowsExceptOfferAnswer              // made by anything else
	FlowsAll                            // all there are
)

// flows returns the subscriptions to media of sources that which means; of these only the ones of the hearer, unless it is nil.
func (p *Plan) flows(sources []*Party, which Flows, hearer *Party) []*Subscription {
	var found []*Subscription
	for _, party := range p.Parties {
		if hearer != nil && party != hearer {
			continue
		}
		for _, m := range party.Media {
			for i := range m.Hears {
				s := &m.Hears[i]
				if len(sources) > 0 && !slices.ContainsFunc(sources, func(q *Party) bool { return q.ID == s.Party }) {
					continue
				}
				if which == FlowsOfferAnswer && s.Added || which == FlowsExceptOfferAnswer && !s.Added {
					continue
				}
				found = append(found, s)
			}
		}
	}
	return found
}

// Parties returns how many parties of a call a selection names; 0 means the call as a whole. It fails with ErrUnknownCall and
// the errors of a selection.
func (m *Manager) Parties(id string, sel Selection) (n int, err error) {
	err = m.with(id, false, func(c *Call) error {
		found, err := c.draft().match(&sel)
		n = len(found)
		return err
	})
	return n, err
}
