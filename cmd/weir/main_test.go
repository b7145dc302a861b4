package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/ngproto"
)

// TestGeneratedPagesAreCurrent holds the pages in the tree against what the program would write.
func TestGeneratedPagesAreCurrent(t *testing.T) {
	all, err := pages()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range all {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is not what the program has (%v): run make docs", name, err)
		}
	}
	have, err := filepath.Glob(filepath.Join("../..", manual, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range have {
		if name := filepath.Join(manual, filepath.Base(path)); all[name] == "" {
			t.Errorf("%s is of no command any more: delete it", name)
		}
	}
}

// output collects what a command prints while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// serving is "weir serve" in this process.
type serving struct {
	t      *testing.T
	ng     string
	socket string
	log    *output
	done   chan error
}

func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	s := &serving{t: t, ng: free.LocalAddr().String(), socket: filepath.Join(t.TempDir(), "weir.sock"), log: new(output), done: make(chan error, 1)}
	cmd := root("weir")
	cmd.SetArgs(append([]string{"serve", "--config-file=none", "--interface=127.0.0.1", "--listen-ng=" + s.ng, "--fast-path=none", "--port-min=42000",
		"--port-max=42998", "--control-socket=" + s.socket}, args...))
	cmd.SetOut(s.log)
	cmd.SetErr(s.log)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { s.done <- cmd.ExecuteContext(ctx) }()
	t.Cleanup(cancel)
	s.until("the daemon answers", func() bool {
		_, err := cli.NewClient(s.socket).Status(t.Context())
		return err == nil
	})
	return s
}

func (s *serving) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within 30 s: %s\n%s", what, s.log)
		}
	}
}

// run runs a tool and returns what it prints.
func (s *serving) run(args ...string) (string, error) {
	s.t.Helper()
	var out output
	cmd := root("weir")
	cmd.SetArgs(append(args, "--control-socket="+s.socket))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

// offer makes a call over ng.
func (s *serving) offer(id string) ngproto.Dict {
	s.t.Helper()
	return s.offerWith(id, "m=audio 4000 RTP/AVP 0")
}

// offerWith is offer with a section of the caller's.
func (s *serving) offerWith(id, section string) ngproto.Dict {
	s.t.Helper()
	return s.do(ngproto.Dict{
		{Key: "command", Value: ngproto.String("offer")}, {Key: "call-id", Value: ngproto.String(id)}, {Key: "from-tag", Value: ngproto.String("a")},
		{Key: "sdp", Value: ngproto.String("v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\n" + section + "\r\n")},
	})
}

func (s *serving) do(request ngproto.Dict) ngproto.Dict {
	s.t.Helper()
	client, err := ngproto.Dial(s.ng)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	reply, err := client.Do(s.t.Context(), request)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply
}

// end waits for the daemon to end by itself.
func (s *serving) end() {
	s.t.Helper()
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("the daemon ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the daemon does not end\n%s", s.log)
	}
}

func send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func TestFirstSignalDrains(t *testing.T) {
	s := serve(t)
	s.offer("one")
	send(t, syscall.SIGTERM)
	s.until("it drains", func() bool { return strings.Contains(s.log.String(), "draining: new calls are refused") })
	if reply := s.offer("two"); reply.Text("result") != "error" || reply.Text("error-reason") != "Parallel session limit reached" {
		t.Errorf("a new call gets %v", reply)
	}
	if reply := s.offer("one"); reply.Text("result") != "ok" {
		t.Errorf("a call that lives gets %v", reply)
	}
	if text, err := s.run("status"); err != nil || !strings.Contains(text, "new calls are refused; 1 calls are left, and are ended in ") {
		t.Errorf("status says %v\n%s", err, text)
	}
	if _, err := s.run("undrain"); err == nil || !strings.Contains(err.Error(), "asked to end") {
		t.Errorf("undrain gives %v", err)
	}
	if text, err := s.run("terminate", "one"); err != nil || text != "1 ended\n" {
		t.Errorf("terminate gives %q, %v", text, err)
	}
	s.end()
}

