package media

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/srtp"
)

// DTLS is what is agreed about the handshake that finds the SRTP keys of a media (RFC 5763).
type DTLS struct {
	Certificate *dtls.Certificate // ours, whose fingerprint the party was told
	Role        dtls.Role
	Remote      []dtls.Fingerprint // of the party; none: it has not said them yet
	Association uint32             // another number asks for a new association
}

// Handshakes are the settings of all DTLS handshakes of a plane. The zero value is good.
type Handshakes struct {
	Profiles []dtls.Profile // in order of preference; those that SRTP here does not have are left out
	Ciphers  dtls.Ciphers
	MTU      int // of DTLS datagrams, without IP and UDP headers; 0: dtls.DefaultMTU
	Limit    int // handshakes under way at a time, 0: dtls.DefaultPoolLimit
}

// helloHead is how long our first hello waits. It would overtake the description that announces it, which goes by way of
// proxies, and come to a peer that cannot take it yet.
const helloHead = 100 * time.Millisecond

// handshake keeps the DTLS session of one component. A peer may want another association at any time; since its hello can be
// forged, the session before stays until the one for that hello has keys (RFC 6347, section 4.2.8).
type handshake struct {
	link      *Link
	component int
	running   atomic.Pointer[dtls.Session]
	next      atomic.Pointer[dtls.Session] // that wants to take its place; nil: none
	heard     atomic.Pointer[route]        // where the last DTLS packet came from
	trouble   atomic.Pointer[error]        // of the last handshake that failed; nil: none has
	due       atomic.Int64                 // when our first hello may be sent, on the plane's clock

	mu     sync.Mutex
	agreed DTLS
	ended  bool
	// inherited says that the keys of the association are from a process before. There is no session then: none could go on
	// where that one was, and the peer would take no other handshake for the same association. It may begin a new one.
	inherited bool
}

// apply brings the session in line with what is agreed. Keys of an association before stay in use until a new one has found
// others.
func (h *handshake) apply(now DTLS) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, next := h.agreed, h.next.Load()
	h.agreed = now
	if h.inherits(before, now) {
		return nil
	}
	if now.Role == dtls.Active && before.Role != dtls.Active {
		h.due.Store(int64(h.link.plane.now() + helloHead))
	}
	serves := func(s *dtls.Session) (ok bool, err error) {
		// A session that is still without keys serves any association: the party's hello may have come before its description.
		if s == nil || before.Certificate != now.Certificate ||
			before.Association != now.Association && s.State() >= dtls.Connected {
			return false, nil
		}
		err = s.SetRemote(now.Role, now.Remote)
		return !errors.Is(err, dtls.ErrFingerprint), err
	}
	switch ok, err := serves(h.running.Load()); {
	case ok && next != nil && now.Role == dtls.Active:
		h.drop() // the peer does not begin associations any more
		return err
	case ok && next != nil:
		return errors.Join(err, next.SetRemote(now.Role, now.Remote))
	case ok:
		return err
	}
	if ok, err := serves(next); ok {
		h.replace(next)
		return err
	}
	session, err := h.open()
	if err != nil {
		return err
	}
	h.drop()
	h.replace(session)
	return nil
}

// inherits tells whether the keys of a process before still are those of what is agreed.
func (h *handshake) inherits(before, now DTLS) bool {
	same := before.Association == now.Association && before.Certificate == now.Certificate
	if before.Certificate == nil { // agreed for the first time here
		leg := h.link.view.Load().primary(h.component)
		h.inherited, same = leg != nil && leg.keyed, true
	}
	h.inherited = h.inherited && same && h.running.Load() == nil
	return h.inherited
}

// open makes a session. The caller holds mu.
func (h *handshake) open() (session *dtls.Session, err error) {
	p := h.link.plane
	session, err = dtls.NewSession(dtls.Config{
		Role: h.agreed.Role, Remote: h.agreed.Remote, Certificate: h.agreed.Certificate, Verified: h.verified,
		Profiles: p.handshakes.Profiles, Ciphers: p.handshakes.Ciphers, MTU: p.handshakes.MTU, Pool: p.handshaking,
		Send:   h.sendDue,
		OnKeys: func(k dtls.Keys) { h.keys(session, k) },
		OnFail: func(err error) { h.gaveUp(session, err) },
		OnClose: func(err error) {
			h.failed(err)
			h.restart(nil) // it may come back
		},
		OnRestart: h.restart,
	})
	if err != nil {
		return nil, fmt.Errorf("begin a DTLS handshake: %w", err)
	}
	return session, nil
}

// replace makes a session the one that runs. The caller holds mu.
func (h *handshake) replace(session *dtls.Session) {
	h.next.CompareAndSwap(session, nil)
	if old := h.running.Swap(session); old != nil {
		old.Detach()
	}
}

// drop forgets the session that wants to take the place of the one that runs. The caller holds mu.
func (h *handshake) drop() {
	if next := h.next.Swap(nil); next != nil {
		next.Close()
	}
}

