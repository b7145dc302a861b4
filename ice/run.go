package ice

import "time"

// Timing of checks.
const (
	pace = 50 * time.Millisecond // Ta of RFC 8445, section 14.2

	// First wait for a response, doubled with each retransmission up to the second value (RFC 8445, section 14.3, which
	// has no such limit: a lite peer that learns of us late never sends a check, and nothing but the next
	// retransmission reaches it).
	firstWait = 500 * time.Millisecond
	maxWait   = 2 * time.Second

	// A check without response for this long has failed, and an agent none of whose checks worked has not failed before
	// (RFC 8863, section 4): the sum of the waits that RFC 8445, section 14.3, begins with.
	patience = 39500 * time.Millisecond

	// A controlling agent with a working pair per component leaves better pairs this long to show that they work.
	nominateWait = 300 * time.Millisecond
	// With a pair for one component only it waits this long for the other.
	nominateAlone = 2 * time.Second

	// Role conflicts after which the peer's refusals are taken for failures: it will never be content.
	maxSwitches = 8

	// A controlled agent that is given another nomination of lower priority follows it if the first one has not been
	// repeated for this long (see nominated).
	silence = 3 * time.Second

	consentInterval = 5 * time.Second  // RFC 7675, section 5.1, varied by a fifth
	consentExpiry   = 30 * time.Second // the same
	consentChecks   = 4                // that must have gone unanswered as well
	keepalive       = 15 * time.Second // Tr of RFC 8445, section 11, for lite agents, which send no checks
)

// Tick does what is due at a time and returns when to call it again: zero for not before Wake says so. Calling it early
// or late harms nothing; packets that are overdue are not sent in a burst.
func (a *Agent) Tick(now time.Time) time.Time {
	a.lock()
	defer a.unlock()
	a.run(now)
	a.stale = false
	a.armed = a.deadline()
	return a.armed
}

// run sends what is due and draws the conclusions.
func (a *Agent) run(now time.Time) {
	if a.state == Closed {
		return
	}
	if a.checks() {
		a.expire(now)
		if !now.Before(a.nextCheck) {
			if p := a.nextPair(); p != nil {
				a.startCheck(p, now)
				a.nextCheck = now.Add(pace)
			}
		}
	}
	a.evaluate(now)
	if !a.consentAt.IsZero() && !now.Before(a.consentAt) {
		a.keep(now)
	}
}

// checks reports whether the agent sends checks at all.
func (a *Agent) checks() bool { return !a.cfg.Lite && a.remoteKey != nil }

// deadline returns when run has something to do next.
func (a *Agent) deadline() time.Time {
	if a.state == Closed {
		return time.Time{}
	}
	at := a.consentAt
	earlier := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	if !a.checks() {
		return at
	}
	if len(a.triggered) > 0 {
		earlier(a.nextCheck)
	}
	for _, p := range a.pairs {
		if p.state == waiting && !a.overtaken(p) {
			earlier(a.nextCheck)
		}
		if p.check.open {
			earlier(p.check.next)
		}
	}
	earlier(a.nominateAt())
	if a.state == Checking {
		if end := a.started.Add(patience); a.cfg.Now().Before(end) {
			earlier(end)
		}
	}
	return at
}
