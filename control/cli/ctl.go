package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	// longestLine is how much a client may send before the line ends.
	longestLine = 1024
	// ctlPatience is how long a client may take to send its line, and again to take the reply.
	ctlPatience = 10 * time.Second
	// mostCtlClients bounds the connections of one listener. They are short.
	mostCtlClients = 100
)

// Ctl serves the language of rtpengine-ctl over TCP: one line for each connection, whose reply ends with the connection.
type Ctl struct {
	listener net.Listener
	patience time.Duration
	log      *slog.Logger
	clients  sync.WaitGroup
	room     chan struct{}
}

// ListenCtl opens the port.
func ListenCtl(addr netip.AddrPort, log *slog.Logger) (*Ctl, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for rtpengine-ctl on tcp %v: %w; choose another address with --listen-cli, or end the process "+
			"that has it (ss -ltnp shows which)", addr, err)
	}
	return &Ctl{listener: l, patience: ctlPatience, log: log, room: make(chan struct{}, mostCtlClients)}, nil
}

// Addr returns the address of the port.
func (s *Ctl) Addr() net.Addr { return s.listener.Addr() }

// Serve has run carry out the lines of clients until ctx ends, then closes all connections.
func (s *Ctl) Serve(ctx context.Context, run func(from netip.Addr, line string) string) error {
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	defer s.clients.Wait()
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return ctx.Err()
		case err != nil:
			// Too many open files, say, which pass.
			s.log.Warn("a connection of rtpengine-ctl cannot be taken", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		select {
		case s.room <- struct{}{}:
		default:
			conn.Close() // whoever opens so many does not read what we would say
			continue
		}
		s.clients.Go(func() {
			defer func() { <-s.room }()
			end := context.AfterFunc(ctx, func() { conn.Close() })
			defer end()
			s.serve(conn, run)
		})
	}
}

// serve answers the line of one client, who is cut off when it is too long or too slow.
func (s *Ctl) serve(conn net.Conn, run func(netip.Addr, string) string) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(s.patience))
	in := bufio.NewScanner(conn)
	in.Buffer(make([]byte, 0, longestLine), longestLine)
	if !in.Scan() || in.Err() != nil { // what has come by then is given out as a line, too
		return
	}
	var from netip.Addr
	if peer, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		from = peer.AddrPort().Addr()
	}
	reply := run(from, in.Text())
	_ = conn.SetWriteDeadline(time.Now().Add(s.patience))
	if _, err := conn.Write([]byte(reply)); err != nil {
		return
	}
	// A connection that is closed with something unread is reset, and the reply with it.
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(s.patience / 10))
		var rest [longestLine]byte
		for range 16 {
			if _, err := conn.Read(rest[:]); err != nil {
				return
			}
		}
	}
}

// Close closes the port.
func (s *Ctl) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the port of rtpengine-ctl: %w", err)
	}
	return nil
}
