package call

import (
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/weir-media/weir/rtp"
)

const (
	// DefaultDigitGap is how long a digit may come after the one before and still belong to the same trigger.
	DefaultDigitGap = 2500 * time.Millisecond
	// longestTrigger bounds the digits that are remembered; no longer trigger is ever found.
	longestTrigger = 64
	// waitingDigits bounds those that wait for a call that is busy.
	waitingDigits = 64
)

// dialler takes down the digits that parties dial while a trigger may be among them. What they bring about is done by a goroutine of its
// own, as a command would.
type dialler struct {
	call *Call

	mu      sync.Mutex
	waiting []dialled
	busy    bool

	// The call's owner's.
	last    map[PartyID]*digits
	started map[PartyID]int // counts the modes that triggers have brought, those of the whole call as of party 0
}

// dialled is one digit.
type dialled struct {
	party PartyID
	digit byte
	at    time.Time
}

// digits are the last ones of a party.
type digits struct {
	text string
	at   time.Time
	n    int // since a trigger
}

// triggers tells whether digits of a party may change anything.
func (p *Plan) triggers(party *Party) bool {
	return party.Manipulation.DTMF.Trigger != "" || p.Manipulation.DTMF.Trigger != ""
}

// dialled returns the dialler of the call, whose plan p is or becomes. The caller owns the call.
func (c *Call) dialled(p *Plan) *dialler {
	if c.dialler == nil {
		c.dialler = &dialler{call: c, last: make(map[PartyID]*digits), started: make(map[PartyID]int)}
		// Of a call that another process has had before.
		c.dialler.endLater(0, &p.Manipulation.DTMF)
		for _, party := range p.Parties {
			c.dialler.endLater(party.ID, &party.Manipulation.DTMF)
		}
	}
	return c.dialler
}

// endLater has a mode that a trigger has brought end when its time is over.
func (d *dialler) endLater(id PartyID, security *DTMFSecurity) {
	if !security.Triggered || security.TriggerEndTime <= 0 {
		return
	}
	d.started[id]++
	of := d.started[id]
	time.AfterFunc(security.TriggerEndTime, func() {
		d.carry(func(c *Call) {
			if d.started[id] == of {
				d.set(c, id, false)
			}
		})
	})
}

// take notes a digit. It does not wait.
func (d *dialler) take(party PartyID, code uint8) {
	digit := (&rtp.Event{Code: code}).Digit()
	if digit == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) < waitingDigits {
		d.waiting = append(d.waiting, dialled{party, digit, time.Now()})
	}
	if !d.busy {
		d.busy = true
		go d.run()
	}
}

// run works through the digits that wait.
func (d *dialler) run() {
	for {
		d.mu.Lock()
		todo := d.waiting
		d.waiting = nil
		if d.busy = len(todo) > 0; !d.busy {
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
		for _, one := range todo {
			d.carry(func(c *Call) { d.dial(c, one) })
		}
	}
}

// carry has the owner of the call do something. A fault costs that alone.
func (d *dialler) carry(fn func(*Call)) {
	m := d.call.manager
	defer func() {
		if fault := recover(); fault != nil {
			m.faults.Add(1)
			m.cfg.Log.Error("fault while heeding digits", "call", d.call.id, "fault", fault, "stack", string(debug.Stack()))
		}
	}()
	_, _ = d.call.own(func(c *Call) error {
		fn(c)
		return nil
	})
}

// dial looks whether a digit completes a trigger, and does what that brings.
func (d *dialler) dial(c *Call, one dialled) {
	party := c.plan.byID(one.party)
	if party == nil {
		return
	}
	gap := c.manager.cfg.DigitGap
	if gap <= 0 {
		gap = DefaultDigitGap
	}
	s := d.last[one.party]
	if s == nil {
		s = new(digits)
		d.last[one.party] = s
	}
	if one.at.Sub(s.at) > gap {
		s.text = ""
	}
	s.text, s.at = s.text+string(one.digit), one.at
	s.text = s.text[max(0, len(s.text)-longestTrigger):]
	id, security := party.ID, &party.Manipulation.DTMF
	if security.Trigger == "" {
		id, security = 0, &c.plan.Manipulation.DTMF
	}
	switch {
	case security.Trigger == "":
	case !security.Triggered && strings.HasSuffix(s.text, security.Trigger):
		s.text, s.n = "", 0
		d.set(c, id, true)
	case security.Triggered:
		s.n++
		if security.TriggerEnd != "" && strings.HasSuffix(s.text, security.TriggerEnd) || security.TriggerEndDigits > 0 && s.n >= security.TriggerEndDigits {
			s.text = ""
			d.set(c, id, false)
		}
	}
}

// set puts the mode that a trigger brings into force, of a party or with 0 of the whole call, or the one that comes after.
func (d *dialler) set(c *Call, id PartyID, on bool) {
	next := c.draft()
	defer next.discard()
	security := &next.plan.Manipulation.DTMF
	if id != 0 {
		party := next.plan.byID(id)
		if party == nil {
			return
		}
		security = &party.Manipulation.DTMF
	}
	if security.Trigger == "" || security.Triggered == on {
		return // a command has come between
	}
	if security.Triggered, security.Mode = on, security.TriggerEndMode; on {
		security.Mode = security.TriggerMode
	}
	next.commit()
	d.endLater(id, security)
	c.manager.changed(c.id)
}