func TestSecondSignalEnds(t *testing.T) {
	s := serve(t)
	s.offer("one")
	send(t, syscall.SIGTERM)
	s.until("it drains", func() bool { return strings.Contains(s.log.String(), "draining") })
	send(t, syscall.SIGTERM)
	s.end()
}

func TestDeadlineEndsCallsAndDaemon(t *testing.T) {
	s := serve(t, "--drain-deadline=1")
	s.offer("one")
	send(t, syscall.SIGTERM)
	s.end()
	if !strings.Contains(s.log.String(), "the calls left are ended") {
		t.Errorf("the log does not say so:\n%s", s.log)
	}
}

// TestHandOverTakesSocketsAway leaves nothing that the next process would stumble over.
func TestHandOverTakesSocketsAway(t *testing.T) {
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "rtpproxy"), filepath.Join(dir, "kept-open"), filepath.Join(dir, "ng")}
	s := serve(t, "--state-dir="+dir, "--listen-rtpproxy=unix:"+paths[0], "--listen-rtpproxy=cunix:"+paths[1], "--listen-unix-ng="+paths[2])
	s.offer("one")
	send(t, syscall.SIGUSR2)
	s.end()
	for _, path := range append(paths, s.socket) {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", filepath.Base(path), err)
		}
	}
}

func TestSignalsThatTurnTheDaemon(t *testing.T) {
	s := serve(t)
	send(t, syscall.SIGUSR1)
	s.until("it logs less", func() bool { return strings.Contains(s.log.String(), "level=5") })
	send(t, syscall.SIGHUP)
	s.until("it reloads", func() bool { return strings.Contains(s.log.String(), "configuration reloaded") })
	send(t, syscall.SIGINT)
	s.end()
}

func TestTools(t *testing.T) {
	s := serve(t)
	s.offer("one")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"status"}, "calls              1 live"},
		{[]string{"list"}, "one   ng        offered"},
		{[]string{"show", "one"}, "one   ng        offered"},
		{[]string{"explain", "one"}, "not answered: untagged 2 has not answered yet\nWithout an answer nobody is told where to send"},
		{[]string{"explain", "one"}, "\na to untagged 2: audio 1, sendrecv\n  local        127.0.0.1:42"},
		{[]string{"top", "--count=1"}, "1 calls"},
		{[]string{"drain", "--deadline=1h", "--fail-ping"}, "new calls are refused; 1 calls are left, and are ended in "},
		{[]string{"undrain"}, "new calls are taken\n"},
		{[]string{"reload"}, "nothing has changed\n"},
		{[]string{"terminate", "--all"}, "1 ended\n"},
	} {
		text, err := s.run(c.args...)
		if err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%v gives %v\n%s\nwant in it %q", c.args, err, text, c.want)
		}
		if c.args[0] == "terminate" {
			s.offer("one")
		}
		if text, err = s.run(append(c.args, "--json")...); err != nil || !json.Valid([]byte(text)) {
			t.Errorf("%v --json gives %v\n%s", c.args, err, text)
		}
	}
	for _, args := range [][]string{{"show", "none"}, {"explain", "none"}, {"terminate", "none"}, {"terminate"}, {"terminate", "x", "--all"}} {
		if text, err := s.run(args...); err == nil {
			t.Errorf("%v prints %q, want an error", args, text)
		}
	}
}

