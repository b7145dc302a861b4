package fastpath

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestWithoutRightsAfterTheStart has one thread that lost its capabilities do what a daemon does: flows that are there can be
// looked after, and what takes rights ends in no engine and a reason.
func TestWithoutRightsAfterTheStart(t *testing.T) {
	p := newPath(t, true)
	plane := p.open(t, TC, tweaks{})
	defer plane.Close()
	plane.follower.stop() // it has rights of its own
	told := 0
	plane.Notify(func() { told++ })
	check(t, plane.Install(across4))
	p.send(t, across4, 5)
	inside(t, p.host, func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		check(t, unix.Capset(&header, &none[0]))
		plane.follow(true)
		if ok, why := plane.Serves(across4.Local.Addr()); !ok {
			t.Errorf("nothing has changed, and it serves nobody: %s", why)
		}
		if c, err := plane.Counters(across4.Local); err != nil && !errors.Is(err, unix.EPERM) || err == nil && c.Packets != 5 {
			t.Errorf("counters %+v, %v", c, err)
		}
		if err := plane.heart.beat(); err != nil && !errors.Is(err, unix.EPERM) {
			t.Errorf("a heartbeat: %v", err)
		}
	})
	for _, d := range plane.devices { // as an operator would take them off
		for _, a := range d.held {
			check(t, a.detach())
		}
	}
	inside(t, p.host, func() {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		check(t, unix.Capset(&header, &none[0]))
		plane.follow(true)
		// Some kernels attach what was loaded with rights for whoever holds it.
		if ok, why := plane.Serves(across4.Local.Addr()); !ok && (!strings.Contains(why, "CAP_BPF") || told == 0) {
			t.Errorf("without programs: %v (%s), told of %d changes", ok, why, told)
		}
	})
	plane.retried = time.Time{}
	inside(t, p.host, func() { plane.follow(true) }) // the rights are back
	p.send(t, across4, 5)
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
