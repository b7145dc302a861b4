package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/sdp"
)

// running is a daemon that serves ng and HTTP on loopback until the test ends.
type running struct {
	*Daemon
	http   string // address
	udp    string // address of ng
	socket string // of the tools
	stop   func() // ends it, if it runs still
}

// start runs a daemon of the given further options, and of a configuration file if there is any.
func start(t *testing.T, file string, args ...string) *running {
	t.Helper()
	return startWith(t, func(*Options) {}, file, args...)
}

// startWith is start with options that no operator can change.
func startWith(t *testing.T, change func(*Options), file string, args ...string) *running {
	t.Helper()
	var err error
	for range 10 { // a port that is free may be taken before the daemon has it
		r := &running{http: freePort(t), udp: freePort(t), socket: filepath.Join(t.TempDir(), "weir.sock")}
		preset := []string{"--interface=127.0.0.1"}
		if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--interface=") }) {
			preset = nil
		}
		var opts *Options
		opts, err = complete(t, file, slices.Concat(preset, []string{
			"--listen-ng=" + r.udp, "--listen-http=" + r.http, "--fast-path=none",
			"--port-min=46000", "--port-max=55998", "--control-socket=" + r.socket, "--port-quarantine=0",
		}, args)...)
		if err != nil {
			t.Fatal(err)
		}
		change(opts)
		if r.Daemon, err = New(opts, "test", io.Discard, io.Discard); err != nil {
			continue
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		r.stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the daemon ends with %v", err)
			}
		})
		t.Cleanup(r.stop)
		return r
	}
	t.Fatal(err)
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get returns the body of a page.
func (r *running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := http.Get("http://" + r.http + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// offer makes a call of two audio sections.
func (r *running) offer(t *testing.T, id string) {
	t.Helper()
	desc, err := sdp.Parse(strings.ReplaceAll("v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 4000 RTP/AVP 0\n", "\n", "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.calls.Offer(&call.Request{CallID: id, FromTag: "a", SDP: desc}); err != nil {
		t.Fatal(fmt.Errorf("offer %s: %w", id, err))
	}
}