// TestLogLevelsOfSubsystemsTakeEffect turns the subsystems of the log up and down, and looks at what is logged of what happens in them.
func TestLogLevelsOfSubsystemsTakeEffect(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	s := serve(t, "--listen-cli="+free.Addr().String(), "--log-level=4")
	set := func(line string) {
		t.Helper()
		req, err := cli.ParseCtl(append([]string{"--ip", free.Addr().String()}, strings.Fields(line)...))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := req.Do(&out); err != nil || !strings.HasPrefix(out.String(), "Success") {
			t.Fatalf("%s: %q, %v", line, out.String(), err)
		}
	}
	logged := func() int { return strings.Count(s.log.String(), "system=control") }
	fail := func(id string) { // a request that fails, which the control subsystem warns of
		t.Helper()
		if reply := s.offerWith(id, "m=audio"); reply.Text("result") != "error" {
			t.Fatal(reply)
		}
	}
	fail("one")
	s.until("the control subsystem warns", func() bool { return logged() > 0 })
	n := logged()
	set("set loglevel control 3")
	fail("two")
	if got := logged(); got != n {
		t.Errorf("with level 3 the control subsystem still warns:\n%s", s.log)
	}
	set("set loglevel control 4")
	fail("three")
	s.until("the control subsystem warns again", func() bool { return logged() > n })

	offer := func(id string) {
		t.Helper()
		if reply := s.offerWith(id, "m=audio 4000 RTP/AVP 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=candidate:1 1 udp 2130706431 127.0.0.2 9 typ host"); reply.Text("result") != "ok" {
			t.Fatal(reply)
		}
	}
	offer("four")
	if strings.Contains(s.log.String(), "system=ice") {
		t.Errorf("ICE is logged at level 4:\n%s", s.log)
	}
	set("set loglevel ice 7")
	offer("five")
	s.until("ICE is logged", func() bool { return strings.Contains(s.log.String(), "system=ice") })
	if strings.Contains(s.log.String(), "level=DEBUG msg=\"peer learnt\"") {
		t.Error("so is what is of core")
	}
}

func TestPingsOfADrain(t *testing.T) {
	s := serve(t)
	ping := ngproto.Dict{{Key: "command", Value: ngproto.String("ping")}}
	for _, c := range []struct {
		args []string
		want string
	}{{[]string{"drain"}, "pong"}, {[]string{"drain", "--fail-ping"}, "error"}, {[]string{"undrain"}, "pong"}} {
		if _, err := s.run(c.args...); err != nil {
			t.Fatal(err)
		}
		if got := s.do(ping).Text("result"); got != c.want {
			t.Errorf("after %v a ping gets %q, want %q", c.args, got, c.want)
		}
	}
}

// TestEveryToolSpeaksJSON walks the commands, so that a new one is not forgotten.
func TestEveryToolSpeaksJSON(t *testing.T) {
	for _, cmd := range root("weir").Commands() {
		switch cmd.Name() {
		case "serve", "docs", "help", "completion": // print nothing that a program would read
		default:
			if cmd.Flags().Lookup("json") == nil {
				t.Errorf("weir %s has no --json", cmd.Name())
			}
		}
	}
}

func TestToolsThatTakeNoDaemon(t *testing.T) {
	for _, c := range []struct {
		called string
		args   []string
		want   string
	}{
		{"weir", []string{"version"}, "weir development"},
		{"weir", []string{"version", "--json"}, `"version": "development"`},
		{"weir", []string{"completion", "zsh"}, "#compdef weir"},
		{"weir", []string{"completion", "fish"}, "complete -c weir"},
		{"weir", []string{"config", "--config-file=none", "--timeout=5"}, "[weir]\n# from the command line\ntimeout = 5\n"},
		{"weir", []string{"config", "--config-file=none", "--effective", "--json"}, `"name": "interface"`},
		{"weir", []string{"doctor", "--device=lo", "--json"}, `"check": "rights"`},
		{"weir", []string{"completion", "bash"}, "__weir"},
		{"weir", []string{"serve", "--config-file=none", "--interface=127.0.0.1", "--check-config"}, "the configuration is good\n"},
		{"rtpengine", []string{"--version"}, "Version: development\n"},
		{"rtpengine", []string{"--codecs", "--config-file=none"}, "PCMA: "},
	} {
		var out output
		cmd := root(c.called)
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		// doctor fails on a host on which something will not work, and says what first.
		if err := cmd.Execute(); err != nil && !slices.Contains(c.args, "doctor") {
			t.Errorf("%s %v: %v", c.called, c.args, err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s %v prints\n%.500s\nwant in it %q", c.called, c.args, out.String(), c.want)
		}
	}
	cmd := root("weir")
	cmd.SetArgs([]string{"serve", "--timout=5"})
	if err := cmd.Execute(); err == nil || !strings.Contains(fmt.Sprint(err), `did you mean "timeout"?`) {
		t.Errorf("a misspelt option gives %v", err)
	}
}
