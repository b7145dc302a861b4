package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// facts say where and when the figures were taken.
type facts struct {
	Date      string `json:"date"` // RFC 3339, UTC
	Kernel    string `json:"kernel"`
	CPU       string `json:"cpu"`
	CPUs      int    `json:"cpus"`
	Load      string `json:"load"` // average over the last minute, before the benchmark
	Weir      string `json:"weir"`
	RTPEngine string `json:"rtpengine"`
}

func (p programs) facts() facts {
	f := facts{
		Date:      time.Now().UTC().Format(time.RFC3339),
		CPU:       cpuModel(),
		CPUs:      runtime.NumCPU(),
		Weir:      version(p.weir),
		RTPEngine: version(p.rtpengine),
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		f.Kernel = unix.ByteSliceToString(name.Release[:]) + " " + unix.ByteSliceToString(name.Machine[:])
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		f.Load, _, _ = strings.Cut(string(b), " ")
	}
	return f
}

func (f facts) String() string {
	return fmt.Sprintf("%s; Linux %s; %d x %s; load %s\nweir: %s; rtpengine: %s",
		f.Date, f.Kernel, f.CPUs, f.CPU, f.Load, f.Weir, f.RTPEngine)
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// version is the first line a proxy prints when asked.
func version(program string) string {
	out, err := exec.Command(program, "--version").CombinedOutput()
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte{'\n'})
	if err != nil || len(line) == 0 {
		return "unknown"
	}
	return strings.TrimPrefix(string(line), "Version: ")
}
