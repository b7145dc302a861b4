package homer

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/control/outbox"
	"github.com/weir-media/weir/control/rtcptext"
)

const (
	// room and roomBytes bound what waits for a server that is slow or away.
	room      = 1024
	roomBytes = 8 << 20

	dialTime   = 5 * time.Second
	writeTime  = 5 * time.Second
	retryFirst = 100 * time.Millisecond // grows to retryMost
	retryMost  = 10 * time.Second
)

// Config says where to send what.
type Config struct {
	Address string // HOST:PORT; a name is resolved at every connection
	TCP     bool   // false: UDP
	Agent   uint32 // the capture id
	NGType  uint8  // protocol type of what the ng protocol says
	Log     *slog.Logger
}

// Exporter sends. Report and Mirror are safe for concurrent use and do not wait; Run is to be called once.
type Exporter struct {
	cfg   Config
	box   *outbox.Box[message]
	bytes atomic.Int64 // in the box
}

type message struct {
	packet
	rtcp bool // payload is RTCP, which is still to be put into words
}

// New returns an exporter that keeps what it is given until Run.
func New(cfg Config) *Exporter { return &Exporter{cfg: cfg, box: outbox.New[message](room)} }

// Report sends what RTCP of a call says. It keeps a copy of data.
func (e *Exporter) Report(callID string, data []byte, from, to netip.AddrPort) {
	e.put(message{packet{from, to, time.Now(), typeRTCP, e.cfg.Agent, callID, data}, true})
}

// Mirror sends a message of the ng protocol that is about a call. It keeps a copy of data.
func (e *Exporter) Mirror(callID string, data []byte, from, to netip.AddrPort) {
	e.put(message{packet{from, to, time.Now(), e.cfg.NGType, e.cfg.Agent, callID, data}, false})
}

func (e *Exporter) put(m message) {
	size := int64(len(m.payload))
	if e.bytes.Add(size) > roomBytes {
		e.bytes.Add(-size)
		e.box.Done(false)
		return
	}
	m.payload = bytes.Clone(m.payload)
	if !e.box.Put(m) {
		e.bytes.Add(-size)
	}
}

// Counts returns how many messages were sent and dropped.
func (e *Exporter) Counts() (sent, dropped uint64) { return e.box.Counts() }

// Run sends until ctx ends. Over TCP, what waits is sent when a server that was away is back.
func (e *Exporter) Run(ctx context.Context) {
	line := &line{cfg: &e.cfg, trouble: outbox.Trouble{Log: e.cfg.Log, To: e.cfg.Address, What: "nothing can be sent to Homer"}}
	defer line.hangUp()
	var out []byte
	for {
		var m message
		select {
		case <-ctx.Done():
			return
		case m = <-e.box.Waiting():
		}
		e.bytes.Add(-int64(len(m.payload)))
		if m.rtcp {
			if m.payload = rtcptext.JSON(m.payload); m.payload == nil {
				continue
			}
		}
		var err error
		if out, err = m.append(out[:0]); err == nil {
			err = line.send(ctx, out)
		}
		e.box.Done(err == nil)
	}
}

// line is the connection to the server.
type line struct {
	cfg     *Config
	conn    net.Conn
	trouble outbox.Trouble
}

// send sends a packet. Over TCP it is tried until it works, over UDP once.
func (l *line) send(ctx context.Context, data []byte) error {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		err := l.attempt(ctx, data)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.trouble.Note(err)
		if err == nil || !l.cfg.TCP {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (l *line) attempt(ctx context.Context, data []byte) error {
	if l.conn == nil {
		network := "udp"
		if l.cfg.TCP {
			network = "tcp"
		}
		dialer := net.Dialer{Timeout: dialTime}
		conn, err := dialer.DialContext(ctx, network, l.cfg.Address)
		if err != nil {
			return err
		}
		if l.conn = conn; l.cfg.TCP {
			go func() { // a server that hangs up is noticed before something is written in vain
				_, _ = io.Copy(io.Discard, conn)
				conn.Close()
			}()
		}
	}
	_ = l.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := l.conn.Write(data)
	if err != nil {
		l.hangUp()
	}
	return err
}

func (l *line) hangUp() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}
