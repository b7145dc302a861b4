package daemon

import (
	"context"
	"time"

	"github.com/weir-media/weir/control/cli"
)

// drainPoll is how often a drain looks whether it is done.
const drainPoll = 200 * time.Millisecond

// Drain refuses new calls from now on. Calls that live go on until they end by themselves, or, unless it is 0, until the limit has passed:
// then they are ended. With failPing ng pings are refused as well, so that proxies take this one for dead.
func (d *Daemon) Drain(limit time.Duration, failPing bool) cli.Drain {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	d.calls.Drain(deadline)
	d.disp.RefusePings(failPing)
	state := d.draining()
	d.log.Warn("draining: new calls are refused", "calls_left", state.Remaining, "deadline_seconds", state.DeadlineSeconds)
	return state
}

// Undrain takes new calls again. A daemon that has been asked to end does not.
func (d *Daemon) Undrain() cli.Drain {
	if !d.ending.Load() {
		d.calls.Undrain()
		d.disp.RefusePings(false)
		d.log.Warn("no longer draining")
	}
	return d.draining()
}

// End drains and then ends Run, after --drain-deadline at the latest.
func (d *Daemon) End() {
	d.ending.Store(true)
	if d.opts.DrainDeadline == 0 {
		d.finish()
		return
	}
	limit := seconds(d.opts.DrainDeadline)
	d.Drain(limit, false)
	d.tellStopping(limit)
}

// draining returns how far a drain is.
func (d *Daemon) draining() cli.Drain {
	on, deadline := d.calls.Draining()
	s := cli.Drain{Draining: on, DeadlineSeconds: -1, Ending: d.ending.Load(), PingsRefused: d.disp.PingsRefused()}
	if !on {
		return s
	}
	s.Remaining = d.calls.Remaining()
	if !deadline.IsZero() {
		s.DeadlineSeconds = max(0, int64(time.Until(deadline).Seconds()))
	}
	return s
}

// watchDrain ends calls whose deadline has come, and the daemon when it is to end and no call is left.
func (d *Daemon) watchDrain(ctx context.Context) {
	tick := time.NewTicker(drainPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		on, deadline := d.calls.Draining()
		if !on {
			continue
		}
		if !deadline.IsZero() && time.Now().After(deadline) {
			if d.ending.Load() && d.cluster.write != nil {
				d.log.Warn("the deadline of the drain has come: the calls left are for other nodes", "calls", d.calls.Remaining())
				d.finish()
				return
			}
			if left := d.calls.Remaining(); left > 0 {
				d.log.Warn("the deadline of the drain has come: the calls left are ended", "calls", left)
				d.calls.TerminateAll()
			}
		}
		if d.ending.Load() && d.calls.Remaining() == 0 {
			d.log.Info("drained")
			d.finish()
			return
		}
	}
}
