package mediaproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/mediaproxy"
	"github.com/weir-media/weir/control/socket"
	"github.com/weir-media/weir/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// rig is a server on a real userspace plane on loopback.
type rig struct {
	*testing.T
	calls   *call.Manager
	address string
}

func newRig(t *testing.T, ip string) *rig {
	t.Helper()
	plane, err := media.New(media.Config{Workers: 1, Interfaces: []media.Interface{
		{Name: "default", Addresses: []media.Address{{IP: netip.MustParseAddr(ip), PortMin: 27000, PortMax: 27999}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1})
	s, err := socket.ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), socket.Purpose{Language: "mediaproxy", Option: "--listen-tcp"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	d := mediaproxy.New(mediaproxy.Config{Calls: m, Plane: plane, Version: "1.2"})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Serve(ctx, s) }()
	t.Cleanup(func() {
		stop()
		<-done
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{t, m, s.Addr().String()}
}

func (r *rig) dial() net.Conn {
	r.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.Fatal(err)
	}
	return conn
}

// ask sends text by a connection of its own and returns all that comes back.
func (r *rig) ask(text string) string {
	r.Helper()
	conn := r.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		r.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		r.Fatalf("%q: %v", text, err)
	}
	return string(reply)
}

const words = " 192.0.2.1 a.com local b.com remote UA "

func TestVectors(t *testing.T) {
	r := newRig(t, "127.0.0.1")
	one, three := `^127\.0\.0\.1 27\d\d[02468]\n$`, `^127\.0\.0\.1( 27\d\d[02468]){3}\n$`
	same := map[string]string{}
	for _, c := range [][2]string{
		{"version\n", `^Version: 1\.2\n$`}, {"build\r\n", `^Version: 1\.2\n$`}, {"status\n", `^proxy 0 0/0/0\n$`}, {"\n\r\nversion\n", `^Version: 1\.2\n$`},
		{"controls\n", `^127\.0\.0\.1:\d+\nEnd\.\n$`}, {"quit\n", `^$`}, {"exit\n", `^$`}, {"bogus\n", `^$`}, {"VERSION\n", `^$`},
		{"request c1 192.0.2.1:1000:audio" + words + "info=from:a@a,to:b@b,fromtag:ft\n", one},
		{"request c1 192.0.2.1:1000:audio" + words + "info=from:a@a,to:b@b,fromtag:ft\n", one},
		{"request c1 192.0.2.1:1002:audio" + words + "info=from:a@a,to:b@b,fromtag:ft\n", one},
		{"lookup c1 192.0.2.2:2000:audio" + words + "info=from:a@a,to:b@b,fromtag:ft,totag:tt\n", one},
		{"request c2 192.0.2.1:1000:audio,192.0.2.1:1002:video,192.0.2.1:0:audio" + words + "info=fromtag:ft,asymmetric\n", three},
		{"lookup c2 192.0.2.2:2000:audio" + words + "info=fromtag:ft,totag:tt,asymmetric\n", one},
		{"lookup c2 192.0.2.2:2000,192.0.2.2:2002,192.0.2.2:2004,192.0.2.2:2006" + words + "info=fromtag:ft,totag:tt\n", three},
		{"request c3 192.0.2.1:1000" + words + "info=from:a@a,fromtag:ft\n", one},
		{"request c3 192.0.2.1:1000:audio:x" + words + "info=fromtag:ft,totag:tt\n", one},
		{"request c4 192.0.2.1:1000" + words + "info=from:a\n", `^$`},
		{"request c6 192.0.2.1:1000:audio 192.0.2.1 a.com local\n", `^$`},
		{"request c7 nowhere:1000" + words + "info=fromtag:ft\n", `^$`}, {"request c7 192.0.2.1" + words + "info=fromtag:ft\n", `^$`},
		{"request c7 ::1:1000" + words + "info=fromtag:ft\n", `^$`}, {"request c7 192.0.2.1:1000,nowhere:1" + words + "info=fromtag:ft\n", `^$`},
		{"request c7 192.0.2.1:99999" + words + "info=fromtag:ft\n", `^$`},
		{"request c7 192.0.2.1:1000" + strings.Repeat(",192.0.2.1:1", 40) + words + "info=fromtag:ft\n", `^$`},
		{"lookup c9 192.0.2.2:2000" + words + "info=fromtag:ft,totag:tt\n", `^$`}, {"lookup c1 192.0.2.2:2000" + words + "info=fromtag:ft\n", `^$`},
		{"status\n", `^proxy 3 0/0/0\nsession c3 - - - - \d+\nsession c2 - - - - \d+\nsession c1 - - - - \d+\n$`},
		{"delete c1\n", `^$`}, {"delete c1 info=\n", `^$`}, {"delete c2 info=fromtag:ft\n", `^$`}, {"delete c3 info=\n", `^$`}, {"delete nope info=\n", `^$`},
		{"status\n", `^proxy 0 0/0/0\n$`},
		{strings.Repeat("x", 1024), `^$`},
	} {
		got := r.ask(c[0])
		if !regexp.MustCompile(c[1]).MatchString(got) {
			t.Errorf("%q is answered with %q, want %s", c[0], got, c[1])
		}
		if head := strings.Fields(c[0]); len(head) > 2 && c[1] == one && head[0] == "request" {
			if before := same[head[1]]; before != "" && before != got {
				t.Errorf("%q is answered with %q after %q", c[0], got, before)
			}
			same[head[1]] = got
		}
	}
}

func TestMediaBothWays(t *testing.T) {
	r := newRig(t, "127.0.0.1")
	phone := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	const streams = 3
	var callers, callees [streams]*net.UDPConn
	var theirs [2][]string
	for i := range streams {
		callers[i], callees[i] = phone(), phone()
		theirs[0], theirs[1] = append(theirs[0], callers[i].LocalAddr().String()+":audio"), append(theirs[1], callees[i].LocalAddr().String()+":audio")
	}
	towardsCallee := strings.Fields(r.ask("request c " + strings.Join(theirs[0], ",") + words + "info=fromtag:f\n"))
	towardsCaller := strings.Fields(r.ask("lookup c " + strings.Join(theirs[1], ",") + words + "info=fromtag:f,totag:t\n"))
	if len(towardsCaller) != 1+streams || len(towardsCallee) != 1+streams {
		t.Fatalf("ports are %v and %v", towardsCaller, towardsCallee)
	}
	pass := func(from, to *net.UDPConn, by string, data []byte) {
		t.Helper()
		if _, err := from.WriteToUDPAddrPort(data, netip.MustParseAddrPort("127.0.0.1:"+by)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2000)
		if err := to.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := to.Read(b); err != nil || !bytes.Equal(b[:n], data) {
			t.Fatalf("got %x, %v, want %x", b[:n], err, data)
		}
	}
	for i := range streams {
		for seq := range byte(3) {
			packet := append([]byte{0x80, 8, 0, seq, 0, 0, 0, 0, 0, 0, 0, byte(i)}, make([]byte, 160)...)
			pass(callers[i], callees[i], towardsCaller[1+i], packet)
			pass(callees[i], callers[i], towardsCallee[1+i], packet)
		}
	}
	snap, err := r.calls.Query("c", "", "")
	if err != nil || snap.Language != call.Mediaproxy || len(snap.Parties[0].Media) != streams {
		t.Errorf("the call is %+v, %v", snap, err)
	}
	if got := r.ask("status\n"); !strings.HasPrefix(got, "proxy 1 ") || strings.HasPrefix(got, "proxy 1 0/") {
		t.Errorf("status is %q", got)
	}
}

func TestOnlyIPv4(t *testing.T) {
	r := newRig(t, "::1")
	if got := r.ask("request c 192.0.2.1:1000" + words + "info=fromtag:ft\n"); got != "" {
		t.Errorf("got %q", got)
	}
	if n := len(r.calls.List(9)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

func TestManyConnections(t *testing.T) {
	r := newRig(t, "127.0.0.1")
	silent := r.dial()
	defer silent.Close()
	const n = 2000
	for i := range n {
		if got := r.ask("version\n"); got != "Version: 1.2\n" {
			t.Fatalf("connection %d: %q", i, got)
		}
	}
	if _, err := fmt.Fprint(silent, "sta"); err != nil {
		t.Fatal(err)
	}
	if got := r.ask("controls\n"); len(strings.Split(got, "\n")) != 4 {
		t.Errorf("controls are %q", got)
	}
	if _, err := fmt.Fprint(silent, "tus\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(silent); err != nil || string(got) != "proxy 0 0/0/0\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
