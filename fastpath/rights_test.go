package fastpath

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWithoutRightsEveryDeviceHasNoEngineAndAReason(t *testing.T) {
	p := newPath(t, true)
	inside(t, p.host, func() {
		// The thread gives up its capabilities and ends with this function.
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		check(t, unix.Capset(&header, &none[0]))
		plane := must(Open(Config{Addrs: pathAddrs}))(t)
		defer plane.Close()
		for _, i := range plane.Interfaces() {
			if i.Engine != None || !strings.Contains(i.Reason, "CAP_BPF") {
				t.Errorf("%s: %s (%s)", i.Name, i.Engine, i.Reason)
			}
		}
		if err := plane.Install(across4); !errors.Is(err, ErrNoPlane) || !strings.Contains(err.Error(), "CAP_BPF") {
			t.Errorf("install: %v", err)
		}
		if _, err := plane.Counters(across4.Local); !errors.Is(err, ErrNoFlow) {
			t.Errorf("counters: %v", err)
		}
		if err := plane.Walk(nil); err != nil || plane.Reasons() != nil {
			t.Errorf("walk: %v, reasons %v", err, plane.Reasons())
		}
	})
}

func TestOpenTurnsForwardingOnForLoopbackOnlyAndLeavesRouterAdvertisementsAlone(t *testing.T) {
	p := newPath(t, true)
	const accept = "/proc/sys/net/ipv6/conf/left/accept_ra"
	inside(t, p.host, func() { check(t, os.WriteFile(accept, []byte("1"), 0)) })
	plane := p.open(t, Auto, tweaks{})
	defer plane.Close()
	inside(t, p.host, func() {
		for _, family := range []string{"ipv4", "ipv6"} {
			for _, file := range must(filepath.Glob("/proc/sys/net/" + family + "/conf/*/forwarding"))(t) {
				want := "0"
				if file == forwarding4 || file == forwarding6 {
					want = "1"
				}
				if got := strings.TrimSpace(string(must(os.ReadFile(file))(t))); got != want {
					t.Errorf("%s is %s, want %s", file, got, want)
				}
			}
		}
		if got := strings.TrimSpace(string(must(os.ReadFile(accept))(t))); got != "1" {
			t.Errorf("accept_ra is %s, want 1", got)
		}
	})
}
