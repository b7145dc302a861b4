package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/cilium/ebpf/rlimit"
)

// peerLine is a line with rtpengine and learnt calls, still without a sink.
func peerLine(t *testing.T, calls int) *line {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	path, err := exec.LookPath("rtpengine")
	if err != nil {
		t.Skip("rtpengine is not installed")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	l := &line{subject: subject{name: peerName, plane: userspace, command: programs{rtpengine: path}.peer}}
	if l.rig, err = newRig(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.proxied(t.Context(), calls); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPacketsOfAllCallsPassTheProxyAndOnlyThenTheKernel(t *testing.T) {
	l := peerLine(t, 20)
	if err := l.rig.attach(l.rig.callee, "proxy", l.rig.bpf.Sink); err != nil {
		t.Fatal(err)
	}
	if err := l.settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	const length = 100 * time.Millisecond
	s, err := l.run(t.Context(), length)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("through the proxy: %.0f ns a packet, %d of %d lost", s.nsPerPacket, s.lost, s.sent)

	// A program that takes the packets away from the proxy must not pass for it.
	if err := l.rig.attach(l.rig.proxy, "caller", l.rig.bpf.BareRedirect); err != nil {
		t.Fatal(err)
	}
	if s, err = l.run(t.Context(), length); err == nil {
		t.Errorf("a run around the proxy gave a figure: %.0f ns a packet", s.nsPerPacket)
	}
	l.subject.plane = kernel
	if err := l.settle(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSignallingLeavesRoomForTheNextRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	path, err := exec.LookPath("rtpengine")
	if err != nil {
		t.Skip("rtpengine is not installed")
	}
	s, err := newSignalling(subject{command: programs{rtpengine: path}.peer})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for range 2 {
		m, err := s.run(100)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.0f calls a second, proxy at %.0f %%, client at %.0f %%",
			m.perSecond, 100*m.proxyShare, 100*m.clientShare)
		if m.perSecond <= 0 {
			t.Error("the rate is not positive")
		}
	}
}
