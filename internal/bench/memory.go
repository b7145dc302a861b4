package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// memory is what calls without packets cost a proxy.
type memory struct {
	Subject     string  `json:"subject"`
	Title       string  `json:"title"`
	Calls       int     `json:"calls"`
	Before      int     `json:"rss_before_kib"`
	After       int     `json:"rss_after_kib"`
	PerCall     float64 `json:"kib_per_call"`
	Descriptors float64 `json:"descriptors_per_call"`
	Problem     string  `json:"problem,omitempty"`
}

const (
	// probeCalls tell how many descriptors a call takes, and warm up the proxy.
	probeCalls = 100
	// spareDescriptors are left to the proxy for what is no call.
	spareDescriptors = 1000
	// settleTime is given to a proxy after its calls are up, and after they have gone.
	settleTime = 2 * time.Second
)

// memoryStage measures the proxies one after the other, with as many calls as all of them have descriptors for.
func memoryStage(ctx context.Context, logger *slog.Logger, p plan) (results []memory, err error) {
	results = []memory{}
	if p.idle == 0 {
		return results, nil
	}
	limit, err := raiseDescriptors()
	if err != nil {
		return nil, err
	}
	var proxies []*signalling
	defer func() {
		for _, proxy := range proxies {
			if proxy != nil {
				err = errors.Join(err, proxy.Close())
			}
		}
	}()
	calls := p.idle
	for _, s := range p.subjects() {
		if !s.signals {
			continue
		}
		r := memory{Subject: s.name, Title: s.title}
		proxy, err := newSignalling(s)
		if err == nil {
			r.Descriptors, err = proxy.descriptorsPerCall()
		}
		if err != nil {
			r.Problem = err.Error()
		} else if room := int(float64(limit-spareDescriptors) / max(r.Descriptors, 1)); room < calls {
			logger.Warn("fewer calls than wanted: the limit of open files cannot be raised", "subject", s.name,
				"limit", limit, "wanted", p.idle, "room", room)
			calls = room
		}
		proxies, results = append(proxies, proxy), append(results, r)
	}
	for i, proxy := range proxies {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &results[i]
		if r.Problem != "" {
			continue
		}
		if err := proxy.hold(r, calls); err != nil {
			r.Problem = err.Error()
			continue
		}
		logger.Info("held", "subject", r.Subject, "calls", r.Calls, "KiB per call", r.PerCall)
	}
	return results, nil
}

// descriptorsPerCall sets up a few calls to count, and deletes them.
func (s *signalling) descriptorsPerCall() (float64, error) {
	before, err := s.daemon.descriptors()
	if err != nil {
		return 0, err
	}
	calls := newCalls("probe", probeCalls)
	if err := s.daemon.client.setUp(calls); err != nil {
		return 0, s.daemon.explain(err)
	}
	after, err := s.daemon.descriptors()
	if err != nil {
		return 0, err
	}
	if err := s.hangUp(calls); err != nil {
		return 0, err
	}
	return float64(after-before) / probeCalls, nil
}

// hold sets up n calls and reads what they cost.
func (s *signalling) hold(r *memory, n int) (err error) {
	time.Sleep(settleTime)
	if r.Before, err = s.daemon.residentKiB(); err != nil {
		return err
	}
	if err := s.daemon.client.setUp(newCalls("idle", n)); err != nil {
		return s.daemon.explain(err)
	}
	time.Sleep(settleTime)
	if r.After, err = s.daemon.residentKiB(); err != nil {
		return err
	}
	r.Calls, r.PerCall = n, float64(r.After-r.Before)/float64(n)
	return nil
}

// raiseDescriptors raises the limit of open files of this process, which its children inherit, as far as it may be, and
// returns it.
func raiseDescriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	const enough = 200_000
	for _, hard := range []uint64{max(enough, limit.Max), limit.Max} {
		want := unix.Rlimit{Cur: hard, Max: hard}
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
			return int(min(want.Cur, 1<<30)), nil
		}
	}
	return int(limit.Cur), nil
}

// descriptors counts the open files of the process.
func (d *daemon) descriptors() (int, error) {
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		return 0, d.explain(err)
	}
	return len(files), nil
}

// residentKiB is the memory of the process that is in RAM.
func (d *daemon) residentKiB() (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, d.explain(err)
	}
	_, rest, ok := bytes.Cut(text, []byte("VmRSS:"))
	fields := bytes.Fields(rest)
	if !ok || len(fields) == 0 {
		return 0, errors.New("the system does not tell the memory of a process")
	}
	return strconv.Atoi(string(fields[0]))
}
