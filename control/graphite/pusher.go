package graphite

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/weir-media/weir/control/counts"
)

// writePatience is how long a server may take to accept the lines of one interval.
const writePatience = 10 * time.Second

// Config says what is pushed, and where.
type Config struct {
	Address  string // HOST:PORT; a name is resolved at every connection
	Prefix   string // of all names, as it is
	Interval time.Duration
	Timeout  time.Duration // to connect; 0: the system's
	Snapshot func() *counts.Snapshot
	Log      *slog.Logger

	tick <-chan time.Time // seconds; nil: of the clock
}

// Pusher pushes. Run is to be called once.
type Pusher struct {
	cfg    Config
	conn   net.Conn
	failed bool // the last attempt to connect, which was logged
	before *counts.Snapshot
	span   span
}

// New returns a pusher that does nothing before Run.
func New(cfg Config) *Pusher {
	if cfg.Interval < time.Second {
		cfg.Interval = time.Second
	}
	return &Pusher{cfg: cfg}
}

// Run pushes once an interval until ctx ends. A server that is away costs the intervals meanwhile.
func (p *Pusher) Run(ctx context.Context) {
	tick := p.cfg.tick
	if tick == nil {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		tick = t.C
	}
	defer p.hangUp()
	p.before = p.cfg.Snapshot()
	p.span.begin(p.before)
	for {
		var at time.Time
		select {
		case <-ctx.Done():
			return
		case at = <-tick:
		}
		now := p.cfg.Snapshot()
		p.span.second(now)
		if p.span.seconds < int(p.cfg.Interval/time.Second) {
			continue
		}
		var out bytes.Buffer
		write(&out, p.cfg.Prefix, p.before, now, &p.span, at.Unix())
		p.before = now
		p.span.begin(now)
		p.push(ctx, out.Bytes())
	}
}

// push sends lines, over a new connection if the last one is gone.
func (p *Pusher) push(ctx context.Context, lines []byte) {
	for range 2 {
		fresh := p.conn == nil
		if fresh {
			dialer := net.Dialer{Timeout: p.cfg.Timeout}
			conn, err := dialer.DialContext(ctx, "tcp", p.cfg.Address)
			if err != nil {
				p.trouble(ctx, err)
				return
			}
			p.conn = conn
		}
		_ = p.conn.SetWriteDeadline(time.Now().Add(writePatience))
		_, err := p.conn.Write(lines)
		if err == nil {
			p.failed = false
			return
		}
		p.hangUp()
		if fresh {
			p.trouble(ctx, err)
			return
		}
	}
}

// trouble logs the first of several failures.
func (p *Pusher) trouble(ctx context.Context, err error) {
	if !p.failed && ctx.Err() == nil {
		p.cfg.Log.Warn("statistics cannot be pushed to Graphite; this is not said again before it works", "server", p.cfg.Address, "err", err)
	}
	p.failed = true
}

func (p *Pusher) hangUp() {
	if p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
}

// span is what is sampled every second of an interval.
type span struct {
	seconds        int
	fewest, most   uint64 // calls
	last           map[string]uint64
	slowest, quick map[string]uint64 // requests per second by command: the lowest and the highest rate
	times          map[string]counts.Times
}

func (s *span) begin(now *counts.Snapshot) {
	*s = span{fewest: now.Calls.Live, most: now.Calls.Live, last: totals(now), slowest: make(map[string]uint64), quick: make(map[string]uint64),
		times: make(map[string]counts.Times)}
}

// second takes a sample.
func (s *span) second(now *counts.Snapshot) {
	s.seconds++
	s.fewest, s.most = min(s.fewest, now.Calls.Live), max(s.most, now.Calls.Live)
	sums := totals(now)
	for command, n := range sums {
		rate := n - s.last[command]
		if s.seconds == 1 {
			s.slowest[command], s.quick[command] = rate, rate
		}
		s.slowest[command], s.quick[command] = min(s.slowest[command], rate), max(s.quick[command], rate)
	}
	s.last = sums
	for command, t := range now.Times {
		if was, ok := s.times[command]; ok {
			t = counts.Times{Shortest: min(was.Shortest, t.Shortest), Longest: max(was.Longest, t.Longest)}
		}
		s.times[command] = t
	}
}

// totals are the requests of all clients by command.
func totals(s *counts.Snapshot) map[string]uint64 {
	sums := make(map[string]uint64, len(s.Commands))
	for _, command := range s.Commands {
		sums[command] = 0
		for i := range s.Clients {
			sums[command] += s.Clients[i].Requests[command].Count
		}
	}
	return sums
}

// line writes one value.
func line(out *bytes.Buffer, prefix, name, value string, at int64) {
	fmt.Fprintf(out, "%s%s %s %d\n", prefix, name, value, at)
}
