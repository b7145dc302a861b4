package mediaproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/socket"
	"github.com/weir-media/weir/media"
)

const (
	// idleTimeout bounds how long a command may take to arrive.
	idleTimeout  = 10 * time.Second
	writeTimeout = 5 * time.Second
	// maxListed bounds how many calls status lists.
	maxListed = 100000
)

// Config are the settings of a Dispatcher.
type Config struct {
	Calls   *call.Manager
	Plane   *media.Plane
	Version string       // as it is told to clients
	Log     *slog.Logger // nil: none
}

// Dispatcher executes commands, whatever socket they came by. It is safe for concurrent use.
type Dispatcher struct {
	cfg Config
	log *slog.Logger

	mu    sync.Mutex
	conns map[net.Conn]struct{}

	rate sync.Mutex // guards what follows
	seen uint64     // bytes relayed when last asked
	at   time.Time
}

// New returns a Dispatcher for the calls of cfg.
func New(cfg Config) *Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Dispatcher{cfg: cfg, log: cfg.Log, conns: make(map[net.Conn]struct{}), at: time.Now()}
}

// Serve has d answer the command of each connection until ctx ends, then closes them.
func (d *Dispatcher) Serve(ctx context.Context, s *socket.Stream) error {
	return s.Serve(ctx, func(conn net.Conn) { d.converse(conn, idleTimeout) })
}

func (d *Dispatcher) converse(conn net.Conn, patience time.Duration) {
	d.mu.Lock()
	d.conns[conn] = struct{}{}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.conns, conn)
	}()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	line, ok := readLine(conn)
	if !ok {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = io.WriteString(conn, d.Execute(line)) // whoever has gone does not want to know
}

// readLine returns the first line that is not empty.
func readLine(conn io.Reader) (string, bool) {
	buf, held := make([]byte, maxLine), 0
	for {
		line, rest, whole := bytes.Cut(buf[:held], []byte{'\n'})
		if text := strings.TrimRight(string(line), "\r"); whole && text != "" {
			return text, true
		}
		if whole {
			held = copy(buf, rest)
			continue
		}
		if held == len(buf) {
			return "", false
		}
		n, err := conn.Read(buf[held:])
		if held += n; err != nil && n == 0 {
			return "", false
		}
	}
}

// Execute carries out one command and returns the reply, empty when there is none. A fault in it costs this command alone.
func (d *Dispatcher) Execute(line string) (reply string) {
	defer func() {
		if fault := recover(); fault != nil {
			d.log.Error("fault while executing a mediaproxy command", "fault", fault, "command", line, "stack", string(debug.Stack()))
			reply = ""
		}
	}()
	c, err := parse(line)
	if err == nil {
		reply, err = d.run(c)
	}
	if err != nil && !errors.Is(err, errCommand) {
		d.log.Warn("mediaproxy command failed", "command", line, "err", err)
	}
	return reply
}

func (d *Dispatcher) run(c *command) (string, error) {
	switch c.name {
	case "request", "lookup":
		return d.signal(c)
	case "delete":
		if _, err := d.cfg.Calls.Delete(&call.DeleteRequest{CallID: c.callID, Fast: true}); !errors.Is(err, call.ErrNoMatch) {
			return "", err
		}
		return "", nil
	case "build", "version":
		return "Version: " + d.cfg.Version + "\n", nil
	case "controls":
		return d.controls(), nil
	}
	return d.status(), nil
}

// signal carries out request or lookup. A call that a request makes and that cannot be carried out as a whole does not stay.
func (d *Dispatcher) signal(c *command) (string, error) {
	if !d.cfg.Plane.HasFamily("", 4) {
		return "", errors.New("the default interface has no IPv4 address, and the protocol has no others")
	}
	key := call.PairKey{CallID: c.callID, FromTag: c.info.fromTag, ToTag: c.info.toTag}
	var created []call.PairKey
	var address string
	var ports []string
	for i, s := range c.streams {
		key.Number = i + 1
		req := &call.PairRequest{PairKey: key, Language: call.Mediaproxy, Remote: s.remote, Type: s.mediaType, Asymmetric: c.info.asymmetric}
		step := d.cfg.Calls.OfferPair
		if c.name == "lookup" {
			step = d.cfg.Calls.AnswerPair
		}
		done, err := step(req)
		if err != nil {
			if c.name == "lookup" && i > 0 && errors.Is(err, call.ErrNoPair) {
				break // more streams than were offered
			}
			for j := range created {
				_ = d.cfg.Calls.ReleasePairs(&created[j], false)
			}
			return "", err
		}
		if done.Created {
			created = append(created, key)
		}
		if told := done.Told.Addr().String(); address == "" {
			address = told
		} else if told != address {
			return "", fmt.Errorf("streams are on %s and on %s, and the protocol has one address for all", address, told)
		}
		ports = append(ports, strconv.Itoa(int(done.Told.Port())))
	}
	return address + " " + strings.Join(ports, " ") + "\n", nil
}

// controls lists the open connections.
func (d *Dispatcher) controls() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []string
	for conn := range d.conns {
		all = append(all, conn.RemoteAddr().String())
	}
	slices.Sort(all)
	return strings.Join(append(all, "End.\n"), "\n")
}

// status tells how many calls there are, how many bytes a second are relayed, and the age of each call, newest first.
func (d *Dispatcher) status() string {
	calls := d.cfg.Calls.Ages(maxListed)
	var b strings.Builder
	fmt.Fprintf(&b, "proxy %d %d/0/0\n", len(calls), d.byteRate())
	now := time.Now()
	for _, c := range calls {
		fmt.Fprintf(&b, "session %s - - - - %d\n", c.CallID, int(now.Sub(c.Created).Seconds()))
	}
	return b.String()
}

// byteRate returns bytes per second on both planes since it was last called.
func (d *Dispatcher) byteRate() uint64 {
	d.rate.Lock()
	defer d.rate.Unlock()
	t := d.cfg.Plane.Totals()
	n, now := t.Kernel.Bytes+t.Userspace.Bytes, time.Now()
	r := float64(n-min(n, d.seen)) / max(now.Sub(d.at).Seconds(), 1)
	d.seen, d.at = n, now
	return uint64(r)
}
