package call

import (
	"slices"
	"time"
)

// DeleteRequest asks for the end of a call or of some of its parties.
type DeleteRequest struct {
	CallID    string
	FromTag   string         // empty: the whole call
	ToTag     string         // empty: whoever FromTag talks to
	ViaBranch string         // only the branch of that name
	Delay     *time.Duration // nil: as configured; 0: now
	Fast      bool           // nobody wants to know what the call was like
}

// Delete schedules the end of a call, or of the parties the tags and branch name, and returns what the call was like; nil if
// that is not asked for.
// It fails with ErrNoMatch when there is no such call or nobody fits.
func (m *Manager) Delete(req *DeleteRequest) (*Snapshot, error) {
	var snap *Snapshot
	err := m.with(req.CallID, false, func(c *Call) error {
		doomed := c.doomed(req)
		if len(doomed) == 0 {
			return ErrNoMatch
		}
		c.claim()
		if !req.Fast {
			c.settle()
			snap = c.snapshot()
		}
		delay := m.limits.Load().DeleteDelay
		if req.Delay != nil {
			delay = *req.Delay
		}
		c.lastSignal = time.Now()
		if len(doomed) < len(c.plan.Parties) {
			c.drop(doomed)
			c.schedule(c.lastSignal)
			return nil
		}
		if delay <= 0 {
			c.end(ReasonDeleted)
			return nil
		}
		c.deleteAt = c.lastSignal.Add(delay)
		c.schedule(c.lastSignal)
		return nil
	})
	if err != nil {
		return nil, ErrNoMatch
	}
	return snap, nil
}

// of returns the parties that came with a call-id: all of them, unless calls were merged.
func (c *Call) of(callID string) []*Party {
	if len(c.aliases) == 0 {
		return c.plan.Parties
	}
	return slices.DeleteFunc(slices.Clone(c.plan.Parties), func(p *Party) bool { return p.callID != callID })
}

// doomed returns the parties a delete request means. Who would be left alone goes too.
func (c *Call) doomed(req *DeleteRequest) []*Party {
	if req.FromTag == "" && req.ToTag == "" && req.ViaBranch == "" {
		return c.plan.withLonely(c.of(req.CallID))
	}
	from := c.plan.byTag(req.FromTag)
	to := c.plan.byTag(req.ToTag)
	if from == nil && req.FromTag != "" || to == nil && req.ToTag != "" && req.FromTag == "" {
		return nil
	}
	var doomed []*Party
	switch {
	case req.ViaBranch != "":
		for _, p := range c.plan.Parties {
			related := from == nil || p == from || p.partnerOf(from)
			if p.ViaBranch == req.ViaBranch && related {
				doomed = append(doomed, p)
			}
		}
		if len(doomed) == 0 {
			// Proxies name the branch of the message at hand, which need not be the one of the offer.
			return c.doomed(&DeleteRequest{CallID: req.CallID, FromTag: req.FromTag, ToTag: req.ToTag})
		}
	case to != nil && from != nil && to != from && len(c.plan.partners(from)) > 1:
		doomed = append(doomed, to)
	case from != nil:
		doomed = append(doomed, from)
	default:
		doomed = append(doomed, to)
	}
	return c.plan.withLonely(doomed)
}

// withLonely adds to the doomed those who would be left alone, and so on.
func (p *Plan) withLonely(doomed []*Party) []*Party {
	doomed = slices.Clip(doomed)
	if len(doomed) == 0 {
		return nil
	}
	for grown := true; grown; {
		grown = false
		for _, party := range p.Parties {
			if !slices.Contains(doomed, party) && p.alone(party, doomed) {
				doomed = append(doomed, party)
				grown = true
			}
		}
	}
	return doomed
}

// alone tells whether nobody is left for the party to talk to once the doomed are gone: of those it hears or is heard by, and
// if there are none of the branches it was offered to or by.
func (p *Plan) alone(party *Party, doomed []*Party) bool {
	if party.Role == RolePublisher || party.Role == RoleCreated {
		return false // it came on its own
	}
	company := slices.DeleteFunc(slices.Clone(p.Parties), func(q *Party) bool {
		return q == party || !hears(party, q.ID) && !hears(q, party.ID)
	})
	if len(company) == 0 {
		company = p.partners(party)
	}
	return !slices.ContainsFunc(company, func(q *Party) bool { return !slices.Contains(doomed, q) })
}

// drop takes parties out of a call that goes on without them.
func (c *Call) drop(doomed []*Party) {
	d := c.draft()
	d.remove(doomed)
	d.commit()
}

// remove takes parties out of the plan.
func (d *draft) remove(doomed []*Party) {
	gone := make(map[PartyID]bool)
	for _, p := range doomed {
		gone[p.ID] = true
	}
	d.plan.Parties = slices.DeleteFunc(d.plan.Parties, func(p *Party) bool { return gone[p.ID] })
	for _, p := range d.plan.Parties {
		for _, m := range p.Media {
			m.forget(func(s Subscription) bool { return gone[s.Party] })
		}
	}
}
