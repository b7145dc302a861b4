package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/call"
)

// defaultLimit is how many calls are listed when the request does not say; every one of them costs a lock and some kilobytes.
const defaultLimit = 1000

// Server answers the tools.
type Server struct {
	host     Host
	listener net.Listener
	captures atomic.Int32 // under way
}

// Host is the daemon as the tools see it. Its methods are called for each request, not before Serve, and are safe for concurrent use.
type Host interface {
	Calls() *call.Manager
	Status() Status
	// Reload reads the configuration again.
	Reload() (Reloaded, error)
	// Drain refuses new calls, and ends those that live after the limit unless it is 0; Undrain takes new ones again.
	Drain(limit time.Duration, failPing bool) Drain
	Undrain() Drain
}

// Listen opens the unix socket at path. A socket that a dead daemon left behind is replaced; a live one is an error.
func Listen(path string, host Host) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the directory of the control socket: %w; choose another place with --control-socket", err)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("another daemon serves the control socket %s; end it, or choose another place with --control-socket", path)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot open the control socket: %w; choose another place with --control-socket", err)
	}
	_ = os.Chmod(path, 0o660)
	return &Server{host: host, listener: l}, nil
}

// Serve answers requests until ctx ends, then removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.Handle("GET /v1/", NewReader(s.host))
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) { answer[Reloaded](w)(s.host.Reload()) })
	mux.HandleFunc("POST /v1/drain", s.drain)
	mux.HandleFunc("POST /v1/undrain", func(w http.ResponseWriter, _ *http.Request) { write(w, s.host.Undrain()) })
	mux.HandleFunc("POST /v1/terminate/{id...}", s.terminate)
	mux.HandleFunc("POST /v1/capture/{id...}", s.capture)
	mux.HandleFunc("POST /v1/terminate-all", func(w http.ResponseWriter, _ *http.Request) {
		n := int(s.host.Calls().Stats().Live)
		s.host.Calls().TerminateAll()
		write(w, Terminated{n})
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ConnContext: withClient}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// Close removes the socket of a server that is not serving.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the control socket: %w", err)
	}
	return nil
}

// reader answers what changes nothing.
type reader struct{ host Host }

// NewReader returns what answers requests of the tools that change nothing, below "/v1".
func NewReader(host Host) http.Handler {
	r := &reader{host}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { write(w, host.Status()) })
	mux.HandleFunc("GET /v1/calls", r.list)
	mux.HandleFunc("GET /v1/calls/{id...}", r.one)
	mux.HandleFunc("GET /v1/explain/{id...}", r.explain)
	return mux
}

func (s *reader) list(w http.ResponseWriter, r *http.Request) {
	limit := defaultLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			http.Error(w, "limit must be a number that is not negative", http.StatusBadRequest)
			return
		}
		limit = n
	}
	now := time.Now()
	out := Calls{Calls: []Call{}, Total: int(s.host.Calls().Stats().Live)}
	for _, snap := range s.host.Calls().Snapshots(limit) {
		out.Calls = append(out.Calls, view(snap, now))
	}
	write(w, out)
}

func (s *reader) one(w http.ResponseWriter, r *http.Request) {
	snap, err := s.host.Calls().Query(r.PathValue("id"), "", "")
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	write(w, view(snap, time.Now()))
}

func (s *reader) explain(w http.ResponseWriter, r *http.Request) {
	e, err := Explain(s.host.Calls(), r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	write(w, e)
}

func (s *Server) terminate(w http.ResponseWriter, r *http.Request) {
	if err := s.host.Calls().Terminate(r.PathValue("id")); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	write(w, Terminated{1})
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	var limit time.Duration
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil || limit < 0 {
			http.Error(w, "limit must be a time such as 10m", http.StatusBadRequest)
			return
		}
	}
	write(w, s.host.Drain(limit, r.URL.Query().Get("fail-ping") != ""))
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no news
}

// answer writes a result, or why there is none.
func answer[T any](w http.ResponseWriter) func(T, error) {
	return func(v T, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		write(w, v)
	}
}
