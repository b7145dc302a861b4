package rtpproxy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/weir-media/weir/control/socket"
)

const (
	// writeTimeout bounds how long a client may take to accept a reply before its connection is closed.
	writeTimeout = 5 * time.Second
	// lineTimeout bounds how long a command may take to arrive once it has begun, and a connection for one command to be used.
	lineTimeout = 10 * time.Second
)

// patience is how long clients are waited for.
type patience struct{ line, write time.Duration }

// ServeUDP has d answer the datagrams of a socket until ctx ends, then closes it. Peer is that of the clients.
func (d *Dispatcher) ServeUDP(ctx context.Context, s *socket.UDP, peer bool) error {
	return s.Serve(ctx, func(from netip.AddrPort, datagram []byte) []byte {
		return d.Datagram(ctx, Client{From: from, Peer: peer}, datagram)
	})
}

// ServeStream has d answer the commands of connections, one per line, until ctx ends, then closes them.
func (d *Dispatcher) ServeStream(ctx context.Context, s *socket.Stream) error {
	return s.Serve(ctx, d.converse)
}

// ServeOnce is ServeStream for clients that open a connection for each command. What the first packet of it brings is the command, as
// they do not say where it ends.
func (d *Dispatcher) ServeOnce(ctx context.Context, s *socket.Stream) error {
	return s.Serve(ctx, d.answerOnce)
}

func (d *Dispatcher) answerOnce(conn net.Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(d.patience.line))
	buf := make([]byte, maxCommand+1) // one more shows that it is too long
	n, err := conn.Read(buf)
	if n == 0 && err != nil {
		return
	}
	text, _, _ := bytes.Cut(buf[:n], []byte{'\n'})
	d.write(conn, d.Execute(Client{}, string(text)))
}

// converse answers commands in the order in which they come.
func (d *Dispatcher) converse(conn net.Conn) {
	from, _ := netip.ParseAddrPort(conn.RemoteAddr().String()) // none on a unix socket
	client := Client{From: from}
	buf := make([]byte, maxCommand+2) // with the line end
	held := 0
	for {
		for {
			line, rest, whole := bytes.Cut(buf[:held], []byte{'\n'})
			if !whole {
				break
			}
			if !d.write(conn, d.Execute(client, string(line))) {
				return
			}
			held = copy(buf, rest)
		}
		deadline := time.Time{} // between commands a client may be silent
		if held > 0 {
			deadline = time.Now().Add(d.patience.line)
		}
		if held == len(buf) {
			d.write(conn, d.Execute(client, string(buf)))
			return // where the next one begins is not known
		}
		_ = conn.SetReadDeadline(deadline)
		n, err := conn.Read(buf[held:])
		held += n
		if err != nil && n == 0 {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				d.log.Log(context.Background(), slog.LevelInfo, "a connection with half a command is closed", "from", conn.RemoteAddr())
			}
			return
		}
	}
}

// write sends a reply and tells whether the client has taken it.
func (d *Dispatcher) write(conn net.Conn, reply string) bool {
	_ = conn.SetWriteDeadline(time.Now().Add(d.patience.write))
	_, err := io.WriteString(conn, reply)
	return err == nil
}
