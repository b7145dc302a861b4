package ice

import (
	"crypto/rand"
	"time"
)

// check is the transaction of a pair.
type check struct {
	id          transactionID
	open        bool      // waits for a response
	controlling bool      // the role it was sent in
	nominates   bool      // with USE-CANDIDATE
	next        time.Time // of the retransmission, or the end
	wait        time.Duration
	until       time.Time
}

// nextPair returns the pair to check next: triggered ones first, then the best of the waiting.
func (a *Agent) nextPair() *pair {
	if len(a.triggered) > 0 {
		p := a.triggered[0]
		a.triggered = a.triggered[1:]
		p.queued = false
		return p
	}
	for _, p := range a.pairs {
		if p.state == waiting && !a.overtaken(p) {
			return p
		}
	}
	return nil
}

// startCheck sends a new check.
func (a *Agent) startCheck(p *pair, now time.Time) {
	busy := 0
	for _, o := range a.pairs {
		if o.state == waiting || o.state == inProgress {
			busy++
		}
	}
	wait := max(firstWait, pace*time.Duration(busy)) // RFC 8445, section 14.3
	p.check = check{open: true, controlling: a.controlling, nominates: p.nominate && a.controlling,
		wait: wait, next: now.Add(wait), until: now.Add(patience)}
	rand.Read(p.check.id[:])
	if p.state != succeeded {
		p.state = inProgress
	}
	a.counters.Checks++
	a.sendCheck(p, p.check.id, p.check.nominates)
	a.stale = true
}

// sendCheck sends a binding request (RFC 8445, section 7.2.2).
func (a *Agent) sendCheck(p *pair, id transactionID, nominates bool) {
	w := &a.out
	w.begin(bindingRequest, id)
	a.signature()
	w.text(attrUsername, a.username)
	role := uint16(attrControlled)
	if a.controlling {
		role = attrControlling
	}
	w.uint64(role, a.tieBreaker)
	w.uint32(attrPriority, Priority(PeerReflexive, p.base.preference, p.component()))
	if nominates && a.controlling {
		w.header(attrUseCandidate, 0)
	}
	a.cfg.Send(p.base.Socket, w.finish(a.remoteKey), p.remote.Addr)
}

// signature adds SOFTWARE, first, where peers' logs and captures show it.
func (a *Agent) signature() {
	if a.cfg.Software != "" {
		a.out.text(attrSoftware, a.cfg.Software)
	}
}

// expire repeats the checks that wait for a response for too long, and gives up those that have waited long enough.
func (a *Agent) expire(now time.Time) {
	for _, p := range a.pairs {
		c := &p.check
		if !c.open || now.Before(c.next) {
			continue
		}
		if !now.Before(c.until) || p.state == inProgress && a.overtaken(p) {
			if p.state == succeeded && now.Sub(p.heard) < consentExpiry {
				// The peer answers consent checks, so that its answers to the nomination were lost: nominate again.
				c.open, p.nominate = false, false
				continue
			}
			a.giveUp(p)
			continue
		}
		a.repeat(p, min(2*c.wait, max(maxWait, c.wait)), now)
	}
}

// repeat sends the check that is under way once more.
func (a *Agent) repeat(p *pair, wait time.Duration, now time.Time) {
	c := &p.check
	c.wait, c.next = wait, now.Add(wait)
	if c.next.After(c.until) {
		c.next = c.until
	}
	a.counters.Retransmissions++
	a.sendCheck(p, c.id, c.nominates)
	a.stale = true
}

// giveUp closes the transaction of a pair that does not answer, or not as it should. A pair that once worked has failed with
// it: it was to be nominated.
func (a *Agent) giveUp(p *pair) {
	p.check.open = false
	p.state = failed
	p.nominate = false
	a.stale = true
}

// overtaken reports whether another pair of the component is nominated, so that nobody needs this one (RFC 8445, section
// 8.1.2). A controlling peer may still nominate a better one (see nominated).
func (a *Agent) overtaken(p *pair) bool {
	n := a.connecting[p.component()-1].nominee
	return n != nil && n != p && (a.controlling || n.priority >= p.priority)
}

// response handles what claims to answer one of our checks.
func (a *Agent) response(b *base, m *message, from addrPort) Verdict {
	now := a.cfg.Now()
	p, consent := a.findCheck(b, m.id)
	if p == nil {
		a.counters.Stray++
		return Stray
	}
	if !a.remoteKey.authentic(m) {
		a.counters.Unauthenticated++
		return Unauthenticated
	}
	a.counters.Responses++
	defer a.run(now)
	if m.kind == bindingError {
		a.errorResponse(p, m, consent)
		return Response
	}
	if p.remote.Addr != from {
		// The path back is another one than the path there (RFC 8445, section 7.2.5.2.1).
		if !consent {
			a.giveUp(p)
		}
		return Response
	}
	p.heard = now
	if consent {
		a.consented(p, now)
		return Response
	}
	nominated := p.check.nominates && a.controlling
	p.check.open = false
	p.state = succeeded
	a.authenticated(p)
	switch {
	case nominated:
		p.nominate = false
		a.connecting[p.component()-1].nominee = p
	case p.wanted && !a.controlling:
		p.wanted = false
		a.nominated(p, p.value, now)
	}
	a.stale = true
	return Response
}

// findCheck returns the pair whose check or consent check has an identifier.
func (a *Agent) findCheck(b *base, id transactionID) (p *pair, consent bool) {
	c := &a.connecting[b.Component-1]
	if c.pair != nil && c.pair.base == b && c.consent.sent(id) {
		return c.pair, true
	}
	for _, p := range a.pairs {
		if p.base == b && p.check.open && p.check.id == id {
			return p, false
		}
	}
	return nil, false
}

// errorResponse handles an authenticated refusal: a role conflict is resolved and checked again, anything else fails the
// pair (RFC 8445, section 7.2.5.1).
func (a *Agent) errorResponse(p *pair, m *message, consent bool) {
	if m.errorCode != 487 {
		if !consent {
			a.giveUp(p)
		}
		return
	}
	if consent {
		return
	}
	a.counters.RoleConflicts++
	p.check.open = false
	// Otherwise the role has changed since, by another response or a request of the peer.
	if p.check.controlling == a.controlling {
		if a.switches++; a.switches > maxSwitches || a.remote.Lite {
			a.giveUp(p)
			return
		}
		a.setRole(!a.controlling)
		a.tieBreaker = randomUint64()
	}
	if p.state != succeeded {
		p.state = waiting
	}
	a.trigger(p)
}

// authenticated tells the caller, once, that the remote address of a pair is the peer's.
func (a *Agent) authenticated(p *pair) {
	if p.authenticated {
		return
	}
	p.authenticated = true
	if tell := a.cfg.Authenticated; tell != nil {
		component, socket, remote := p.component(), p.base.Socket, p.remote.Addr
		a.events = append(a.events, func() { tell(component, socket, remote) })
	}
}
