package ice

import "time"

// evaluate picks the pairs to send media on, nominates, and settles the state. It is called after anything that may have
// changed one of these.
func (a *Agent) evaluate(now time.Time) {
	for c := range a.connecting {
		a.pick(c+1, now)
	}
	if a.checks() && a.controlling {
		a.nominate(now)
	}
	a.setState(a.reached(now))
}

// pick chooses the pair of a component: the nominated one, or the best that works.
func (a *Agent) pick(component int, now time.Time) {
	c := &a.connecting[component-1]
	if c.nominee != nil && c.nominee.state != succeeded {
		c.nominee = nil
	}
	p := c.nominee
	if p == nil {
		p = a.best(component)
	}
	if p == nil {
		if c.pair != nil && c.pair.state != succeeded {
			c.pair, c.since = nil, time.Time{}
		}
		return // media stays where it is
	}
	if c.since.IsZero() {
		c.since = now
	}
	if c.pair != p {
		c.pair = p
		c.consent = consent{given: now}
		if a.consentAt.IsZero() {
			a.scheduleKeep(now)
		}
		a.stale = true
	}
	chosen := Pair{component, p.base.Socket, p.base.Advertised, p.remote.Addr, c.nominee == p}
	if c.selected != chosen {
		c.selected = chosen
		if tell := a.cfg.Selected; tell != nil {
			a.events = append(a.events, func() { tell(chosen) })
		}
	}
}

// best returns the working pair of a component that should be nominated. A pair whose twin of the other component works
// as well comes before one of higher priority without: the other component would have to take another path.
func (a *Agent) best(component int) *pair {
	var found *pair
	foundTwin := false
	for _, p := range a.pairs { // by priority
		if p.component() != component || p.state != succeeded {
			continue
		}
		if twin := a.hasTwin(p); found == nil || twin && !foundTwin {
			found, foundTwin = p, twin
		}
	}
	return found
}

func (a *Agent) hasTwin(p *pair) bool {
	for _, o := range a.pairs {
		if o.component() != p.component() && o.state == succeeded && o.sameGroup(p) {
			return true
		}
	}
	return false
}

// alive reports whether some pair of a component works or may still come to. Component 1 always counts.
func (a *Agent) alive(component int) bool {
	if component == RTP {
		return true
	}
	for _, p := range a.pairs {
		if p.component() == component && p.state != failed {
			return true
		}
	}
	return false
}

// nominate starts the nomination of a pair per component, when it is time (RFC 8445, section 8.1.1).
func (a *Agent) nominate(now time.Time) {
	if at := a.nominateAt(); at.IsZero() || now.Before(at) {
		return
	}
	for c := range a.connecting {
		if p := a.connecting[c].pair; p != nil && a.connecting[c].nominee == nil && !a.nominating(c+1) {
			p.nominate = true
			a.trigger(p)
		}
	}
	// The first one need not wait for the next Tick.
	if !now.Before(a.nextCheck) {
		if p := a.nextPair(); p != nil {
			a.startCheck(p, now)
			a.nextCheck = now.Add(pace)
		}
	}
}

func (a *Agent) nominating(component int) bool {
	for _, p := range a.pairs {
		if p.component() == component && p.nominate {
			return true
		}
	}
	return false
}

// nominateAt returns when a controlling agent should nominate what it has: zero when it has nothing to nominate.
func (a *Agent) nominateAt() time.Time {
	if !a.controlling || a.cfg.Lite {
		return time.Time{}
	}
	var since time.Time // the last component came to have a pair
	complete, left, better := true, false, !a.remote.EndOfCandidates
	for i := range a.connecting {
		c := &a.connecting[i]
		if c.pair == nil {
			complete = complete && !a.alive(i+1)
			continue
		}
		if c.since.After(since) {
			since = c.since
		}
		if c.nominee == nil && !a.nominating(i+1) {
			left = true
			better = better || a.betterAhead(c.pair)
		}
	}
	switch {
	case !left:
		return time.Time{}
	case !complete:
		return since.Add(nominateAlone)
	case better:
		return since.Add(nominateWait)
	}
	return since
}

// betterAhead reports whether a pair of higher priority may still come to work.
func (a *Agent) betterAhead(p *pair) bool {
	for _, o := range a.pairs {
		if o == p {
			return false
		}
		if o.component() == p.component() && (o.state == waiting || o.state == inProgress) {
			return true
		}
	}
	return false
}

// nominated takes a nomination by the peer in. Of several the last one counts, if the peer numbers them or nominates only
// after it has checked (RFC 8445): it has moved, or has had no answer. Of those of a peer that nominates with every check
// (RFC 5245, section 8.1.1.2) the one of highest priority counts, while it is nominated time and again.
func (a *Agent) nominated(p *pair, value uint32, now time.Time) {
	c := &a.connecting[p.component()-1]
	n := c.nominee
	switch {
	case n == nil, n == p, n.state != succeeded:
	case value != 0:
		if value < c.value {
			return
		}
	case a.regular, p.priority >= n.priority, now.Sub(n.nominatedAt) >= silence:
	default:
		return
	}
	c.nominee, c.value = p, max(c.value, value)
	if a.regular {
		a.unwant(p)
	}
	a.stale = true
}

// unwant forgets nominations that a later one, of p, has replaced before our own checks were through.
func (a *Agent) unwant(p *pair) {
	for _, o := range a.pairs {
		if o != p && o.component() == p.component() {
			o.wanted = false
		}
	}
}

// selectUnchecked is what two lite agents do (RFC 8445, section 8.2): without checks the best pair is the one of highest
// priority, which both compute alike.
func (a *Agent) selectUnchecked() {
	for i := range a.connecting {
		c := &a.connecting[i]
		for _, p := range a.pairs {
			if p.component() == i+1 {
				p.state = succeeded
				c.nominee = p
				break
			}
		}
	}
}

// reached says how far the agent has come.
func (a *Agent) reached(now time.Time) State {
	if len(a.pairs) == 0 && a.remoteKey == nil {
		return New
	}
	works, nominated := true, true
	for i := range a.connecting {
		c := &a.connecting[i]
		if c.pair == nil && i+1 != RTP && !a.alive(i+1) {
			continue
		}
		works = works && c.pair != nil
		nominated = nominated && c.nominee != nil
	}
	switch {
	case works && a.connecting[RTP-1].consent.lost:
		return Disconnected
	case works && nominated:
		return Completed
	case works:
		return Connected
	case a.checks() && !a.hopeful() && now.Sub(a.started) >= patience:
		return Failed
	}
	return Checking
}

// hopeful reports whether a pair of the first component works or may still come to.
func (a *Agent) hopeful() bool {
	for _, p := range a.pairs {
		if p.component() == RTP && p.state != failed {
			return true
		}
	}
	return false
}

func (a *Agent) setState(s State) {
	if a.state == s {
		return
	}
	a.state, a.stale = s, true
	if s == Completed {
		a.old = nil
		a.tidy()
	}
	if tell := a.cfg.State; tell != nil {
		a.events = append(a.events, func() { tell(s) })
	}
}

// tidy removes the pairs that a completed agent will not check any more. A check from the peer brings them back.
func (a *Agent) tidy() {
	kept := a.pairs[:0]
	for _, p := range a.pairs {
		if p.state == succeeded || p.queued || !a.overtaken(p) {
			kept = append(kept, p)
		}
	}
	clear(a.pairs[len(kept):])
	a.pairs = kept
}
