package ng_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/internal/golden"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
)

// fuzzed is a dispatcher with a plane whose ports can be taken again at once.
type fuzzed struct {
	*ng.Dispatcher
	calls *call.Manager
	plane *media.Plane
}

func newFuzzed(f testing.TB) *fuzzed {
	f.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 46000, PortMax: 47999},
			{IP: netip.MustParseAddr("::1"), PortMin: 46000, PortMax: 47999},
		}}},
		Workers: 1, Quarantine: -1,
	})
	if err != nil {
		f.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1})
	f.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			f.Error(err)
		}
	})
	return &fuzzed{ng.NewDispatcher(ng.Config{Calls: m}), m, plane}
}

// taken counts the pairs of ports in use.
func taken(plane *media.Plane) (n int) {
	for _, p := range plane.Pools() {
		n += p.Used
	}
	return n
}

// state is what a call looks like from outside, without the time it was last spoken of.
func (z *fuzzed) state(t testing.TB) string {
	t.Helper()
	reply := ask(t, z.Dispatcher, ngproto.Bencode, "command", "query", "call-id", "x")
	var kept ngproto.Dict
	for _, e := range reply {
		if e.Key != "last signal" {
			kept = append(kept, e)
		}
	}
	return fmt.Sprint(kept)
}

// FuzzOfferAnswer has a call re-offered and answered by arbitrary text under arbitrary flags. Nothing may cause a fault,
// an answer may not be out of all proportion to the question, what comes out can be read, a failed offer or answer changes
// nothing, and at the end every port is given back.
func FuzzOfferAnswer(f *testing.F) {
	z := newFuzzed(f)
	f.Add(offerSDP, offerSDP, "")
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		c, err := golden.Parse(string(text))
		if err != nil {
			f.Fatalf("%s: %v", file, err)
		}
		last := c.Steps[len(c.Steps)-1]
		f.Add(strings.ReplaceAll(c.Steps[0].In, "\n", "\r\n"), strings.ReplaceAll(last.In, "\n", "\r\n"), flagString(c.Steps[0].Keys))
	}
	f.Fuzz(func(t *testing.T, offer, answer, flags string) {
		say := func(command, sdp, flags string) ngproto.Dict {
			return ask(t, z.Dispatcher, ngproto.Bencode, "command", command, "call-id", "x", "from-tag", "a", "to-tag", "b", "sdp", sdp,
				"rtpp-flags", flags)
		}
		defer func() {
			for _, id := range z.calls.List(100) {
				at := time.Duration(0)
				if _, err := z.calls.Delete(&call.DeleteRequest{CallID: id, Delay: &at}); err != nil {
					t.Error(err)
				}
			}
			// The workers give ports back in their own time.
			for end := time.Now().Add(5 * time.Second); taken(z.plane) != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d pairs of ports are still taken", taken(z.plane))
				}
			}
		}()
		for _, command := range []string{"offer", "answer"} {
			if got := say(command, offerSDP, ""); got.Text("result") != "ok" {
				t.Fatal(got)
			}
		}
		for _, step := range [][2]string{{"offer", offer}, {"answer", answer}} {
			before := z.state(t)
			reply := say(step[0], step[1], flags)
			if z.Stats().Faults != 0 {
				t.Fatalf("a fault: %v", reply)
			}
			if reply.Text("result") != "ok" {
				if after := z.state(t); after != before {
					t.Errorf("a failed %s (%v) changed the call from\n%s\nto\n%s", step[0], reply, before, after)
				}
				continue
			}
			text := reply.Text("sdp")
			if most := 64<<10 + 20*(len(step[1])+len(offer)+len(flags)+len(offerSDP)); len(text) > most {
				t.Errorf("%d bytes became %d", len(step[1]), len(text))
			}
			if _, err := sdp.Parse(text); err != nil && text != "" {
				t.Errorf("what comes out cannot be read: %v\n%q", err, text)
			}
		}
	})
}

// flagString says keys as rtpp-flags, but for those that name the call and its parties.
func flagString(keys ngproto.Dict) string {
	var words []string
	for _, e := range keys {
		switch {
		case strings.HasSuffix(e.Key, "-tag"):
		case e.Value.Kind() == ngproto.KindDict:
			words = append(words, e.Key+"=["+flagString(e.Value.Dict())+"]")
		case e.Value.Kind() == ngproto.KindList:
			words = append(words, e.Key+"=["+strings.Join(e.Value.Strings(), " ")+"]")
		default:
			words = append(words, e.Key+"="+e.Value.Text())
		}
	}
	return strings.Join(words, " ")
}

// exchange writes bytes to a connection, says that there are no more, and returns all that comes back.
func exchange(t *testing.T, network, addr string, bytes []byte) []byte {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(8 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Write(bytes)
	if err == nil {
		err = conn.(interface{ CloseWrite() error }).CloseWrite()
	}
	back, rerr := io.ReadAll(conn)
	for _, err := range []error{err, rerr} {
		if err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("after %d bytes back: %v", len(back), err)
		}
	}
	return back
}

// FuzzStreamConnection feeds a connection for messages arbitrary bytes: it must end, and what came back must be replies.
func FuzzStreamConnection(f *testing.F) {
	path := filepath.Join(f.TempDir(), "ng.sock")
	s, err := ng.ListenUnix(path, quiet)
	if err != nil {
		f.Fatal(err)
	}
	serving(f, s.Serve)
	f.Add([]byte("c1 " + pingRequest + "\r\nc2 {\"command\":\"ping\"}c3 d"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var framer ngproto.Framer
		if _, err := framer.Write(exchange(t, "unix", path, raw)); err != nil {
			t.Fatal(err)
		}
		for {
			message, err := framer.Next()
			if err != nil {
				t.Fatal(err)
			}
			if message == nil {
				return
			}
			if _, err := ngproto.Parse(message); err != nil {
				t.Errorf("a reply cannot be read: %v: %q", err, message)
			}
		}
	})
}

const upgrade = "GET / HTTP/1.1\r\nHost: weir\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ng-plain.rtpengine.com\r\n\r\n"

// FuzzHTTPConnection feeds an HTTP connection, or a WebSocket when it begins with the upgrade, arbitrary bytes: it must end,
// and the next client must be served.
func FuzzHTTPConnection(f *testing.F) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		f.Fatal(err)
	}
	serving(f, h.Serve)
	addr := h.Addr().String()
	f.Add(false, []byte("POST /ng-plain HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"command\":\"ping\"}"))
	f.Add(true, []byte("\x81\x92\x00\x00\x00\x00{\"command\":\"ping\"}\x88\x80\x00\x00\x00\x00"))
	ping := []byte("GET /ping HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")
	f.Fuzz(func(t *testing.T, socket bool, raw []byte) {
		if socket {
			raw = append([]byte(upgrade), raw...)
		}
		exchange(t, "tcp", addr, raw)
		if got := exchange(t, "tcp", addr, ping); !bytes.HasSuffix(got, []byte("pong\n")) {
			t.Errorf("the next client gets %q", got)
		}
	})
}

func TestFramesRightBehindTheUpgradeAreServed(t *testing.T) {
	h, err := ng.ListenHTTP(anyPort, nil, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, h.Serve)
	conn, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ping, end := "\x81\x92\x00\x00\x00\x00{\"command\":\"ping\"}", "\x88\x80\x00\x00\x00\x00"
	if _, err := io.WriteString(conn, upgrade+ping+end); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), `{"result":"pong"}`) {
		t.Errorf("got %q, %v", got, err)
	}
}
