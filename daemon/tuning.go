package daemon

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
)

// tuningOptions are those whose values may change while the daemon runs, beside the time limits of calls.
type tuningOptions struct {
	MaxLoad, MaxCPU float64
	MaxBandwidth    uint64
	ControlTOS      int
	LogLevels       [len(cli.LogLevels{})]int
	Redis           cli.RedisSettings
}

func (o *tuningOptions) register(fs *pflag.FlagSet) {
	fs.Float64Var(&o.MaxLoad, "max-load", 0, "refuse new calls while the load average is above this; 0 is no limit")
	fs.Float64Var(&o.MaxCPU, "max-cpu", 0, "refuse new calls while more than this percentage of the CPUs is in use; 0 is no limit")
	fs.Uint64Var(&o.MaxBandwidth, "max-bandwidth", 0, "refuse new calls while more than this many bytes per second are relayed; 0 is no limit")
	fs.IntVar(&o.ControlTOS, "control-tos", 0, "TOS or traffic class of replies by UDP and TCP sockets of ng and the older control languages, 0 to 255")
	for i, system := range cli.LogSystems() {
		fs.IntVar(&o.LogLevels[i], "log-level-"+system, 0, "log level of rtpengine's subsystem "+system+"; 0 is that of --log-level")
	}
	fs.IntVar(&o.Redis.AllowedErrors, "redis-allowed-errors", -1, "errors in a row after which a Redis server is left alone for --redis-disable-time; -1 is no limit")
	fs.IntVar(&o.Redis.DisableTime, "redis-disable-time", 10, "seconds for which it is")
	fs.IntVar(&o.Redis.CommandTimeout, "redis-cmd-timeout", 0, "milliseconds that a command to a Redis server may take; 0 is half a minute")
	fs.IntVar(&o.Redis.ConnectTimeout, "redis-connect-timeout", 1000, "milliseconds that a connection to a Redis server may take to be made")
}

func (o *tuningOptions) check() error {
	switch {
	case o.ControlTOS < 0 || o.ControlTOS > 255:
		return fmt.Errorf("--control-tos %d is not between 0 and 255", o.ControlTOS)
	case o.MaxLoad < 0:
		return fmt.Errorf("--max-load %v is negative", o.MaxLoad)
	case o.MaxCPU < 0 || o.MaxCPU > 100:
		return fmt.Errorf("--max-cpu %v is not between 0 and 100", o.MaxCPU)
	case o.Redis.DisableTime < 0:
		return fmt.Errorf("--redis-disable-time %d is negative", o.Redis.DisableTime)
	case o.Redis.CommandTimeout < 0:
		return fmt.Errorf("--redis-cmd-timeout %d is negative", o.Redis.CommandTimeout)
	case o.Redis.ConnectTimeout <= 0:
		return fmt.Errorf("--redis-connect-timeout %d is not above 0", o.Redis.ConnectTimeout)
	}
	for i, level := range o.LogLevels {
		if level < -1 || level > 7 {
			return fmt.Errorf("--log-level-%s %d is not between -1 and 7", cli.LogSystems()[i], level)
		}
	}
	return nil
}

// limits are those of calls.
func (o *Options) limits() call.Limits {
	return call.Limits{
		Timeout: seconds(o.Timeout), SilentTimeout: seconds(o.SilentTimeout), OfferTimeout: seconds(o.OfferTimeout),
		FinalTimeout: seconds(o.FinalTimeout), DeleteDelay: seconds(o.DeleteDelay), MaxSessions: max(o.MaxSessions, -1),
	}
}

// settings are those that may change, as the options have them.
func (o *Options) settings() cli.Settings {
	t := &o.Tuning
	s := cli.Settings{
		Limits: o.limits(), MaxCPU: t.MaxCPU, MaxLoad: t.MaxLoad, MaxBandwidth: t.MaxBandwidth, ControlTOS: t.ControlTOS, Redis: t.Redis,
	}
	for i, level := range t.LogLevels {
		if s.LogLevels[i] = level; level == 0 {
			s.LogLevels[i] = o.LogLevel
		}
	}
	if i := slices.Index(cli.LogSystems(), "internals"); t.LogLevels[i] == 0 {
		s.LogLevels[i] = -1
	}
	return s
}

// tuner keeps the settings that may change. It is safe for concurrent use.
type tuner struct {
	mu    sync.Mutex // serializes changes
	start cli.Settings
	// now is read without the lock: who admits calls holds one that a change waits for.
	now atomic.Pointer[cli.Settings]
	put func(before, now *cli.Settings) error // puts a change into force
}

func newTuner(s cli.Settings, put func(before, now *cli.Settings) error) *tuner {
	t := &tuner{start: s, put: put}
	t.now.Store(&s)
	return t
}

// Settings implements cli.Tuner.
func (t *tuner) Settings() cli.Settings { return *t.now.Load() }

// Started implements cli.Tuner.
func (t *tuner) Started() cli.Settings {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.start
}

// Change implements cli.Tuner.
func (t *tuner) Change(edit func(*cli.Settings)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.now.Load()
	next := *before
	edit(&next)
	if err := t.put(before, &next); err != nil {
		return err
	}
	t.now.Store(&next)
	return nil
}

// restart has the settings of a configuration be in force, and count as those of the start.
func (t *tuner) restart(next cli.Settings) error {
	if err := t.Change(func(now *cli.Settings) { *now = next }); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = next
	return nil
}

// tune puts changed settings into force.
func (d *Daemon) tune(before, now *cli.Settings) error {
	if before.ControlTOS != now.ControlTOS {
		if err := d.setControlTOS(now.ControlTOS); err != nil {
			return err
		}
	}
	d.book.setLevels(now.LogLevels)
	if before.Redis != now.Redis {
		d.tuneRedis(redisTuning(&now.Redis))
	}
	if d.calls != nil && before.Limits != now.Limits {
		d.calls.SetLimits(now.Limits)
	}
	return nil
}

// setControlTOS marks what the control sockets send from now on.
func (d *Daemon) setControlTOS(tos int) error {
	var errs []error
	for _, w := range d.ways {
		if s, ok := w.transport.(marked); ok {
			errs = append(errs, s.SetTOS(tos))
		}
	}
	for _, w := range d.legacy.ways {
		if s, ok := w.Closer.(marked); ok {
			errs = append(errs, s.SetTOS(tos))
		}
	}
	return errors.Join(errs...)
}

// LogMore raises the levels of the log by steps, or lowers them.
func (d *Daemon) LogMore(steps int) {
	_ = d.tuner.Change(func(s *cli.Settings) { // a level can always be changed
		for i, level := range s.LogLevels {
			if level >= 0 {
				s.LogLevels[i] = max(0, min(7, level+steps))
			}
		}
	})
	d.log.Error("log level changed", "level", d.tuner.Settings().LogLevels[0]) // an error, so that it is seen at any level
}
