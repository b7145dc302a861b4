package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// ErrSuspended is why nothing is asked of a server for now.
var ErrSuspended = errors.New("use of Redis is suspended")

// unboundedCommand stands for "no limit" on the time of a command. Without any limit a server that has hung would hold up the writer until the
// operating system gives up, and a process that is to end with it.
const unboundedCommand = 30 * time.Second

// Tuning are the settings that can be changed while the daemon runs.
type Tuning struct {
	AllowedErrors  int           // errors in a row before use is suspended; negative: it never is
	DisableTime    time.Duration // for which it is
	CommandTimeout time.Duration // 0: half a minute
	ConnectTimeout time.Duration
}

// Config says how to talk to a server.
type Config struct {
	Address   Address
	Tuning    Tuning
	Resolve   bool // the name of the host anew with each connection
	KeepAlive KeepAlive
	Log       *slog.Logger
}

// KeepAlive is how TCP finds dead connections. Zero Time: it does not.
type KeepAlive struct {
	Time, Interval time.Duration
	Probes         int
}

// Server is a database of a server and what is known of its health. Its methods are safe for concurrent use.
type Server struct {
	cfg    Config
	tuning atomic.Pointer[Tuning]

	mu        sync.Mutex
	client    *redis.Client // made anew when time limits change
	resolved  string        // address the name stands for, unless it is to be resolved anew
	failed    int           // errors in a row
	suspended time.Time     // until then
	disabled  bool          // by the operator
}

// Dial makes a server. It does not connect yet.
func Dial(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	redis.SetLogger(silent{}) // what matters comes as errors
	s := &Server{cfg: cfg}
	s.tuning.Store(&cfg.Tuning)
	s.client = s.open(cfg.Address.DB)
	return s
}

// silent is a log of the library that nobody reads.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// open makes a client for a database.
func (s *Server) open(db int) *redis.Client {
	t := s.tuning.Load()
	limit := t.CommandTimeout
	if limit <= 0 {
		limit = unboundedCommand
	}
	return redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort(s.cfg.Address.Host, strconv.Itoa(int(s.cfg.Address.Port))), Password: s.cfg.Address.Password, DB: max(0, db),
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1,
		Dialer: s.dial, DialTimeout: t.ConnectTimeout, ReadTimeout: limit, WriteTimeout: limit, ContextTimeoutEnabled: true,
		PoolSize: 4, PoolTimeout: limit,
	})
}

// dial connects. The name of the host is looked up once unless it is to be looked up each time.
func (s *Server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: s.tuning.Load().ConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: false}, KeepAlive: -1}
	if k := s.cfg.KeepAlive; k.Time > 0 {
		d.KeepAliveConfig = net.KeepAliveConfig{Enable: true, Idle: k.Time, Interval: k.Interval, Count: k.Probes}
	}
	s.mu.Lock()
	if s.resolved != "" && !s.cfg.Resolve {
		addr = s.resolved
	}
	s.mu.Unlock()
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.resolved = conn.RemoteAddr().String()
	s.mu.Unlock()
	return conn, nil
}

// Address returns which database it is.
func (s *Server) Address() Address { return s.cfg.Address }

func (s *Server) use() *redis.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client
}

// Tune changes settings. Other time limits hold from the next connection on.
func (s *Server) Tune(t Tuning) {
	before := s.tuning.Swap(&t)
	if before.CommandTimeout == t.CommandTimeout && before.ConnectTimeout == t.ConnectTimeout {
		return
	}
	next := s.open(s.cfg.Address.DB)
	s.mu.Lock()
	old := s.client
	s.client = next
	s.mu.Unlock()
	_ = old.Close() // what was under way is tried again
}

// Disable has nothing be asked of the server until it is undone.
func (s *Server) Disable(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = yes
	s.failed, s.suspended = 0, time.Time{}
}

// usable tells why nothing may be asked of the server; nil if it may.
func (s *Server) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.disabled:
		return fmt.Errorf("%w by the operator (set redisdisable 0 ends that)", ErrSuspended)
	case time.Now().Before(s.suspended):
		return fmt.Errorf("%w for %v after %d errors in a row", ErrSuspended, s.tuning.Load().DisableTime, s.failed)
	}
	return nil
}

// heed counts errors in a row and suspends use when there are too many. It returns the error.
func (s *Server) heed(err error) error {
	t := s.tuning.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.failed = 0
		return nil
	}
	s.failed++
	if t.AllowedErrors >= 0 && s.failed > t.AllowedErrors {
		if s.suspended = time.Now().Add(t.DisableTime); s.failed == t.AllowedErrors+1 {
			s.cfg.Log.Error("Redis is left alone for a while: too many errors in a row", "server", s.cfg.Address.String(),
				"errors", s.failed, "seconds", int(t.DisableTime.Seconds()), "err", err)
		}
	}
	return fmt.Errorf("redis %v: %w", s.cfg.Address, err)
}

// Check tells why nothing can be asked of the server now; nil when it answers.
func (s *Server) Check(ctx context.Context) error {
	if err := s.usable(); err != nil {
		return err
	}
	return s.heed(s.use().Ping(ctx).Err())
}

// Master tells whether the server has the role of a master, which takes writes.
func (s *Server) Master(ctx context.Context) (bool, error) {
	info, err := s.use().Info(ctx, "replication").Result()
	if err != nil {
		return false, s.heed(err)
	}
	for line := range strings.Lines(info) {
		if role, ok := strings.CutPrefix(strings.TrimSpace(line), "role:"); ok {
			return role == "master" || role == "active-replica", nil
		}
	}
	return true, nil // some servers do not tell, and are no replicas
}

// Close ends the connections.
func (s *Server) Close() error { return s.use().Close() }
