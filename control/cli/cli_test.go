package cli_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

const offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

// host is a daemon that does nothing but note what it is told.
type host struct {
	calls   *call.Manager
	refuses error
}

func (h *host) Calls() *call.Manager { return h.calls }
func (h *host) Status() cli.Status   { return cli.Status{Version: "test"} }
func (h *host) Reload() (cli.Reloaded, error) {
	return cli.Reloaded{Changed: []string{"timeout"}, Restart: []string{"interface"}}, h.refuses
}

func (h *host) Drain(limit time.Duration, failPing bool) cli.Drain {
	return cli.Drain{Draining: true, PingsRefused: failPing, DeadlineSeconds: int64(limit.Seconds())}
}

func (h *host) Undrain() cli.Drain { return cli.Drain{DeadlineSeconds: -1} }

// serve starts a server of a manager with one offered call, and returns the path of its socket.
func serve(t *testing.T) string {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 44000, PortMax: 44999},
		}}},
		Workers: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1})
	desc, err := sdp.Parse(offer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Offer(&call.Request{CallID: "odd id/with?signs", FromTag: "a", SDP: desc}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "weir.sock")
	s, err := cli.Listen(path, &host{calls: m})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve ends with %v", err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestClientAndServerAgree(t *testing.T) {
	path := serve(t)
	c := cli.NewClient(path)
	if st, err := c.Status(t.Context()); err != nil || st.Version != "test" {
		t.Errorf("status: %+v, %v", st, err)
	}
	calls, err := c.Calls(t.Context(), 10)
	if err != nil || calls.Total != 1 || len(calls.Calls) != 1 {
		t.Fatalf("calls: %+v, %v", calls, err)
	}
	got := calls.Calls[0]
	if got.CallID != "odd id/with?signs" || got.State != "offered" || len(got.Legs) != 4 {
		t.Fatalf("got %+v, want the offered call with the RTP and RTCP legs of both sides", got)
	}
	if l := got.Legs[0]; l.Party != "a" || l.Component != "RTP" || l.Signalled != "192.0.2.1:4000" || l.Plane != "userspace" ||
		l.Why == "" || l.LastPacketMS != -1 {
		t.Errorf("the offerer's leg is %+v", l)
	}
	if got, err := c.Calls(t.Context(), 0); err != nil || len(got.Calls) != 0 || got.Total != 1 {
		t.Errorf("with limit 0: %+v, %v", got, err)
	}
	if one, err := c.Call(t.Context(), "odd id/with?signs"); err != nil || one.CallID != got.CallID {
		t.Errorf("one call: %+v, %v", one, err)
	}
	if _, err := c.Call(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), "unknown call-id") {
		t.Errorf("an unknown call: %v", err)
	}
}

func TestSocketOfALiveDaemonIsNotTaken(t *testing.T) {
	path := serve(t)
	if _, err := cli.Listen(path, nil); err == nil || !strings.Contains(err.Error(), "--control-socket") {
		t.Errorf("got %v, want an error that names the option", err)
	}
}

func TestSocketOfADeadDaemonIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	s, err := cli.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A daemon that is killed leaves its socket; a rename there and back stands for that, as closing would remove it.
	kept := path + ".kept"
	if err := os.Rename(path, kept); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(kept, path); err != nil {
		t.Fatal(err)
	}
	s, err = cli.Listen(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestMissingDaemonIsNamed(t *testing.T) {
	_, err := cli.NewClient(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is it running?") {
		t.Errorf("got %v", err)
	}
}
