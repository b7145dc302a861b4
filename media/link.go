package media

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/ice"
)

// Link is what finds and keys the way to one media of one party: its ICE agent and its DTLS sessions, over all the legs that
// the media has. Legs name it in their Settings. Its methods are safe for concurrent use.
//
// A media has one leg for each local address and component. The first of a component is the primary one: the packets that
// arrive on any of them are those of the primary, and what is sent by the primary leaves by the leg that ICE has selected.
type Link struct {
	plane *Plane

	mu     sync.Mutex // serializes Apply and Close
	closed bool
	ice    ICE

	running    atomic.Pointer[ice.Agent] // nil: no ICE
	findings   sync.Mutex                // no agent that does not run any more tells legs what it has found
	handshakes [2]atomic.Pointer[handshake]
	view       atomic.Pointer[linkLegs]
	timing     sync.Mutex
	timer      *time.Timer
}

// linkLegs are the legs of a link by component, the primary one of each first. They are immutable.
type linkLegs [2][]*Leg

// The agent knows a leg by a number made of its component and its place.

func (v *linkLegs) leg(socket int) *Leg {
	if legs := v[socket&1]; socket>>1 < len(legs) {
		return legs[socket>>1]
	}
	return nil
}

func (v *linkLegs) socket(leg *Leg) int {
	for c, legs := range v {
		if i := slices.Index(legs, leg); i >= 0 {
			return i<<1 | c
		}
	}
	return -1
}

// primary returns the primary leg of an ICE component, 1 or 2; nil when it has none.
func (v *linkLegs) primary(component int) *Leg {
	if legs := v[component-1]; len(legs) > 0 {
		return legs[0]
	}
	return nil
}

// leave has the legs forget what ICE has found.
func (v *linkLegs) leave() {
	for c := range v {
		if leg := v.primary(c + 1); leg != nil {
			leg.setRoute(nil)
			leg.allowed.Store(nil)
		}
	}
}

// outdate has the legs expect an ICE session that finds the peer anew.
func (v *linkLegs) outdate() {
	for c := range v {
		if leg := v.primary(c + 1); leg != nil {
			leg.outdate()
		}
	}
}

// LinkConfig is all that signalling says of a link. It is a plain value; Apply copies it.
type LinkConfig struct {
	// RTP and RTCP are the legs of the two components, one for each local address in the order of preference. RTCP is empty
	// when it is muxed with RTP.
	RTP, RTCP []*Leg
	ICE       *ICE  // nil: there is none
	DTLS      *DTLS // nil: keys come by signalling, or there are none
}

// ICE is what is agreed about connectivity checks (RFC 8445).
type ICE struct {
	Local       ice.Credentials
	Lite        bool // we are
	Controlling bool
	Remote      ice.Remote // without credentials: the party has not said anything yet
	Secret      []byte     // of foundations
	Software    string     // names us to the party; may be empty
}

// NewLink returns a link that does nothing before Apply.
func (p *Plane) NewLink() *Link {
	l := &Link{plane: p}
	l.view.Store(new(linkLegs))
	return l
}

// Apply brings the link in line with what signalling says now. Media stays on the pair that was selected until checks find
// another. The error is that of ice.NewAgent; the link is then without ICE.
func (l *Link) Apply(cfg LinkConfig) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	before, legs := l.view.Load(), &linkLegs{slices.Clone(cfg.RTP), slices.Clone(cfg.RTCP)}
	moved := !slices.Equal(legs[0], before[0]) || len(legs[1]) > 0 && !slices.Equal(legs[1], before[1])
	muxed := len(before[1]) > 0 && len(legs[1]) == 0
	l.view.Store(legs)
	var err error
	if cfg.ICE != nil {
		err = l.applyICE(*cfg.ICE, moved, muxed)
	}
	if cfg.ICE == nil || err != nil {
		l.endICE()
	}
	return errors.Join(err, l.applyDTLS(cfg.DTLS))
}

// applyDTLS keeps a session for each component that has legs.
func (l *Link) applyDTLS(agreed *DTLS) error {
	v := l.view.Load()
	var errs []error
	for c := range l.handshakes {
		h := l.handshakes[c].Load()
		if agreed == nil || len(v[c]) == 0 {
			if h != nil {
				l.handshakes[c].Store(nil)
				h.end()
			}
			continue
		}
		if h == nil {
			h = &handshake{link: l, component: c + 1}
			l.handshakes[c].Store(h)
		}
		errs = append(errs, h.apply(*agreed))
	}
	return errors.Join(errs...)
}

// dtls takes a DTLS packet that came to a leg. It tells whether there is a session for it.
func (l *Link) dtls(leg *Leg, pkt []byte, from netip.AddrPort) bool {
	socket := l.view.Load().socket(leg)
	if socket < 0 {
		return false
	}
	h := l.handshakes[socket&1].Load()
	if h != nil {
		h.handle(leg, pkt, from)
	}
	return h != nil
}

// Agent returns the ICE agent, nil when there is none.
func (l *Link) Agent() *ice.Agent { return l.running.Load() }

// Close ends checks and handshakes.
func (l *Link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.endICE()
	if err := l.applyDTLS(nil); err != nil {
		l.plane.logs.crypto.Error("end of a DTLS session", "err", err)
	}
}

