package ng_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const offerSDP = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=sendrecv\r\n"

// newDispatcher returns a dispatcher on a real userspace plane on loopback.
func newDispatcher(t testing.TB, change func(*call.Config)) (*ng.Dispatcher, *call.Manager) {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 43000, PortMax: 43999},
		}}},
		Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := call.Config{Plane: plane, MaxSessions: -1, DeleteDelay: time.Hour}
	if change != nil {
		change(&cfg)
	}
	m := call.NewManager(cfg)
	t.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return ng.NewDispatcher(ng.Config{Calls: m}), m
}

var cookies int

// ask sends one request and returns the reply.
func ask(t testing.TB, d *ng.Dispatcher, enc ngproto.Encoding, entries ...any) ngproto.Dict {
	t.Helper()
	var dict ngproto.Dict
	for i := 0; i < len(entries); i += 2 {
		switch v := entries[i+1].(type) {
		case string:
			dict.Add(entries[i].(string), ngproto.String(v))
		case int:
			dict.Add(entries[i].(string), ngproto.Int(int64(v)))
		case []string:
			dict.Add(entries[i].(string), ngproto.Strings(v...))
		default:
			t.Fatalf("entry of type %T", v)
		}
	}
	cookies++
	cookie := fmt.Sprint("c", cookies)
	reply, err := ngproto.Parse(d.Datagram(t.Context(), append([]byte(cookie+" "), ngproto.Encode(dict, enc)...)))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Cookie != cookie || reply.Encoding != enc {
		t.Fatalf("reply has cookie %q in %v, want %q in %v", reply.Cookie, reply.Encoding, cookie, enc)
	}
	return reply.Dict
}

