package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/srtp"
)

const (
	shaking          = 32 // handshakes under way at a time
	shakePatience    = 15 * time.Second
	longestHandshake = 2048 // bytes of a datagram
)

// handshakes is a proxy that answers DTLS handshakes.
type handshakes struct {
	signalling
	certificate *dtls.Certificate // of all callers
}

func newHandshakes(s subject) (*handshakes, error) {
	certificate, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		return nil, err
	}
	proxy, err := newSignalling(s)
	if err != nil {
		return nil, err
	}
	return &handshakes{signalling: *proxy, certificate: certificate}, nil
}

// run sets up n calls, then has each caller make a handshake with the proxy against the clock.
func (h *handshakes) run(n int) (rate, error) {
	h.batches++
	calls := newSecuredCalls(fmt.Sprintf("handshakes-%d", h.batches), n,
		secured{suite: srtp.AES128CM80, caller: true, certificate: h.certificate})
	if err := h.daemon.client.setUp(calls); err != nil {
		return rate{}, h.daemon.explain(err)
	}
	conns := make([]*net.UDPConn, n)
	defer func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
	}()
	for i, c := range calls {
		var err error
		if conns[i], err = listen(h.rig.caller, c.caller); err != nil {
			return rate{}, err
		}
	}
	proxyBefore, err := h.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	clientBefore, start := ownTime(), time.Now()
	if err := h.shake(calls, conns); err != nil {
		return rate{}, h.daemon.explain(err)
	}
	elapsed := time.Since(start)
	client := ownTime() - clientBefore
	proxy, err := h.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	if err := h.daemon.client.hangUp(calls); err != nil {
		return rate{}, h.daemon.explain(err)
	}
	return rate{
		perSecond:   float64(n) / (proxy - proxyBefore).Seconds(),
		proxyShare:  (proxy - proxyBefore).Seconds() / elapsed.Seconds(),
		clientShare: client.Seconds() / elapsed.Seconds(),
	}, nil
}

// shake makes the handshakes of all calls, some at a time.
func (h *handshakes) shake(calls []call, conns []*net.UDPConn) error {
	ended := make(chan error, len(calls))
	for started, finished := 0, 0; finished < len(calls); finished++ {
		for ; started < len(calls) && started-finished < shaking; started++ {
			go func(c *call, conn *net.UDPConn) { ended <- h.handshake(c, conn) }(&calls[started], conns[started])
		}
		if err := <-ended; err != nil {
			return err
		}
	}
	return nil
}

// handshake is that of one caller, as the active side.
func (h *handshakes) handshake(c *call, conn *net.UDPConn) error {
	result := make(chan error, 1)
	tell := func(err error) {
		select {
		case result <- err:
		default: // the first result counts
		}
	}
	session, err := dtls.NewSession(dtls.Config{
		Role: dtls.Active, Remote: []dtls.Fingerprint{c.fingerprint}, Certificate: h.certificate,
		Send:   func(b []byte) { conn.WriteToUDPAddrPort(b, c.toCaller) }, // a lost flight is sent again
		OnKeys: func(dtls.Keys) { tell(nil) },
		OnFail: tell,
	})
	if err != nil {
		return err
	}
	defer session.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, longestHandshake)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return // the deadline below
			}
			session.Handle(b[:n])
		}
	}()
	select {
	case err = <-result:
	case <-time.After(shakePatience):
		err = errors.New("no end within " + shakePatience.String())
	}
	conn.SetReadDeadline(time.Now())
	<-read
	if err != nil {
		return fmt.Errorf("%s: handshake with %v: %w", c.id, c.toCaller, err)
	}
	return nil
}

// handshakeStage measures the handshakes of the proxies in turns.
func handshakeStage(ctx context.Context, logger *slog.Logger, p plan) ([]result, error) {
	var subjects []subject
	for _, s := range p.subjects() {
		if s.plane == userspace {
			subjects = append(subjects, s)
		}
	}
	return rateStage(ctx, logger, subjects, p.runs, p.shakes, func(s subject) (rater, error) { return newHandshakes(s) })
}
