package fastpath

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// childEnv makes the test binary open a plane and wait to be killed. Its value is "tcx" or "clsact".
const childEnv = "WEIR_FASTPATH_TEST_CHILD"

func TestMain(m *testing.M) {
	if kind := os.Getenv(childEnv); kind != "" {
		child(kind)
	}
	os.Exit(m.Run())
}

func child(kind string) {
	if _, err := open(Config{Addrs: pathAddrs}, tweaks{noTCX: kind == "clsact"}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

// passAll is the program of somebody else.
func passAll() *ebpf.ProgramSpec {
	return &ebpf.ProgramSpec{
		Name: "foreign", Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}
}

func TestAKilledProcessLeavesNothingThatDisturbsTheNext(t *testing.T) {
	clsact := []string{"clsact filter", "clsact"}
	cases := []struct {
		kind   string
		tweaks tweaks
		after  []string // attached to each device when the process is dead
		next   []string // attached by the next process
	}{
		{"tcx", tweaks{}, nil, []string{"tcx"}},
		{"clsact", tweaks{noTCX: true}, clsact, clsact},
	}
	k := kernelOf(t)
	if !k.tcx {
		cases = cases[1:]
	}
	for _, c := range cases {
		if k.features {
			c.next = append([]string{"xdp"}, c.next...)
		}
		t.Run(c.kind, func(t *testing.T) {
			p := newPath(t, true)
			cmd := exec.Command(must(os.Executable())(t))
			cmd.Env = append(os.Environ(), childEnv+"="+c.kind)
			out := must(cmd.StdoutPipe())(t)
			check(t, p.host.Start(cmd))
			if line := must(bufio.NewReader(out).ReadString('\n'))(t); line != "ready\n" {
				t.Fatal(line)
			}
			check(t, cmd.Process.Kill())
			_ = cmd.Wait() // "signal: killed"

			// The kernel takes links down behind the death of their process.
			p.eventually(t, "left", c.after)
			p.eventually(t, "right", c.after)
			plane := p.open(t, Auto, c.tweaks)
			p.eventually(t, "left", c.next)
			check(t, plane.Install(across4))
			p.send(t, across4, 5)
			check(t, plane.Close())
			if c.tweaks.noTCX {
				c.after = []string{"clsact"} // the dead process made it; it is empty
			}
			p.eventually(t, "left", c.after)
		})
	}
}

// eventually waits until a device of the host carries exactly want.
func (p path) eventually(t testing.TB, device string, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		inside(t, p.host, func() { got = attachments(t, device) })
		if slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("%s carries %v, want %v", device, got, want)
}
