package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSocketsOfRTPproxy(t *testing.T) {
	for text, want := range map[string][2]string{
		"udp:127.0.0.1:22222": {"udp", "127.0.0.1:22222"}, "udp:22222": {"udp", "22222"}, "udp:127.0.0.1": {"udp", "[127.0.0.1]:22222"},
		"udp:*:4000": {"udp", "4000"}, "udp:": {"udp", "22222"}, "udp:*": {"udp", "22222"}, "udp6:[::1]:4000": {"udp", "[::1]:4000"},
		"udp6:::1": {"udp", "[::1]:22222"}, "tcp:127.0.0.1:4000": {"tcp", "127.0.0.1:4000"}, "tcp6:[::1]": {"tcp", "[::1]:22222"},
		"unix:/run/s": {"unix", "/run/s"}, "cunix:s": {"cunix", "s"},
	} {
		if kind, place, err := rtpproxySocket(text); err != nil || [2]string{kind, place} != want {
			t.Errorf("%q is %s at %s, %v, want %v", text, kind, place, err, want)
		}
	}
}

func TestLegacyOptionsAreChecked(t *testing.T) {
	for want, args := range map[string][]string{
		"none of udp, tcp, unix, cunix": {"--listen-rtpproxy=127.0.0.1:22222"},
		"no path is given":              {"--listen-rtpproxy=unix:"},
		"neither rtpengine nor":         {"--listen-udp-replies=x"},
		"--rtpproxy-setup-timeout -1":   {"--rtpproxy-setup-timeout=-1"},
		"--xmlrpc-format 3":             {"--xmlrpc-format=3"},
		"--b2b-url":                     {"--b2b-url=proxy"},
	} {
		if _, err := complete(t, "", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	if _, err := complete(t, "", "-u", "127.0.0.1:22222", "-l", "25060", "-b", "http://%%:8090/RPC2", "-x", "2", "--listen-rtpproxy=unix:/run/s"); err != nil {
		t.Error(err)
	}
}

func TestOlderLanguagesAreServed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rtpproxy.sock")
	o, err := complete(t, "", "--interface=127.0.0.1", "--fast-path=none", "--port-min=26000", "--port-max=26099", "--control-socket="+filepath.Join(dir, "cli"),
		"--listen-rtpproxy=unix:"+path, "--listen-udp=127.0.0.1:26100", "--listen-tcp=127.0.0.1:26101", "--rtpproxy-recording-dir="+dir, "--rtpproxy-prompt-dir="+dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	d, err := New(o, "1.2", &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct{ network, address, command, want string }{
		{"unix", path, "U c 192.0.2.1 1000 f", " 127.0.0.1\n"},
		{"udp", "127.0.0.1:26100", "k U d 192.0.2.1 1000 f;1", " 127.0.0.1 4\n"},
		{"tcp", "127.0.0.1:26101", "status\n", "proxy 2 0/0/0\nsession d - - - - 0\nsession c - - - - 0\n"},
	} {
		conn, err := net.Dial(c.network, c.address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, c.command); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		n, err := conn.Read(b)
		if err != nil || !strings.HasSuffix(strings.Replace(string(b[:n]), " 1\n", " 0\n", -1), c.want) {
			t.Errorf("%s: %q is answered with %q, %v", c.network, c.command, b[:n], err)
		}
	}
	if n := d.Status().Calls.ByLanguage["rtpproxy"]; n.Live != 2 || n.Created != 2 {
		t.Errorf("calls by rtpproxy: %+v", n)
	}
	for _, line := range []string{"control rtpproxy   unix " + path, "control rtpproxy   udp 127.0.0.1:26100", "control mediaproxy tcp 127.0.0.1:26101"} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("the operator is not told %q but\n%s", line, out.String())
		}
	}
	if strings.Contains(out.String(), "control ng") {
		t.Errorf("an ng socket is open although nobody asked for one:\n%s", out.String())
	}
}

// TestRepliesInAnOlderLanguageAreMarked reads the TOS of replies over UDP, before and after it is changed.
func TestRepliesInAnOlderLanguageAreMarked(t *testing.T) {
	addr := freePort(t)
	r := start(t, "", "--control-tos=184", "--listen-udp="+addr)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1) }); err != nil {
		t.Fatal(err)
	}
	tos := func() byte {
		t.Helper()
		if _, err := conn.WriteToUDPAddrPort([]byte("c V"), netip.MustParseAddrPort(addr)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b, oob := make([]byte, 100), make([]byte, 100)
		_, n, _, _, err := conn.ReadMsgUDPAddrPort(b, oob)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(messages) != 1 || len(messages[0].Data) == 0 {
			t.Fatal(messages, err)
		}
		return messages[0].Data[0]
	}
	if got := tos(); got != 184 {
		t.Errorf("replies have TOS %d", got)
	}
	if got := r.commandLines().Run("set controltos 40"); !strings.HasPrefix(got, "Success") {
		t.Fatal(got)
	}
	if got := tos(); got != 40 {
		t.Errorf("replies have TOS %d after the change", got)
	}
}

func TestStrangersAreNotServedInOlderLanguages(t *testing.T) {
	r := start(t, "", "--control-allow=192.0.2.0/24", "--listen-rtpproxy=udp:127.0.0.1:26110", "--listen-rtpproxy=tcp:127.0.0.1:26111", "--listen-tcp=127.0.0.1:26112")
	for _, place := range []string{"127.0.0.1:26111", "127.0.0.1:26112"} {
		conn, err := net.Dial("tcp", place)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %d bytes, %v; the connection is not closed", place, n, err)
		}
	}
	conn, err := net.Dial("udp", "127.0.0.1:26110")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "1 V"); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); r.disp.Stats().Refused != 3; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d of 3 strangers are refused", r.disp.Stats().Refused)
		}
	}
}
