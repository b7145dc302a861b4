package daemon

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

func TestStatisticsArePushed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := start(t, "", "--graphite="+l.Addr().String(), "--graphite-prefix=here.")
	r.offer(t, "one")
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for in := bufio.NewScanner(conn); in.Scan(); {
		if strings.HasPrefix(in.Text(), "here.current_sessions_ipv4 1 ") {
			return
		}
	}
	t.Error("the call is not told")
}

func TestMistakesInGraphite(t *testing.T) {
	for _, arg := range []string{"--graphite=nowhere", "--graphite-timeout=-1"} {
		if _, err := complete(t, "", arg); err == nil || !strings.Contains(err.Error(), "--graphite") {
			t.Errorf("%s gives %v", arg, err)
		}
	}
}
