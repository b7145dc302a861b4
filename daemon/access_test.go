package daemon

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/ngproto"
)

// ask sends a request with a token, if there is one.
func (r *running) ask(t *testing.T, method, path, contentType, token, body string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.http+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if strings.HasPrefix(path, "/ws") {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "websocket")
		req.Header.Set("Sec-WebSocket-Version", "13")
		req.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		req.Header.Set("Sec-WebSocket-Protocol", "ng.rtpengine.com")
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, ""
	}
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(all)
}

// everything is every way in over HTTP: whether it may change anything, and what it answers when it may be used.
var everything = []struct {
	method, path, contentType, body string
	changes                         bool
	status                          int
}{
	{"POST", "/ng", "application/x-rtpengine-ng", "1 d7:command4:pinge", true, 200},
	{"POST", "/ng-plain", "application/json", `{"command":"ping"}`, true, 200},
	{"GET", "/ws", "", "", true, 101},
	{"GET", "/cli/set+timeout+60", "", "", true, 200},
	{"GET", "/cli/terminate+all", "", "", true, 200},
	{"POST", "/cli", "text/plain", "params revert", true, 200},
	{"GET", "/cli/list+totals", "", "", false, 200},
	{"GET", "/ping", "", "", false, 200},
	{"GET", "/metrics", "", "", false, 200},
	{"GET", "/statistics", "", "", false, 200},
	{"GET", "/healthz", "", "", false, 200},
	{"GET", "/readyz", "", "", false, 200},
	{"GET", "/ui", "", "", false, 301},
	{"GET", "/ui/", "", "", false, 200},
	{"GET", "/ui/v1/status", "", "", false, 200},
	{"POST", "/ui/v1/drain", "text/plain", "", true, 404},
	{"POST", "/ui/v1/terminate-all", "text/plain", "", true, 404},
	{"GET", "/nothing", "", "", false, 404},
}

func TestTokensGuardWhatChangesAnything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guarded, open := start(t, "", "--http-token-file="+path), start(t, "", "--port-min=56000", "--port-max=57998")
	for _, c := range everything {
		want := c.status
		if c.changes && c.status < 400 {
			want = http.StatusUnauthorized
		}
		for _, token := range []string{"", "sesam", "sesame!"} {
			if status, text := guarded.ask(t, c.method, c.path, c.contentType, token, c.body); status != want {
				t.Errorf("%s %s with token %q: %d %q, want %d", c.method, c.path, token, status, text, want)
			}
		}
		if status, text := guarded.ask(t, c.method, c.path, c.contentType, "sesame", c.body); status != c.status {
			t.Errorf("%s %s with the token: %d %q, want %d", c.method, c.path, status, text, c.status)
		}
		if status, text := open.ask(t, c.method, c.path, c.contentType, "", c.body); status != c.status {
			t.Errorf("%s %s without guard: %d %q, want %d", c.method, c.path, status, text, c.status)
		}
	}
}

func TestAddressesGuardWhatChangesAnything(t *testing.T) {
	addr := freePort(t)
	r := start(t, "", "--control-allow=192.0.2.0/24", "--control-allow=2001:db8::1", "--listen-cli="+addr)
	for _, c := range everything {
		want := c.status
		if c.changes && c.status < 400 {
			want = http.StatusForbidden
		}
		if status, text := r.ask(t, c.method, c.path, c.contentType, "", c.body); status != want {
			t.Errorf("%s %s: %d %q, want %d", c.method, c.path, status, text, want)
		}
	}
	if got := ctl(t, addr, "set timeout 5"); !strings.Contains(got, "may only read") {
		t.Errorf("set prints %q", got)
	}
	if got := ctl(t, addr, "list timeout"); got != "TIMEOUT=60\n" {
		t.Errorf("list prints %q", got)
	}
	// Over UDP there is no answer at all; that the request was refused shows in the counts.
	client, err := ngproto.Dial(r.udp)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	before := r.disp.Stats()
	go func() { _, _ = client.Do(t.Context(), ngproto.Dict{{Key: "command", Value: ngproto.String("ping")}}) }()
	for deadline := time.Now().Add(20 * time.Second); r.disp.Stats().Refused == before.Refused; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the request was not refused")
		}
	}
	if r.disp.Stats().Requests != before.Requests {
		t.Error("the request was carried out")
	}
}

func TestMistakesInAccess(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"--control-allow=everybody": "neither an address", "--control-allow=::ffff:192.0.2.1": "IPv4 address as such",
		"--http-token-file=/nonexistent": "--http-token-file", "--http-token-file=" + empty: "write a token",
	} {
		if _, err := complete(t, "", arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v", arg, err)
		}
	}
}

func TestReadinessTurnsWithADrain(t *testing.T) {
	r := start(t, "")
	for _, c := range []struct {
		turn   func() cli.Drain
		status int
	}{{func() cli.Drain { return r.Drain(0, false) }, 503}, {r.Undrain, 200}} {
		c.turn()
		if status, text := r.get(t, "/readyz"); status != c.status {
			t.Errorf("/readyz says %d %q, want %d", status, text, c.status)
		}
		if status, _ := r.get(t, "/healthz"); status != 200 {
			t.Errorf("/healthz says %d", status)
		}
	}
}

func TestPageIsSafe(t *testing.T) {
	r := start(t, "")
	r.offer(t, "<b>")
	resp, err := http.Get("http://" + r.http + "/ui/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if h := resp.Header; h.Get("Access-Control-Allow-Origin") != "" || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", h)
	}
	for _, path := range []string{"/ui/app.js", "/ui/style.css", "/ui/v1/calls?limit=1", "/ui/v1/explain/%3Cb%3E"} {
		if status, text := r.get(t, path); status != 200 || text == "" {
			t.Errorf("%s: %d %q", path, status, text)
		}
	}
}
