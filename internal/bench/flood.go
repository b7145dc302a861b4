package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/ice"
)

// flood is what a proxy makes of packets nobody wants, sent to the ports of a call in progress.
type flood struct {
	Subject  string  `json:"subject"`
	Title    string  `json:"title"`
	Kind     string  `json:"kind"`
	Survived float64 `json:"survived_per_second"` // the most that was sent without harm to the call
	Limit    bool    `json:"limit_of_sender"`     // that is as fast as they were sent at all
	Cost     float64 `json:"proxy_ns"`            // CPU time of the proxy per such packet, at the highest rate it survived
	Lost     int64   `json:"lost"`                // packets of the call at the next rate, or how many of others reached a party
	Problem  string  `json:"problem,omitempty"`
}

// floodRates are packets per second, tried one after the other until the call suffers. The last one is as fast as possible.
func floodRates() []int { return []int{5000, 10000, 20000, 50000, 100000, 200000, 1000000} }

const (
	floodBatch   = 8 // packets between two looks at the clock
	floodVariety = 64
)

// floodKind is one sort of bad packets.
type floodKind struct {
	name    string
	own     bool // they come from the caller's own address
	packets func(w *webCall) ([][]byte, error)
}

func floodKinds() []floodKind {
	return []floodKind{
		{"DTLS hellos of a stranger", false, hellos},
		{"DTLS hellos from the caller's address", true, hellos},
		{"STUN requests with a wrong password", false, forgedChecks},
		{"RTP of a stranger", false, strangeRTP},
		{"SRTP with wrong tags from the caller's address", true, forgedSRTP},
	}
}

// hellos are as a client begins a handshake, each another one.
func hellos(w *webCall) ([][]byte, error) {
	first := make(chan []byte, 1)
	certificate, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		return nil, err
	}
	session, err := dtls.NewSession(dtls.Config{
		Role: dtls.Active, Remote: []dtls.Fingerprint{w.call.fingerprint}, Certificate: certificate,
		Send: func(b []byte) {
			select {
			case first <- b:
			default:
			}
		},
		OnKeys: func(dtls.Keys) {}, OnFail: func(error) {},
	})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	var hello []byte
	select {
	case hello = <-first:
	case <-time.After(webPatience):
		return nil, errors.New("no hello was made")
	}
	const randomAt = 13 + 12 + 2 // record and handshake headers, version
	return vary(hello, randomAt, 32), nil
}

// forgedChecks are like those of the caller, but for the password.
func forgedChecks(w *webCall) (all [][]byte, err error) {
	wrong := w.call.proxys
	wrong.Pwd = ice.NewCredentials().Pwd
	for len(all) < floodVariety {
		had := len(all)
		agent, err := ice.NewAgent(ice.Config{
			Local:       []ice.Base{{Component: ice.RTP, Addr: w.call.caller, Foundation: "1"}},
			Credentials: w.call.own, Controlling: true,
			Send:     func(_ int, b []byte, _ netip.AddrPort) { all = append(all, append([]byte{}, b...)) },
			Selected: func(ice.Pair) {}, Authenticated: func(int, int, netip.AddrPort) {}, Wake: func(time.Time) {},
		})
		if err != nil {
			return nil, err
		}
		err = agent.SetRemote(ice.Remote{
			Credentials: wrong, Candidates: []ice.Candidate{{Foundation: "1", Component: ice.RTP, Priority: 1, Addr: w.call.toCaller}},
		})
		if err == nil {
			agent.Tick(time.Now())
		}
		agent.Close()
		if err != nil {
			return nil, err
		}
		if len(all) == had {
			return nil, errors.New("no connectivity check was made")
		}
	}
	return all, nil
}

// strangeRTP is good RTP of somebody else.
func strangeRTP(*webCall) (all [][]byte, err error) {
	for i := range floodVariety {
		all = append(all, append(appendRTP(nil, uint16(i), uint32(i)*payloadLen, 0xbad), payload()...))
	}
	return all, nil
}

