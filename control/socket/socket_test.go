package socket

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var purpose = Purpose{Language: "test", Option: "--listen-test"}

// tosOf reads the TOS of a socket.
func tosOf(t *testing.T, conn syscall.Conn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	tos := -1
	if err := raw.Control(func(fd uintptr) { tos, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TOS) }); err != nil || tos < 0 {
		t.Fatal(tos, err)
	}
	return tos
}

func TestTOSOfConnections(t *testing.T) {
	s, err := ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetTOS(184); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	accepted, done := make(chan net.Conn), make(chan error)
	go func() {
		done <- s.Serve(ctx, func(conn net.Conn) {
			accepted <- conn
			<-ctx.Done()
		})
	}()
	defer func() {
		stop()
		<-done
	}()
	open := func() syscall.Conn {
		t.Helper()
		client, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		return (<-accepted).(*counted).Conn.(syscall.Conn)
	}
	first := open()
	if got := tosOf(t, first); got != 184 {
		t.Errorf("a connection has TOS %d", got)
	}
	if err := s.SetTOS(40); err != nil {
		t.Fatal(err)
	}
	if got := tosOf(t, first); got != 40 {
		t.Errorf("a connection that is open has TOS %d after a change", got)
	}
	if got := tosOf(t, open()); got != 40 {
		t.Errorf("a new connection has TOS %d after a change", got)
	}
}

func TestUnixSocketsHaveNoTOSAndGoWithTheirServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	s, err := ListenUnix(path, purpose, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetTOS(184); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestDatagramsHaveTOSAndPathMTU(t *testing.T) {
	u, err := ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if err := u.SetTOS(184); err != nil {
		t.Fatal(err)
	}
	if got := tosOf(t, u.conn); got != 184 {
		t.Errorf("the socket has TOS %d", got)
	}
	for mode, want := range map[bool]int{true: unix.IP_PMTUDISC_WANT, false: unix.IP_PMTUDISC_DONT} {
		if err := u.SetPathMTU(mode); err != nil {
			t.Fatal(err)
		}
		raw, err := u.conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		got := -1
		if err := raw.Control(func(fd uintptr) { got, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER) }); err != nil || got != want {
			t.Errorf("path MTU discovery is %d, want %d (%v)", got, want, err)
		}
	}
}

// TestStrangersAreCutOff counts on nobody being served whom Only keeps out.
func TestStrangersAreCutOff(t *testing.T) {
	s, err := ListenTCP(netip.MustParseAddrPort("127.0.0.1:0"), purpose, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.Only(func(netip.Addr) bool { return false })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, func(net.Conn) { t.Error("a stranger is served") }) }()
	defer func() {
		stop()
		<-done
	}()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || os.IsTimeout(err) {
		t.Errorf("read %d, %v", n, err)
	}
}
