package fastpath

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// childEnv makes the test binary open a plane, install flows and wait to be killed. Its value is JSON.
const childEnv = "WEIR_FASTPATH_TEST_CHILD"

// victim is what the child does.
type victim struct {
	Mode    Mode
	NoTCX   bool
	Schema  string
	Outlive time.Duration
	BPFFS   string
	Table   int
	Flows   []Flow
}

func (v victim) tweaks() tweaks { return tweaks{noTCX: v.NoTCX, schema: v.Schema} }

func (v victim) config() Config {
	return Config{Mode: v.Mode, Addrs: pathAddrs, Outlive: v.Outlive, BPFFS: v.BPFFS, Table: v.Table}
}

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		if err := child(text); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func child(text string) error {
	var v victim
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	p, err := open(v.config(), v.tweaks())
	if err != nil {
		return err
	}
	for _, f := range v.Flows {
		if err := p.Install(f); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	select {}
}

// kill has a child live and die on the host of the path.
func (p path) kill(t testing.TB, v victim) {
	t.Helper()
	p.born(t, v)()
}

// born has a child live, and returns how to kill it.
func (p path) born(t testing.TB, v victim) (kill func()) {
	t.Helper()
	cmd := exec.Command(must(os.Executable())(t))
	cmd.Env = append(os.Environ(), childEnv+"="+string(must(json.Marshal(v))(t)))
	out := must(cmd.StdoutPipe())(t)
	check(t, p.host.Start(cmd))
	if line := must(bufio.NewReader(out).ReadString('\n'))(t); line != "ready\n" {
		t.Fatal(line)
	}
	return func() {
		check(t, cmd.Process.Kill())
		_ = cmd.Wait() // "signal: killed"
	}
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
			p.kill(t, victim{NoTCX: c.tweaks.noTCX})

			// The kernel takes links down behind the death of their process.
			p.eventually(t, "left", c.after)
			p.eventually(t, "right", c.after)
			plane := p.open(t, Auto, c.tweaks)
			p.eventually(t, "left", c.next)
			check(t, plane.Install(across4))
			p.send(t, across4, 5)
			check(t, plane.Close())
			if c.tweaks.noTCX {
				c.after = nil // what the dead process made is gone, too
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
