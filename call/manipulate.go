package call

import (
	"fmt"
	"time"
)

// Manipulation is what commands want done with media beside what offers and answers say. There is one for the call, one for
// each party as a source, and, of silence and blocks only, one for each subscription.
type Manipulation struct {
	Block   bool         `json:",omitzero"` // media, but not events, reaches nobody
	Silence bool         `json:",omitzero"` // the payload of media becomes silence
	Forward bool         `json:",omitzero"` // PCM goes to the recording daemon
	DTMF    DTMFSecurity `json:",omitzero"`
}

// DTMFMode is what happens to DTMF events on their way.
type DTMFMode uint8

// The modes. Of in-band tones the modes mean the same, which takes a codec.
const (
	DTMFPass    DTMFMode = iota
	DTMFDrop             // events are dropped
	DTMFSilence          // silence takes their place
	DTMFTone             // a tone takes their place
	DTMFRandom           // random digits take their place
	DTMFZero             // the digit 0 takes their place
	DTMFReplace          // DTMFSecurity.Digit takes their place
)

// DTMFSecurity is the mode in force and what changes it.
type DTMFSecurity struct {
	Mode  DTMFMode `json:",omitzero"`
	Digit uint8    `json:",omitzero"` // of DTMFReplace: an event code, 0 to 15

	// Digits from the party that bring other modes. Triggered tells that TriggerMode is in force, so that what ends it is looked for.
	Triggered                   bool          `json:",omitzero"`
	Trigger, TriggerEnd         string        `json:",omitzero"`
	TriggerMode, TriggerEndMode DTMFMode      `json:",omitzero"`
	TriggerEndTime              time.Duration `json:",omitzero"`
	TriggerEndDigits            int           `json:",omitzero"`
	Delay                       time.Duration `json:",omitzero"`
	Frequencies                 []int         `json:",omitzero"` // Hz, of DTMFTone
	Volume                      int           `json:",omitzero"` // dB below full scale
}

// Verb is a manipulation that can be turned on and off.
type Verb uint8

// The verbs.
const (
	VerbBlockDTMF Verb = iota
	VerbBlockMedia
	VerbSilenceMedia
	VerbForward
)

// ManipulateRequest turns a manipulation on or off for those it selects. With ToTag, ToLabel or Flows it is about the flows
// from the selected parties to a hearer, which only VerbBlockMedia and VerbSilenceMedia can be.
type ManipulateRequest struct {
	CallID string
	Selection
	Verb    Verb
	On      bool
	DTMF    DTMFSecurity // of VerbBlockDTMF when On
	ToTag   string
	ToLabel string
	Flows   Flows
}

// Manipulate carries out a command that blocks, silences or forwards media, or undoes it. It fails with ErrUnknownCall, the
// errors of a selection, and for flows with ErrNoFlowTag, ErrNoFlowLabel, ErrNoFlow or ErrNoSubscriptions.
func (m *Manager) Manipulate(req *ManipulateRequest) error {
	return m.change(req.CallID, func(d *draft) error { return d.manipulate(req) })
}

// change lets step work on the next plan of an existing call, which is discarded when step fails.
func (m *Manager) change(id string, step func(*draft) error) error {
	return m.with(id, false, func(c *Call) error { return c.change(step) })
}

// ensure is change for a call that is made if there is none, whatever the limit of calls is.
func (m *Manager) ensure(id string, step func(*draft) error) error {
	create := func() (*Call, error) { return m.create(id, NG, false) }
	return m.find(id, create, func(c *Call) error {
		return c.change(func(d *draft) error {
			err := step(d)
			if err == nil {
				c.deleteAt = time.Time{} // whoever signals again wants the call to live
			}
			return err
		})
	})
}

func (c *Call) change(step func(*draft) error) error {
	d := c.draft()
	defer d.discard() // nothing left to discard after a commit
	if err := step(d); err != nil {
		return err
	}
	d.commit()
	c.signalled()
	return nil
}

func (d *draft) manipulate(req *ManipulateRequest) error {
	sources, err := d.selected(&req.Selection)
	if err != nil {
		return err
	}
	if req.Verb == VerbBlockMedia || req.Verb == VerbSilenceMedia {
		flows, aimed, err := d.aimedAt(req, sources)
		if err != nil {
			return err
		}
		for _, s := range flows {
			s.set(req.Verb, req.On)
		}
		if aimed {
			return nil
		}
	}
	if len(sources) > 0 {
		for _, party := range sources {
			party.Manipulation.set(req)
		}
		return nil
	}
	d.plan.Manipulation.set(req)
	if req.All && !req.On {
		// Without "all", what was asked for a party alone stays when the call as a whole is released.
		for _, party := range d.plan.Parties {
			party.Manipulation.set(req)
		}
		for _, s := range d.plan.flows(nil, FlowsAll, nil) {
			s.set(req.Verb, false)
		}
	}
	return nil
}

// aimedAt returns the flows that a request is about, and whether it is about flows at all.
func (d *draft) aimedAt(req *ManipulateRequest, sources []*Party) (flows []*Subscription, aimed bool, err error) {
	p := d.plan
	switch {
	case req.Flows != FlowsNone:
		if flows = p.flows(sources, req.Flows, nil); len(flows) == 0 {
			return nil, true, ErrNoSubscriptions
		}
		return flows, true, nil
	case req.All || len(sources) == 0:
		return nil, false, nil // proxies send the to-tag with whatever they ask
	}
	var hearer *Party
	switch {
	case req.ToTag != "":
		if hearer = p.byTag(req.ToTag); hearer == nil {
			return nil, true, fmt.Errorf("%w: %q", ErrNoFlowTag, req.ToTag)
		}
	case req.ToLabel != "":
		if hearer = p.byLabel(req.ToLabel); hearer == nil {
			return nil, true, fmt.Errorf("%w: %q", ErrNoFlowLabel, req.ToLabel)
		}
	default:
		return nil, false, nil
	}
	if flows = p.flows(sources, FlowsAll, hearer); len(flows) == 0 {
		return nil, true, ErrNoFlow
	}
	return flows, true, nil
}

func (m *Manipulation) set(req *ManipulateRequest) {
	switch req.Verb {
	case VerbBlockDTMF:
		if m.DTMF = (DTMFSecurity{}); req.On {
			m.DTMF = req.DTMF
		}
	case VerbBlockMedia:
		m.Block = req.On
	case VerbSilenceMedia:
		m.Silence = req.On
	case VerbForward:
		m.Forward = req.On
	}
}

func (s *Subscription) set(verb Verb, on bool) {
	if verb == VerbBlockMedia {
		s.Block = on
	} else {
		s.Silence = on
	}
}
