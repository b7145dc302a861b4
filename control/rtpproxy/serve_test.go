package rtpproxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/control/rtpproxy"
	"github.com/weir-media/weir/control/socket"
)

var purpose = socket.Purpose{Language: "rtpproxy", Option: "--listen-rtpproxy"}

// serving runs a server until the end of the test.
func serving(t *testing.T, serve func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = serve(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

func dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestUDPWithCookies(t *testing.T) {
	r := newRig(t, nil)
	s, err := socket.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error { return r.ServeUDP(ctx, s, false) })
	conn := dial(t, "udp", s.Addr().String())
	ask := func(text string) string {
		t.Helper()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return string(b[:n])
	}
	for text, want := range map[string]string{
		"k1 V": "k1 20040107\n", "k2\tV\r\n": "k2 20040107\n", " k3 V": "k3 20040107\n", "k4": "k4 E5\n", "k5 ": "k5 E5\n", " ": "E5\n",
		"k6 D nope f\n": "k6 E50\n", "k7 " + strings.Repeat("x", 9000): "k7 E5\n", "k\x008 V": "E5\n",
		"k9 V\x00": "k9 E5\n",
	} {
		if got := ask(text); got != want {
			t.Errorf("%q is answered with %q, want %q", text, got, want)
		}
	}
	first := ask("same U c 192.0.2.1 1000 f")
	if again := ask("same Un c 192.0.2.1 1000 f"); again != first {
		t.Errorf("a repeated cookie is answered with %q after %q", again, first)
	}
	r.wants("G ncmds_rcvd_ndups nsess_created", "1 1")
}

func TestUnixSocketForOneCommand(t *testing.T) {
	r := newRig(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	s, err := socket.ListenUnix(path, purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error { return r.ServeOnce(ctx, s) })
	for text, want := range map[string]string{
		"V": "20040107\n", "V\n": "20040107\n", "V\nVF 1\n": "20040107\n", "Z": "E0\n", "\n": "E5\n", strings.Repeat("x", 10000): "E5\n",
	} {
		conn := dial(t, "unix", path)
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if string(got) != want || err != nil && len(text) < 9000 { // what was not read makes the end a rough one
			t.Errorf("%q is answered with %q, %v, want %q", text, got, err, want)
		}
	}
	half := dial(t, "unix", path)
	if err := half.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(half); err != nil || len(got) != 0 {
		t.Errorf("a client that says nothing gets %q, %v", got, err)
	}
}

func TestStreamsForManyCommands(t *testing.T) {
	r := newRig(t, nil)
	path := filepath.Join(t.TempDir(), "s")
	unix, err := socket.ListenUnix(path, purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := socket.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error { return r.ServeStream(ctx, unix) })
	serving(t, func(ctx context.Context) error { return r.ServeStream(ctx, tcp) })
	for network, address := range map[string]string{"unix": path, "tcp": tcp.Addr().String()} {
		conn := dial(t, network, address)
		lines := bufio.NewScanner(conn)
		wants := func(want ...string) {
			t.Helper()
			for _, w := range want {
				if !lines.Scan() || lines.Text() != w {
					t.Fatalf("%s: got %q, %v, want %q", network, lines.Text(), lines.Err(), w)
				}
			}
		}
		for _, text := range []string{"V\nV", "F 20050322\r\n", "\nZ\n"} {
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
		}
		wants("20040107", "1", "E5", "E0")
		if _, err := io.WriteString(conn, strings.Repeat("V\n", 1000)); err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			wants("20040107")
		}
		if _, err := io.WriteString(conn, strings.Repeat("x", 9000)); err != nil {
			t.Fatal(err)
		}
		wants("E5")
		if lines.Scan() {
			t.Errorf("%s: after a line without end came %q", network, lines.Text())
		}
	}
}

func TestClientsAtATime(t *testing.T) {
	r := newRig(t, nil)
	tcp, err := socket.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error { return r.ServeStream(ctx, tcp) })
	slow := dial(t, "tcp", tcp.Addr().String())
	if _, err := io.WriteString(slow, "U c 192."); err != nil {
		t.Fatal(err)
	}
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			conn, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			lines := bufio.NewScanner(conn)
			ask := func(command string) string {
				fmt.Fprintln(conn, command)
				lines.Scan()
				return lines.Text()
			}
			for n := range 20 {
				id := fmt.Sprintf("call-%d-%d", i, n)
				p1 := ask("U " + id + " 192.0.2.1 1000 f")
				p2 := ask("L " + id + " 192.0.2.2 1000 f t")
				if p1 == p2 || ask("Q "+id+" f") != "60 0 0 0 0" || ask("D "+id+" f t") != "0" {
					t.Errorf("%s: ports %q and %q", id, p1, p2)
				}
			}
		})
	}
	clients.Wait()
	if _, err := io.WriteString(slow, "0.2.1 1000 f\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(slow).ReadString('\n'); err != nil || !strings.HasSuffix(line, " 127.0.0.1\n") {
		t.Errorf("the slow client gets %q, %v", line, err)
	}
}

