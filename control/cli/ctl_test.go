package cli_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/control/cli"
)

// ctl serves the language on loopback. Its commands answer with what they got, and "huge" with more than a socket takes.
func ctl(t *testing.T, patience time.Duration) (s *cli.Ctl, addr string) {
	t.Helper()
	s, err := cli.ListenCtl(netip.MustParseAddrPort("127.0.0.1:0"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.SetPatience(patience)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- s.Serve(ctx, func(from netip.Addr, line string) string {
			if !from.Unmap().IsLoopback() {
				return "a stranger: " + from.String()
			}
			if line == "huge" {
				return strings.Repeat("x", 64<<20)
			}
			return "got <" + line + ">\n"
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve ends with %v", err)
		}
	})
	return s, s.Addr().String()
}

// exchange sends text and returns all that comes before the connection ends.
func exchange(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("the connection stays open after %.20q", text)
	}
	return string(reply)
}

func TestOneLineForEachConnection(t *testing.T) {
	_, addr := ctl(t, time.Minute)
	for text, want := range map[string]string{
		"list totals\n":   "got <list totals>\n",
		"list totals\r\n": "got <list totals>\n",
		"one\ntwo\n":      "got <one>\n",
		"\n":              "got <>\n",
		// Too long without an end.
		strings.Repeat("x", 1025):  "",
		strings.Repeat("x", 50000): "",
	} {
		if got := exchange(t, addr, text); got != want {
			t.Errorf("%.20q gets %.50q, want %q", text, got, want)
		}
	}
}

func TestClientThatDoesNotEndItsLineIsCutOff(t *testing.T) {
	_, addr := ctl(t, 100*time.Millisecond)
	if got := exchange(t, addr, strings.Repeat("x", 1000)); got != "" {
		t.Errorf("it gets %.50q", got)
	}
}

func TestClientThatDoesNotReadIsCutOff(t *testing.T) {
	s, addr := ctl(t, 200*time.Millisecond)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "huge\n"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for served := false; !served || s.Clients() > 0; time.Sleep(time.Millisecond) {
		served = served || s.Clients() > 0
		if time.Now().After(deadline) {
			t.Fatal("it is still served")
		}
	}
	_ = conn.SetDeadline(deadline)
	if n, _ := io.Copy(io.Discard, conn); n >= 64<<20 {
		t.Errorf("all %d bytes came", n)
	}
}

func TestCtlClient(t *testing.T) {
	_, addr := ctl(t, time.Minute)
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "rtpengine.conf")
	text := "[other]\nlisten-cli = 1\n[rtpengine]\n# listen-cli = 2\nlisten-cli = " + addr + ";127.0.0.1:3\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"--ip", addr, "list", "totals"}, {"-ip", host, "-port", port, "list", "totals"}, {"--ip=" + host, "--port=" + port, "list", "totals"},
		{"--config-file", config, "list", "totals"},
	} {
		r, err := cli.ParseCtl(args)
		if err != nil {
			t.Errorf("%v: %v", args, err)
			continue
		}
		var out strings.Builder
		if err := r.Do(&out); err != nil || out.String() != "got <list totals>\n" {
			t.Errorf("%v prints %q, %v", args, out.String(), err)
		}
	}
}

func TestCtlArguments(t *testing.T) {
	for _, c := range []struct {
		args             string
		host, port, line string
	}{
		{"", "127.0.0.1", "9900", "usage"},
		{"--help", "127.0.0.1", "9900", "usage"},
		{"list numsessions", "127.0.0.1", "9900", "list numsessions"},
		{"--ip 192.0.2.1 list totals", "192.0.2.1", "9900", "list totals"},
		{"--port 12 set maxsessions -1", "127.0.0.1", "12", "set maxsessions -1"},
		{"--ip [2001:db8::1]:12 params diff", "2001:db8::1", "12", "params diff"},
	} {
		r, err := cli.ParseCtl(append([]string{"--config-file", os.DevNull}, strings.Fields(c.args)...))
		if err != nil || r.Host != c.host || r.Port != c.port || r.Line != c.line {
			t.Errorf("%q gives %+v, %v", c.args, r, err)
		}
	}
	for args, want := range map[string]string{
		"--ipp 1": "unknown option", "--port": "takes a value", "--port none x": "no port", "--config-file /nonexistent x": "configuration file",
	} {
		if _, err := cli.ParseCtl(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q in it", args, err, want)
		}
	}
	r, err := cli.ParseCtl(strings.Fields("--ip 127.0.0.1 --port 1 list totals"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Do(io.Discard); err == nil || !strings.Contains(err.Error(), "--listen-cli") {
		t.Errorf("without a daemon: %v", err)
	}
}

func FuzzCtlArguments(f *testing.F) {
	for _, args := range []string{"", "--ip 1:2 list", "-ip=::1 x", "--port", "--config-file none", "--help list", "-"} {
		f.Add(args)
	}
	f.Fuzz(func(t *testing.T, args string) {
		if strings.Contains(args, "config") {
			return // reads files
		}
		if r, err := cli.ParseCtl(strings.Fields(args)); err == nil && (r.Line == "" || r.Host == "" || r.Port == "") {
			t.Errorf("%q gives %+v", args, r)
		}
	})
}
