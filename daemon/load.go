package daemon

import (
	"context"
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// loadInterval is how often the load of the host is looked at; the rates of packets are taken every second time.
const loadInterval = 500 * time.Millisecond

// load is how busy the host and the planes are. It is safe for concurrent use.
type load struct {
	cpu, average atomic.Uint64 // bits of a float64: percent, and the load average of a minute
	rates        atomic.Pointer[counts.Rates]
}

func (l *load) rate() counts.Rates {
	if r := l.rates.Load(); r != nil {
		return *r
	}
	return counts.Rates{}
}

// admit tells why the load allows no new call; nil if it does.
func (l *load) admit(s *cli.Settings) error {
	switch {
	case s.MaxLoad > 0 && math.Float64frombits(l.average.Load()) > s.MaxLoad:
		return call.ErrLoadLimit
	case s.MaxCPU > 0 && math.Float64frombits(l.cpu.Load()) > s.MaxCPU:
		return call.ErrCPULimit
	case s.MaxBandwidth > 0:
		if rate := l.rate(); rate.Sum().Bytes > s.MaxBandwidth {
			return call.ErrBandwidthLimit
		}
	}
	return nil
}

// run looks at the load until ctx ends.
func (l *load) run(ctx context.Context, plane *media.Plane) {
	tick := time.NewTicker(loadInterval)
	defer tick.Stop()
	busy, all, _ := readCPU()
	before, at := plane.Relayed(), time.Now()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// What a host does not tell limits nothing.
		if b, a, err := readCPU(); err == nil && a > all {
			l.cpu.Store(math.Float64bits(100 * float64(b-busy) / float64(a-all)))
			busy, all = b, a
		}
		if v, err := readAverage(); err == nil {
			l.average.Store(math.Float64bits(v))
		}
		if n%2 == 1 {
			now, then := plane.Relayed(), at
			at = time.Now()
			l.rates.Store(rates(&before, &now, at.Sub(then)))
			before = now
		}
	}
}

// rates are what was relayed in a second, from two readings.
func rates(before, now *media.Relayed, passed time.Duration) *counts.Rates {
	per := func(before, now uint64) uint64 {
		if now < before || passed <= 0 {
			return 0
		}
		return uint64(math.Round(float64(now-before) / passed.Seconds()))
	}
	return &counts.Rates{
		Userspace: counts.Rate{
			Packets: per(before.Userspace.Packets, now.Userspace.Packets), Bytes: per(before.Userspace.Bytes, now.Userspace.Bytes),
			Errors: per(before.Errors, now.Errors),
		},
		Kernel: counts.Rate{Packets: per(before.Kernel.Packets, now.Kernel.Packets), Bytes: per(before.Kernel.Bytes, now.Kernel.Bytes)},
	}
}

// readCPU returns how long the CPUs have been busy, and how long they have been there, in ticks (proc_stat(5)).
func readCPU() (busy, all uint64, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	const idle, ioWait, guest = 3, 4, 8 // guests are counted as users already
	if len(fields) <= guest || fields[0] != "cpu" {
		return 0, 0, errors.New("/proc/stat has no line of all CPUs")
	}
	for i, field := range fields[1 : guest+1] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		if all += n; i != idle && i != ioWait {
			busy += n
		}
	}
	return busy, all, nil
}

// readAverage returns the load average of the last minute (proc_loadavg(5)).
func readAverage() (float64, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return strconv.ParseFloat(first, 64)
}
