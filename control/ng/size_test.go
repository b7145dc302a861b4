package ng_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ngproto"
)

func TestRepliesLargerThanAPacket(t *testing.T) {
	_, m := newDispatcher(t, nil)
	var log bytes.Buffer
	d := ng.NewDispatcher(ng.Config{Calls: m, Log: slog.New(slog.NewTextHandler(&log, nil))})
	within := func(cookie, command string, room int) ngproto.Dict {
		t.Helper()
		request := fmt.Sprintf(`%s {"command":%q,"call-id":"x","from-tag":"a"}`, cookie, command)
		reply, err := ngproto.Parse(d.Within(context.Background(), []byte(request), func() int { return room }))
		if err != nil {
			t.Fatal(err)
		}
		return reply.Dict
	}
	call := func() {
		t.Helper()
		// Four sections, each with streams for RTP and RTCP on both sides, are some kilobytes of statistics.
		sdp := offerSDP + strings.Repeat("m=audio 4002 RTP/AVP 0\r\n", 3)
		if got := ask(t, d, ngproto.JSON, "command", "offer", "call-id", "x", "from-tag", "a", "sdp", sdp); got.Text("result") != "ok" {
			t.Fatal(got)
		}
	}
	call()
	if got := within("s1", "query", 1000); !got.Has("tags") {
		t.Errorf("what was asked for is not there: %v", got)
	}
	if n := strings.Count(log.String(), "larger than a packet"); n != 1 || !strings.Contains(log.String(), "packet=1000") {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if got := within("s2", "delete", 1000); got.Text("result") != "ok" || got.Has("tags") || !got.Has("totals") ||
		!strings.Contains(got.Text("warning"), "left out") {
		t.Errorf("delete: %v", got)
	}
	if n := strings.Count(log.String(), "larger than a packet"); n != 1 {
		t.Errorf("said %d times of one call", n)
	}
	if got := within("s3", "delete", 100000); !got.Has("tags") {
		t.Errorf("delete with room for all: %v", got)
	}
}

func TestSmallRepliesAskNobodyForThePath(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	if got := d.Within(t.Context(), []byte("c1 "+pingRequest), func() int { t.Error("asked"); return 0 }); string(got) != "c1 "+pongReply {
		t.Errorf("got %q", got)
	}
}

func TestRoomOfLoopback(t *testing.T) {
	for _, c := range []struct {
		addr string
		want int
	}{{"127.0.0.1:9", 65535 - 28}, {"[::ffff:127.0.0.1]:9", 65535 - 28}, {"[::1]:9", 65536 - 48}} {
		if got := ng.RoomTo(netip.MustParseAddrPort(c.addr)); got != c.want {
			t.Errorf("%s: %d, want %d", c.addr, got, c.want)
		}
	}
}