// restart begins a session for the hello of another association, or for one to come, beside the one that runs.
func (h *handshake) restart(hello []byte) {
	h.mu.Lock()
	// A peer that is to wait for our hello sends none, so that it is somebody else's. A session that waits already is given
	// all packets.
	if h.ended || h.agreed.Role == dtls.Active || h.next.Load() != nil {
		h.mu.Unlock()
		return
	}
	session, err := h.open()
	if err == nil {
		h.next.Store(session)
	}
	h.mu.Unlock()
	if err != nil {
		h.failed(err)
	} else if hello != nil {
		session.Handle(hello)
	}
}

func (h *handshake) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	h.drop()
	if old := h.running.Swap(nil); old != nil {
		old.Close()
	}
}

// verified tells whether packets come from where ICE has shown that the peer is.
func (h *handshake) verified() bool {
	leg := h.link.view.Load().primary(h.component)
	return leg != nil && leg.allowed.Load() != nil
}

// handle takes a DTLS packet that came to a leg.
func (h *handshake) handle(leg *Leg, pkt []byte, from netip.AddrPort) {
	if last := h.heard.Load(); last == nil || (last.via != leg || last.to.addr != from) && h.fits(from, last.to.addr) {
		h.heard.Store(&route{via: leg, to: newEndpoint(from)})
	}
	session, next := h.running.Load(), h.next.Load()
	if session == nil && next == nil && dtls.IsClientHello(pkt) {
		h.restart(pkt)
		return
	}
	if session != nil {
		session.Handle(pkt)
	}
	if next != nil {
		next.Handle(pkt)
	}
}

// fits tells whether a source is as likely to be the peer as the one before. Anybody can send what looks like DTLS, and then
// the handshake would go there.
func (h *handshake) fits(source, before netip.AddrPort) bool {
	leg := h.link.view.Load().primary(h.component)
	if leg == nil {
		return true
	}
	p := leg.plan.Load()
	return p == nil || rankOf(p.Signalled, source) >= rankOf(p.Signalled, before)
}

// sendDue sends, but for a hello that comes too early, which it sends later.
func (h *handshake) sendDue(pkt []byte) {
	if wait := time.Duration(h.due.Load()) - h.link.plane.now(); wait > 0 && dtls.IsClientHello(pkt) {
		time.AfterFunc(wait, func() { h.send(pkt) })
		return
	}
	h.send(pkt)
}

// send sends where ICE says, else where the peer was last heard, else where media goes.
func (h *handshake) send(pkt []byte) {
	leg := h.link.view.Load().primary(h.component)
	if leg == nil {
		return
	}
	if r := leg.route.Load(); r != nil {
		r.via.Send(pkt, r.to.addr)
	} else if r := h.heard.Load(); r != nil {
		r.via.Send(pkt, r.to.addr)
	} else if to, _ := leg.destination(false); to != nil {
		leg.Send(pkt, to.addr)
	}
}

// keys gives the keys of a session to the leg, unless the session has been replaced meanwhile.
func (h *handshake) keys(session *dtls.Session, k dtls.Keys) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch session {
	case h.running.Load():
	case h.next.Load():
		h.replace(session)
	default:
		return
	}
	suite := srtp.SuiteByProfile(uint16(k.Profile))
	params := func(key, salt []byte) *srtp.Params { return &srtp.Params{Suite: suite, Key: key, Salt: salt} }
	leg := h.link.view.Load().primary(h.component)
	if leg == nil {
		return
	}
	if err := leg.SetKeys(Keys{In: params(k.Remote()), Out: params(k.Local())}); err != nil {
		h.failed(err)
		return
	}
	leg.count.handshakes.Add(1)
	if r := h.heard.Load(); r != nil && r.via == leg {
		leg.worker.do(func() { leg.worker.suppose(leg, r.to.addr) })
	}
}

// gaveUp is told that a session has failed, perhaps for good.
func (h *handshake) gaveUp(session *dtls.Session, err error) {
	h.mu.Lock()
	if session == h.next.Load() && session.State() == dtls.Failed {
		h.drop() // and the next hello gets another
	}
	h.mu.Unlock()
	h.failed(err)
}

func (h *handshake) failed(err error) {
	// A peer that was refused may leave the next handshake half done, which says less.
	if old := h.trouble.Load(); old == nil || !errors.Is(err, dtls.ErrTimeout) || !errors.Is(*old, dtls.ErrFingerprint) {
		h.trouble.Store(&err)
	}
	p := h.link.plane
	if leg := h.link.view.Load().primary(h.component); leg != nil {
		leg.count.failed.Add(1)
		if ok, more := p.limits.handshake.allow(p.now()); ok {
			p.logs.crypto.Info("DTLS handshake", "local", leg.local, "err", err, "unlogged", more)
		}
	}
}

// role returns ours as it was agreed.
func (h *handshake) role() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.agreed.Role.String()
}

// usableProfiles leaves out the SRTP profiles that the srtp package does not know.
func usableProfiles(wanted []dtls.Profile) []dtls.Profile {
	if len(wanted) == 0 {
		wanted = dtls.DefaultProfiles()
	}
	var usable []dtls.Profile
	for _, p := range wanted {
		if srtp.SuiteByProfile(uint16(p)) != srtp.NoSuite {
			usable = append(usable, p)
		}
	}
	return usable
}
