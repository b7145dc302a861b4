package ice

import (
	"bytes"
	"net/netip"
	"time"
)

type addrPort = netip.AddrPort

// Verdict says what a packet was.
type Verdict uint8

const (
	Malformed       Verdict = iota // not STUN, broken, of a socket the agent does not have, or after Close
	Unauthenticated                // without the right password
	Request                        // an authenticated binding request
	Response                       // an authenticated response to a check
	Indication                     // a keepalive, which needs no password and means nothing
	Stray                          // a response to nothing
)

// Handle takes a packet that came to a socket. It keeps nothing of it.
func (a *Agent) Handle(socket int, pkt []byte, from netip.AddrPort) Verdict {
	m, ok := parse(pkt)
	from = unmapped(from)
	a.lock()
	defer a.unlock()
	b := a.baseOf(socket)
	if !ok || b == nil || a.state == Closed {
		a.counters.Malformed++
		return Malformed
	}
	switch m.kind {
	case bindingRequest:
		return a.request(b, &m, from)
	case bindingSuccess, bindingError:
		return a.response(b, &m, from)
	case bindingIndication:
		return Indication
	}
	a.counters.Malformed++
	return Malformed
}

// request answers a binding request (RFC 8445, section 7.3, RFC 8489, section 9.1.3) and learns from it.
func (a *Agent) request(b *base, m *message, from netip.AddrPort) Verdict {
	now := a.cfg.Now()
	if len(m.username) == 0 || m.integrity == 0 {
		a.refuse(b, m, from, 400, "Bad Request", now)
		return Unauthenticated
	}
	ours, theirs, _ := bytes.Cut(m.username, []byte{':'})
	if a.old != nil && string(ours) == a.old.ufrag && a.old.key.authentic(m) {
		// The peer still cares for the pair of before the restart, which carries the media until the restart is through.
		a.counters.Requests++
		a.answer(b, m, from, a.old.key)
		return Request
	}
	if string(ours) != a.cfg.Credentials.Ufrag ||
		a.remoteKey != nil && string(theirs) != a.remote.Credentials.Ufrag || !a.ownKey().authentic(m) {
		a.refuse(b, m, from, 401, "Unauthorized", now)
		return Unauthenticated
	}
	a.counters.Requests++
	if m.unknownCount > 0 {
		a.counters.Unknown++
		a.respondError(b, m, from, 420, "Unknown Attribute")
		return Request
	}
	if !a.agreeOnRoles(m) {
		a.counters.RoleConflicts++
		a.respondError(b, m, from, 487, "Role Conflict")
		return Request
	}
	a.answer(b, m, from, a.key)
	a.checked(b, m, from, theirs, now)
	return Request
}

// ownKey returns the key by our password; it is made when the first request comes.
func (a *Agent) ownKey() *integrityKey {
	if a.key == nil {
		a.key = newIntegrityKey(a.cfg.Credentials.Pwd)
	}
	return a.key
}

// answer sends a success response.
func (a *Agent) answer(b *base, m *message, from netip.AddrPort, key *integrityKey) {
	w := &a.out
	w.begin(bindingSuccess, m.id)
	a.signature()
	w.xorMapped(from)
	a.cfg.Send(b.Socket, w.finish(key), from)
}

// respondError sends a signed refusal to the peer.
func (a *Agent) respondError(b *base, m *message, from netip.AddrPort, code int, reason string) {
	w := &a.out
	w.begin(bindingError, m.id)
	a.signature()
	w.errorCode(code, reason)
	if m.unknownCount > 0 {
		w.unknown(m.unknown[:m.unknownCount])
	}
	a.cfg.Send(b.Socket, w.finish(a.key), from)
}

// refuse answers somebody who does not know the password, if that is of no use to a flood: seldom, and with no more bytes
// than came.
func (a *Agent) refuse(b *base, m *message, from netip.AddrPort, code int, reason string, now time.Time) {
	a.counters.Unauthenticated++
	a.impostor = from
	if !a.refused.pass(now) {
		return
	}
	w := &a.out
	w.begin(bindingError, m.id)
	w.errorCode(code, reason)
	pkt := w.finish(nil)
	if len(pkt) <= len(m.raw) && usable(from) {
		a.counters.Refused++
		a.cfg.Send(b.Socket, pkt, from)
	}
}

// agreeOnRoles settles a role conflict (RFC 8445, section 7.3.1.1); false asks the peer to switch. A lite agent never
// switches: its role follows from who is lite.
func (a *Agent) agreeOnRoles(m *message) bool {
	switch {
	case a.controlling && m.controlling:
		if a.cfg.Lite || a.tieBreaker >= m.tieBreaker {
			return false
		}
	case !a.controlling && m.controlled:
		if a.cfg.Lite || a.tieBreaker < m.tieBreaker {
			return false
		}
	default:
		return true
	}
	if a.remote.Lite {
		return true // a lite peer does not check; whoever this is, we stay controlling
	}
	a.counters.RoleConflicts++
	a.setRole(!a.controlling)
	return true
}

// checked draws the conclusions from an authenticated request (RFC 8445, sections 7.3.1.3 to 7.3.1.5).
func (a *Agent) checked(b *base, m *message, from netip.AddrPort, theirs []byte, now time.Time) {
	p := a.findPair(b, from)
	if p == nil {
		if !m.hasPriority {
			return // not a check
		}
		ufrag := ""
		if a.remoteKey == nil {
			ufrag = string(theirs)
		}
		r := a.learn(b, from, m.priority, ufrag)
		if r == nil {
			return
		}
		if p = a.addPair(b, r, true); p == nil {
			return
		}
	}
	p.heard = now
	nominated := m.nominate && !a.controlling
	if nominated && m.id == p.nominatedBy && a.connecting[b.Component-1].nominee != nil {
		nominated = false // sent again, and maybe overtaken by another nomination
	} else if nominated {
		p.nominatedBy, p.nominatedAt = m.id, now
	} else if a.connecting[b.Component-1].nominee == nil {
		a.regular = a.regular || m.controlling
	}
	if c := &a.connecting[b.Component-1]; p.state == succeeded && p.authenticated &&
		(!nominated || c.nominee == p && m.nomination <= c.value) {
		return // all that happens for the rest of a call
	}
	defer a.run(now)
	a.authenticated(p)
	switch {
	case a.cfg.Lite:
		// A lite agent cannot check: a request that came here is all it will ever know of the path.
		p.state = succeeded
		if nominated {
			a.nominated(p, m.nomination, now)
		}
	case p.state == succeeded:
		if nominated {
			a.nominated(p, m.nomination, now)
		}
	default:
		if nominated {
			p.wanted, p.value = true, m.nomination
			if a.regular {
				a.unwant(p)
			}
		}
		if p.state == inProgress && p.check.open {
			// The first check may have died in front of a NAT that the peer's own has opened by now. RFC 8445, section
			// 7.3.1.4, cancels it for a new one; sent once more it does the same, and on paths slower than the peer's
			// retransmissions the response still fits.
			p.check.until = now.Add(patience)
			a.repeat(p, firstWait, now)
			return
		}
		p.state = waiting
		a.trigger(p)
	}
}
