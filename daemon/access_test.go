package daemon

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

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

// ctlLines are lines of rtpengine-ctl, one for each command that there is, and whether they may change anything.
var ctlLines = []struct {
	line    string
	changes bool
}{
	{"help", false}, {"usage", false}, {"", false}, {"kslist", false},
	{"list numsessions", false}, {"list sessions all", false}, {"list sessions own", false}, {"list sessions foreign", false}, {"list sessions one", false},
	{"list totals", false}, {"list counters", false}, {"list maxopenfiles", false}, {"list maxsessions", false}, {"list maxcpu", false},
	{"list maxload", false}, {"list maxbw", false}, {"list timeout", false}, {"list silenttimeout", false}, {"list offertimeout", false},
	{"list finaltimeout", false}, {"list loglevels", false}, {"list loglevel", false}, {"list redisallowederrors", false},
	{"list redisdisabletime", false}, {"list redisconnecttimeout", false}, {"list rediscmdtimeout", false}, {"list controltos", false},
	{"list deletedelay", false}, {"list interfaces", false}, {"list jsonstats", false}, {"list transcoders", false}, {"get totals", false},
	{"params start", false}, {"params current", false}, {"params diff", false}, {"call one info", false}, {"call one tag a info", false},
	{"media list files", false}, {"media list dbs", false}, {"media list caches", false}, {"media list players", false}, {"set help", false},

	{"terminate one", true}, {"terminate all", true}, {"terminate own", true}, {"terminate foreign", true},
	{"set maxopenfiles 70000", true}, {"set maxsessions 1", true}, {"set maxcpu 1", true}, {"set maxload 1", true}, {"set maxbw 1", true},
	{"set timeout 1", true}, {"set silenttimeout 1", true}, {"set offertimeout 1", true}, {"set finaltimeout 1", true}, {"set loglevel 7", true},
	{"set loglevel core 7", true}, {"set redisallowederrors 1", true}, {"set redisdisabletime 1", true}, {"set redisdisable 1", true},
	{"set redisconnecttimeout 1", true}, {"set rediscmdtimeout 1", true}, {"set controltos 4", true}, {"set deletedelay 1", true},
	{"params revert", true}, {"ksadd 1", true}, {"ksrm 1", true}, {"active", true}, {"standby", true}, {"debug one", true}, {"debug one off", true},
	{"call one terminate", true}, {"call one debug on", true}, {"call one tag a delay 1", true}, {"call one tag a detect-dtmf 1", true},
	{"media add file x", true}, {"media add db 1", true}, {"media add cache 1", true}, {"media reload file x", true}, {"media reload files", true},
	{"media reload db 1", true}, {"media reload dbs", true}, {"media reload cache 1", true}, {"media reload caches", true}, {"media evict file x", true},
	{"media evict files", true}, {"media evict db 1", true}, {"media evict dbs", true}, {"media evict cache 1", true}, {"media evict caches", true},
	{"media evict players", true}, {"nobody knows this", true},
}

// leaves are the commands that "usage" lists which have none below them, without what may follow.
func leaves(usage string) []string {
	var all, path []string
	lines := strings.Split(usage, "\n")
	for i, line := range lines[1:] {
		word := strings.TrimLeft(line, " ")
		depth := (len(line)-len(word))/4 - 1
		if word == "" || depth < 0 {
			continue
		}
		name, _, _ := strings.Cut(word, " ")
		path = append(path[:min(depth, len(path))], name)
		if next := lines[min(i+2, len(lines)-1)]; strings.TrimSpace(next) == "" || (len(next)-len(strings.TrimLeft(next, " ")))/4-1 <= depth {
			all = append(all, strings.Join(path, " "))
		}
	}
	return all
}

