package peers

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// program is the daemon under test, from the environment. These tests take minutes and need programs from Debian
// packages, so they run only where somebody asks for them: scripts/peers does.
func program(t *testing.T, needs ...string) string {
	t.Helper()
	weir := os.Getenv("WEIR_PEERS")
	if weir == "" {
		t.Skip("real peers are called only with WEIR_PEERS set to the path of a weir binary, as scripts/peers does")
	}
	for _, name := range append(needs, "kamailio", "ss") {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed: scripts/peers installs what is needed", name)
		}
	}
	return weir
}

// stage makes one for a test that needs these programs.
func stage(t *testing.T, west Families, needs ...string) *Stage {
	t.Helper()
	s, err := NewStage(program(t, needs...), west)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Logs())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func baresip(t *testing.T, side Side, kind Kind, tone float64, codecs ...string) *Baresip {
	t.Helper()
	b, err := NewBaresip(side, kind, tone, codecs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- baresip %s\n%s", b.URI(), b.tail(400))
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// must ends the test with an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// party is somebody who hears.
type party interface {
	Hear() (Sound, error)
	URI() string
	Tone() float64
}

// talk waits until each hears the other.
func talk(t *testing.T, a, b party) {
	t.Helper()
	hears(t, a, b)
	hears(t, b, a)
}

// hears waits until one hears the other, in audio that comes from now on.
func hears(t *testing.T, listener, speaker party) {
	t.Helper()
	before, _ := listener.Hear() // nothing yet is as good
	must(t, await(patience, listener.URI()+" hears "+speaker.URI(), func() error {
		s, err := listener.Hear()
		if err == nil && (!s.Is(speaker.Tone()) || s.Heard < before.Heard+window) {
			err = fmt.Errorf("heard %v, then %v; want %v Hz", before, s, speaker.Tone())
		}
		return err
	}))
}

// carried is how many RTP packets Weir has had from and sent to all parties of its only call.
func carried(t *testing.T, s *Stage) (in, out uint64) {
	t.Helper()
	calls, err := s.Calls()
	if err != nil || len(calls) != 1 {
		t.Fatalf("want one call, got %v, %v", calls, err)
	}
	for _, leg := range calls[0].Legs {
		if leg.Refused > 0 || leg.Errors > 0 {
			t.Errorf("%s of %s: %d packets refused, %d errors", leg.Component, leg.Party, leg.Refused, leg.Errors)
		}
		if leg.Component == "RTP" {
			in += leg.Packets
			out += leg.PacketsOut
		}
	}
	return in, out
}

// halt waits until Weir has no media to carry any more. RTCP goes on, and counts as well where it shares the port.
func halt(t *testing.T, s *Stage) {
	t.Helper()
	const reports = 10
	must(t, await(patience, "media stops", func() error {
		before, _ := carried(t, s)
		time.Sleep(window)
		if in, _ := carried(t, s); in > before+reports {
			return fmt.Errorf("%d packets, then %d", before, in)
		}
		return nil
	}))
}

// run waits until Weir carries as much again as both parties send in the time of a window, and that all of it goes out.
func run(t *testing.T, s *Stage) {
	t.Helper()
	const packets = uint64(2 * window / (20 * time.Millisecond))
	in, out := carried(t, s)
	must(t, await(patience, "media runs", func() error {
		if i, o := carried(t, s); i < in+packets || o < out+packets {
			return fmt.Errorf("%d packets in and %d out, then %d and %d", in, out, i, o)
		}
		return nil
	}))
}
