package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/ngproto"
)

// free returns an address of loopback that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// speakTo opens a connection, writes, and returns what comes back first.
func speakTo(t *testing.T, network, addr, text string) string {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Errorf("%s %s: %v", network, addr, err)
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Errorf("%s %s: %v", network, addr, err)
	}
	buf := make([]byte, 1000)
	n, err := conn.Read(buf)
	if err != nil {
		t.Errorf("%s %s: %v", network, addr, err)
	}
	return string(buf[:n])
}

// ngWith sends an offer or answer with further keys.
func (s *serving) ngWith(command, id, section string, more ...ngproto.Entry) ngproto.Dict {
	s.t.Helper()
	return s.do(append(ngproto.Dict{
		{Key: "command", Value: ngproto.String(command)}, {Key: "call-id", Value: ngproto.String(id)}, {Key: "from-tag", Value: ngproto.String("a")},
		{Key: "sdp", Value: ngproto.String("v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n" + section + "\r\n")},
	}, more...))
}

// TestOptionsDoWhatTheySay starts the daemon with options of rtpengine and looks for the effect of each.
func TestOptionsDoWhatTheySay(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rtpengine.conf")
	if err := os.WriteFile(file, []byte("[mine]\ntemplates = words\nsilent-timeout = 77\ntimeout = 99\n[words]\noffer = ICE=force\nnamed = transport-protocol=RTP/SAVP\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pid := filepath.Join(dir, "pid")
	tcp, web, ctl, old, older := free(t), free(t), free(t), free(t), free(t)
	// Later options replace those that serve gives.
	s := serve(t, "--config-file="+file, "--config-section=mine", "--interface=pub/127.0.0.1!203.0.113.5", "--port-min=42100", "--port-max=42199",
		"--listen-tcp-ng="+tcp, "--listen-http="+web, "--listen-cli="+ctl, "--listen-udp="+old, "--listen-tcp="+older, "--pidfile="+pid,
		"--timeout=66", "--offer-timeout=55", "--final-timeout=44", "--delete-delay=33", "--max-sessions=2", "--tos=184",
		"--dtls-passive", "--software-id=my proxy", "--reject-invalid-sdp", "--ssrc-reporting=none", "--http-idle-timeout=1", "--mos=LQ",
		"--log-level=6", "--log-level-http=3", "--max-load=1000", "--max-cpu=100", "--max-bandwidth=123456789", "--control-tos=32")
	list := func(words string) string {
		t.Helper()
		req, err := cli.ParseCtl(append([]string{"--ip", ctl}, strings.Fields(words)...))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := req.Do(&out); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out.String())
	}
	is := func(option, got, want string) {
		t.Helper()
		if !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("--%s: got\n%s\nwant %q in it", option, got, want)
		}
	}
	// Sockets.
	is("listen-tcp-ng", speakTo(t, "tcp", tcp, "c1 {\"command\":\"ping\"}\n"), `^c1 .*pong`)
	is("listen-http", speakTo(t, "tcp", web, "GET /ping HTTP/1.0\r\nHost: x\r\n\r\n"), `^HTTP/1\.[01] 200`)
	is("listen-cli", speakTo(t, "tcp", ctl, "list timeout\n"), `^TIMEOUT=66`)
	is("listen-udp", speakTo(t, "udp", old, "k V\n"), `^k `)
	is("listen-tcp", speakTo(t, "tcp", older, "status\n"), `^proxy 0 `)
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Error(err)
	}
	is("pidfile", strings.TrimSpace(string(text)), `^`+strconv.Itoa(os.Getpid())+`$`)
	// Limits, of which the command line replaces the file's.
	is("timeout", list("list timeout"), `^TIMEOUT=66$`)
	is("silent-timeout", list("list silenttimeout"), `=77$`)
	is("offer-timeout", list("list offertimeout"), `=55$`)
	is("final-timeout", list("list finaltimeout"), `=44$`)
	is("delete-delay", list("list deletedelay"), `^33$`)
	is("max-sessions", list("list maxsessions"), `: 2$`)
	is("max-load", list("list maxload"), `: 1000\.00$`)
	is("max-cpu", list("list maxcpu"), `: 100\.0$`)
	is("max-bandwidth", list("list maxbw"), `: 123456789$`)
	is("control-tos", list("list controltos"), `^32$`)
	is("log-level-http", list("list loglevel http"), `^3$`)
	is("log-level", list("list loglevel ice"), `^6$`)
	// Descriptions.
	const browser = "m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=setup:actpass\r\na=fingerprint:sha-1 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33\r\na=rtcp-mux"
	direction := ngproto.Entry{Key: "direction", Value: ngproto.List(ngproto.String("pub"), ngproto.String("pub"))} // serve has an interface of its own, too
	offered := s.ngWith("offer", "one", browser, direction).Text("sdp")
	is("interface (advertised address)", offered, `c=IN IP4 203\.0\.113\.5`)
	is("port-min, port-max", offered, `m=audio 421\d\d `)
	is("templates", offered, `a=ice-ufrag:`)
	answered := s.ngWith("answer", "one", "m=audio 5000 RTP/AVP 0", ngproto.Entry{Key: "to-tag", Value: ngproto.String("b")}).Text("sdp")
	is("dtls-passive", answered, `a=setup:passive`)
	is("tos", list("list sessions one"), `\ntos: 184\n`)
	named := s.ngWith("offer", "two", "m=audio 4000 RTP/AVP 0", ngproto.Entry{Key: "template", Value: ngproto.String("named")}).Text("sdp")
	is("templates by name", named, `m=audio \d+ RTP/SAVP `)
	is("max-sessions", fmt.Sprint(s.ngWith("offer", "three", "m=audio 4000 RTP/AVP 0")), `Parallel session limit reached`)
	is("reject-invalid-sdp", s.ngWith("offer", "one", "m=audio 4000 RTP/AVP 0\r\n\r\na=x").Text("result"), `^error$`)
	if q := s.do(ngproto.Dict{{Key: "command", Value: ngproto.String("query")}, {Key: "call-id", Value: ngproto.String("one")}}); q.Text("result") != "ok" || len(q.Dict("SSRC")) != 0 {
		t.Errorf("--ssrc-reporting=none: %v", q)
	}
	published := s.ngWith("publish", "two", "m=audio 4000 RTP/AVP 0\r\na=sendonly", ngproto.Entry{Key: "from-tag", Value: ngproto.String("p")})
	is("software-id", fmt.Sprint(published), `my-proxy`)
	// A connection that nobody uses.
	conn, err := net.Dial("tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, "GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("--http-idle-timeout: the connection ends with %v", err)
	}
}

