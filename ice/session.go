package ice

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// SetRemote takes the peer's description: the first one, a repetition with more candidates, or one with other credentials,
// which forgets all about the peer that was learnt with the old ones. Pairs that had failed are tried again. The peer
// being lite makes a full agent the controlling one (RFC 8445, section 6.1.1).
func (a *Agent) SetRemote(r Remote) error {
	if !r.Credentials.valid() {
		return fmt.Errorf("ice: the peer's fragment or password is empty or too long")
	}
	candidates := r.Candidates
	r.Candidates = nil
	a.lock()
	defer a.unlock()
	if a.state == Closed {
		return nil
	}
	now := a.cfg.Now()
	if a.remoteKey != nil && a.remote.Credentials != r.Credentials {
		a.forgetPeer()
	}
	if a.remoteKey == nil {
		a.started, a.nextCheck = now, now
		a.remoteKey = newIntegrityKey(r.Credentials.Pwd)
		a.username = r.Credentials.Ufrag + ":" + a.cfg.Credentials.Ufrag
		a.dropStrangers(r.Credentials.Ufrag)
	}
	a.remote = r
	switch {
	case a.cfg.Lite:
		a.setRole(a.cfg.Controlling && r.Lite)
	case r.Lite:
		a.setRole(true)
	}
	for _, p := range a.pairs {
		if p.state == failed {
			p.state = waiting
		}
	}
	for _, c := range candidates {
		a.addRemote(c)
	}
	if a.cfg.Lite && r.Lite {
		a.selectUnchecked()
	}
	a.run(now)
	return nil
}

// AddRemoteCandidate takes one trickled candidate. Before SetRemote it does nothing: whose it is is not known.
func (a *Agent) AddRemoteCandidate(c Candidate) {
	a.lock()
	defer a.unlock()
	if a.state == Closed || a.remoteKey == nil {
		return
	}
	a.addRemote(c)
	if a.cfg.Lite && a.remote.Lite {
		a.selectUnchecked()
	}
	a.run(a.cfg.Now())
}

// EndOfCandidates says that the peer trickles no more.
func (a *Agent) EndOfCandidates() {
	a.lock()
	defer a.unlock()
	a.remote.EndOfCandidates = true
	a.run(a.cfg.Now())
}

// Restart begins a new ICE session (RFC 8445, section 9) with new credentials of ours, and with other bases unless local is
// empty. Media stays on the selected pairs until the new session finds others, and checks with the old credentials are
// answered until then. SetRemote follows.
func (a *Agent) Restart(own Credentials, local []Base) error {
	if !own.valid() {
		return fmt.Errorf("%w: fragment or password is empty or too long", ErrConfig)
	}
	var replaced []*base
	if len(local) > 0 {
		var err error
		if replaced, err = bases(local); err != nil {
			return err
		}
	}
	a.lock()
	defer a.unlock()
	if a.state == Closed {
		return nil
	}
	a.forgetPeer()
	a.before, a.impostor = a.counters, netip.AddrPort{}
	if a.key != nil {
		a.old = &generation{a.cfg.Credentials.Ufrag, a.key}
	}
	if replaced != nil {
		a.local, a.old = replaced, nil
	}
	a.cfg.Credentials, a.key = own, nil
	a.tieBreaker = randomUint64()
	a.evaluate(a.cfg.Now())
	return nil
}

// forgetPeer leaves of the peer only what media is sent to.
func (a *Agent) forgetPeer() {
	a.remote, a.remoteKey, a.username = Remote{}, nil, ""
	a.remotes, a.pairs, a.triggered = nil, nil, nil
	a.switches, a.regular = 0, false
	a.consentAt = time.Time{}
	for c := range a.connecting {
		a.connecting[c] = progress{selected: a.connecting[c].selected}
	}
	a.stale = true
}

// dropStrangers removes peer-reflexive candidates that were learnt from somebody else than the peer turned out to be,
// such as another branch of a forked call.
func (a *Agent) dropStrangers(ufrag string) {
	stranger := func(r *remote) bool { return r.ufrag != "" && r.ufrag != ufrag }
	for _, p := range slices.Clone(a.pairs) {
		if stranger(p.remote) {
			a.removePair(p)
		}
	}
	a.remotes = slices.DeleteFunc(a.remotes, stranger)
}

// SetControlling sets the role before the peer is known: true for the side that sends the offer. Later it does nothing:
// the agents have settled who it is.
func (a *Agent) SetControlling(controlling bool) {
	a.lock()
	defer a.unlock()
	a.cfg.Controlling = controlling
	if a.remoteKey == nil && !a.cfg.Lite {
		a.setRole(controlling)
	}
}

// Drop gives up the bases of a component: RTCP has been multiplexed.
func (a *Agent) Drop(component int) {
	a.lock()
	defer a.unlock()
	for _, p := range slices.Clone(a.pairs) {
		if p.component() == component {
			a.removePair(p)
		}
	}
	a.local = slices.DeleteFunc(a.local, func(b *base) bool { return b.Component == component })
	if component == RTP || component == RTCP {
		a.connecting[component-1] = progress{}
	}
	a.run(a.cfg.Now())
}

// Close ends the agent. Nothing is sent or told after it returns, except by calls that were already under way.
func (a *Agent) Close() {
	a.lock()
	defer a.unlock()
	a.forgetPeer()
	a.state, a.events, a.old = Closed, nil, nil
}
