package peers

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"testing"
)

// webrtcpeer builds the client, which is a module of its own.
func webrtcpeer(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webrtcpeer")
	cmd := exec.Command("go", "build", "-o", path, ".")
	cmd.Dir = filepath.Join("..", "webrtcpeer")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build webrtcpeer: %v\n%s", err, out)
	}
	return path
}

func TestTrickling(t *testing.T) {
	s := stage(t, IPv4, "baresip")
	program := webrtcpeer(t)

	// client makes one, and trickle, which sends what candidates it has had since its latest description.
	client := func(t *testing.T) (client *Client, peer *Trickler, trickle func()) {
		t.Helper()
		peer, err := NewTrickler(s.West, program, LowTone)
		if err != nil {
			t.Fatal(err)
		}
		if client, err = NewClient(s.West, Browser, peer); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				state, err := peer.State()
				t.Logf("--- webrtcpeer\n%+v %v\n%s", state, err, peer.tail(40))
			}
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
		return client, peer, func() {
			t.Helper()
			fragments, err := peer.Fragments()
			must(t, err)
			if len(fragments) < 2 {
				t.Fatalf("no candidates to trickle: %q", fragments)
			}
			for _, fragment := range fragments {
				must(t, client.Inform(FragmentType, fragment))
			}
		}
	}
	connected := func(t *testing.T, peer *Trickler) {
		t.Helper()
		must(t, await(patience, "webrtcpeer is connected", func() error {
			state, err := peer.State()
			if err != nil {
				return err
			}
			addr, err := netip.ParseAddrPort(state.Remote)
			if state.Connection != "connected" || err != nil || addr.Addr().String() != ProxyWest {
				err = fmt.Errorf("it says %s to %q", state.Connection, state.Remote)
			}
			return err
		}))
	}

	t.Run("calls RTP", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, pcmu)
		client, peer, trickle := client(t)
		must(t, client.Call(phone.URI()))
		trickle()
		connected(t, peer)
		talk(t, client, phone)
		must(t, client.HangUp())
		must(t, phone.AwaitEnd())
		must(t, s.AwaitNoCalls())
	})

	t.Run("is found by what it trickles alone, also after a restart", func(t *testing.T) {
		phone := baresip(t, s.East, Plain, HighTone, pcmu)
		client, peer, trickle := client(t)
		peer.Deaf = true
		must(t, client.Call(phone.URI()))
		trickle()
		connected(t, peer)
		talk(t, client, phone)
		must(t, client.Renew(true))
		trickle()
		connected(t, peer)
		talk(t, client, phone)
		must(t, client.HangUp())
		must(t, s.AwaitNoCalls())
	})

	t.Run("answers RTP", func(t *testing.T) {
		client, peer, trickle := client(t)
		peer.Deaf = true
		phone := baresip(t, s.East, Plain, HighTone, pcmu)
		must(t, phone.Call(client.URI()))
		must(t, client.AwaitCall())
		trickle()
		connected(t, peer)
		talk(t, client, phone)
		must(t, phone.HangUp())
		must(t, client.AwaitEnd())
		must(t, s.AwaitNoCalls())
	})
}