func TestClientsThatStopAreClosed(t *testing.T) {
	r := newRig(t, nil)
	rtpproxy.Hurry(r.Dispatcher, 50*time.Millisecond)
	tcp, err := socket.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	once, err := socket.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, func(ctx context.Context) error { return r.ServeStream(ctx, tcp) })
	serving(t, func(ctx context.Context) error { return r.ServeOnce(ctx, once) })
	for name, c := range map[string]struct{ address, text string }{
		"half a command": {tcp.Addr().String(), "V\nU c 192."},
		"nothing at all": {once.Addr().String(), ""},
	} {
		conn := dial(t, "tcp", c.address)
		if _, err := io.WriteString(conn, c.text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	deaf := dial(t, "tcp", tcp.Addr().String()) // it never reads
	for err := error(nil); err == nil; {
		if _, err = io.WriteString(deaf, strings.Repeat("I\n", 1000)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a client that does not read its replies stays connected")
		}
	}
	idle := dial(t, "tcp", tcp.Addr().String()) // between commands a client may be silent
	lines := bufio.NewScanner(idle)
	for range 2 {
		time.Sleep(100 * time.Millisecond)
		if _, err := io.WriteString(idle, "V\n"); err != nil || !lines.Scan() || lines.Text() != "20040107" {
			t.Errorf("got %q, %v, %v", lines.Text(), err, lines.Err())
		}
	}
}

// What rtpengine serves on --listen-udp.
func TestRepliesOfThePeer(t *testing.T) {
	r := newRig(t, nil)
	r.client = rtpproxy.Client{From: netip.MustParseAddrPort("127.0.0.1:9"), Peer: true}
	u := r.ask("U c;z9hG4bK1 192.0.2.10 10000 f;1")
	l := r.ask("LEI c 192.0.2.20 20000 f;1 t;1")
	for _, reply := range []string{u, l} {
		if words := strings.Fields(reply); len(words) != 3 || words[1] != "127.0.0.1" || words[2] != "4" {
			t.Errorf("U or L is answered with %q", reply)
		}
	}
	if got := r.ask("U d ::1 10000 f;1"); !strings.HasSuffix(got, " ::1 6") {
		t.Errorf("IPv6: %q", got)
	}
	for _, c := range [][2]string{
		{"V", "20040107"}, {"VF 20040107", "1"}, {"VF 20050322", "1"}, {"VF 20060704", "1"}, {"VF 20071116", "0"},
		{"U c 192.0.2.10 10000 f;1", u}, {"Uz0qx c 192.0.2.10 10000 f;1", u}, {"L nope 192.0.2.20 20000 f;1 t;1", "0 0.0.0.0"},
		{"U c 192.0.2.10 10000 f", "10000 192.0.2.10"}, {"U c nowhere 10000 f;1", "10000 nowhere"},
		{"Q c f;1", "60 0 0 0 0"}, {"Q nope f;1", "E8"}, {"I", "E8"}, {"X", "E8"}, {"G", "E8"}, {"R c f;1", "E8"}, {"Z", "E8"}, {"", "E8"}, {"U c", "E8"},
		{"D nope f;1", "E8"}, {"D c f;1 t;1", "0"},
	} {
		r.wants(c[0], c[1])
	}
}
