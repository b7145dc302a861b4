package ice

import (
	"net/netip"
	"slices"
	"time"
)

// Counters count what an agent has done since it was made.
type Counters struct {
	Requests        uint64 // authenticated binding requests
	Responses       uint64 // authenticated responses to our checks
	Checks          uint64 // checks sent, without retransmissions
	Retransmissions uint64
	Malformed       uint64 // not STUN, or of no use
	Unauthenticated uint64 // without the right password
	Refused         uint64 // error responses sent to those
	Unknown         uint64 // requests with attributes we must and do not comprehend
	Stray           uint64 // responses to nothing we have sent
	RoleConflicts   uint64
	IgnoredRemote   uint64 // candidates of the peer without use for us, or beyond the caps
	ConsentLost     uint64
}

// Counters returns the counters so far.
func (a *Agent) Counters() Counters {
	a.lock()
	defer a.unlock()
	return a.counters
}

// Report is what there is to say of how an agent and its peer get on.
type Report struct {
	State    State
	Counters Counters         // since the session began, with the last restart
	Remotes  []netip.AddrPort // where the peer is looked for
	Impostor netip.AddrPort   // the last source of a request without the right password; zero when there was none
}

// Report returns how far the agent has come and what with.
func (a *Agent) Report() Report {
	a.lock()
	defer a.unlock()
	r := Report{State: a.state, Counters: a.counters.less(&a.before), Impostor: a.impostor}
	for _, c := range a.remotes {
		if !slices.Contains(r.Remotes, c.Addr) {
			r.Remotes = append(r.Remotes, c.Addr)
		}
	}
	return r
}

// less returns what was counted since d.
func (c Counters) less(d *Counters) Counters {
	return Counters{
		Requests: c.Requests - d.Requests, Responses: c.Responses - d.Responses, Checks: c.Checks - d.Checks,
		Retransmissions: c.Retransmissions - d.Retransmissions, Malformed: c.Malformed - d.Malformed,
		Unauthenticated: c.Unauthenticated - d.Unauthenticated, Refused: c.Refused - d.Refused, Unknown: c.Unknown - d.Unknown,
		Stray: c.Stray - d.Stray, RoleConflicts: c.RoleConflicts - d.RoleConflicts, IgnoredRemote: c.IgnoredRemote - d.IgnoredRemote,
		ConsentLost: c.ConsentLost - d.ConsentLost,
	}
}

// errorRate is how many unauthenticated requests are answered in a second: enough for a peer with a wrong password to
// learn about it, too little for a flood to be worth sending.
const errorRate = 5

// limiter lets errorRate events pass in each second.
type limiter struct {
	second time.Time
	passed int
}

func (l *limiter) pass(now time.Time) bool {
	if now.Sub(l.second) >= time.Second || now.Before(l.second) {
		l.second, l.passed = now, 0
	}
	l.passed++
	return l.passed <= errorRate
}
