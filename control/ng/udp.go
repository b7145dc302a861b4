package ng

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
)

// maxDatagram is the largest UDP payload there can be (RFC 768).
const maxDatagram = 65535

// readersPerCore lets commands that wait for their call stand aside while others are read.
const readersPerCore = 4

// UDP is a socket that requests come by.
type UDP struct {
	conn *net.UDPConn
	log  *slog.Logger
}

// ListenUDP opens the socket. An unspecified address serves both families where the host has both.
func ListenUDP(addr netip.AddrPort, log *slog.Logger) (*UDP, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for ng on udp %v: %w; choose another address with --listen-ng, "+
			"or end the process that has it (ss -lunp shows which)", addr, err)
	}
	// A burst of new calls must find room while the readers are busy.
	_ = conn.SetReadBuffer(4 << 20)
	return &UDP{conn: conn, log: log}, nil
}

// Addr returns the address of the socket.
func (u *UDP) Addr() netip.AddrPort {
	return u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Serve has disp answer requests until ctx ends, then closes the socket.
func (u *UDP) Serve(ctx context.Context, disp *Dispatcher) error {
	stop := context.AfterFunc(ctx, func() { u.conn.Close() })
	defer stop()
	var readers sync.WaitGroup
	for range readersPerCore * runtime.GOMAXPROCS(0) {
		readers.Go(func() { u.read(ctx, disp) })
	}
	readers.Wait()
	return ctx.Err()
}

// Close closes the socket of a UDP that is not serving.
func (u *UDP) Close() error {
	if err := u.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close ng socket: %w", err)
	}
	return nil
}

func (u *UDP) read(ctx context.Context, disp *Dispatcher) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := u.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier reply, which says nothing about this socket
		}
		reply := disp.Datagram(ctx, buf[:n])
		if reply == nil {
			continue
		}
		if _, err := u.conn.WriteToUDPAddrPort(reply, from); err != nil {
			u.log.Warn("ng reply could not be sent", "to", from, "bytes", len(reply), "err", err)
		}
	}
}