// TestTimeoutsEndCalls has the daemon end calls by each of the limits that can be told apart in a second.
func TestTimeoutsEndCalls(t *testing.T) {
	s := serve(t, "--offer-timeout=1", "--final-timeout=3600")
	s.offer("one")
	s.until("the offer times out", func() bool { return strings.Contains(s.log.String(), `why="offer timeout"`) })
	f := serve(t, "--final-timeout=1", "--port-min=43000", "--port-max=43998")
	f.offer("one")
	f.until("the call is too old", func() bool { return strings.Contains(f.log.String(), `why="final timeout"`) })
	a := serve(t, "--timeout=1", "--port-min=44000", "--port-max=44998")
	a.ngWith("offer", "one", "m=audio 4000 RTP/AVP 0")
	a.ngWith("answer", "one", "m=audio 5000 RTP/AVP 0", ngproto.Entry{Key: "to-tag", Value: ngproto.String("b")})
	a.until("nothing comes", func() bool { return strings.Contains(a.log.String(), `why="media timeout"`) })
}

// TestRefusalsNameTheFix starts the daemon with what it cannot start with.
func TestRefusalsNameTheFix(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--interface=203.0.113.1"}, []string{"203.0.113.1", "not an address of this host", "!203.0.113.1"}},
		{[]string{"--interface=nodevice0"}, []string{"ip -br link"}},
		{[]string{"--listen-ng=" + taken.LocalAddr().String()}, []string{"--listen-ng", "ss -lunp"}},
		{[]string{"--listen-tcp-ng=" + busy.Addr().String()}, []string{"--listen-tcp-ng", "ss -ltnp"}},
		{[]string{"--listen-http=" + busy.Addr().String()}, []string{"--listen-http", "ss -ltnp"}},
		{[]string{"--listen-cli=" + busy.Addr().String()}, []string{"--listen-cli", "ss -ltnp"}},
		{[]string{"--listen-https=127.0.0.1:8443"}, []string{"--https-cert"}},
		{[]string{"--listen-https=127.0.0.1:8443", "--https-cert=" + dir + "/none.pem"}, []string{"none.pem", "--https-cert"}},
		{[]string{"--listen-unix-ng=" + dir + "/no/such/dir/ng"}, []string{"--listen-unix-ng"}},
		{[]string{"--control-socket=/proc/none/weir.sock"}, []string{"--control-socket"}},
		{[]string{"--no-fallback", "--fast-path=none"}, []string{"--no-fallback"}},
		{[]string{"--pidfile=/proc/none/pid"}, []string{"pid"}},
		{[]string{"--port-min=50000", "--port-max=40000"}, []string{"--port-min", "--port-max"}},
		{[]string{"--graphite=nowhere"}, []string{"--graphite", "HOST:PORT"}},
		{[]string{"--control-allow=10.0.0.0/99"}, []string{"ADDRESS/BITS"}},
		{[]string{"--mos=XX"}, []string{"CQ, LQ"}},
		{[]string{"--rtpproxy-recording-dir=" + dir + "/none", "--listen-rtpproxy=udp:127.0.0.1:22999"}, []string{"--rtpproxy-recording-dir"}},
	} {
		var out output
		cmd := root("weir")
		ctx := t.Context()
		cmd.SetArgs(append([]string{"serve", "--config-file=none", "--interface=127.0.0.1", "--listen-ng=" + free(t), "--fast-path=none", "--state-dir=none",
			"--control-socket=" + filepath.Join(t.TempDir(), "weir.sock")}, c.args...))
		if strings.HasPrefix(c.args[0], "--interface=") || strings.HasPrefix(c.args[0], "--listen-ng=") {
			cmd.SetArgs(append([]string{"serve", "--config-file=none", "--fast-path=none", "--state-dir=none", "--port-min=45000", "--port-max=45100",
				"--control-socket=" + filepath.Join(t.TempDir(), "weir.sock")}, c.args...))
		}
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.ExecuteContext(ctx)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, want %q in it", c.args, err, want)
			}
		}
	}
}
