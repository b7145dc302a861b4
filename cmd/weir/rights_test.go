package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/control/cli"
)

// capabilities by their name in packaging.
var capabilities = map[string]uintptr{"BPF": unix.CAP_BPF, "PERFMON": unix.CAP_PERFMON, "NET_ADMIN": unix.CAP_NET_ADMIN, "NET_RAW": unix.CAP_NET_RAW}

// packaged reads the capabilities that a file of packaging gives, which the expression finds in it.
func packaged(t *testing.T, file, expression string) []string {
	t.Helper()
	text := value(os.ReadFile(filepath.Join("../../packaging", file)))(t)
	m := regexp.MustCompile(expression).FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s gives no capabilities", file)
	}
	names := regexp.MustCompile(`[A-Z][A-Z_]+`).FindAllString(strings.ReplaceAll(string(m[1]), "CAP_", ""), -1)
	slices.Sort(names)
	return names
}

func TestPackagesGiveTheSameRights(t *testing.T) {
	want := []string{"BPF", "NET_ADMIN", "NET_RAW", "PERFMON"}
	for _, c := range []struct{ file, expression string }{
		{"systemd/weir.service", `(?m)^AmbientCapabilities=(.*)$`},
		{"systemd/weir.service", `(?m)^CapabilityBoundingSet=(.*)$`},
		{"kubernetes/weir.yaml", `(?m)^ +add: (\[.*\])$`},
		{"docker/Dockerfile", `(?m)--cap-drop ALL (.*) \\$`},
	} {
		if got := packaged(t, c.file, c.expression); !slices.Equal(got, want) {
			t.Errorf("%s gives %v by %s, want %v", c.file, got, c.expression, want)
		}
	}
}

// TestRightsOfThePackages runs the daemon as an ordinary user with the rights that the packages give it, and with each of them missing.
func TestRightsOfThePackages(t *testing.T) {
	all := packaged(t, "systemd/weir.service", `(?m)^AmbientCapabilities=(.*)$`)
	const user = 64999
	run := func(t *testing.T, engine, without string) (*cli.Status, string) {
		s := newScene(t, "--fast-path="+engine)
		// The user has to get at the test's own files, which are below directories of root's.
		s.dir = value(os.MkdirTemp("", "weir-rights-"))(t)
		t.Cleanup(func() { os.RemoveAll(s.dir) })
		must(t, os.Chown(s.dir, user, user))
		s.program = filepath.Join(s.dir, "weir")
		must(t, os.WriteFile(s.program, value(os.ReadFile(value(os.Executable())(t)))(t), 0o755))
		must(t, os.Chmod(s.bpffs, 0o700))
		must(t, os.Chown(s.bpffs, user, user))
		var caps []uintptr
		for _, name := range all {
			if name != without {
				caps = append(caps, capabilities[name])
			}
		}
		s.sys = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}, AmbientCaps: caps}
		s.start()
		defer s.signal(syscall.SIGTERM)
		set := regexp.MustCompile(`(?m)^CapEff:\t0*([0-9a-f]+)$`).FindSubmatch(value(os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.Process.Pid)))(t))
		if without == "" && (set == nil || string(set[1]) != "c000003000") {
			t.Errorf("the daemon has the rights %s", set)
		}
		if without == "" {
			calls := s.connect(2)
			traffic := s.talk(calls)
			s.inKernel(calls)
			s.kept(calls)
			traffic.end()
			from := marks(calls)
			traffic = s.talk(calls)
			s.signal(syscall.SIGUSR2)
			s.start()
			s.inKernel(calls)
			traffic.end()
			s.expectAll(calls, from)
		}
		return s.status(), s.said()
	}
	for _, engine := range []string{"xdp", "tc"} {
		t.Run("all, "+engine, func(t *testing.T) {
			st, _ := run(t, engine, "")
			for _, e := range st.Engines {
				if e.Engine != engine {
					t.Errorf("%s has %s: %s", e.Interface, e.Engine, e.Reason)
				}
			}
			if st.IO.Engine != "shared" || st.Life.Pins == "" {
				t.Errorf("userspace is %+v, life %+v", st.IO, st.Life)
			}
		})
	}
	for _, name := range all {
		t.Run("without "+name, func(t *testing.T) {
			st, log := run(t, "auto", name)
			if st.Engines[0].Engine != "none" && st.IO.Engine == "shared" {
				t.Errorf("the packages give CAP_%s for nothing\n%s", name, log)
			}
		})
	}
}

// TestBuildIsStatic builds as the scripts and the Dockerfile do, and runs the program where there is nothing else.
func TestBuildIsStatic(t *testing.T) {
	root := t.TempDir()
	program := filepath.Join(root, "usr/bin/weir")
	dockerfile := string(value(os.ReadFile("../../packaging/docker/Dockerfile"))(t))
	m := regexp.MustCompile(`RUN CGO_ENABLED=0 (go build .*) -o /out/weir \./cmd/weir\n`).FindStringSubmatch(dockerfile)
	if m == nil {
		t.Fatal("the Dockerfile does not build as expected")
	}
	build := exec.Command("sh", "-c", strings.ReplaceAll(m[1], "$VERSION", "tested")+" -o "+program+" .")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := value(elf.Open(program))(t)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program is linked dynamically: it has a %v", p.Type)
		}
	}

	// The image has these beside the program.
	must(t, os.MkdirAll(filepath.Join(root, "etc/weir"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc/weir/weir.conf"), value(os.ReadFile("../../packaging/weir.conf"))(t), 0o644))
	words := func(expression string) []string {
		m := regexp.MustCompile(expression).FindStringSubmatch(dockerfile)
		if m == nil {
			t.Fatalf("the Dockerfile has no %s", expression)
		}
		return regexp.MustCompile(`[^", ]+`).FindAllString(m[1], -1)
	}
	entry, health := words(`(?m)^ENTRYPOINT \[(.*)\]`), words(`(?m)^HEALTHCHECK .*CMD \[(.*)\]`)
	s := newScene(t)
	inside := func(args ...string) *exec.Cmd {
		c := exec.Command(args[0], args[1:]...)
		c.Path, c.Err = args[0], nil // looked up inside
		c.Dir = "/"
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		return c
	}
	var said bytes.Buffer
	serve := inside(append(append(entry, words(`(?m)^CMD \[(.*)\]`)...), "--fast-path=none", "--drain-deadline=0")...)
	serve.Stdout, serve.Stderr = &said, &said
	must(t, s.host.Start(serve))
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }()
	t.Cleanup(func() { _ = serve.Process.Kill() })
	s.eventually("the health check of the image says yes", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the daemon ends with %v\n%s", err, &said)
		default:
		}
		check := inside(health...)
		out, err := check.CombinedOutput()
		return err == nil && bytes.Contains(out, []byte("weir tested"))
	})
	must(t, serve.Process.Signal(syscall.SIGTERM))
	if err := <-ended; err != nil {
		t.Errorf("it ends with %v\n%s", err, &said)
	}
	if out, err := inside(health...).CombinedOutput(); err == nil {
		t.Errorf("the health check says yes of a daemon that has ended:\n%s", out)
	}
}
