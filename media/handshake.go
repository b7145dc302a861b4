package media

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

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

// handshake keeps the DTLS session of one component. Its session may be replaced at any time: the peer may want another.
type handshake struct {
	link      *Link
	component int
	running   atomic.Pointer[dtls.Session]
	heard     atomic.Pointer[route] // where the last DTLS packet came from

	mu     sync.Mutex
	agreed DTLS
	ended  bool
}

// apply brings the session in line with what is agreed. Keys of an association before stay in use until a new one has found
// others.
func (h *handshake) apply(now DTLS, verified bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, session := h.agreed, h.running.Load()
	h.agreed = now
	// A session that is still without keys serves any association: the party's hello may have come before its description.
	if session != nil && before.Certificate == now.Certificate &&
		(before.Association == now.Association || session.State() < dtls.Connected) {
		err := session.SetRemote(now.Role, now.Remote)
		if err == nil || !errors.Is(err, dtls.ErrFingerprint) {
			return err
		}
	}
	return h.begin(verified, nil)
}

// begin replaces the session. The caller holds mu.
func (h *handshake) begin(verified bool, hello []byte) error {
	p := h.link.plane
	session, err := dtls.NewSession(dtls.Config{
		Role: h.agreed.Role, Remote: h.agreed.Remote, Certificate: h.agreed.Certificate, Verified: verified,
		Profiles: p.handshakes.Profiles, Ciphers: p.handshakes.Ciphers, MTU: p.handshakes.MTU, Pool: p.handshaking,
		Send: h.send, OnKeys: h.keys, OnFail: h.failed, OnClose: h.failed,
		OnRestart: func(hello []byte) { h.restart(verified, hello) },
	})
	if err != nil {
		return fmt.Errorf("begin a DTLS handshake: %w", err)
	}
	if old := h.running.Swap(session); old != nil {
		old.Close()
	}
	if hello != nil {
		session.Handle(hello)
	}
	return nil
}

func (h *handshake) restart(verified bool, hello []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return
	}
	if err := h.begin(verified, hello); err != nil {
		h.failed(err)
	}
}

func (h *handshake) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	if old := h.running.Swap(nil); old != nil {
		old.Close()
	}
}

// handle takes a DTLS packet that came to a leg.
func (h *handshake) handle(leg *Leg, pkt []byte, from netip.AddrPort) {
	if last := h.heard.Load(); last == nil || last.via != leg || last.to.addr != from {
		h.heard.Store(&route{via: leg, to: newEndpoint(from)})
	}
	if session := h.running.Load(); session != nil {
		session.Handle(pkt)
	}
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

// keys gives the keys of a finished handshake to the leg.
func (h *handshake) keys(k dtls.Keys) {
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

func (h *handshake) failed(err error) {
	p := h.link.plane
	if leg := h.link.view.Load().primary(h.component); leg != nil {
		leg.count.failed.Add(1)
		if ok, more := p.limits.handshake.allow(p.now()); ok {
			p.log.Info("DTLS handshake", "local", leg.local, "err", err, "unlogged", more)
		}
	}
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
