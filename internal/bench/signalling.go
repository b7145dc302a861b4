package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// signalling is a proxy that only sets up calls.
type signalling struct {
	rig     *rig
	daemon  *daemon
	batches int // so far; call-ids must not repeat
}

// rate is what one run of signalling measured.
type rate struct {
	perSecond   float64 // offers with their answers
	proxyShare  float64 // of the measured CPU
	clientShare float64 // of the client's CPU; near one, the client is what was measured
}

func newSignalling(s subject) (*signalling, error) {
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	d, err := startDaemon(r, s.command)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &signalling{rig: r, daemon: d}, nil
}

// run sets up n calls against the clock, then deletes them.
func (s *signalling) run(n int) (rate, error) {
	s.batches++
	calls := newCalls(fmt.Sprintf("signalling-%d", s.batches), n)

	proxyBefore, err := s.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	clientBefore, start := ownTime(), time.Now()
	if err := s.daemon.client.setUp(calls); err != nil {
		return rate{}, s.daemon.explain(err)
	}
	elapsed := time.Since(start)
	client := ownTime() - clientBefore
	proxy, err := s.daemon.cpuTime()
	if err != nil {
		return rate{}, err
	}
	if err := s.daemon.client.hangUp(calls); err != nil {
		return rate{}, s.daemon.explain(err)
	}
	return rate{
		perSecond:   float64(n) / elapsed.Seconds(),
		proxyShare:  (proxy - proxyBefore).Seconds() / elapsed.Seconds(),
		clientShare: client.Seconds() / elapsed.Seconds(),
	}, nil
}

// ownTime is the CPU time of this process so far.
func ownTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// Close ends the proxy.
func (s *signalling) Close() error {
	return errors.Join(s.daemon.Close(), s.rig.Close())
}
