package main

import (
	"context"
	"errors"
	"log/slog"
)

// relayStage measures every subject with the same number of calls. All of them are up at the same time and take turns
// run by run, so that what else happens on the machine hits all alike.
func relayStage(ctx context.Context, logger *slog.Logger, p plan, calls int) (results []result, err error) {
	subjects := p.subjects()
	results = make([]result, len(subjects))
	lines := make([]*line, len(subjects))
	defer func() {
		for _, l := range lines {
			if l != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for i, s := range subjects {
		logger.Info("setting up", "subject", s.name, "calls", calls)
		results[i] = newResult(s, calls)
		if lines[i], err = newLine(ctx, s, calls); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			results[i].fail(err)
		}
	}
	for n := range p.runs {
		for i, l := range lines {
			r := &results[i]
			if r.Problem != "" {
				continue
			}
			s, err := l.run(ctx, p.length)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				r.fail(err)
				continue
			}
			logger.Info("relayed", "subject", r.Subject, "calls", calls, "run", n+1, "ns", int(s.nsPerPacket),
				"packets", s.packets, "lost", s.lost)
			r.Runs = append(r.Runs, s.nsPerPacket)
			r.Sent += s.sent
			r.Lost += s.lost
			r.ProxyShare += s.share()
		}
	}
	for i := range results {
		results[i].summarise()
	}
	return results, nil
}

// signallingStage measures how fast the proxies set up calls, again in turns.
func signallingStage(ctx context.Context, logger *slog.Logger, p plan) (results []result, err error) {
	results = []result{}
	var proxies []*signalling
	defer func() {
		for _, s := range proxies {
			if s != nil {
				err = errors.Join(err, s.Close())
			}
		}
	}()
	for _, s := range p.subjects() {
		if !s.signals || p.batch == 0 {
			continue
		}
		r := newResult(s, p.batch)
		proxy, err := newSignalling(s)
		if err != nil {
			r.fail(err)
		}
		proxies = append(proxies, proxy)
		results = append(results, r)
	}
	for n := range p.runs + 1 {
		for i, proxy := range proxies {
			r := &results[i]
			if r.Problem != "" {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m, err := proxy.run(p.batch)
			if err != nil {
				r.fail(err)
				continue
			}
			if n == 0 {
				continue // the first calls of a process find its memory cold
			}
			logger.Info("set up", "subject", r.Subject, "run", n, "per second", int(m.pairsPerSecond))
			r.Runs = append(r.Runs, m.pairsPerSecond)
			r.ProxyShare += m.proxyShare
			r.ClientShare += m.clientShare
		}
	}
	for i := range results {
		results[i].summarise()
	}
	return results, nil
}
