package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudoterminal of a size: what a user sees, and what a program is given (pty(7)).
func terminal(t *testing.T, rows, columns uint16) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns}); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// TestTopInATerminal runs "weir top" where a user would: it draws over what it drew before, shows a call that comes, and ends with Ctrl-C.
func TestTopInATerminal(t *testing.T) {
	s := serve(t)
	user, program := terminal(t, 24, 120)
	cmd := exec.Command(value(os.Executable())(t), "top", "--interval=50ms", "--control-socket="+s.socket)
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(t, cmd.Start())
	program.Close()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var mu sync.Mutex
	var seen bytes.Buffer
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := user.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			seen.Write(buf[:n])
			mu.Unlock()
		}
	}()
	screen := func() string {
		mu.Lock()
		defer mu.Unlock()
		all := strings.Split(seen.String(), clearScreen)
		if len(all) < 3 { // at least one whole one between two
			return ""
		}
		return all[len(all)-2]
	}
	s.until("an empty table is drawn", func() bool { return strings.Contains(screen(), "0 calls") && strings.Contains(screen(), "CALL ") })
	s.offer("on-the-screen")
	s.until("the call is on the screen", func() bool {
		return strings.Contains(screen(), "on-the-screen") && strings.Contains(screen(), "1 calls")
	})
	if _, err := user.Write([]byte{3}); err != nil { // Ctrl-C
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil && !strings.Contains(err.Error(), "interrupt") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("Ctrl-C does not end it")
	}
}
