package ng_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/weir-media/weir/control/ng"
)

// echoCLI prints the line it is given.
type echoCLI struct{}

func (echoCLI) Changes(line string) bool { return strings.HasPrefix(line, "set ") }

func (echoCLI) Run(line string) string {
	if line == "fault" {
		panic("a fault in a command")
	}
	return "line: " + line + "\n"
}

// servingHTTP runs an HTTP transport until the test ends and returns its address.
func servingHTTP(t *testing.T, cli ng.CLI) string {
	t.Helper()
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Serve(ctx, ng.NewDispatcher(ng.Config{CLI: cli})) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve ends with %v", err)
		}
	})
	return h.Addr().String()
}

// say writes a request as it is and returns the response; io.EOF or a reset when the connection was closed instead.
func say(t *testing.T, addr, request string) (*http.Response, string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

const hello = "\nHost: weir\n"

func TestHTTPResponses(t *testing.T) {
	addr := servingHTTP(t, echoCLI{})
	length := func(body string) string { return "Content-Length: " + strconv.Itoa(len(body)) + "\n\n" + body }
	for _, c := range []struct {
		name, request string
		status        int
		kind, want    string
	}{
		{"OPTIONS of the server", "OPTIONS * HTTP/1.1" + hello + "\n", 200, "", ""},
		{"OPTIONS of a place", "OPTIONS /nowhere HTTP/1.1" + hello + "\n", 200, "", ""},
		{"ping", "GET /ping HTTP/1.1" + hello + "\n", 200, "text/plain", "pong\n"},
		{"a line with plus signs", "GET /cli/list+numsessions HTTP/1.1" + hello + "\n", 200, "text/plain", "line: list numsessions\n"},
		{"a line with escapes", "GET /cli/list%20sessions%20a%2Fb HTTP/1.1" + hello + "\n", 200, "text/plain", "line: list sessions a/b\n"},
		{"a line in a body", "POST /cli HTTP/1.1" + hello + "Content-Type: text/plain\n" + length("list totals"),
			200, "text/plain", "line: list totals\n"},
		{"a fault in a line", "GET /cli/fault HTTP/1.1" + hello + "\n", 200, "text/plain", "Internal error\n"},
		{"a line of another content type", "POST /cli HTTP/1.1" + hello + "Content-Type: text/html\n" + length("list totals"),
			404, "text/plain", "not found\n"},
		{"parameters are part of the content type", "POST /cli HTTP/1.1" + hello + "Content-Type: text/plain; charset=utf-8\n" + length("list"),
			404, "text/plain", "not found\n"},
		{"plain JSON", "POST /ng-plain HTTP/1.1" + hello + "Content-Type: Application/JSON\n" + length(`{"command":"ping"}`),
			200, "application/json", `{"result":"pong"}`},
		{"a known place by another method", "PUT /ng HTTP/1.1" + hello + "\n", 404, "text/plain", "not found\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, got, err := say(t, addr, c.request)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind || got != c.want {
				t.Errorf("got %d %q %q, want %d %q %q", resp.StatusCode, resp.Header.Get("Content-Type"), got, c.status, c.kind, c.want)
			}
			for header, want := range map[string]string{
				"Access-Control-Allow-Origin": "*", "Access-Control-Max-Age": "86400",
				"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type",
				"Content-Length": strconv.Itoa(len(c.want)),
			} {
				if got := resp.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestMalformedHTTPRequestsEndTheConnection(t *testing.T) {
	addr := servingHTTP(t, nil)
	for _, c := range []struct{ name, request string }{
		{"POST without a content type", "POST /ng HTTP/1.1" + hello + "Content-Length: 2\n\nde"},
		{"POST without a length", "POST /ng HTTP/1.1" + hello + "Content-Type: application/x-rtpengine-ng\n\n"},
		{"POST in chunks", "POST /ng-plain HTTP/1.1" + hello + "Content-Type: application/json\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n"},
		{"POST with a long content type", "POST /ng HTTP/1.1" + hello + "Content-Type: " + strings.Repeat("x", 64) + "\nContent-Length: 2\n\nde"},
		{"GET with a body", "GET /ping HTTP/1.1" + hello + "Content-Length: 2\n\nde"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if resp, got, err := say(t, addr, c.request); err == nil {
				t.Errorf("got %d %q, want the connection closed", resp.StatusCode, got)
			}
		})
	}
	if resp, got, err := say(t, addr, "GET /ping HTTP/1.1"+hello+"\n"); err != nil || resp.StatusCode != 200 || got != "pong\n" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestLongResponsesTellTheirLength(t *testing.T) {
	addr := servingHTTP(t, echoCLI{})
	line := strings.Repeat("x", 10000)
	resp, got, err := say(t, addr, "GET /cli/"+line+" HTTP/1.1"+hello+"\n")
	if err != nil || got != "line: "+line+"\n" || resp.ContentLength != int64(len(got)) {
		t.Errorf("got %d bytes, a length of %d, %v", len(got), resp.ContentLength, err)
	}
}

func TestCommandLinesOverWebSocket(t *testing.T) {
	addr := servingHTTP(t, echoCLI{})
	conn, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/", &websocket.DialOptions{Subprotocols: []string{"cli.rtpengine.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	for _, line := range []string{"list numsessions", "list totals"} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(line)); err != nil {
			t.Fatal(err)
		}
		if kind, got, err := conn.Read(t.Context()); err != nil || kind != websocket.MessageBinary || string(got) != "line: "+line+"\n" {
			t.Errorf("got %v %q, %v", kind, got, err)
		}
	}
}

func TestWithoutCommandLinesThereIsNoPlaceForThem(t *testing.T) {
	addr := servingHTTP(t, nil)
	if resp, got, err := say(t, addr, "GET /cli/list+totals HTTP/1.1"+hello+"\n"); err != nil || resp.StatusCode != 404 {
		t.Errorf("got %q, %v", got, err)
	}
	conn, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/", &websocket.DialOptions{Subprotocols: []string{"cli.rtpengine.com"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the subprotocol: %v", err)
	}
}