// TestStrangersOnlyReadByCommandLines runs every command there is, by every way there is, as somebody who may not change anything. What
// would change something says so, and nothing has changed in the end.
func TestStrangersOnlyReadByCommandLines(t *testing.T) {
	addr := freePort(t)
	r := start(t, "", "--control-allow=192.0.2.1", "--listen-cli="+addr)
	r.offer(t, "one")
	before := r.commandLines().Run("params current")
	for _, c := range ctlLines {
		for way, got := range map[string]func() (text string, refused bool){
			"TCP": func() (string, bool) {
				text := ctlLine(t, addr, c.line)
				return text, strings.Contains(text, "may only read")
			},
			"GET": func() (string, bool) {
				status, text := r.ask(t, "GET", "/cli/"+strings.ReplaceAll(c.line, " ", "+"), "", "", "")
				return text, status == http.StatusForbidden
			},
			"POST": func() (string, bool) {
				status, text := r.ask(t, "POST", "/cli", "text/plain", "", c.line)
				return text, status == http.StatusForbidden
			},
		} {
			if text, refused := got(); refused != c.changes {
				t.Errorf("%q by %s: refused is %v, want %v: %.100q", c.line, way, refused, c.changes, text)
			}
		}
	}
	if after := r.commandLines().Run("params current"); after != before {
		t.Errorf("a stranger has changed\n%s\nto\n%s", before, after)
	}
	if r.calls.Stats().Live != 1 {
		t.Error("a stranger has ended a call")
	}
	for _, leaf := range leaves(r.commandLines().Run("usage")) {
		leaf = strings.Replace(leaf, "get ", "list ", 1) // the same by another name
		if !slices.ContainsFunc(ctlLines, func(c struct {
			line    string
			changes bool
		}) bool {
			return c.line == leaf || strings.HasPrefix(c.line, leaf+" ")
		}) {
			t.Errorf("%q is not among the commands that are tried here", leaf)
		}
	}
}

// ctlLine sends a line as it is.
func ctlLine(t *testing.T, addr, line string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryWebSocketIsGuarded tries all subprotocols as a stranger, and without the token.
func TestEveryWebSocketIsGuarded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed, token := start(t, "", "--control-allow=192.0.2.1"), start(t, "", "--http-token-file="+path, "--port-min=56000", "--port-max=57998")
	for _, protocol := range []string{"ng.rtpengine.com", "ng-plain.rtpengine.com", "cli.rtpengine.com", "echo.rtpengine.com"} {
		for _, c := range []struct {
			at     *running
			header http.Header
			status int
		}{{closed, nil, 403}, {token, nil, 401}, {token, http.Header{"Authorization": {"Bearer sesam"}}, 401}, {token, http.Header{"Authorization": {"Bearer sesame"}}, 101}} {
			conn, resp, err := websocket.Dial(t.Context(), "ws://"+c.at.http+"/ws", &websocket.DialOptions{Subprotocols: []string{protocol}, HTTPHeader: c.header})
			if err == nil {
				conn.CloseNow()
			}
			if resp == nil || resp.StatusCode != c.status {
				t.Errorf("%s with %v: %v, %v, want %d", protocol, c.header, resp, err, c.status)
			}
		}
	}
}

func TestExposedSocketsAreToldOf(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string // in the notes, one each
	}{
		{nil, nil},
		{[]string{"--listen-ng=127.0.0.1:2223", "--listen-http=[::1]:8080", "--listen-cli=localhost:9900"}, nil},
		{[]string{"--listen-ng=10.0.0.1:2223", "--listen-cli=192.168.0.1:9900"}, nil},
		{[]string{"--listen-http=10.0.0.1:8080"}, []string{"HTTP without TLS at 10.0.0.1:8080"}},
		{[]string{"--listen-http=8080"}, []string{"HTTP without TLS at [::]:8080", "whoever reaches --listen-http=[::]:8080 can make"}},
		{[]string{"--listen-http=8080", "--http-token-file=" + token}, []string{"so does the token"}},
		{[]string{"--listen-http=8080", "--control-allow=10.0.0.0/8"}, []string{"HTTP without TLS"}},
		{[]string{"--listen-ng=203.0.113.1:2223", "--listen-cli=9900", "--listen-rtpproxy=udp:*:22222"}, []string{"--listen-ng=203.0.113.1:2223, --listen-cli=[::]:9900, --listen-rtpproxy=udp:[::]:22222 can make"}},
		{[]string{"--listen-ng=2223", "--control-allow=10.0.0.1"}, nil},
	} {
		o, err := complete(t, "", c.args...)
		if err != nil {
			t.Fatal(err)
		}
		notes := o.exposures()
		if len(notes) != len(c.want) {
			t.Errorf("%v: %q", c.args, notes)
			continue
		}
		for i := range notes {
			if !strings.Contains(notes[i], c.want[i]) {
				t.Errorf("%v: %q, want %q in it", c.args, notes[i], c.want[i])
			}
		}
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
