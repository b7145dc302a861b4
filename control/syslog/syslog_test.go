package syslog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func listen(t *testing.T, path string) net.PacketConn {
	t.Helper()
	conn, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func next(t *testing.T, conn net.PacketConn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, _, err := conn.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestLinesReachTheSyslogAlsoAfterItsRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first := listen(t, path)
	facility, err := ParseFacility("local2")
	if err != nil {
		t.Fatal(err)
	}
	l := New(Config{Path: path, Facility: facility, Name: "name", Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(done)
	}()
	say := func(line string) { l.Write(func() string { return line }) }
	say("")
	say("one\nline\x1b")
	want := regexp.MustCompile(fmt.Sprintf(`^<150>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d name\[%d\]: one line $`, os.Getpid()))
	if got := next(t, first); !want.MatchString(got) {
		t.Errorf("the line is %q", got)
	}
	first.Close()
	os.Remove(path)
	second := listen(t, path)
	defer second.Close()
	say("two")
	if got := next(t, second); !strings.HasSuffix(got, ": two") {
		t.Errorf("the line is %q", got)
	}
	stop()
	<-done
	if sent, dropped := l.Counts(); sent != 2 || dropped != 0 {
		t.Errorf("%d lines written, %d dropped", sent, dropped)
	}
}

func TestLinesStandInTheLogWhereThereIsNoSyslog(t *testing.T) {
	var out bytes.Buffer
	l := New(Config{Path: filepath.Join(t.TempDir(), "log"), Facility: 17, Log: slog.New(slog.NewTextHandler(&out, nil))})
	for range room + 3 {
		l.Write(func() string { return "here" })
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	l.Run(ctx) // writes what waits
	if got := out.String(); strings.Count(got, "line=here") != room || strings.Count(got, "facility=local1") != room || strings.Count(got, "no syslog") != 1 {
		t.Errorf("the log has %d bytes: %.300s", len(got), got)
	}
	if _, dropped := l.Counts(); dropped != 3 {
		t.Errorf("%d lines dropped, want 3", dropped)
	}
}

func TestUnknownFacilitiesAreNamed(t *testing.T) {
	for _, name := range []string{"", "local8"} {
		if _, err := ParseFacility(name); err == nil || !strings.Contains(err.Error(), "local7") || strings.Contains(err.Error(), ", ,") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
