package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// delay is how long a proxy takes to answer offers that come at a steady rate, whatever it has answered before.
type delay struct {
	Subject string  `json:"subject"`
	Title   string  `json:"title"`
	Calls   int     `json:"calls"` // in all
	Rate    int     `json:"calls_per_second"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`
	Max     float64 `json:"max_us"`
	Problem string  `json:"problem,omitempty"`
}

// paced sends the offer of each call at its time and the answer as soon as the offer is through, and returns how long each
// offer took. A request that is lost fails the whole: over the loopback device that is the proxy's doing.
func (c *client) paced(calls []call, rate int) ([]time.Duration, error) {
	c.round++
	var (
		took  = make([]time.Duration, 0, len(calls))
		sent  = make([]time.Time, len(calls))
		start = time.Now()
		due   = func(i int) time.Time { return start.Add(time.Duration(i) * time.Second / time.Duration(rate)) }
		send  = func(i, step int) error {
			return c.send(i, step, func(i, step int) []byte {
				if step == 0 {
					return calls[i].offer
				}
				return calls[i].answer
			})
		}
	)
	next, finished := 0, 0
	for finished < len(calls) {
		until := time.Now().Add(tries * resendAfter)
		if next < len(calls) {
			if until = due(next); !time.Now().Before(until) {
				sent[next] = time.Now()
				if err := send(next, 0); err != nil {
					return nil, err
				}
				next++
				continue
			}
		}
		i, step, dict, err := c.receiveBefore(until)
		if errors.Is(err, os.ErrDeadlineExceeded) && next < len(calls) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%d of %d calls are up: %w", finished, len(calls), err)
		}
		if err := checkResult(dict); err != nil {
			return nil, fmt.Errorf("call %d, exchange %d: %w", i, step, err)
		}
		if step == 1 {
			finished++
			continue
		}
		took = append(took, time.Since(sent[i]))
		if err := send(i, 1); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// summarise fills in the figures.
func (d *delay) summarise(took []time.Duration) {
	slices.Sort(took)
	at := func(share float64) float64 {
		i := min(int(share*float64(len(took))), len(took)-1)
		return float64(took[i]) / float64(time.Microsecond)
	}
	d.P50, d.P99, d.Max = at(0.5), at(0.99), at(1)
}

// delayStage measures the proxies one after the other, in as many turns as there are runs.
func delayStage(ctx context.Context, logger *slog.Logger, p plan) (delays []delay, err error) {
	delays = []delay{}
	for _, s := range p.subjects() {
		if !s.signals {
			continue
		}
		d := delay{Subject: s.name, Title: s.title, Rate: p.pace}
		took, err := measureDelay(ctx, s, p)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			d.Problem = err.Error()
		} else {
			d.Calls = len(took)
			d.summarise(took)
			logger.Info("answered", "subject", s.name, "calls", d.Calls, "p50", int(d.P50), "p99", int(d.P99))
		}
		delays = append(delays, d)
	}
	return delays, nil
}

func measureDelay(ctx context.Context, s subject, p plan) (all []time.Duration, err error) {
	proxy, err := newSignalling(s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	for n := range p.runs + 1 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		calls := newCalls(fmt.Sprintf("paced-%d", n), p.batch)
		took, err := proxy.daemon.client.paced(calls, p.pace)
		if err != nil {
			return nil, proxy.daemon.explain(err)
		}
		if err := proxy.hangUp(calls); err != nil {
			return nil, err
		}
		if n > 0 { // the first calls of a process find its memory cold
			all = append(all, took...)
		}
	}
	return all, nil
}
