package main

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCallsGoOnInUserspaceWhileADeviceHasNoProgram(t *testing.T) {
	s := newScene(t)
	s.start()
	calls := s.connect(5)
	traffic := s.talk(calls)
	s.inKernel(calls)
	onHost := func(args ...string) {
		t.Helper()
		must(t, s.host.Do(func() error {
			out, err := exec.Command("ip", args...).CombinedOutput()
			if err != nil {
				err = fmt.Errorf("ip %v: %w: %s", args, err, out)
			}
			return err
		}))
	}
	onHost("link", "set", "left", "down")
	s.eventually("no call is in the kernel", func() bool { return s.status().Flows.Kernel <= len(calls) })
	onHost("link", "set", "left", "up")
	s.inKernel(calls)
	traffic.end()

	// The neighbour entries of the rig are gone with the device: the first packets resolve them anew.
	s.eventually("packets arrive again", func() bool {
		before := calls[0].callee.got.Load()
		traffic := s.talk(calls)
		time.Sleep(100 * time.Millisecond)
		traffic.end()
		return calls[0].callee.got.Load() > before
	})
	lines := strings.Count(s.said(), "is down")
	if lines == 0 || lines > 3 {
		t.Errorf("the log tells %d times that a device is down", lines)
	}
	s.signal(syscall.SIGTERM)
	s.expectBare()
}
