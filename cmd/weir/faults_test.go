package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/control/cli"
)

// What a daemon of these tests does to itself when it gets a signal: nobody else can.
const (
	loseRights = syscall.Signal(40) // gives up all capabilities, as with an unprivileged user
	loseBPF    = syscall.Signal(41) // has the kernel refuse bpf(2), as it did to those without rights before Linux 5.19
)

// sufferFaults is for the process that is the daemon.
func sufferFaults() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, loseRights, loseBPF)
	for s := range signals {
		var err error
		switch s {
		case loseRights:
			err = syscall.Setresuid(-1, 65534, -1) // of all threads, and with it their effective capabilities
		case loseBPF:
			err = forbidBPF()
		}
		fmt.Fprintf(os.Stderr, "fault %v: %v\n", s, err)
	}
}

// forbidBPF installs a seccomp filter in all threads.
func forbidBPF() error {
	ret := func(code uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: code} }
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_BPF, Jf: 1},
		ret(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)),
		ret(unix.SECCOMP_RET_ALLOW),
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// suffer has the daemon have a fault.
func (s *scene) suffer(fault syscall.Signal) {
	s.Helper()
	must(s.T, s.daemon.Process.Signal(fault))
	told := fmt.Sprintf("fault %v: ", fault)
	s.eventually("the fault is there", func() bool { return strings.Contains(s.said(), told+"<nil>") || s.told(told) > 0 })
	if s.told(told+"<nil>") == 0 {
		s.Skipf("this machine has no such fault: %s", s.said())
	}
}

// told counts the lines of the log with some words.
func (s *scene) told(words string) (n int) {
	s.Helper()
	for line := range strings.Lines(s.said()) {
		if strings.Contains(line, words) {
			n++
		}
	}
	return n
}

// expectArrivals waits until something arrives at every phone.
func (s *scene) expectArrivals(calls []*testCall) {
	s.Helper()
	for _, c := range calls {
		for _, p := range []*testPhone{c.caller, c.callee} {
			before := p.got.Load()
			s.eventually("packets arrive in "+c.id, func() bool { return p.got.Load() > before })
		}
	}
}

func (s *scene) ip(args ...string) {
	s.Helper()
	must(s.T, s.host.Do(func() error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("ip %v: %w: %s", args, err, out)
		}
		return err
	}))
}

func TestCallsGoOnInUserspaceWhileADeviceIsDown(t *testing.T) {
	s := newScene(t)
	s.start()
	calls := s.connect(20)
	traffic := s.talk(calls)
	s.inKernel(calls)
	s.ip("link", "set", "left", "down")
	s.eventually("no call is in the kernel", func() bool { return s.status().Flows.Kernel <= len(calls) })
	s.ip("link", "set", "left", "up")
	s.inKernel(calls)
	// The neighbour entries of the rig are gone with the device: the first packets resolve them anew.
	s.expectArrivals(calls)
	traffic.end()
	if n := s.told("is down"); n != 1 {
		t.Errorf("the log tells %d times that a device is down", n)
	}
	s.signal(syscall.SIGTERM)
	s.expectBare()
}

// TestCallsGoOnWhenAnotherOwnerTakesTheHookOfXDP takes our program off a device under load and attaches another one.
func TestCallsGoOnWhenAnotherOwnerTakesTheHookOfXDP(t *testing.T) {
	s := newScene(t, "--fast-path=xdp")
	s.start()
	calls := s.connect(20)
	traffic := s.talk(calls)
	s.inKernel(calls)
	s.expectArrivals(calls)
	foreign := s.replaceXDP("left")
	s.eventually("left has another engine", func() bool { return s.engine("left").Engine != "xdp" })
	if e := s.engine("left"); !strings.Contains(e.Reason, "another XDP program") {
		t.Errorf("left has the engine %s: %s", e.Engine, e.Reason)
	}
	s.expectArrivals(calls)
	must(t, foreign.Close())
	s.eventually("XDP is back", func() bool { return s.engine("left").Engine == "xdp" })
	s.inKernel(calls)
	s.expectArrivals(calls)
	traffic.end()
	s.expectNoLoss(calls)
	for _, words := range []string{"was taken off", "another XDP program"} {
		if n := s.told(words); n != 1 {
			t.Errorf("the log tells %d times that a program %s", n, words)
		}
	}
	s.signal(syscall.SIGTERM)
	s.expectBare()
}

// expectNoLoss has calls that are silent talk for a while and fails for each packet that has not arrived.
func (s *scene) expectNoLoss(calls []*testCall) {
	s.Helper()
	from := marks(calls)
	traffic := s.talk(calls)
	s.expectArrivals(calls)
	traffic.end()
	s.expectAll(calls, from)
}

func (s *scene) engine(device string) (e cli.Engine) {
	s.Helper()
	for _, e := range s.status().Engines {
		if e.Interface == device {
			return e
		}
	}
	return e
}

