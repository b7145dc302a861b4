// Package redistest runs real Redis servers for tests.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// patience is far more than a server takes to start on a machine under load.
const patience = 60 * time.Second

// Server is a redis-server of a test's own. It is killed with the test.
type Server struct {
	Addr string // HOST:PORT
	Host string
	Port int

	t       testing.TB
	options []string
	start   func(*exec.Cmd) error
	cmd     *exec.Cmd
	dir     string
	log     string
}

// Start starts a server on a free port of loopback, with further options as on its command line.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	return StartAt(t, "127.0.0.1", port, (*exec.Cmd).Start, options...)
}

// StartAt starts a server at an address by a function of the caller's, such as one that does so in another network namespace.
func StartAt(t testing.TB, host string, port int, start func(*exec.Cmd) error, options ...string) *Server {
	t.Helper()
	dir := t.TempDir()
	s := &Server{
		Addr: net.JoinHostPort(host, strconv.Itoa(port)), Host: host, Port: port, t: t, options: options, start: start, dir: dir,
		log: filepath.Join(dir, "redis.log"),
	}
	t.Cleanup(s.Kill)
	s.Again()
	return s
}

// Again starts the server once more, with nothing in it.
func (s *Server) Again() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatalf("the Debian package redis-server is needed: %v", err)
	}
	args := append([]string{
		"--port", strconv.Itoa(s.Port), "--bind", s.Host, "--dir", s.dir, "--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", s.log,
	}, s.options...)
	s.cmd = exec.Command(path, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // keys of a terminal are not for it
	if err := s.start(s.cmd); err != nil {
		s.t.Fatal(err)
	}
}

// Await waits until the server answers to a client.
func (s *Server) Await(c *redis.Client) {
	s.t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = c.Ping(context.Background()).Err(); err == nil {
			return
		}
	}
	text, _ := os.ReadFile(s.log)
	s.t.Fatalf("the server does not answer: %v\n%s", err, text)
}

// Client returns a client of a database. It ends with the test.
func (s *Server) Client(db int) *redis.Client {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr, DB: db, MaxRetries: -1, Protocol: 2, DisableIdentity: true})
	s.t.Cleanup(func() { c.Close() })
	s.Await(c)
	return c
}

// ClientBy is Client for a server that is reached only from where by runs a function.
func (s *Server) ClientBy(db int, by func(func() error) error) *redis.Client {
	s.t.Helper()
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)), DB: db, MaxRetries: -1, Protocol: 2, DisableIdentity: true,
		Dialer: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = by(func() error {
				conn, err = new(net.Dialer).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		},
	})
	s.Await(c)
	return c
}

// Kill ends the server at once.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("kill the server: %v", err)
	}
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze has the server answer nobody, and Thaw again.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// URL is how options of the daemon name a database.
func (s *Server) URL(db int) string { return fmt.Sprintf("%s/%d", s.Addr, db) }
