package xmlrpc_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/xmlrpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// proxy is an HTTP server that keeps what it was told.
type proxy struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
	reply  func(n int) (status int, body string) // to the n-th request, from 1
}

func newProxy(t *testing.T) *proxy {
	p := &proxy{reply: func(int) (int, string) { return 200, "<methodResponse/>" }}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "text/xml" {
			t.Errorf("request %s %v: %v", r.Method, r.Header, err)
		}
		p.mu.Lock()
		p.bodies = append(p.bodies, string(body))
		n, reply := len(p.bodies), p.reply
		p.mu.Unlock()
		status, text := reply(n)
		w.WriteHeader(status)
		fmt.Fprint(w, text)
	}))
	t.Cleanup(p.Close)
	return p
}

// until waits for so many requests.
func (p *proxy) until(t *testing.T, n int) []string {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		p.mu.Lock()
		got := slices.Clone(p.bodies)
		p.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests came, want %d", len(got), n)
		}
	}
}

func run(t *testing.T, url string, format xmlrpc.Format) *xmlrpc.Caller {
	t.Helper()
	c, err := xmlrpc.New(url, format, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return c
}

func timedOut(id string) *call.Ended {
	return &call.Ended{CallID: id, Why: call.ReasonTimeout, Whole: true, Tags: []string{"a<1>", "b"}}
}

func TestFormats(t *testing.T) {
	const head, end = `<?xml version="1.0" encoding="UTF-8"?>` + "\n<methodCall><methodName>", "</params></methodCall>\n"
	params := func(all ...string) string {
		return "<params><param><value><string>" + strings.Join(all, "</string></value></param><param><value><string>") + "</string></value></param>"
	}
	for format, want := range map[xmlrpc.Format][]string{
		xmlrpc.SEMS: {
			head + "di</methodName>" + params("sbc", "postControlCmd", "a&lt;1&gt;", "teardown") + end,
			head + "di</methodName>" + params("sbc", "postControlCmd", "b", "teardown") + end,
		},
		xmlrpc.CallID:   {head + "teardown</methodName>" + params("c&amp;d") + end},
		xmlrpc.Kamailio: {head + "dlg.terminate_dlg</methodName>" + params("c&amp;d", "a&lt;1&gt;", "b") + end},
	} {
		p := newProxy(t)
		run(t, p.URL, format).Ended(timedOut("c&d"))
		if got := p.until(t, len(want)); !slices.Equal(got, want) {
			t.Errorf("format %d: got %q, want %q", format, got, want)
		}
	}
}

func TestOnlyCallsThatTimeOutAreToldOf(t *testing.T) {
	p := newProxy(t)
	c := run(t, p.URL, xmlrpc.CallID)
	deleted, part := timedOut("deleted"), timedOut("part")
	deleted.Why, part.Whole = call.ReasonDeleted, false
	c.Ended(deleted)
	c.Ended(part)
	c.Ended(timedOut("timed out"))
	if got := p.until(t, 1); len(got) != 1 || !strings.Contains(got[0], "timed out") {
		t.Errorf("got %q", got)
	}
}

func TestFailuresAreTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		reply func(int) (int, string)
		want  int
	}{
		"no failure":                      {func(int) (int, string) { return 200, "" }, 1},
		"a fault":                         {func(int) (int, string) { return 200, "<FAULT>no</FAULT>" }, 3},
		"an error of HTTP":                {func(int) (int, string) { return 500, "" }, 3},
		"a fault, then none":              {func(n int) (int, string) { return 200, []string{"<fault>", "ok"}[min(n-1, 1)] }, 2},
		"the dialogue has gone by itself": {func(int) (int, string) { return 200, "<fault>Dialog not found</fault>" }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t)
			p.reply = c.reply
			caller := run(t, p.URL, xmlrpc.CallID)
			caller.Ended(timedOut("c1"))
			p.until(t, c.want)
			p.mu.Lock()
			p.reply, p.bodies = func(int) (int, string) { return 200, "" }, nil
			p.mu.Unlock()
			caller.Ended(timedOut("c2"))
			for _, body := range p.until(t, 1) {
				if !strings.Contains(body, "c2") {
					t.Errorf("one more request: %q", body)
				}
			}
		})
	}
}

func TestHostIsWhoMadeTheCall(t *testing.T) {
	p := newProxy(t)
	c := run(t, strings.Replace(p.URL, "127.0.0.1", "%%", 1), xmlrpc.CallID)
	c.Ended(timedOut("nobody knows"))
	made, told := timedOut("made"), timedOut("told")
	made.Client = netip.MustParseAddr("127.0.0.1")
	told.Client, told.Callback = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("127.0.0.1")
	c.Ended(made)
	c.Ended(told)
	got := strings.Join(p.until(t, 2), "")
	if !strings.Contains(got, "made") || !strings.Contains(got, "told") || strings.Contains(got, "nobody") {
		t.Errorf("got %q", got)
	}
}

func TestURLsMustBeOfHTTP(t *testing.T) {
	for _, url := range []string{"", "proxy", "ftp://proxy/", "http:///x", "http://%zz/"} {
		if _, err := xmlrpc.New(url, xmlrpc.SEMS, nil); err == nil {
			t.Errorf("%q is taken", url)
		}
	}
	if _, err := xmlrpc.New("http://proxy/", 3, nil); err == nil {
		t.Error("format 3 is taken")
	}
	if _, err := xmlrpc.New("http://%%:8080/RPC2", xmlrpc.Kamailio, nil); err != nil {
		t.Error(err)
	}
}