func TestACallInBothEncodings(t *testing.T) {
	for _, enc := range []ngproto.Encoding{ngproto.Bencode, ngproto.JSON} {
		t.Run(enc.String(), func(t *testing.T) {
			d, _ := newDispatcher(t, nil)
			if got := ask(t, d, enc, "command", "ping").Text("result"); got != "pong" {
				t.Errorf("ping: %q", got)
			}
			offer := ask(t, d, enc, "command", "offer", "call-id", "x", "from-tag", "a", "sdp", offerSDP,
				"replace", []string{"origin", "session-connection"}, "flags", []string{"trust-address"}, "ICE", "remove")
			if offer.Text("result") != "ok" || !strings.Contains(offer.Text("sdp"), "o=- 1 1 IN IP4 127.0.0.1\r\n") {
				t.Errorf("offer: %v", offer)
			}
			answer := ask(t, d, enc, "command", "answer", "call-id", "x", "from-tag", "a", "to-tag", "b", "sdp", offerSDP)
			if answer.Text("result") != "ok" || !strings.Contains(answer.Text("sdp"), "m=audio 43") {
				t.Errorf("answer: %v", answer)
			}
			list := ask(t, d, enc, "command", "list")
			if ids := list.List("calls"); len(ids) != 1 || ids[0].Text() != "x" {
				t.Errorf("list: %v", list)
			}
			query := ask(t, d, enc, "command", "query", "call-id", "x")
			tags := query.Dict("tags")
			if len(tags) != 2 || len(tags.Dict("a").List("medias")) != 1 {
				t.Fatalf("query: %v", query)
			}
			stream := tags.Dict("a").List("medias")[0].Dict().List("streams")[0].Dict()
			if port, _ := stream.Int("local port"); port < 43000 || port > 43999 {
				t.Errorf("stream: %v", stream)
			}
			if got := stream.Dict("advertised endpoint").Text("address"); got != "192.0.2.1" {
				t.Errorf("advertised endpoint %q, want what the party signalled", got)
			}
			gone := ask(t, d, enc, "command", "delete", "call-id", "x", "from-tag", "a", "to-tag", "b", "delete delay", 0)
			if gone.Text("result") != "ok" || !gone.Has("totals") {
				t.Errorf("delete: %v", gone)
			}
			if again := ask(t, d, enc, "command", "delete", "call-id", "x", "from-tag", "a"); again.Text("result") != "ok" ||
				again.Text("warning") != "Call-ID not found or tags didn't match" {
				t.Errorf("a second delete: %v", again)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	d, m := newDispatcher(t, func(c *call.Config) { c.MaxSessions = 1 })
	ask(t, d, ngproto.Bencode, "command", "offer", "call-id", "x", "from-tag", "a", "sdp", offerSDP)
	for _, c := range []struct {
		name, want string
		request    []any
	}{
		{"no command", `Dictionary contains no key "command"`, []any{"call-id", "x"}},
		{"an unknown command", "Unrecognized command", []any{"command", "dance"}},
		{"a command that is not built in", "No command handler", []any{"command", "start recording", "call-id", "x"}},
		{"an offer without SDP", "No SDP body in message", []any{"command", "offer", "call-id", "x", "from-tag", "a"}},
		{"an offer without call-id", "No call-id in message", []any{"command", "offer", "from-tag", "a", "sdp", offerSDP}},
		{"an offer without from-tag", "No from-tag in message", []any{"command", "offer", "call-id", "x", "sdp", offerSDP}},
		{"an answer without to-tag", "No to-tag in message", []any{"command", "answer", "call-id", "x", "from-tag", "a", "sdp", offerSDP}},
		{"an answer to an unknown call", "Unknown call-id", []any{"command", "answer", "call-id", "y", "from-tag", "a", "to-tag", "b", "sdp", offerSDP}},
		{"text that is no SDP", "Failed to parse SDP", []any{"command", "offer", "call-id", "x", "from-tag", "a", "sdp", "hello"}},
		{"SDP without an address", "Incomplete SDP specification",
			[]any{"command", "offer", "call-id", "x", "from-tag", "a", "sdp", strings.ReplaceAll(offerSDP, "c=IN IP4 192.0.2.1\r\n", "")}},
		{"an offer to oneself", "Invalid dialogue association",
			[]any{"command", "offer", "call-id", "x", "from-tag", "a", "to-tag", "a", "sdp", offerSDP}},
		{"speech towards fax", "Error rewriting SDP",
			[]any{"command", "offer", "call-id", "x", "from-tag", "a", "sdp", offerSDP, "transport-protocol", "UDPTL"}},
		{"a call too many", "Parallel session limit reached", []any{"command", "offer", "call-id", "z", "from-tag", "a", "sdp", offerSDP}},
		{"a negative limit", "invalid limit, must be >= 0", []any{"command", "list", "limit", -1}},
		{"a fatal delete", "Call-ID not found or tags didn't match", []any{"command", "delete", "call-id", "nobody", "flags", []string{"fatal"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ask(t, d, ngproto.Bencode, c.request...)
			if got.Text("result") != "error" || got.Text("error-reason") != c.want {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
	limited := ask(t, d, ngproto.Bencode, "command", "offer", "call-id", "z", "from-tag", "a", "sdp", offerSDP, "supports", []string{"load limit"})
	if limited.Text("result") != "load limit" || limited.Text("message") != "Parallel session limit reached" {
		t.Errorf("a client that knows load limits is told %v", limited)
	}
	if ids := m.List(10); len(ids) != 1 {
		t.Errorf("calls after all these errors: %v", ids)
	}
}

func TestHostileDatagrams(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	for _, c := range []struct{ name, in, want string }{
		{"nothing after the cookie", "c1 ", "c1 d12:error-reason25:Invalid data (no payload)6:result5:errore"},
		{"neither bencode nor JSON", "c2 hello", "c2 d12:error-reason22:Invalid NG data format6:result5:errore"},
		{"bencode that breaks off", "c3 d7:command4:pi", "c3 d12:error-reason35:Could not decode bencode dictionary6:result5:errore"},
		{"a string longer than memory", "c4 d7:command99999999999999:x", "c4 d12:error-reason35:Could not decode bencode dictionary6:result5:errore"},
		{"JSON that breaks off", `c5 {"command":`, `c5 {"error-reason":"Failed to parse JSON document","result":"error"}`},
		{"JSON that is no object", `c6 {}{}`, `c6 {"error-reason":"Failed to parse JSON document","result":"error"}`},
		{"no cookie at all", "no-space-and-so-no-cookie", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := string(d.Datagram(t.Context(), []byte(c.in)))
			if c.want != "" && c.want[3] == '{' {
				got, c.want = sortedJSON(t, got[3:]), sortedJSON(t, c.want[3:])
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// sortedJSON makes two objects comparable whatever the order of their keys.
func sortedJSON(t *testing.T, text string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return fmt.Sprint(m)
}

func TestRepeatedCookieGetsTheSameReplyAndExecutesOnce(t *testing.T) {
	d, m := newDispatcher(t, nil)
	var dict ngproto.Dict
	for _, e := range [][2]string{{"command", "offer"}, {"call-id", "x"}, {"from-tag", "a"}, {"sdp", offerSDP}} {
		dict.Add(e[0], ngproto.String(e[1]))
	}
	datagram := append([]byte("cookie "), ngproto.Encode(dict, ngproto.Bencode)...)
	first := d.Datagram(t.Context(), datagram)
	zero := time.Duration(0)
	if _, err := m.Delete(&call.DeleteRequest{CallID: "x", Delay: &zero}); err != nil {
		t.Fatal(err)
	}
	if second := d.Datagram(t.Context(), datagram); !bytes.Equal(first, second) {
		t.Errorf("the repeat is answered\n%q\nwant\n%q", second, first)
	}
	if ids := m.List(10); len(ids) != 0 {
		t.Errorf("the repeat made a call: %v", ids)
	}
}

func TestUDP(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	u, err := ng.ListenUDP(netip.MustParseAddrPort("127.0.0.1:0"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- u.Serve(ctx, d) }()
	client, err := ngproto.Dial(u.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	reply, err := client.Do(ctx, ngproto.Dict{{Key: "command", Value: ngproto.String("ping")}})
	if err != nil || reply.Text("result") != "pong" {
		t.Errorf("ping: %v, %v", reply, err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ng.ListenUDP(u.Addr(), nil); err == nil || !strings.Contains(err.Error(), "--listen-ng") {
		t.Errorf("a taken port: %v, want an error that names the option", err)
	}
	cancel()
	if err := <-served; err != context.Canceled {
		t.Errorf("serve ends with %v", err)
	}
}