// bases lists the legs for the agent: component 1 on all addresses, then component 2.
func (l *Link) bases() []ice.Base {
	var all []ice.Base
	v := l.view.Load()
	for c, legs := range v {
		for _, leg := range legs {
			all = append(all, ice.Base{
				Component: c + 1, Addr: leg.Local(), Advertised: leg.Advertised(),
				Foundation: ice.Foundation(l.ice.Secret, leg.Local().Addr()), Socket: v.socket(leg),
			})
		}
	}
	return all
}

// applyICE makes the agent, restarts it when our credentials are new, and tells it of the party.
func (l *Link) applyICE(now ICE, moved, muxed bool) error {
	before, agent := l.ice, l.running.Load()
	l.ice = now
	if unknown := (ice.Credentials{}); before.Local != now.Local ||
		before.Remote.Credentials != unknown && before.Remote.Credentials != now.Remote.Credentials {
		l.view.Load().outdate()
	}
	switch {
	case agent == nil || before.Lite != now.Lite:
		l.endICE()
		var err error
		agent, err = ice.NewAgent(ice.Config{
			Local: l.bases(), Credentials: now.Local, Lite: now.Lite, Controlling: now.Controlling, Software: now.Software,
			Send: l.send, Wake: l.wake,
			Selected:      func(pair ice.Pair) { l.selected(agent, pair) },
			State:         l.changed,
			Authenticated: func(component, _ int, remote netip.AddrPort) { l.authenticated(agent, component, remote) },
		})
		if err != nil {
			return fmt.Errorf("start ICE: %w", err)
		}
		l.running.Store(agent)
	case before.Local != now.Local || moved:
		if err := agent.Restart(now.Local, l.bases()); err != nil {
			return fmt.Errorf("restart ICE: %w", err)
		}
	}
	agent.SetControlling(now.Controlling)
	if muxed {
		agent.Drop(ice.RTCP)
	}
	if now.Remote.Credentials == (ice.Credentials{}) {
		return nil
	}
	if err := agent.SetRemote(now.Remote); err != nil {
		return fmt.Errorf("ICE of the party: %w", err)
	}
	l.wake(time.Now())
	return nil
}

// send, selected and authenticated are called by whoever is in the agent, perhaps this link with its lock held, so that they
// work on the view.

func (l *Link) send(socket int, pkt []byte, to netip.AddrPort) {
	if leg := l.view.Load().leg(socket); leg != nil {
		leg.Send(pkt, to)
	}
}

func (l *Link) selected(agent *ice.Agent, pair ice.Pair) {
	l.findings.Lock()
	defer l.findings.Unlock()
	if l.running.Load() != agent {
		return
	}
	v := l.view.Load()
	if via := v.leg(pair.Socket); via != nil {
		leg := v.primary(pair.Component)
		leg.setRoute(&route{via: via, to: newEndpoint(pair.Remote)})
		if pair.Nominated {
			leg.retain()
		}
	}
}

// changed logs how far the agent has come.
func (l *Link) changed(s ice.State) {
	level := slog.LevelDebug
	if s == ice.Failed || s == ice.Disconnected {
		level = slog.LevelInfo
	}
	leg := l.view.Load().primary(ice.RTP)
	if leg == nil || !l.plane.logs.ice.Enabled(context.Background(), level) {
		return
	}
	if ok, more := l.plane.limits.ice.allow(l.plane.now()); ok {
		l.plane.logs.ice.Log(context.Background(), level, "ICE", "local", leg.local, "state", s.String(), "unlogged", more)
	}
}

func (l *Link) authenticated(agent *ice.Agent, component int, remote netip.AddrPort) {
	l.findings.Lock()
	defer l.findings.Unlock()
	if l.running.Load() != agent {
		return
	}
	if leg := l.view.Load().primary(component); leg != nil {
		leg.allow(remote)
	}
}

// stun takes a STUN packet that came to a leg. It tells whether there is an agent for it.
func (l *Link) stun(leg *Leg, pkt []byte, from netip.AddrPort) bool {
	agent := l.running.Load()
	if agent == nil {
		return false
	}
	if socket := l.view.Load().socket(leg); socket >= 0 {
		agent.Handle(socket, pkt, from)
	}
	return true
}

// tick does what is due and sets the timer to when more is.
func (l *Link) tick() {
	if agent := l.running.Load(); agent != nil {
		l.wake(agent.Tick(time.Now()))
	}
}

// wake has the agent ticked at a time.
func (l *Link) wake(at time.Time) {
	if at.IsZero() {
		return
	}
	l.timing.Lock()
	defer l.timing.Unlock()
	if l.timer == nil {
		l.timer = time.AfterFunc(time.Until(at), l.tick)
	} else {
		l.timer.Reset(time.Until(at))
	}
}

// endICE forgets the agent and lets media go where learning says.
func (l *Link) endICE() {
	agent := l.running.Swap(nil)
	if agent == nil {
		return
	}
	agent.Close()
	l.timing.Lock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timing.Unlock()
	l.findings.Lock()
	defer l.findings.Unlock()
	l.view.Load().leave()
}
