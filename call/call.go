package call

import (
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/weir-media/weir/media"
)

// Call is one call-id, or several that have become one. Everything but id, serial and manager belongs to the holder of mu.
type Call struct {
	id       string
	serial   uint64 // in the order in which calls are made
	language Language
	manager  *Manager
	created  time.Time

	mu         sync.Mutex
	gone       bool     // ended: the call is out of the table
	aliases    []string // ids of calls that were merged into this one
	plan       *Plan
	early      []fragment // for descriptions that have not come yet
	lastSignal time.Time
	revived    time.Time   // when another process's call was taken up here
	deleteAt   time.Time   // zero: nobody asked for its end
	timer      *time.Timer // the next time the call could end
	converts   bool        // it has been logged that audio would have to be converted
	faxed      bool        // it has been logged that there is no T.38 gateway
	captures   []*capturing
	client     netip.Addr    // of the control connection it was made by; invalid when that has none
	callback   netip.Addr    // to be told of a timeout in its place
	dialler    *dialler      // nil: there was no trigger yet
	foreign    bool          // another node owns it; see Follow
	keyspace   int           // where its document is found while it is foreign
	term       uint64        // how often it went from node to node
	awaiting   bool          // it was taken over, and no packet has come since
	heardUntil time.Duration // packets until then were another node's, on the media plane's clock
}

func newCall(m *Manager, id string) *Call {
	return &Call{id: id, manager: m, created: time.Now(), plan: &Plan{TOS: m.cfg.TOS, ranks: m.cfg.CodecPreferences}}
}

// own runs fn as the owner of the call, and reports whether it could not because the call had ended before.
// A call that fn leaves without any party never came to life and ends.
func (c *Call) own(fn func(*Call) error) (gone bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return true, nil
	}
	// Deferred, so that a fault in fn costs this command and not the port or the table entry of the call.
	defer func() {
		if !c.gone && len(c.plan.Parties)+len(c.early) == 0 {
			c.end(ReasonFailed)
		}
	}()
	return false, fn(c)
}

// heedClient notes who makes the call, and whom to tell of a timeout in its place.
func (c *Call) heedClient(client, callback netip.Addr) {
	if !c.client.IsValid() {
		c.client = client
	}
	if callback.IsValid() {
		c.callback = callback
	}
}

// signalled notes that a command reached the call and sets its timer anew.
func (c *Call) signalled() {
	c.claim()
	c.lastSignal = time.Now()
	c.schedule(c.lastSignal)
	if !c.converts && c.plan.converts() {
		c.converts = true
		c.manager.cfg.Log.With("system", "codec").Warn("the parties have agreed on codecs that would have to be converted, which is not possible yet: packets pass as they are",
			"call", c.id)
	}
}

// end closes every leg and takes the call out of the table. The caller owns the call.
func (c *Call) end(why Reason) {
	if c.gone {
		return
	}
	if c.foreign {
		c.leave() // its end is for its owner to tell
		return
	}
	c.gone = true
	// Whatever fails below, a call that is gone must not be found again.
	defer c.manager.remove(c, why)
	if c.timer != nil {
		c.timer.Stop()
	}
	c.plan.links(func(m *Media) { m.Link.Close() })
	states := c.states(nil)
	c.plan.legs((*media.Leg).Close)
	closeTaps(c.plan.taps())
	c.endCaptures()
	c.report(why) // after closing: only then the counts of the kernel are final
	c.tellEnd(why, states, true)
	c.finish(why)
	if why != ReasonFailed {
		c.manager.past.count(c)
	}
}

// deadline returns when the call ends if nothing else happens, and why it would.
func (c *Call) deadline(now time.Time) (time.Time, Reason) {
	cfg := c.manager.limits.Load()
	at, why := c.lastSignal.Add(cfg.OfferTimeout), ReasonOfferTimeout
	if c.plan.answered() {
		alive := c.lastSignal
		if c.revived.After(alive) {
			alive = c.revived // what its legs have heard meanwhile is not known yet
		}
		if alive.Before(now) {
			if heard := c.lastPacket(now); heard.After(alive) {
				alive = heard
			}
		}
		at, why = alive.Add(cfg.Timeout), ReasonTimeout
		if c.plan.held() || c.awaiting {
			at, why = alive.Add(cfg.SilentTimeout), ReasonSilentTimeout
		}
	}
	if first, alone := c.pairDeadline(now); !first.IsZero() && (alone || first.Before(at)) {
		at, why = first, ReasonTimeout
	}
	if len(c.plan.Parties) == 0 {
		at = c.lastSignal.Add(earlyLife)
	}
	if !c.deleteAt.IsZero() {
		at, why = c.deleteAt, ReasonDeleted
	}
	if cfg.FinalTimeout > 0 {
		if final := c.created.Add(cfg.FinalTimeout); final.Before(at) {
			at, why = final, ReasonFinalTimeout
		}
	}
	return at, why
}

// lastPacket returns when any leg last received a packet on either plane; zero when none did.
func (c *Call) lastPacket(now time.Time) time.Time {
	last := c.lastHeard()
	if last == 0 {
		return time.Time{}
	}
	return now.Add(last - media.Now())
}

// lastHeard is lastPacket on the media plane's clock.
func (c *Call) lastHeard() (last time.Duration) {
	c.plan.components(func(_ *Party, _ int, _ *Media, comp *Component, _ bool) {
		st := comp.Leg.Stats()
		last = max(last, st.LastUser, st.LastKernel)
	})
	return last
}

// schedule sets the timer to the call's deadline, after each change. Packets move the deadline without touching the timer: when it fires,
// the deadline is computed again.
func (c *Call) schedule(now time.Time) {
	if c.foreign {
		return // nor is its end ours to see
	}
	c.manager.changed(c.id)
	at, _ := c.deadline(now)
	if c.timer == nil {
		c.timer = time.AfterFunc(at.Sub(now), c.expire)
		return
	}
	c.timer.Reset(at.Sub(now))
}

func (c *Call) expire() {
	defer func() {
		if fault := recover(); fault != nil {
			c.manager.faults.Add(1)
			c.manager.cfg.Log.Error("fault while ending a call", "call", c.id, "fault", fault, "stack", string(debug.Stack()))
		}
	}()
	_, _ = c.own(func(c *Call) error {
		now := time.Now()
		at, why := c.deadline(now)
		if at.After(now) {
			c.timer.Reset(at.Sub(now))
			return nil
		}
		if due := c.duePairs(now); why == ReasonTimeout && len(due) > 0 {
			d := c.draft()
			defer d.discard()
			c.endPairs(d, due, why)
			return nil
		}
		if why != ReasonDeleted {
			c.manager.timedOut.Add(1)
		}
		c.end(why)
		return nil
	})
}
