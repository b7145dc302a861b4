package media

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weir-media/weir/fastpath"
)

// ErrPort is what Reopen fails with when the pair cannot be had.
var ErrPort = errors.New("the media port cannot be had")

// Reopen opens the very pair that a state is of, for a process that goes on where another one has ended. Learnt sources are
// final. Packets are dropped until Apply. Errors are ErrPort with the reason, and ErrClosed.
func (p *Plane) Reopen(st *PairState, affinity string) (rtp, rtcp *Leg, err error) {
	h, ok := p.hostOf(st)
	if !ok {
		return nil, nil, fmt.Errorf("%w: no interface here has %v, nor has one called %q another address of its family", ErrPort, st.Local, st.Interface)
	}
	port := st.Local.Port()
	if !h.ring.claim(port) {
		return nil, nil, fmt.Errorf("%w: %v is taken", ErrPort, netip.AddrPortFrom(h.ip, port))
	}
	rtp, rtcp, err = p.openPort(h, port, affinity, func(rtp, rtcp *Leg) {
		rtp.streams.restore(p, st.Streams)
		rtp.restore(&st.RTP)
		rtcp.restore(&st.RTCP)
	})
	switch {
	case err == nil:
	case errors.Is(err, ErrClosed):
		return nil, nil, err
	default:
		h.ring.pool.free(port, p.now()+p.quarantine)
		return nil, nil, fmt.Errorf("%w: %w", ErrPort, err)
	}
	if st.RTP.Closed {
		rtp.Close()
	}
	if st.RTCP.Closed {
		rtcp.Close()
	}
	return rtp, rtcp, nil
}

// hostOf finds the interface that an address and port belong to. Where nobody has the address, that of the same name and family
// takes its place: on another node, behind a public address that moves, the local ones differ.
func (p *Plane) hostOf(st *PairState) (found host, ok bool) {
	for _, f := range p.interfaces {
		for _, m := range f.members {
			for _, h := range m.hosts {
				switch {
				case !h.ring.covers(st.Local.Port()):
				case h.ip == st.Local.Addr():
					return h, true
				case !ok && h.name == st.Interface && st.Interface != "" && h.ip.Is4() == st.Local.Addr().Is4():
					found, ok = h, true
				}
			}
		}
	}
	return found, ok
}

// Reroute has packets leave the way that ICE had selected, once all legs of a call are open again. Leg finds them by where they
// were.
func (p *Plane) Reroute(all []PairState, leg func(netip.AddrPort) *Leg) {
	for i := range all {
		st := &all[i]
		for local, r := range map[netip.AddrPort]*RouteState{st.Local: st.RTP.Route, st.Second(): st.RTCP.Route} {
			if r == nil {
				continue
			}
			if l, via := leg(local), leg(r.Via); l != nil && via != nil && usable(r.To, via.local) {
				l.setRoute(&route{via: via, to: newEndpoint(r.To)})
			}
		}
	}
}

// Watch has fn called with the affinity of a leg whenever the leg has found out something that States tells of. It must return
// at once.
func (p *Plane) Watch(fn func(affinity string)) { p.changed.Store(&fn) }

// tell lets whoever watches know.
func (l *Leg) tell() {
	if fn := l.plane.changed.Load(); fn != nil && l.affinity != "" {
		(*fn)(l.affinity)
	}
}

// Reconsider brings the kernel in line with what it serves now, after that has changed.
func (p *Plane) Reconsider() { p.offload.reconsider() }

// Claim ends the take-over from a process before, when all its calls are restored: what they have in the kernel goes on, and
// flows that no call wants are removed. It returns how many there are of both.
func (p *Plane) Claim() (kept, removed int, err error) {
	o := p.offload
	if o.fast == nil {
		return 0, 0, nil
	}
	for _, l := range p.openLegs() {
		o.reconcile(l, true)
	}
	var orphans []netip.AddrPort
	if err := o.fast.Walk(func(local netip.AddrPort, _ fastpath.Counters) {
		if l := p.leg(local); l == nil || !l.inKernel.Load() {
			orphans = append(orphans, local)
		} else {
			kept++
		}
	}); err != nil {
		return 0, 0, err
	}
	for _, local := range orphans {
		done, err := o.orphaned(local)
		if err != nil {
			return kept, removed, err
		}
		if done {
			removed++
		}
	}
	return kept, removed, nil
}

// orphaned removes a flow unless a leg has taken it meanwhile.
func (o *offloader) orphaned(local netip.AddrPort) (removed bool, err error) {
	if l := o.plane.leg(local); l != nil {
		l.kernel.mu.Lock()
		defer l.kernel.mu.Unlock()
		if l.kernel.installed {
			return false, nil
		}
	}
	_, err = o.fast.Remove(local)
	return err == nil, err
}
