package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/srtp"
)

const (
	webPatience = 15 * time.Second // until such a call is up
	webTick     = 5 * time.Millisecond
	webPace     = 20 * time.Millisecond // between the packets of a stream
)

// webCall is a call of a browser with a telephone: ICE and DTLS-SRTP at the caller, plain RTP at the callee. Both send 50 packets a
// second as long as it is up.
type webCall struct {
	call           call
	caller, callee *party
	agent          *ice.Agent
	session        *dtls.Session

	mu     sync.Mutex // for what follows, and for the caller's keys
	keyed  chan error // has room for one
	ended  chan struct{}
	closed sync.Once
	works  sync.WaitGroup

	sent, received atomic.Int64 // packets of both streams
	strange        atomic.Int64 // packets of neither that came to the parties
	lost           int64        // packets so far; for loss
}

// newWebCall sets up a call on a proxy and waits until packets pass.
func newWebCall(ctx context.Context, s *signalling, certificate *dtls.Certificate) (w *webCall, err error) {
	calls := newSecuredCalls("web", 1, secured{suite: srtp.AES128CM80, caller: true, certificate: certificate, ice: true})
	if err := s.daemon.client.setUp(calls); err != nil {
		return nil, err
	}
	w = &webCall{call: calls[0], keyed: make(chan error, 1), ended: make(chan struct{})}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	c := &w.call
	w.caller = &party{to: c.toCaller, ssrc: 1}
	if w.caller.conn, err = listen(s.rig.caller, c.caller); err != nil {
		return nil, err
	}
	w.callee = &party{to: c.toCallee, ssrc: 2}
	if w.callee.conn, err = listen(s.rig.callee, c.callee); err != nil {
		return nil, err
	}
	send := func(to netip.AddrPort, b []byte) { w.caller.conn.WriteToUDPAddrPort(b, to) } // what is lost is sent again
	w.agent, err = ice.NewAgent(ice.Config{
		Local:       []ice.Base{{Component: ice.RTP, Addr: c.caller, Foundation: "1"}},
		Credentials: c.own, Controlling: true,
		Send:     func(_ int, b []byte, to netip.AddrPort) { send(to, b) },
		Selected: func(ice.Pair) {}, Authenticated: func(int, int, netip.AddrPort) {}, Wake: func(time.Time) {},
	})
	if err != nil {
		return nil, err
	}
	err = w.agent.SetRemote(ice.Remote{
		Credentials: c.proxys, Candidates: []ice.Candidate{{Foundation: "1", Component: ice.RTP, Priority: 1, Addr: c.toCaller}},
	})
	if err != nil {
		return nil, err
	}
	w.session, err = dtls.NewSession(dtls.Config{
		Role: dtls.Active, Remote: []dtls.Fingerprint{c.fingerprint}, Certificate: certificate,
		Send: func(b []byte) { send(c.toCaller, b) }, OnKeys: w.key, OnFail: w.tell,
	})
	if err != nil {
		return nil, err
	}
	w.start(w.connectivity)
	w.start(func() { w.listen(w.caller) })
	w.start(func() { w.listen(w.callee) })
	select {
	case err = <-w.keyed:
	case <-time.After(webPatience):
		err = errors.New("no DTLS handshake within " + webPatience.String())
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("call of a browser: %w", err)
	}
	w.start(func() { w.stream(w.caller) })
	w.start(func() { w.stream(w.callee) })
	for end := time.Now().Add(webPatience); ; {
		lost, err := w.loss(ctx, 10*webPace)
		if err != nil {
			return nil, err
		}
		if lost == 0 {
			return w, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("call of a browser: %d packets were lost with nothing else going on", lost)
		}
	}
}

func (w *webCall) start(f func()) {
	w.works.Add(1)
	go func() {
		defer w.works.Done()
		f()
	}()
}

func (w *webCall) tell(err error) {
	select {
	case w.keyed <- err:
	default: // the first counts
	}
}

// key takes the keys of the handshake.
func (w *webCall) key(k dtls.Keys) {
	params := func(key, salt []byte) srtp.Params {
		return srtp.Params{Suite: srtp.SuiteByProfile(uint16(k.Profile)), Key: key, Salt: salt}
	}
	w.mu.Lock()
	err := w.caller.secure(keys{ends: params(k.Local()), proxys: params(k.Remote())})
	w.mu.Unlock()
	w.tell(err)
}

// connectivity keeps ICE going.
func (w *webCall) connectivity() {
	tick := time.NewTicker(webTick)
	defer tick.Stop()
	for {
		select {
		case <-w.ended:
			return
		case now := <-tick.C:
			w.agent.Tick(now)
		}
	}
}

// listen takes what comes to a party until its socket is closed.
func (w *webCall) listen(p *party) {
	b := make([]byte, 2048)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue // an ICMP error says nothing here
		}
		switch pkt := b[:n]; {
		case p == w.caller && ice.IsMessage(pkt):
			w.agent.Handle(0, pkt, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
		case p == w.caller && pkt[0] >= 20 && pkt[0] <= 63:
			w.session.Handle(pkt)
		default:
			w.count(p, pkt)
		}
	}
}

// count counts a media packet that came to a party.
func (w *webCall) count(p *party, pkt []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(pkt) > 1 && pkt[1] >= 192 && pkt[1] <= 223 {
		return // RTCP
	}
	if p.in != nil {
		var err error
		if pkt, err = p.in.UnprotectRTP(pkt); err != nil {
			w.strange.Add(1)
			return
		}
	}
	if len(pkt) != rtpLen+payloadLen || pkt[11] != byte(w.caller.ssrc+w.callee.ssrc-p.ssrc) {
		w.strange.Add(1)
		return
	}
	w.received.Add(1)
}

// stream sends the party's packets until the call ends.
func (w *webCall) stream(p *party) {
	payload := payload()
	b := make([]byte, 0, 2048)
	tick := time.NewTicker(webPace)
	defer tick.Stop()
	for {
		select {
		case <-w.ended:
			return
		case <-tick.C:
		}
		w.mu.Lock()
		packet, err := p.appendPacket(b[:0], payload)
		w.mu.Unlock()
		if err != nil {
			continue
		}
		if _, err := p.conn.WriteToUDPAddrPort(packet, p.to); err == nil {
			w.sent.Add(1)
		}
	}
}

// loss tells how many packets were lost in a while. What is under way is missing for a while only, for long on a busy
// machine.
func (w *webCall) loss(ctx context.Context, while time.Duration) (int64, error) {
	if err := sleep(ctx, while); err != nil {
		return 0, err
	}
	missing := w.sent.Load() - w.received.Load()
	for n := 0; n < 1000 && missing > w.lost; n++ {
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return 0, err
		}
		missing = min(missing, w.sent.Load()-w.received.Load())
	}
	lost := missing - w.lost
	w.lost = missing
	return lost, nil
}

// Close ends the call's streams.
func (w *webCall) Close() {
	w.closed.Do(func() {
		close(w.ended)
		for _, p := range []*party{w.caller, w.callee} {
			if p != nil && p.conn != nil {
				p.conn.Close()
			}
		}
		w.works.Wait()
		if w.session != nil {
			w.session.Close()
		}
		if w.agent != nil {
			w.agent.Close()
		}
	})
}
