package socket

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// maxConnections caps the connections of one listener. A proxy has a handful; without a cap a client that forgets to close
// its own would take the descriptors of the calls.
const maxConnections = 1000

// Limit has a listener close connections beyond what a few proxies can have open.
func Limit(l net.Listener, log *slog.Logger) net.Listener {
	return &limited{Listener: l, most: maxConnections, log: log}
}

// limited is a listener that closes connections beyond its cap as they come.
type limited struct {
	net.Listener
	most   int64
	open   atomic.Int64
	warned atomic.Int64 // when a connection was last refused, in Unix minutes
	log    *slog.Logger
}

// Accept returns the next connection within the cap.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			return &counted{Conn: conn, of: l}, nil
		}
		l.open.Add(-1)
		conn.Close()
		if now := time.Now().Unix() / 60; l.warned.Swap(now) != now {
			l.log.Warn("too many control connections, a new one is closed", "address", l.Addr(), "from", conn.RemoteAddr(), "most", l.most)
		}
	}
}

// counted is a connection that leaves its place when it is closed.
type counted struct {
	net.Conn
	of     *limited
	closed sync.Once
}

// Close closes the connection. It may be called more than once.
func (c *counted) Close() error {
	c.closed.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}
