package call

import (
	"slices"
	"time"

	"github.com/weir-media/weir/media"
)

// Tap takes copies of what comes from a side of a pair. It is closed when it has been taken off or the pair has ended; Close must not
// wait.
type Tap interface {
	media.Tap
	Close() error
}

// TapTarget is a side that is to be tapped.
type TapTarget struct {
	CallID string
	Opener string // tag of the party that opened the pair
	Number int
	Side   int // 0: the party that opened it
	Other  Tap // what taps the other side; nil: nothing does
}

// TapPairs taps the sides that the key names first, of all pairs of the tag if its number is 0. Open makes the tap of each, or returns that
// of the other side; a side that is tapped stays as it is. It fails with ErrUnknownCall, ErrNoPair or what open fails with.
func (m *Manager) TapPairs(key *PairKey, open func(TapTarget) (Tap, error)) error {
	return m.changePairs(key, func(d *draft, matches []pairMatch) (err error) {
		var made []Tap
		defer func() {
			if err != nil {
				closeTaps(made)
			}
		}()
		for _, match := range matches {
			ours, other := d.plan.media(match.pair.Sides[match.side]), d.plan.media(match.pair.Sides[1-match.side])
			if ours.tap != nil {
				continue
			}
			opener := d.plan.byID(match.pair.Sides[0].Party)
			target := TapTarget{CallID: d.call.id, Opener: opener.Tag, Number: match.pair.Number, Side: match.side, Other: other.tap}
			if ours.tap, err = open(target); err != nil {
				return err
			}
			if ours.tap != other.tap {
				made = append(made, ours.tap)
			}
		}
		return nil
	})
}

// UntapPairs takes off what taps the sides that the key names first, and with both the others as well. It fails with ErrUnknownCall, and
// with ErrNoPair when nothing was tapped.
func (m *Manager) UntapPairs(key *PairKey, both bool) error {
	return m.changePairs(key, func(d *draft, matches []pairMatch) error {
		tapped := false
		for _, match := range matches {
			for side, r := range match.pair.Sides {
				if tm := d.plan.media(r); tm.tap != nil && (both || side == match.side) {
					tm.tap, tapped = nil, true
				}
			}
		}
		if !tapped {
			return ErrNoPair
		}
		return nil
	})
}

// changePairs changes the pairs that a key names. ErrNoPair tells that there are none.
func (m *Manager) changePairs(key *PairKey, step func(*draft, []pairMatch) error) error {
	return m.change(key.CallID, func(d *draft) error {
		matches := d.plan.matching(key)
		if len(matches) == 0 {
			return ErrNoPair
		}
		return step(d, matches)
	})
}

// taps lists the taps of a plan, each once.
func (p *Plan) taps() []Tap {
	var all []Tap
	for _, party := range p.Parties {
		for _, m := range party.Media {
			if m.tap != nil && !slices.Contains(all, m.tap) {
				all = append(all, m.tap)
			}
		}
	}
	return all
}

// closeTapsWithout closes the taps of a plan that another one does not have.
func (p *Plan) closeTapsWithout(next *Plan) {
	old := p.taps()
	if len(old) == 0 {
		return
	}
	kept := next.taps()
	closeTaps(slices.DeleteFunc(old, func(t Tap) bool { return slices.Contains(kept, t) }))
}

func closeTaps(taps []Tap) {
	for _, t := range taps {
		_ = t.Close() // it has nobody to tell but its own log
	}
}

// PlayToPair has the side that the key names first be sent a prompt instead of what it hears, until it has ended or StopPair is called.
// Choose picks the prompt by the payload types that the side listed last, nil when it did not, and the packet time that was asked for what
// it hears, 0 if none was. Ended is called when it is over for any
// reason, and must not wait. It fails with ErrUnknownCall, ErrNoPair, or what choose or media.Leg.Play fails with.
func (m *Manager) PlayToPair(key *PairKey, choose func(payloadTypes []uint8, packet time.Duration) (*media.Prompt, error), ended func()) error {
	return m.withSide(key, func(pair *Pair, side int, m *Media) error {
		prompt, err := choose(pair.PayloadTypes[side], time.Duration(pair.PacketTime[1-side])*time.Millisecond)
		if err != nil {
			return err
		}
		return m.RTP.Leg.Play(prompt, ended)
	})
}

// StopPair ends the prompt that the side is sent, if there is one. It fails with ErrUnknownCall or ErrNoPair.
func (m *Manager) StopPair(key *PairKey) error {
	return m.withSide(key, func(_ *Pair, _ int, m *Media) error {
		m.RTP.Leg.StopPlaying()
		return nil
	})
}

// withSide runs fn, as the owner of the call, on the media of the side that a key names first.
func (m *Manager) withSide(key *PairKey, fn func(pair *Pair, side int, m *Media) error) error {
	return m.with(key.CallID, false, func(c *Call) error {
		pair, side := c.plan.pair(key)
		if pair == nil {
			return ErrNoPair
		}
		return fn(pair, side, c.plan.media(pair.Sides[side]))
	})
}
