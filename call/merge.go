package call

import (
	"fmt"
	"slices"
	"time"
)

// withBoth runs fn as the owner of two calls, or of one if both ids mean the same. The locks are taken in the order in which the
// calls were made, so that nobody waits for somebody who waits for him.
func (m *Manager) withBoth(id, otherID string, fn func(c, other *Call) error) error {
	for {
		c, other := m.lookup(id), m.lookup(otherID)
		if c == nil || other == nil {
			return ErrUnknownCall
		}
		if c == other {
			if gone, err := c.own(func(c *Call) error { return fn(c, c) }); !gone {
				return err
			}
			continue
		}
		if gone, err := ownBoth(c, other, fn); !gone {
			return err
		}
	}
}

func ownBoth(c, other *Call, fn func(c, other *Call) error) (gone bool, err error) {
	first, second := c, other
	if second.serial < first.serial {
		first, second = second, first
	}
	first.mu.Lock()
	defer first.mu.Unlock()
	second.mu.Lock()
	defer second.mu.Unlock()
	if c.gone || other.gone {
		return true, nil
	}
	return false, fn(c, other)
}

// merge makes one call of two; both ids mean it from then on. It fails with ErrMerge when a tag is in both, or when there are too many parties.
func (m *Manager) merge(id, otherID string) error {
	return m.withBoth(id, otherID, func(c, other *Call) error {
		return c.absorb(other, func(*draft) error { return nil })
	})
}

// absorb takes over the parties and ids of another call, which is then gone, and lets step work on what the two are together. If
// that fails, both are as they were before. The other call may be this one. The caller owns both.
func (c *Call) absorb(other *Call, step func(*draft) error) error {
	if c == other {
		return c.change(step)
	}
	if len(c.aliases)+len(other.aliases) >= MaxMerged {
		return fmt.Errorf("%w: more than %d calls", ErrMerge, MaxMerged)
	}
	for _, one := range []*Call{c, other} {
		if one.foreign {
			one.takeOver(true) // a call has one owner
		}
	}
	both := c.plan.clone()
	if err := both.take(other.plan.clone()); err != nil {
		return err
	}
	d := &draft{call: c, plan: both.clone()}
	defer d.discard() // nothing left to discard after a commit
	if err := step(d); err != nil {
		return err
	}
	c.plan = both
	c.inherit(other)
	d.commit()
	c.signalled()
	return nil
}

// inherit ends another call whose parties have come to this one. The caller owns both.
func (c *Call) inherit(other *Call) {
	defer c.manager.move(other, c)
	other.gone = true
	other.plan = &Plan{} // its legs are ours now
	if other.timer != nil {
		other.timer.Stop()
	}
	other.await(false)
	c.early = append(c.early, other.early...)
	c.early = c.early[max(0, len(c.early)-maxEarly):]
	if other.created.Before(c.created) {
		c.created = other.created
	}
	c.deleteAt = time.Time{}
	c.captures, other.captures = append(c.captures, other.captures...), nil
}

// take moves the parties of another plan here.
func (p *Plan) take(other *Plan) error {
	for _, party := range other.Parties {
		for _, tag := range append(slices.Clone(party.Aliases), party.Tag) {
			if p.byTag(tag) != nil { // a party without a tag yet is never found
				return fmt.Errorf("%w: tag %q is in both", ErrMerge, tag)
			}
		}
	}
	if n := len(p.Parties) + len(other.Parties); n > MaxOthers {
		return fmt.Errorf("%w: %d parties", ErrMerge, n)
	}
	for _, party := range other.Parties {
		party.shift(p.lastID, p.lastSerial)
	}
	p.Parties = append(p.Parties, other.Parties...)
	p.lastID += other.lastID
	p.lastSerial += other.lastSerial
	return nil
}

// shift makes room for the parties and medias of another plan in the numbers a party has and knows.
func (p *Party) shift(parties PartyID, medias uint32) {
	p.ID += parties
	if p.OfferedBy != 0 {
		p.OfferedBy += parties
	}
	for _, m := range p.Media {
		if m.serial != 0 {
			m.serial += medias
		}
		if m.source.Party != 0 {
			m.source.Party += parties
		}
		for i := range m.Hears {
			m.Hears[i].Party += parties
		}
		if m.Pair != nil {
			pair := *m.Pair
			pair.Sides[0].Party += parties
			pair.Sides[1].Party += parties
			m.Pair = &pair
		}
	}
}

// move makes every id of one call mean another. The caller owns both.
func (m *Manager) move(from, to *Call) {
	ids := append([]string{from.id}, from.aliases...)
	to.aliases = append(to.aliases, ids...)
	for _, id := range ids {
		s := m.shard(id)
		s.mu.Lock()
		s.calls[id] = to
		s.mu.Unlock()
	}
	m.live.Add(-1)
	m.byLanguage[from.language].live.Add(-1)
	m.ended.Add(1)
	m.byReason[ReasonMerged].Add(1)
	m.changed(from.id)
}
