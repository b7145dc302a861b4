package main

import (
	"context"
	"errors"
	"log/slog"
)

// lane is one figure to be taken of relayed packets.
type lane struct {
	subject subject
	calls   int
	secured secured
}

// relayStage measures every lane. All of them are up at the same time and take turns
// run by run, so that what else happens on the machine hits all alike.
func relayStage(ctx context.Context, logger *slog.Logger, p plan, lanes []lane) (results []result, err error) {
	results = make([]result, len(lanes))
	lines := make([]*line, len(lanes))
	defer func() {
		for _, l := range lines {
			if l != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for i, a := range lanes {
		results[i] = newResult(a.subject, a.calls)
		results[i].Path = a.secured.String()
		logger.Info("setting up", results[i].attrs()...)
		if lines[i], err = newLine(ctx, a.subject, a.calls, a.secured); err != nil {
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
			logger.Info("relayed", append(r.attrs(), "run", n+1, "ns", int(s.nsPerPacket), "packets", s.packets,
				"lost", s.lost)...)
			r.Runs = append(r.Runs, s.nsPerPacket)
			r.Sent += s.sent
			r.Lost += s.lost
			r.ProxyShare += s.share()
			r.Own += float64(s.proxyTime.Nanoseconds()) / float64(s.packets)
		}
	}
	for i := range results {
		results[i].summarise()
	}
	return results, nil
}

// rater is a proxy of which is measured how often it does something. run does it n times.
type rater interface {
	run(n int) (rate, error)
	Close() error
}

// signallingStage measures how fast the proxies set up calls, again in turns.
func signallingStage(ctx context.Context, logger *slog.Logger, p plan) ([]result, error) {
	var subjects []subject
	for _, s := range p.subjects() {
		if s.signals {
			subjects = append(subjects, s)
		}
	}
	return rateStage(ctx, logger, subjects, p.runs, p.batch, func(s subject) (rater, error) { return newSignalling(s) })
}

// rateStage has the proxies do something n times in each run, in turns.
func rateStage(ctx context.Context, logger *slog.Logger, subjects []subject, runs, n int,
	start func(subject) (rater, error)) (results []result, err error) {
	results = make([]result, len(subjects))
	proxies := make([]rater, len(subjects))
	defer func() {
		for _, proxy := range proxies {
			if proxy != nil {
				err = errors.Join(err, proxy.Close())
			}
		}
	}()
	for i, s := range subjects {
		results[i] = newResult(s, n)
		proxy, err := start(s)
		if err != nil {
			results[i].fail(err)
			continue
		}
		proxies[i] = proxy
	}
	for turn := range runs + 1 {
		for i, proxy := range proxies {
			r := &results[i]
			if r.Problem != "" {
				continue
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m, err := proxy.run(n)
			if err != nil {
				r.fail(err)
				continue
			}
			if turn == 0 {
				continue // the first calls of a process find its memory cold
			}
			logger.Info("measured", "subject", r.Subject, "run", turn, "per second", int(m.perSecond))
			r.Runs = append(r.Runs, m.perSecond)
			r.ProxyShare += m.proxyShare
			r.ClientShare += m.clientShare
		}
	}
	for i := range results {
		results[i].summarise()
	}
	return results, nil
}
