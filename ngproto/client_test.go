package ngproto

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// serve answers datagrams with what handle returns for them, one by one; an empty answer is none. It ends with the test.
func serve(t *testing.T, handle func(Message) []byte) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		buffer := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			m, err := Parse(buffer[:n])
			if err != nil {
				t.Errorf("client sends %q: %v", buffer[:n], err)
				continue
			}
			if reply := handle(m); len(reply) > 0 {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		wg.Wait()
		goleak.VerifyNone(t)
	})
	return conn.LocalAddr().String()
}

func dial(t *testing.T, addr string) *Client {
	t.Helper()
	c, err := Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestClientMatchesRepliesToRequestsInBothEncodings(t *testing.T) {
	addr := serve(t, func(m Message) []byte {
		return OK().Set("echo", String(m.Dict.Text("word"))).Encode(m.Cookie, m.Encoding)
	})
	for _, enc := range []Encoding{Bencode, JSON} {
		c := dial(t, addr)
		c.Encoding = enc
		var wg sync.WaitGroup
		for _, word := range []string{"a", "b\xff", "c", "d", "e"} {
			wg.Go(func() {
				reply, err := c.Do(context.Background(), Dict{{"command", String("ping")}, {"word", String(word)}})
				if err != nil || reply.Text("echo") != word {
					t.Errorf("%v: %q comes back as %q, %v", enc, word, reply.Text("echo"), err)
				}
			})
		}
		wg.Wait()
	}
}

func TestClientSendsAgainWithTheSameCookieUntilAnswered(t *testing.T) {
	cookies := make(chan string, 4)
	n := 0
	addr := serve(t, func(m Message) []byte {
		if n++; n <= cap(cookies) {
			cookies <- m.Cookie
		}
		switch n {
		case 1:
			return nil // lost
		case 2:
			return []byte("garbage")
		case 3:
			return Pong().Encode("of-another-request", Bencode)
		}
		return Pong().Encode(m.Cookie, Bencode)
	})
	c := dial(t, addr)
	c.Interval, c.Tries = time.Millisecond, 1<<20
	reply, err := c.Do(context.Background(), Dict{{"command", String("ping")}})
	if err != nil || reply.Text("result") != ResultPong {
		t.Fatalf("got %+v, %v", reply, err)
	}
	first := <-cookies
	for range cap(cookies) - 1 {
		if again := <-cookies; again != first {
			t.Errorf("sent with cookie %q, then with %q", first, again)
		}
	}
}

func TestClientGivesUp(t *testing.T) {
	addr := serve(t, func(Message) []byte { return nil })
	ping := Dict{{"command", String("ping")}}
	c := dial(t, addr)
	c.Interval, c.Tries = time.Millisecond, 2
	if _, err := c.Do(context.Background(), ping); !errors.Is(err, ErrTimeout) {
		t.Errorf("without an answer: %v, want %v", err, ErrTimeout)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c = dial(t, addr)
	if _, err := c.Do(ctx, ping); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	_ = c.Close()
	_ = c.Close()
	if _, err := c.Do(context.Background(), ping); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, ErrClosed)
	}
}

func TestReplyErrorIsTheReasonOfAnErrorReply(t *testing.T) {
	err := ReplyError(Failure(ReasonUnknownCall).Dict)
	if e := new(Error); !errors.As(err, &e) || e.Reason != ReasonUnknownCall {
		t.Errorf("got %v", err)
	}
	for _, r := range []*Reply{OK(), Pong(), Warning("x"), LoadLimit("y")} {
		if err := ReplyError(r.Dict); err != nil {
			t.Errorf("%s is taken for an error: %v", r.Result(), err)
		}
	}
}
