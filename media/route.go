package media

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// route is how the packets of a leg leave: by a leg of the same media, its own or one on another address. It is immutable.
type route struct {
	via *Leg
	to  *endpoint
}

// maxAllowed bounds the sources that ICE may let in: a party has few addresses, and each had to show our password.
const maxAllowed = 32

// setRoute sends the leg's packets another way from now on.
func (l *Leg) setRoute(r *route) {
	if r != nil && r.via != l {
		r.via.shared.Store(true) // whoever may send by l may send by it
	}
	l.route.Store(r)
	l.plane.offload.changed(l)
	l.tell()
}

// detour carries out Settings.Via.
func (l *Leg) detour(old *plan, via *Leg) {
	switch {
	case old != nil && old.Via == via || old == nil && via == nil:
	case via == nil:
		l.setRoute(nil)
	default:
		if to, _ := via.destination(false); to != nil {
			l.setRoute(&route{via: via, to: to})
		}
	}
}

// detours tells whether the leg's packets leave by another one.
func (l *Leg) detours() bool {
	r := l.route.Load()
	return r != nil && r.via != l
}

// sources are those that ICE has authenticated. They are immutable.
type sources struct {
	list   []netip.AddrPort
	former int // so many of the first ones are of the ICE session before, whose pair carries the media until this one has its own
}

// allow lets packets of a source in.
func (l *Leg) allow(source netip.AddrPort) {
	l.admission(func(s *sources) {
		i := slices.Index(s.list, source)
		switch {
		case i >= s.former:
			return
		case i >= 0:
			s.list, s.former = slices.Delete(s.list, i, i+1), s.former-1
		case len(s.list) == maxAllowed:
			s.list, s.former = s.list[1:], max(0, s.former-1)
		}
		s.list = append(s.list, source)
	})
}

// outdate has the sources let in so far go when another ICE session has nominated its pair.
func (l *Leg) outdate() {
	l.admission(func(s *sources) { s.former = len(s.list) })
}

// retain lets only those in that this ICE session has authenticated, if there are any: two lite sides check nothing.
func (l *Leg) retain() {
	l.admission(func(s *sources) {
		if s.former < len(s.list) {
			s.list, s.former = s.list[s.former:], 0
		}
	})
}

// admission changes who is let in.
func (l *Leg) admission(change func(*sources)) {
	for {
		old := l.allowed.Load()
		var next sources
		if old != nil {
			next = sources{slices.Clone(old.list), old.former}
		}
		change(&next)
		if old == nil && len(next.list) == 0 || old != nil && next.former == old.former && slices.Equal(next.list, old.list) {
			return
		}
		if l.allowed.CompareAndSwap(old, &next) {
			l.plane.offload.changed(l)
			l.tell()
			return
		}
	}
}

// astray is where a peer sends from that ICE has not selected.
type astray struct {
	from  netip.AddrPort
	since time.Duration
}

// follow sends media to where it comes from, if that is an address that ICE has authenticated and the peer keeps to it: some
// change their way without a word. The worker calls it.
func (l *Leg) follow(came *Leg, from netip.AddrPort, now time.Duration) {
	r := l.route.Load()
	switch {
	case r == nil || r.to.addr == from:
		l.astray = astray{}
	case l.astray.from != from:
		l.astray = astray{from, now}
	case now-l.astray.since >= learnWindow:
		l.astray = astray{}
		l.setRoute(&route{via: came, to: newEndpoint(from)})
	}
}

// Send sends a packet that is not media by the leg's socket, after those that the worker is busy with, even if the leg is closed
// next. It keeps nothing of pkt, and does not count it.
func (l *Leg) Send(pkt []byte, to netip.AddrPort) {
	if !usable(to, l.local) {
		l.drop(DropNoDestination)
		return
	}
	data, address := bytes.Clone(pkt), newEndpoint(to)
	l.worker.do(func() {
		w := l.worker
		if w.legs.get(l.key) != l {
			return // its socket is closed
		}
		w.flush()
		if p := l.plan.Load(); p != nil {
			w.tapLink(l, p, data, to, true)
		}
		w.out.via[0], w.out.leg[0], w.out.to[0], w.out.data[0], w.out.from[0] = l, nil, address, data, nil
		w.out.n = 1
		w.flush()
	})
}
