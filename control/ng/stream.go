package ng

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/weir-media/weir/control/socket"
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
	*socket.Stream
	patience time.Duration // with a client that does not read
	whole    time.Duration // for a message to come from its first byte to its last
	log      *slog.Logger
}

// ListenTCP opens a TCP socket. An unspecified address serves both families where the host has both.
func ListenTCP(addr netip.AddrPort, log *slog.Logger) (*Stream, error) {
	s, err := socket.ListenTCP(addr, socket.Purpose{Language: "ng", Option: "--listen-tcp-ng"}, log)
	if err != nil {
		return nil, err
	}
	return &Stream{Stream: s, patience: writeTimeout, whole: requestTimeout, log: log}, nil
}

// ListenUnix opens a unix socket. A socket that a dead daemon left behind is replaced.
func ListenUnix(path string, log *slog.Logger) (*Stream, error) {
	s, err := socket.ListenUnix(path, socket.Purpose{Language: "ng", Option: "--listen-unix-ng"}, log)
	if err != nil {
		return nil, err
	}
	return &Stream{Stream: s, patience: writeTimeout, whole: requestTimeout, log: log}, nil
}

// Serve has disp answer requests until ctx ends, then closes all connections.
func (s *Stream) Serve(ctx context.Context, disp *Dispatcher) error {
	return s.Stream.Serve(ctx, func(conn net.Conn) { s.converse(ctx, conn, disp) })
}

// converse answers the messages of one connection as they come; a reply may overtake another, as the cookie tells them
// apart. What cannot be a message ends the connection, as does one that does not end. Between messages a client may be silent.
func (s *Stream) converse(ctx context.Context, conn net.Conn, disp *Dispatcher) {
	remote, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // none on a unix socket
	if !disp.Allows(remote.Addr()) {
		return
	}
	client, local := disp.From(remote.Addr()), addressOf(conn.LocalAddr())
	var framer ngproto.Framer
	write := s.writer(conn)
	var under sync.WaitGroup
	defer under.Wait()
	if disp.notices {
		defer disp.listeners.join(write)()
	}
	window := make(chan struct{}, streamWindow)
	buf := make([]byte, 16<<10)
	for begun, timed := false, false; ; { // a message of which the beginning is there; a deadline is set
		switch {
		case framer.Within() && !begun:
			_ = conn.SetReadDeadline(time.Now().Add(s.whole))
			begun, timed = true, true
		case !framer.Within() && timed:
			_ = conn.SetReadDeadline(time.Time{})
			begun, timed = false, false
		}
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
			begun = false // what follows has time of its own
			window <- struct{}{}
			message = append([]byte(nil), message...)
			under.Go(func() {
				defer func() { <-window }()
				reply := disp.mirrored(message, remote, local, func() []byte { return client.Datagram(ctx, message) })
				if reply != nil {
					_ = write(reply) // on failure the connection ends
				}
			})
		}
	}
}
