package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stream is a socket that takes connections: TCP or unix.
type Stream struct {
	listener net.Listener
	raw      syscall.Conn // of the listener
	language string
	allowed  func(netip.Addr) bool // nil: everybody is
	log      *slog.Logger

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// ListenTCP opens a TCP socket. An unspecified address serves both families where the host has both.
func ListenTCP(addr netip.AddrPort, of Purpose, log *slog.Logger) (*Stream, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for %s on tcp %v: %w; choose another address with %s, "+
			"or end the process that has it (ss -ltnp shows which)", of.Language, addr, err, of.Option)
	}
	return newStream(l, l, of, log), nil
}

// ListenUnix opens a unix socket. A socket that a dead daemon left behind is replaced.
func ListenUnix(path string, of Purpose, log *slog.Logger) (*Stream, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another process serves %s; end it, or choose another place with %s", path, of.Option)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for %s on %s: %w; choose another place with %s", of.Language, path, err, of.Option)
	}
	return newStream(l, nil, of, log), nil
}

// newStream serves l; raw is nil for a socket without TOS.
func newStream(l net.Listener, raw syscall.Conn, of Purpose, log *slog.Logger) *Stream {
	return &Stream{listener: Limit(l, log), raw: raw, language: of.Language, log: log, conns: make(map[net.Conn]struct{})}
}

// Addr returns the address of the socket.
func (s *Stream) Addr() net.Addr { return s.listener.Addr() }

// Only has connections of addresses that are not allowed be closed; on a unix socket nobody has an address. It is called before serving.
func (s *Stream) Only(allowed func(netip.Addr) bool) { s.allowed = allowed }

// SetTOS has connections carry a TOS or traffic class, those that are open too. On a unix socket it does nothing.
func (s *Stream) SetTOS(tos int) error {
	if s.raw == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		if c, ok := conn.(*counted); ok {
			if tcp, ok := c.Conn.(syscall.Conn); ok {
				// A connection that ends meanwhile has no use for it.
				_ = option(tcp, s.language, "TOS", unix.IPV6_TCLASS, tos, unix.IP_TOS, tos)
			}
		}
	}
	// What is accepted from now on has it from the listener.
	return option(s.raw, s.language, "TOS", unix.IPV6_TCLASS, tos, unix.IP_TOS, tos)
}

// Serve has converse called for each connection until ctx ends, then closes all of them. A connection is closed when its call
// returns.
func (s *Stream) Serve(ctx context.Context, converse func(net.Conn)) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return ctx.Err()
		case err != nil:
			s.log.Warn(s.language+" connection could not be accepted", "err", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, say: better soon than in a busy loop
			continue
		}
		if from, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil && s.allowed != nil && !s.allowed(from.Addr()) {
			conn.Close()
			continue
		}
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		clients.Go(func() {
			defer s.forget(conn)
			converse(conn)
		})
	}
}

func (s *Stream) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Close closes the socket and all connections.
func (s *Stream) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s socket: %w", s.language, err)
	}
	return nil
}

// Most lowers the cap of connections, before serving.
func (s *Stream) Most(n int64) { s.listener.(*limited).most = n }