// replaceXDP does what an operator does with `bpftool link detach` and `xdp-loader load`.
func (s *scene) replaceXDP(device string) (foreign link.Link) {
	s.Helper()
	must(s.T, s.host.Do(func() error {
		pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
			Type: ebpf.XDP, License: "MIT", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2 /* XDP_PASS */), asm.Return()},
		})
		if err != nil {
			return err
		}
		defer pass.Close()
		dev, err := netlink.LinkByName(device)
		if err != nil {
			return err
		}
		var all link.Iterator
		defer all.Close()
		for all.Next() {
			info, err := all.Link.Info()
			if err != nil || info.XDP() == nil || int(info.XDP().Ifindex) != dev.Attrs().Index || uint32(info.Program) != dev.Attrs().Xdp.ProgId {
				continue
			}
			if err := all.Link.Detach(); err != nil {
				return err
			}
			foreign, err = link.AttachXDP(link.XDPOptions{Program: pass, Interface: dev.Attrs().Index, Flags: link.XDPDriverMode})
			return err
		}
		return fmt.Errorf("%s has no XDP program: %w", device, all.Err())
	}))
	return foreign
}

func TestWithoutAPlaceForPinsCallsWorkAndItIsSaidOnce(t *testing.T) {
	s := newScene(t)
	s.bpffs = t.TempDir()
	s.ownMounts = true // so that none is mounted elsewhere
	s.start()
	calls := s.connect(5)
	traffic := s.talk(calls)
	s.inKernel(calls)
	s.kept(calls)
	traffic.end()
	s.expectNoLoss(calls)
	if n := s.told("flows end with this process"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	if life := s.status().Life; life.Pins != "" || !strings.Contains(life.Outlook, "with a gap") || !strings.Contains(life.Outlook, "mount -t bpf") {
		t.Errorf("the status tells of %+v", life)
	}
	var shown strings.Builder
	must(t, printStatus(&shown, s.status()))
	if n := strings.Count(shown.String(), "mount -t bpf"); n != 1 {
		t.Errorf("the status says it %d times:\n%s", n, shown.String())
	}

	traffic = s.talk(calls)
	s.signal(syscall.SIGKILL)
	s.start()
	s.inKernel(calls)
	s.expectArrivals(calls)
	traffic.end()
	s.signal(syscall.SIGTERM)
	s.expectBare()
}

// TestCallsGoOnWithoutRights has a running daemon lose its rights under load. Established calls go on, new ones are served by
// whatever is possible, and the log tells once of everything.
func TestCallsGoOnWithoutRights(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault syscall.Signal
		most  int // lines of the log
	}{{"capabilities", loseRights, 2}, {"the use of bpf(2)", loseBPF, 12}} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t)
			s.start()
			calls := append(s.connect(20), s.connectSecured(5)...)
			traffic := s.talk(calls)
			s.inKernel(calls)
			s.kept(calls)
			traffic.end()
			from := marks(calls)
			traffic = s.talk(calls)
			s.suffer(c.fault)
			before := s.said()
			time.Sleep(3 * time.Second) // devices and counters are looked at
			s.expectArrivals(calls)
			more := make([]*testCall, 10)
			for i := range more {
				more[i] = s.newCall(100 + i)
				s.agree(more[i])
			}
			news := s.talk(more)
			s.expectArrivals(more)
			time.Sleep(3 * time.Second) // wherever they are to go
			news.end()
			first := marks(more)
			news = s.talk(more)
			s.expectArrivals(more)
			news.end()
			traffic.end()
			if c.fault == loseBPF {
				// SRTP is dropped while the kernel does not tell how far its ciphers have come: an index might be used twice.
				calls = calls[:20]
			}
			s.expectAll(calls, from)
			s.expectAll(more, first)
			if st := s.status(); st.Flows.Kernel+st.Flows.Userspace != 2*(25+len(more)) || c.fault == loseBPF && st.Flows.Kernel > 0 {
				t.Errorf("flows: %+v", st.Flows)
			}
			for _, call := range append(calls, more...) {
				s.do("command", "delete", "call-id", call.id, "from-tag", "caller")
			}
			s.signal(syscall.SIGTERM)
			s.expectSaidOnce(strings.TrimPrefix(s.said(), before), c.most)
		})
	}
}

var logTime = regexp.MustCompile(`^time=\S+ `)

// expectSaidOnce fails for lines of the log that come again, and for more than so many.
func (s *scene) expectSaidOnce(log string, most int) {
	s.Helper()
	times, lines := make(map[string]int), 0
	for line := range strings.Lines(log) {
		lines++
		times[logTime.ReplaceAllString(line, "")]++
	}
	for line, n := range times {
		if n > 1 {
			s.Errorf("the log says %d times: %s", n, line)
		}
	}
	if lines > most {
		s.Errorf("the log says %d lines, and %d are enough", lines, most)
	}
}
