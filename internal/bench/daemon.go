package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startPatience is how long a proxy may take until it answers its first ping, and to end after it is told to.
const startPatience = 15 * time.Second

// daemon is a proxy's process in the proxy host of a rig.
type daemon struct {
	cmd    *exec.Cmd
	dir    string        // for its log and its sockets, removed by Close
	ended  chan struct{} // closed with the end of the process
	client *client
}

// startDaemon starts a proxy on the measured CPU and waits until it answers. arguments gives its command line, with dir
// for its files.
func startDaemon(r *rig, arguments func(dir string) []string) (d *daemon, err error) {
	program := arguments("")[0]
	if _, err := exec.LookPath(program); err != nil {
		return nil, fmt.Errorf("%w: build or install it, or give its path by --weir or --rtpengine", err)
	}
	d = &daemon{ended: make(chan struct{})}
	if d.dir, err = os.MkdirTemp("", "weir-bench-"); err != nil {
		return nil, err
	}
	log, err := os.Create(d.logPath())
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(d.dir))
	}
	defer log.Close()

	// A mount namespace with a bpffs of its own keeps apart the pinned maps of several proxies on one machine.
	command := []string{"--mount", "sh", "-c", `mount -t bpf bpf /sys/fs/bpf && exec "$@"`, "sh",
		"taskset", "-c", strconv.Itoa(measuredCPU), "chrt", "-f", strconv.Itoa(proxyPriority)}
	d.cmd = exec.Command("unshare", append(command, arguments(d.dir)...)...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := r.proxy.Start(d.cmd); err != nil {
		return nil, errors.Join(err, os.RemoveAll(d.dir))
	}
	go func() {
		d.cmd.Wait() // how it ended is in its log
		close(d.ended)
	}()

	d.client, err = dialNG(r.proxy, netip.MustParseAddrPort(ngAddr))
	if err == nil {
		err = d.client.ping(startPatience, d.ended)
	}
	if err != nil {
		return nil, errors.Join(d.explain(err), d.Close())
	}
	return d, nil
}

func (d *daemon) logPath() string { return filepath.Join(d.dir, "log") }

// explain adds the end of the proxy's log to an error.
func (d *daemon) explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	log, _ := os.ReadFile(d.logPath())
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return fmt.Errorf("%s: %w; its log ends with:\n%s", d.cmd, err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// cpuTime is the time all threads of the process have run so far.
func (d *daemon) cpuTime() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, file := range files {
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that just ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := bytes.Cut(b, []byte{' '})
		ns, err := strconv.ParseInt(string(first), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		total += time.Duration(ns)
	}
	if len(files) == 0 {
		return 0, d.explain(errors.New("the proxy ended"))
	}
	return total, nil
}

// Close ends the process: it is asked first, so that it can take its programs out, and killed if it takes too long.
func (d *daemon) Close() error {
	if d.client != nil {
		d.client.Close()
	}
	err := d.cmd.Process.Signal(os.Interrupt) // SIGTERM waits for calls
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-d.ended:
	case <-time.After(startPatience):
		err = errors.Join(err, d.cmd.Process.Kill())
		<-d.ended
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}
