package ice

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"time"
)

// consent is that of the peer to receive on a pair (RFC 7675).
type consent struct {
	given  time.Time // last
	asked  int       // checks since then
	lost   bool
	recent [2]transactionID // of the last checks
}

func (c *consent) sent(id transactionID) bool {
	return id != transactionID{} && (c.recent[0] == id || c.recent[1] == id)
}

// scheduleKeep sets the time of the next consent check, or keepalive.
func (a *Agent) scheduleKeep(now time.Time) {
	interval := keepalive
	if !a.cfg.Lite {
		interval = consentInterval*4/5 + mathrand.N(consentInterval*2/5)
	}
	a.consentAt = now.Add(interval)
	a.stale = true
}

// keep sends a consent check, or from a lite agent a keepalive, on the pair of each component, and notices when no
// consent has come for too long. Checks go on after that: the peer may come back.
func (a *Agent) keep(now time.Time) {
	kept := false
	for i := range a.connecting {
		c := &a.connecting[i]
		if c.pair == nil {
			continue
		}
		kept = true
		recent := &c.consent.recent
		recent[1] = recent[0]
		rand.Read(recent[0][:])
		if a.cfg.Lite {
			a.out.begin(bindingIndication, recent[0])
			a.cfg.Send(c.pair.base.Socket, a.out.finish(nil), c.pair.remote.Addr)
			continue
		}
		// Time alone does not prove it: a process that was stopped for a minute has not asked.
		if now.Sub(c.consent.given) >= consentExpiry && c.consent.asked >= consentChecks && !c.consent.lost {
			c.consent.lost = true
			a.counters.ConsentLost++
		}
		c.consent.asked++
		// Nominating it again heals a peer that has lost the nomination, or another one after it.
		a.sendCheck(c.pair, recent[0], c.nominee == c.pair)
	}
	a.consentAt, a.stale = time.Time{}, true
	if kept {
		a.scheduleKeep(now)
	}
	a.setState(a.reached(now))
}

// consented notes that the peer answered a consent check.
func (a *Agent) consented(p *pair, now time.Time) {
	c := &a.connecting[p.component()-1].consent
	c.given, c.asked, c.lost = now, 0, false
}
