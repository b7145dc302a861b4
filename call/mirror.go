package call

import "fmt"

// MirrorPair has the sides of a pair be sent what the sides of another one send, the first what the first sends, instead of what the two say
// to each other: that is how a recorder gets to hear a call. The calls become one. It fails with ErrUnknownCall, ErrNoPair, ErrSelf or ErrMerge.
func (m *Manager) MirrorPair(key, source *PairKey) error {
	return m.withBoth(key.CallID, source.CallID, func(c, other *Call) error {
		if pair, _ := c.plan.pair(key); pair == nil {
			return ErrNoPair
		}
		if pair, _ := other.plan.pair(source); pair == nil {
			return ErrNoPair
		}
		return c.absorb(other, func(d *draft) error {
			to, _ := d.plan.pair(key)
			from, side := d.plan.pair(source)
			if to == nil || from == nil || to.Sides == from.Sides {
				return fmt.Errorf("%w: %q and %q", ErrSelf, key.FromTag, source.FromTag)
			}
			for k, r := range to.Sides {
				d.plan.media(r).Hears = []Subscription{{Ref: from.Sides[k^side], Added: true}}
			}
			return nil
		})
	})
}
