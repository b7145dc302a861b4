package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/srtp"
)

const (
	learnRounds   = 5 // packets each end sends at least
	learnInterval = 100 * time.Millisecond
	learnPatience = 15 * time.Second

	learnPayload = 80 // bytes, unlike what the sink counts
)

// party is one end of one call with a socket.
type party struct {
	conn     *net.UDPConn
	to       netip.AddrPort // the proxy's side of it
	ssrc     uint32
	sequence uint16
	heard    bool

	out *srtp.Outbound // nil: it sends in clear
	in  *srtp.Inbound  // nil: it receives in clear
}

// stamp is the time stamp that goes with the sequence number.
func (p *party) stamp() uint32 { return uint32(p.sequence) * payloadLen }

// appendPacket appends the party's next packet, for which b must have the capacity.
func (p *party) appendPacket(b, payload []byte) ([]byte, error) {
	start := len(b)
	b = append(appendRTP(b, p.sequence, p.stamp(), p.ssrc), payload...)
	p.sequence++
	if p.out == nil {
		return b, nil
	}
	sealed, err := p.out.ProtectRTP(b[start:])
	return b[:start+len(sealed)], err
}

// ends are both ends of all calls, in the hosts of a rig.
type ends struct {
	callers, callees []*party
}

// openEnds opens a socket for each end of each call.
func openEnds(r *rig, calls []call) (e *ends, err error) {
	e = &ends{}
	for i, c := range calls {
		caller := &party{to: c.toCaller, ssrc: uint32(2*i + 1)}
		if caller.conn, err = listen(r.caller, c.caller); err != nil {
			e.Close()
			return nil, err
		}
		e.callers = append(e.callers, caller)
		callee := &party{to: c.toCallee, ssrc: uint32(2*i + 2)}
		if callee.conn, err = listen(r.callee, c.callee); err != nil {
			e.Close()
			return nil, err
		}
		e.callees = append(e.callees, callee)
		if c.secured.suite.Valid() {
			speaker := callee
			if c.secured.caller {
				speaker = caller
			}
			if err := speaker.secure(c.keys); err != nil {
				e.Close()
				return nil, err
			}
		}
	}
	return e, nil
}

func listen(host *netrig.Host, at netip.AddrPort) (conn *net.UDPConn, err error) {
	err = host.Do(func() error {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	return conn, err
}

func (e *ends) all() []*party {
	return append(append([]*party{}, e.callers...), e.callees...)
}

// learn sends from both ends of every call until each has heard the other through the proxy.
func (e *ends) learn(ctx context.Context) error {
	deadline := time.Now().Add(learnPatience)
	for round := 1; ; round++ {
		until := time.Now().Add(learnInterval)
		if err := e.send(); err != nil {
			return err
		}
		deaf := 0
		for _, p := range e.all() {
			if err := p.listen(until); err != nil {
				return err
			}
			if !p.heard {
				deaf++
			}
		}
		switch {
		case deaf == 0 && round >= learnRounds:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d of %d ends hear nothing through the proxy after %d packets", deaf, len(e.all()), round)
		}
		if err := sleep(ctx, time.Until(until)); err != nil {
			return err
		}
	}
}

// send sends one packet from every end.
func (e *ends) send() error {
	payload := payload()[:learnPayload]
	for _, p := range e.all() {
		packet, err := p.appendPacket(make([]byte, 0, rtpLen+learnPayload+srtp.MaxOverhead), payload)
		if err != nil {
			return err
		}
		if _, err := p.conn.WriteToUDPAddrPort(packet, p.to); err != nil {
			return fmt.Errorf("send to %v: %w", p.to, err)
		}
	}
	return nil
}

// listen waits for the first packet from the proxy.
func (p *party) listen(until time.Time) error {
	if p.heard {
		return nil
	}
	p.conn.SetReadDeadline(until)
	buf := make([]byte, 256)
	n, from, err := p.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		return nil // not yet; the deadline of learn decides
	}
	if p.in != nil {
		clear, err := p.in.UnprotectRTP(buf[:n])
		if err != nil {
			return fmt.Errorf("packet from %v: %w", from, err)
		}
		n = len(clear)
	}
	if from.Port() != p.to.Port() || from.Addr().Unmap() != p.to.Addr() || n != rtpLen+learnPayload {
		return fmt.Errorf("%d bytes from %v instead of %d from %v", n, from, rtpLen+learnPayload, p.to)
	}
	p.heard = true
	return nil
}

// streams are the callers' streams, to be carried on by the generator.
func (e *ends) streams(r *rig) ([]stream, error) {
	from, err := r.caller.Device("proxy")
	if err != nil {
		return nil, err
	}
	to, err := r.proxy.Device("caller")
	if err != nil {
		return nil, err
	}
	streams := make([]stream, len(e.callers))
	for i, p := range e.callers {
		src := netip.AddrPortFrom(callerAddr, uint16(p.conn.LocalAddr().(*net.UDPAddr).Port))
		streams[i] = stream{
			srcMAC: from.HardwareAddr, dstMAC: to.HardwareAddr,
			src: src, dst: p.to, ssrc: p.ssrc, sequence: p.sequence, stamp: p.stamp(),
		}
	}
	return streams, nil
}

// Close closes the sockets.
func (e *ends) Close() {
	for _, p := range e.all() {
		p.conn.Close()
	}
}
