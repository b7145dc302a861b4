package rtpproxy_test

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/control/rtpproxy"
)

// listen opens a socket to be notified at, and returns its lines as they come.
func listen(t *testing.T, network, address string) (net.Listener, <-chan string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	lines := make(chan string, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for s := bufio.NewScanner(conn); s.Scan(); {
					lines <- s.Text()
				}
			}()
		}
	}()
	return l, lines
}

func (r *rig) hearsOf(lines <-chan string, want ...string) {
	r.Helper()
	left := map[string]bool{}
	for _, w := range want {
		left[w] = true
	}
	for len(left) > 0 {
		select {
		case line := <-lines:
			if !left[line] {
				r.Fatalf("notice %q, want %v", line, left)
			}
			delete(left, line)
		case <-time.After(patience):
			r.Fatalf("no notice came of %v", left)
		}
	}
}

// notified returns a rig whose sessions may notify the sockets.
func notified(t *testing.T, names ...string) *rig {
	t.Helper()
	n, err := rtpproxy.NewNotifier(names, quiet)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(s *setup) { s.Notifier = n })
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); n.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func TestTimeoutsAreNotified(t *testing.T) {
	unix := filepath.Join(t.TempDir(), "notify.sock")
	tcp, tcpLines := listen(t, "tcp", "127.0.0.1:0")
	_, unixLines := listen(t, "unix", unix)
	_, port, _ := net.SplitHostPort(tcp.Addr().String())
	r := notified(t, "unix:"+unix, "tcp:"+tcp.Addr().String(), "tcp:%%CC_SELF%%:"+port)
	r.client.From = netip.MustParseAddrPort("127.0.0.1:999")
	r.wants("VF 20081224", "1")
	r.wants("U c1 192.0.2.1 1000 f unix:"+unix+" bad%2", "E10")
	r.port("U c1 192.0.2.1 1000 f unix:" + unix + " one%20of%0d1 && S ttl=1")
	r.port("U c2 192.0.2.1 1000 f t tcp:" + tcp.Addr().String() + " two && S ttl=1")
	r.port("U c3 192.0.2.1 1000 f;1 tcp:%%CC_SELF%%:" + port + " three && S ttl=1")
	r.port("U c4 192.0.2.1 1000 f tcp:192.0.2.1:99 not-permitted && S ttl=1")
	r.port("U c5 192.0.2.1 1000 f unix:" + unix + " taken-back && S ttl=1")
	r.port("U c5 192.0.2.1 1000 f && S ttl=1")
	r.port("U c6 192.0.2.1 1000 f unix:" + unix + " deleted")
	r.wants("D c6 f", "0")
	r.port("U c3 192.0.2.1 1000 f;2") // one medium of two
	r.hearsOf(unixLines, "one of\r1")
	r.hearsOf(tcpLines, "two", "three")
	r.until("all sessions but one are over", func() bool { return r.ask("G nsess_destroyed nsess_timeout") == "6 5" })
	r.wants("Q c3 f;1", "E50")
	if got := r.ask("Q c3 f;2"); got == "E50" {
		t.Error("the other medium of the call has gone, too")
	}
}

func TestNotificationSocketThatComesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify.sock")
	r := notified(t, "unix:"+path)
	r.port("U c1 192.0.2.1 1000 f unix:" + path + " one && S ttl=1")
	r.until("the session is over", func() bool { return r.ask("G nsess_timeout") == "1" })
	l, lines := listen(t, "unix", path)
	r.hearsOf(lines, "one")
	l.Close()
	r.port("U c2 192.0.2.1 1000 f unix:" + path + " two && S ttl=1")
	r.hearsOf(lines, "two") // by the connection that is still there
}

func TestNotificationSocketThatTakesNothingHoldsUpNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := notified(t, "tcp:"+l.Addr().String())
	tag := strings.Repeat("x", 5000)
	for _, id := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		r.port("U " + id + " 192.0.2.1 1000 f tcp:" + l.Addr().String() + " " + tag + " && S ttl=1")
	}
	r.until("all sessions are over", func() bool { return r.ask("G nsess_timeout") == "26" })
	r.wants("V", "20040107")
}

func TestNotificationSocketsMustBeNamedWell(t *testing.T) {
	for _, name := range []string{"", "unix:", "tcp:", "tcp:1", "udp:127.0.0.1:1", "tcp:%%CC_SELF%%:x", "tcp:%%CC_SELF%%:0"} {
		if _, err := rtpproxy.NewNotifier([]string{name}, quiet); err == nil {
			t.Errorf("%q is permitted", name)
		}
	}
}
