package ng_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ngproto"
)

// patience is how long a client that reads nothing is waited for in these tests.
const patience = 100 * time.Millisecond

// pings asks until the connection is refused, which a client that reads nothing comes to once all buffers are full of replies.
func pings(write func() error) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

func TestStreamClientThatReadsNothingIsClosedAndHoldsUpNobody(t *testing.T) {
	s, err := ng.ListenTCP(anyPort, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ng.HurryStream(s, patience)
	serving(t, s.Serve)
	deaf, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	closed := make(chan error)
	batch := strings.Repeat(strings.Repeat("c", 1000)+" "+pingRequest, 100) // a long cookie fills the buffers soon
	go func() {
		closed <- pings(func() error { _, err := io.WriteString(deaf, batch); return err })
	}()
	other, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	got := make([]byte, len("c2 "+pongReply))
	for answered := 0; ; answered++ {
		if _, err := io.WriteString(other, "c2 "+pingRequest); err != nil {
			t.Fatal(err)
		}
		if err := other.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(other, got); err != nil || string(got) != "c2 "+pongReply {
			t.Fatalf("the other client got %q, %v after %d answers", got, err, answered)
		}
		select {
		case err := <-closed:
			if err == nil {
				t.Error("the client that reads nothing is still connected")
			}
			return
		default:
		}
	}
}

func TestWebSocketClientThatReadsNothingIsClosed(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ng.HurryHTTP(h, patience)
	serving(t, h.Serve)
	deaf, _, err := websocket.Dial(t.Context(), "ws://"+h.Addr().String()+"/", &websocket.DialOptions{Subprotocols: []string{"echo.rtpengine.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.CloseNow()
	message := make([]byte, 100000)
	if err := pings(func() error { return deaf.Write(t.Context(), websocket.MessageBinary, message) }); err == nil {
		t.Error("the client that reads nothing is still connected")
	}
}

// ends waits until the server has closed a connection.
func ends(t *testing.T, conn net.Conn, what string) []byte {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s: the connection stays open", what)
	}
	return got
}

// dribble sends a byte now and then until the connection is closed, as those do who want to keep it.
func dribble(conn net.Conn, b byte) {
	for {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(patience / 10)
	}
}

func TestMessagesThatDoNotEndCloseTheStream(t *testing.T) {
	s, err := ng.ListenTCP(anyPort, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ng.HurryMessages(s, patience)
	serving(t, s.Serve)
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	silent := dial() // between messages a client may be silent for as long as it likes
	for _, begin := range []string{"c1", "c1 d7:command", "c0 " + pingRequest + "c1 d7:comm", `c1 {"command`} {
		conn := dial()
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
		ends(t, conn, begin)
	}
	slow := dial()
	if _, err := io.WriteString(slow, "c1 d9000:"); err != nil {
		t.Fatal(err)
	}
	go dribble(slow, 'x')
	ends(t, slow, "a byte now and then")
	for range 3 {
		for _, part := range []string{"c2 ", pingRequest} {
			if _, err := io.WriteString(silent, part); err != nil {
				t.Fatal(err)
			}
			time.Sleep(patience / 50) // the parts come one by one
		}
		if _, err := io.ReadFull(silent, make([]byte, len("c2 "+pongReply))); err != nil {
			t.Fatalf("a client that was silent is closed: %v", err)
		}
		time.Sleep(2 * patience) // longer than a message may take
	}
}

func TestSlowRequestsOverHTTPAreCutOff(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ng.HurryRequests(h, patience)
	serving(t, h.Serve)
	for name, c := range map[string]struct {
		begin string
		more  byte
	}{
		"a header that does not end":        {"GET /ping HTTP/1.1\r\nHost: weir\r\nX: ", 'x'},
		"nothing at all":                    {"", 0},
		"a body that does not end":          {"POST /ng-plain HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nContent-Length: 90000\r\n\r\n", ' '},
		"a line of rtpengine-ctl likewise":  {"POST /cli HTTP/1.1\r\nHost: weir\r\nContent-Type: text/plain\r\nContent-Length: 90000\r\n\r\n", ' '},
		"a message of a WebSocket":          {upgrade + "\x81\xfe\x7f\xff\x00\x00\x00\x00", ' '},
		"a message of a WebSocket in parts": {upgrade + "\x01\x81\x00\x00\x00\x00{", 0},
	} {
		conn, err := net.Dial("tcp", h.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, c.begin); err != nil {
			t.Fatal(err)
		}
		if c.more != 0 {
			go dribble(conn, c.more)
		}
		if got := ends(t, conn, name); strings.Contains(string(got), "pong") {
			t.Errorf("%s is answered with %q", name, got)
		}
	}
}

func TestOversizedRequestsOverHTTPAreRefused(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, h.Serve)
	for name, c := range map[string]struct {
		request string
		much    int // bytes that follow
		want    string
	}{
		"a body":   {"POST /ng-plain HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n", 8 << 20, " 413 "},
		"a header": {"GET /ping HTTP/1.1\r\nHost: weir\r\nX: ", 4 << 20, " 431 "},
	} {
		conn, err := net.Dial("tcp", h.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			_, _ = io.WriteString(conn, c.request+strings.Repeat("x", c.much)) // it ends when the server closes
		}()
		// A connection that is closed with something unread may be reset before its answer is read.
		if got := ends(t, conn, name); len(got) > 0 && !strings.Contains(string(got), c.want) {
			t.Errorf("%s that is too long is answered with %.100q", name, got)
		}
	}
	big, _, err := websocket.Dial(t.Context(), "ws://"+h.Addr().String()+"/", &websocket.DialOptions{Subprotocols: []string{"echo.rtpengine.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer big.CloseNow()
	_ = big.Write(t.Context(), websocket.MessageBinary, make([]byte, ngproto.MaxMessage+1)) // it may be cut off in the middle
	if _, _, err := big.Read(t.Context()); err == nil {
		t.Error("a message that is too long is answered")
	}
}

func TestConnectionsBeyondTheCapAreClosed(t *testing.T) {
	s, err := ng.ListenTCP(anyPort, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ng.LimitStream(s, 1)
	serving(t, s.Serve)
	ping := func(conn net.Conn) error {
		if _, err := io.WriteString(conn, "c1 "+pingRequest); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, len("c1 "+pongReply)))
		return err
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	first := dial()
	if err := ping(first); err != nil {
		t.Fatal(err)
	}
	second := dial()
	defer second.Close()
	if err := ping(second); err == nil {
		t.Error("a second connection is served")
	}
	if err := ping(first); err != nil {
		t.Errorf("the first connection afterwards: %v", err)
	}
	first.Close()
	for end := time.Now().Add(10 * time.Second); ; {
		third := dial()
		err := ping(third)
		third.Close()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after the first has gone: %v", err)
		}
	}
}
