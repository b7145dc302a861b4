package ngproto

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Defaults of a Client: about as long as a SIP proxy waits before it tries another daemon.
const (
	DefaultInterval = 500 * time.Millisecond
	DefaultTries    = 6
)

// maxDatagram is the largest UDP payload.
const maxDatagram = 65535

// ErrTimeout is returned by Client.Do when no try was answered.
var ErrTimeout = errors.New("no reply to ng request")

// ErrClosed is returned by Client.Do after Close.
var ErrClosed = errors.New("ng client is closed")

// Client speaks ng over UDP. It is safe for concurrent use: requests are matched to replies by their cookie. The
// exported fields must not be changed once the first request has been made.
type Client struct {
	Encoding Encoding
	Interval time.Duration // between retransmissions
	Tries    int           // datagrams sent for one request, at least 1

	conn   net.Conn
	prefix string
	count  atomic.Uint64
	closed chan struct{}

	mu      sync.Mutex
	waiting map[string]chan Dict
}

// Dial returns a client of the daemon at addr ("host:port").
func Dial(addr string) (*Client, error) {
	conn, err := net.Dial("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial ng daemon: %w", err)
	}
	return NewClient(conn), nil
}

// NewClient returns a client that owns conn, a connected datagram socket.
func NewClient(conn net.Conn) *Client {
	c := &Client{
		Interval: DefaultInterval,
		Tries:    DefaultTries,
		conn:     conn,
		prefix:   rand.Text()[:8] + "_", // unlike that of any other client, whose replies the daemon may still remember
		closed:   make(chan struct{}),
		waiting:  make(map[string]chan Dict),
	}
	go c.receive()
	return c
}

// Do sends d and returns the reply dictionary, whatever its result; see [ReplyError]. It sends again after every
// Interval. The error is that of ctx, ErrTimeout after the last Interval, ErrClosed, or one of the socket.
func (c *Client) Do(ctx context.Context, d Dict) (Dict, error) {
	cookie := c.prefix + strconv.FormatUint(c.count.Add(1), 10)
	reply := make(chan Dict, 1)
	c.mu.Lock()
	c.waiting[cookie] = reply
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, cookie)
		c.mu.Unlock()
	}()

	datagram := EncodeRequest(cookie, d, c.Encoding)
	timer := time.NewTimer(c.Interval)
	defer timer.Stop()
	for range max(c.Tries, 1) {
		// A refused connection is the answer to an earlier datagram, and may be over by the next try.
		if _, err := c.conn.Write(datagram); err != nil && !isRefused(err) {
			return nil, c.sendError(err)
		}
		timer.Reset(c.Interval)
		select {
		case r := <-reply:
			return r, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-c.closed:
			return nil, ErrClosed
		case <-timer.C:
		}
	}
	return nil, ErrTimeout
}

// Close ends the client; requests under way fail with ErrClosed.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.closed:
		return nil
	default:
	}
	close(c.closed)
	return c.conn.Close()
}

func (c *Client) sendError(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("send ng request: %w", err)
}

// receive hands replies to the requests that wait for them, until the socket is closed. What cannot be read or has no
// taker is dropped.
func (c *Client) receive() {
	buffer := make([]byte, maxDatagram)
	for {
		n, err := c.conn.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil && !isRefused(err) {
			_ = c.Close() // a socket that cannot be read ends the client
			return
		}
		m, err := Parse(buffer[:n])
		if err != nil {
			continue
		}
		c.mu.Lock()
		reply := c.waiting[m.Cookie]
		delete(c.waiting, m.Cookie)
		c.mu.Unlock()
		if reply != nil {
			reply <- m.Dict
		}
	}
}

// ReplyError returns the error that a reply dictionary carries as an *Error, nil for any result but "error".
func ReplyError(reply Dict) error {
	if reply.Text("result") != ResultError {
		return nil
	}
	return &Error{reply.Text("error-reason")}
}

// isRefused reports whether err says that nobody listened at the far end when an earlier datagram arrived.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
