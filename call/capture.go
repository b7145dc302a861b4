package call

import (
	"slices"

	"github.com/weir-media/weir/media"
)

// Capture takes copies of all that the parties of a call send and are sent. The holder of the call calls its methods, which must not wait
// nor use the Manager.
type Capture interface {
	// Media returns what takes the copies at a media. It is asked anew with each change of the call, and returns the same for the same
	// media.
	Media(m CapturedMedia) media.Tap
	// Over tells, once, that nothing more will come: the call has ended, or the capture. Missing is how many packets the kernel has
	// relayed meanwhile without a copy.
	Over(missing uint64)
}

// CapturedMedia says whose a media is. It is comparable.
type CapturedMedia struct {
	CallID string // that the party came with
	Party  PartyID
	Tag    string // empty until an answer names the party
	Branch string // of the offer
	Label  string
	Number int    // of the section, from 1
	Type   string // audio, video, …
	Shared bool   // by those bundled with it
}

// capturing is a capture of a call.
type capturing struct {
	Capture
	untapped map[*media.Leg]uint64 // legs that are tapped, with how many copies of theirs had found no room before
	missing  uint64                // of legs that are gone
}

// Capture has a capture begin with the call of that id, or fails with ErrUnknownCall. It does not count as a sign of life.
func (m *Manager) Capture(id string, capture Capture) error {
	return m.with(id, false, func(c *Call) error {
		c.captures = append(c.captures, &capturing{Capture: capture, untapped: make(map[*media.Leg]uint64)})
		c.draft().commit()
		return nil
	})
}

// EndCapture has a capture of the call of that id end, unless it has already.
func (m *Manager) EndCapture(id string, capture Capture) {
	_ = m.with(id, false, func(c *Call) error { // a call that is gone has ended it
		i := slices.IndexFunc(c.captures, func(k *capturing) bool { return k.Capture == capture })
		if i < 0 {
			return nil
		}
		ended := c.captures[i]
		c.captures = slices.Delete(c.captures, i, i+1)
		c.draft().commit()
		ended.over()
		return nil
	})
}

// tap has the captures of the call take copies at a media.
func (c *Call) tap(s *media.Settings, party *Party, index int, m *Media) {
	if len(c.captures) == 0 {
		return
	}
	of := CapturedMedia{
		CallID: party.callID, Party: party.ID, Tag: party.Tag, Branch: party.ViaBranch, Label: party.Label, Number: index + 1, Type: m.Type,
		Shared: m.Bundled,
	}
	for _, k := range c.captures {
		tap := []media.Tap{k.Media(of)}
		s.Taps.Received = slices.Concat(s.Taps.Received, tap)
		s.Taps.Sent = slices.Concat(s.Taps.Sent, tap)
		s.Taps.Link = slices.Concat(s.Taps.Link, tap)
	}
}

// watch remembers how many copies of a leg have found no room before it is tapped.
func (c *Call) watch(leg *media.Leg) {
	for _, k := range c.captures {
		if _, known := k.untapped[leg]; !known {
			k.untapped[leg] = leg.Stats().Kernel.Untapped
		}
	}
}

// settleCaptures accounts for legs that are gone.
func (c *Call) settleCaptures(kept map[*media.Leg]bool) {
	for _, k := range c.captures {
		for leg := range k.untapped {
			if !kept[leg] {
				k.settle(leg)
			}
		}
	}
}

func (k *capturing) settle(leg *media.Leg) {
	k.missing += leg.Stats().Kernel.Untapped - k.untapped[leg]
	delete(k.untapped, leg)
}

// over ends the capture. The legs are not tapped any more.
func (k *capturing) over() {
	for leg := range k.untapped {
		k.settle(leg)
	}
	k.Over(k.missing)
}

// endCaptures ends those of a call whose legs are closed.
func (c *Call) endCaptures() {
	for _, k := range c.captures {
		k.over()
	}
	c.captures = nil
}