// forgedSRTP has the caller's SSRC and tags that are noise.
func forgedSRTP(w *webCall) ([][]byte, error) {
	const tagLen = 16
	packet := append(appendRTP(nil, 0, 0, w.caller.ssrc), payload()...)
	packet = append(packet, make([]byte, tagLen)...)
	all := vary(packet, len(packet)-tagLen, tagLen)
	for i, b := range all {
		binary.BigEndian.PutUint16(b[2:], uint16(1000*i))
	}
	return all, nil
}

// vary makes packets that differ in n bytes.
func vary(packet []byte, at, n int) (all [][]byte) {
	for range floodVariety {
		b := append([]byte{}, packet...)
		for i := range n {
			b[at+i] = byte(rand.Uint32())
		}
		all = append(all, b)
	}
	return all
}

// floodStage tries all kinds on all proxies.
func floodStage(ctx context.Context, logger *slog.Logger, p plan) (results []flood, err error) {
	certificate, err := dtls.NewCertificate(dtls.CertificateConfig{})
	if err != nil {
		return nil, err
	}
	results = []flood{}
	for _, kind := range floodKinds() {
		for _, s := range p.subjects() {
			if s.plane != userspace {
				continue
			}
			f := flood{Subject: s.name, Title: s.title, Kind: kind.name}
			if err := f.measure(ctx, s, kind, certificate, p.length); err != nil {
				f.Problem = err.Error()
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			logger.Info("flooded", "subject", f.Subject, "kind", f.Kind, "survived", int(f.Survived), "ns", int(f.Cost), "lost", f.Lost)
			results = append(results, f)
		}
	}
	return results, nil
}

// measure raises the rate until a call suffers. Every kind gets a fresh proxy.
func (f *flood) measure(ctx context.Context, s subject, kind floodKind, certificate *dtls.Certificate, length time.Duration) (err error) {
	proxy, err := newSignalling(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	w, err := newWebCall(ctx, proxy, certificate)
	if err != nil {
		return proxy.daemon.explain(err)
	}
	defer w.Close()
	packets, err := kind.packets(w)
	if err != nil {
		return err
	}
	from := w.caller.conn
	if !kind.own {
		if from, err = listen(proxy.rig.caller, netip.AddrPortFrom(callerAddr, 9)); err != nil {
			return err
		}
		defer from.Close()
	}
	f.Limit = true
	for _, rate := range floodRates() {
		before, err := proxy.daemon.cpuTime()
		if err != nil {
			return err
		}
		strange := w.strange.Load()
		done := make(chan float64, 1)
		go func() { done <- send(from, w.call.toCaller, packets, rate, length) }()
		if _, err := w.loss(ctx, 0); err != nil { // forgets what was lost before
			return err
		}
		lost, err := w.loss(ctx, length)
		sent := <-done
		if err != nil {
			return err
		}
		after, err := proxy.daemon.cpuTime()
		if err != nil {
			return err
		}
		if lost += w.strange.Load() - strange; lost > 0 {
			f.Lost, f.Limit = lost, false
			break
		}
		f.Survived, f.Cost = sent/length.Seconds(), float64((after-before).Nanoseconds())/sent
	}
	return nil
}

// send sends packets at a rate for a while and returns how many it has sent.
func send(conn *net.UDPConn, to netip.AddrPort, packets [][]byte, rate int, length time.Duration) float64 {
	sent := 0
	for start, now := time.Now(), time.Duration(0); now < length; now = time.Since(start) {
		due := int(now.Seconds() * float64(rate))
		if due-sent < floodBatch {
			time.Sleep(time.Duration(floodBatch) * time.Second / time.Duration(rate))
			continue
		}
		// What could not be sent in time is not made up for in a burst.
		for range min(due-sent, 4*floodBatch) {
			conn.WriteToUDPAddrPort(packets[sent%len(packets)], to)
			sent++
		}
	}
	return float64(sent)
}

// rowOf is the line of the report.
func (f *flood) rowOf() string {
	if f.Problem != "" {
		return fmt.Sprintf("%s\t%s\tnot measured: %s", f.Kind, f.Title, f.Problem)
	}
	survived, lost := fmt.Sprintf("%.0f", f.Survived), "-"
	if f.Limit {
		survived = "> " + survived
	} else {
		lost = fmt.Sprint(f.Lost)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%.0f\t%s", f.Kind, f.Title, survived, f.Cost, lost)
}
