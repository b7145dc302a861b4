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
	idle    int // descriptors without calls
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
	idle, err := d.descriptors()
	if err != nil {
		return nil, errors.Join(err, d.Close(), r.Close())
	}
	return &signalling{rig: r, daemon: d, idle: idle}, nil
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
	if err := s.hangUp(calls); err != nil {
		return rate{}, err
	}
	return rate{
		perSecond:   float64(n) / elapsed.Seconds(),
		proxyShare:  (proxy - proxyBefore).Seconds() / elapsed.Seconds(),
		clientShare: client.Seconds() / elapsed.Seconds(),
	}, nil
}

// hangUp deletes calls and waits until their sockets are closed, which a proxy may do after it has answered: the next calls
// are not to pay for it.
func (s *signalling) hangUp(calls []call) error {
	if err := s.daemon.client.hangUp(calls); err != nil {
		return s.daemon.explain(err)
	}
	return s.settle()
}

// settle waits until the sockets of calls that have been deleted are closed.
func (s *signalling) settle() error {
	const few = 16
	for end := time.Now().Add(startPatience); ; time.Sleep(time.Millisecond) {
		n, err := s.daemon.descriptors()
		if err != nil || n <= s.idle+few {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d descriptors are still open without calls, %d were at the start", n, s.idle)
		}
	}
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
