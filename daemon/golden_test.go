package daemon

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/weir-media/weir/internal/golden"
	"github.com/weir-media/weir/ngproto"
)

// TestGoldenPairsOverUDP plays the golden files of control/ng to a whole daemon.
func TestGoldenPairsOverUDP(t *testing.T) {
	d, addr := goldenDaemon(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the daemon ends with %v", err)
		}
	}()
	client, err := ngproto.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	golden.Replay(t, "../control/ng/testdata/golden", func(t *testing.T, request ngproto.Dict) ngproto.Dict {
		t.Helper()
		reply, err := client.Do(ctx, request)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	})
}

// goldenDaemon builds the daemon that the golden files are written for, and returns the address it listens on.
func goldenDaemon(t *testing.T) (d *Daemon, addr string) {
	t.Helper()
	var err error
	for range 10 { // a port that is free may be taken before the daemon has it
		var free net.PacketConn
		if free, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		addr = free.LocalAddr().String()
		free.Close()
		var opts *Options
		opts, err = complete(t, "",
			"--interface=pub/"+golden.PubIP4+"!"+golden.PubAdvertised4, "--interface=pub/"+golden.PubIP6+"!"+golden.PubAdvertised6,
			"--interface=priv/"+golden.PrivIP4+"!"+golden.PrivAdvertised4, "--listen-ng="+addr, "--fast-path=none", "--state-dir=none",
			"--port-min=45000", "--port-max=45998", "--control-socket="+filepath.Join(t.TempDir(), "weir.sock"))
		if err != nil {
			t.Fatal(err)
		}
		if d, err = New(opts, "test", io.Discard, io.Discard); err == nil {
			return d, addr
		}
	}
	t.Fatal(err)
	return nil, ""
}
