package ng

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/weir-media/weir/ngproto"
)

const (
	// streamWindow is how many requests of one connection are under way at a time. More wait in the connection.
	streamWindow = 32
	// writeTimeout bounds how long a client may take to accept a reply before its connection is closed.
	writeTimeout = 5 * time.Second
)

// Stream serves connections on which messages follow each other: TCP or a unix socket.
type Stream struct {
	listener net.Listener
	patience time.Duration // with a client that does not read
	log      *slog.Logger

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

// ListenTCP opens a TCP socket. An unspecified address serves both families where the host has both.
func ListenTCP(addr netip.AddrPort, log *slog.Logger) (*Stream, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for ng on tcp %v: %w; choose another address with --listen-tcp-ng, "+
			"or end the process that has it (ss -ltnp shows which)", addr, err)
	}
	return newStream(l, log), nil
}

// ListenUnix opens a unix socket. A socket that a dead daemon left behind is replaced.
func ListenUnix(path string, log *slog.Logger) (*Stream, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another process serves %s; end it, or choose another place with --listen-unix-ng", path)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for ng on %s: %w; choose another place with --listen-unix-ng", path, err)
	}
	return newStream(l, log), nil
}

func newStream(l net.Listener, log *slog.Logger) *Stream {
	return &Stream{
		listener: &limited{Listener: l, most: maxConnections, log: log}, patience: writeTimeout, log: log,
		conns: make(map[net.Conn]struct{}),
	}
}

// Addr returns the address of the socket.
func (s *Stream) Addr() net.Addr { return s.listener.Addr() }

// Serve has disp answer requests until ctx ends, then closes all connections.
func (s *Stream) Serve(ctx context.Context, disp *Dispatcher) error {
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
			s.log.Warn("ng connection could not be accepted", "err", err)
			time.Sleep(10 * time.Millisecond) // out of descriptors, say: better soon than in a busy loop
			continue
		}
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		clients.Go(func() {
			defer s.forget(conn)
			s.converse(ctx, conn, disp)
		})
	}
}

func (s *Stream) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// converse answers the messages of one connection as they come; a reply may overtake another, as the cookie tells them
// apart. What cannot be a message ends the connection.
func (s *Stream) converse(ctx context.Context, conn net.Conn, disp *Dispatcher) {
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // none on a unix socket
	if !disp.Allows(remote.Addr()) {
		return
	}
	client := disp.From(remote.Addr())
	var framer ngproto.Framer
	var writing sync.Mutex
	var under sync.WaitGroup
	defer under.Wait()
	window := make(chan struct{}, streamWindow)
	buf := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		_, _ = framer.Write(buf[:n]) // it never fails
		for {
			message, err := framer.Next()
			if err != nil {
				s.log.Warn("ng connection closed", "from", conn.RemoteAddr(), "err", err)
				return
			}
			if message == nil {
				break
			}
			window <- struct{}{}
			message = append([]byte(nil), message...)
			under.Go(func() {
				defer func() { <-window }()
				reply := client.Datagram(ctx, message)
				if reply == nil {
					return
				}
				writing.Lock()
				defer writing.Unlock()
				_ = conn.SetWriteDeadline(time.Now().Add(s.patience))
				if _, err := conn.Write(reply); err != nil {
					conn.Close() // half a reply may be out: the stream has no meaning any more
				}
			})
		}
	}
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
		return fmt.Errorf("close ng socket: %w", err)
	}
	return nil
}
