package call

import (
	"fmt"
	"time"
)

// Limits are the settings of a Manager that may change while calls live.
type Limits struct {
	Timeout, SilentTimeout, OfferTimeout, FinalTimeout, DeleteDelay time.Duration // as in Config
	MaxSessions                                                     int
}

// filled returns the limits with defaults for what is not set.
func (l Limits) filled() Limits {
	for _, d := range []struct {
		value  *time.Duration
		preset time.Duration
	}{{&l.Timeout, DefaultTimeout}, {&l.SilentTimeout, DefaultSilentTimeout}, {&l.OfferTimeout, DefaultOfferTimeout}} {
		if *d.value <= 0 {
			*d.value = d.preset
		}
	}
	return l
}

// Limits returns the limits in force.
func (m *Manager) Limits() Limits { return *m.limits.Load() }

// SetLimits changes the limits, also for calls that live already.
func (m *Manager) SetLimits(l Limits) {
	l = l.filled()
	m.limits.Store(&l)
	m.each(func(c *Call) {
		if c.timer != nil && !c.foreign {
			c.schedule(time.Now())
		}
	})
}

// What a call is refused for beside ErrSessionLimit, which all of these are, too.
var (
	ErrDraining       = fmt.Errorf("%w: the daemon is draining", ErrSessionLimit)
	ErrCPULimit       = fmt.Errorf("%w: too much CPU in use", ErrSessionLimit)
	ErrLoadLimit      = fmt.Errorf("%w: the load average is too high", ErrSessionLimit)
	ErrBandwidthLimit = fmt.Errorf("%w: too much bandwidth in use", ErrSessionLimit)
)

// admit tells why a new call may not be; nil if it may. Limited is false for calls that do not count against the limits of load.
func (m *Manager) admit(limited bool) error {
	if m.draining.Load() != nil {
		return ErrDraining
	}
	if !limited {
		return nil
	}
	if limit := int64(m.limits.Load().MaxSessions); limit >= 0 && m.live.Load()-m.foreign.Load() >= limit {
		return ErrSessionLimit
	}
	if m.cfg.Admit != nil {
		return m.cfg.Admit()
	}
	return nil
}

// Drain refuses new calls from now on. Calls that live go on, until the deadline as far as anybody asks; a zero one is none. The
// manager does not end them itself.
func (m *Manager) Drain(deadline time.Time) { m.draining.Store(&deadline) }

// Undrain takes new calls again.
func (m *Manager) Undrain() { m.draining.Store(nil) }

// Draining tells whether new calls are refused, and until when those that live may go on; zero is without end.
func (m *Manager) Draining() (yes bool, deadline time.Time) {
	if at := m.draining.Load(); at != nil {
		return true, *at
	}
	return false, time.Time{}
}

// Remaining counts the calls of our own that nobody has asked the end of.
func (m *Manager) Remaining() int {
	n := 0
	m.each(func(c *Call) {
		if c.deleteAt.IsZero() && !c.foreign {
			n++
		}
	})
	return n
}

// Terminate ends a call at once, or fails with ErrUnknownCall.
func (m *Manager) Terminate(id string) error {
	return m.with(id, false, func(c *Call) error {
		c.end(ReasonForced)
		return nil
	})
}

// TerminateAll ends every call at once.
func (m *Manager) TerminateAll() { m.endAll(ReasonForced) }

func (m *Manager) endAll(why Reason) { m.each(func(c *Call) { c.end(why) }) }

// each calls fn for every call as its owner, one after the other. No other lock is held meanwhile.
func (m *Manager) each(fn func(*Call)) {
	for _, c := range m.all() {
		_, _ = c.own(func(c *Call) error {
			fn(c)
			return nil
		})
	}
}

// all returns every call once, also those with several ids.
func (m *Manager) all() []*Call {
	calls := make([]*Call, 0, max(0, m.live.Load()))
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for id, c := range s.calls {
			if c.id == id {
				calls = append(calls, c)
			}
		}
		s.mu.RUnlock()
	}
	return calls
}

// Families counts calls by the address families of their legs.
type Families struct{ IPv4, IPv6, Mixed int }

// Families counts the calls that live.
func (m *Manager) Families() (n Families) {
	m.each(func(c *Call) {
		four, six := false, false
		c.plan.components(func(_ *Party, _ int, _ *Media, comp *Component, _ bool) {
			is4 := comp.Leg.Local().Addr().Is4()
			four, six = four || is4, six || !is4
		})
		switch {
		case four && six:
			n.Mixed++
		case four:
			n.IPv4++
		case six:
			n.IPv6++
		}
	})
	return n
}
