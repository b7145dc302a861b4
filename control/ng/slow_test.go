package ng_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/weir-media/weir/control/ng"
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
