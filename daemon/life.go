package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/weir-media/weir/store"
)

// ErrLeave, as the cause of the end of a Run, leaves all calls to the next process: those in the kernel lose no packet.
var ErrLeave = errors.New("calls are left to the next process")

// openStore opens the file of calls. Without it everything works, but calls end with this process.
func (d *Daemon) openStore() {
	switch {
	case d.opts.StateDir == "" || d.opts.StateDir == "none" || d.opts.Outlive == 0:
		d.unstored = "switched off by configuration"
		return
	}
	var err error
	d.store, err = store.Open(store.Config{
		Path: filepath.Join(d.opts.StateDir, "calls-"+strconv.Itoa(d.opts.Table)+".db"), Scope: strconv.FormatUint(d.fast.Namespace(), 16), Log: d.log,
	})
	if err != nil {
		d.store, d.unstored = nil, err.Error()
		d.log.Warn("calls end with this process", "reason", d.unstored)
	}
}

// takeOver goes on with the calls of a process before.
func (d *Daemon) takeOver() {
	if d.store != nil {
		restored, lost, err := d.store.Restore(d.calls)
		if err != nil {
			d.log.Error("the calls of the process before cannot be read", "err", err)
		}
		if restored+lost > 0 {
			d.log.Info("calls of the process before", "taken_over", restored, "lost", lost)
		}
		d.store.Start(d.calls)
	}
	kept, removed, err := d.plane.Claim()
	if err == nil {
		err = d.fast.TakeOver()
	}
	if err != nil {
		d.log.Error("flows of the process before", "err", err)
	}
	if kept+removed > 0 {
		d.log.Info("flows of the process before", "taken_over", kept, "removed", removed)
	}
}

// leave gives back nothing that a call needs.
func (d *Daemon) leave() {
	var errs []error
	for _, w := range d.ways {
		errs = append(errs, w.Close())
	}
	errs = append(errs, d.legacy.leave())
	if d.cli != nil {
		errs = append(errs, d.cli.Close())
	}
	if err := errors.Join(append(errs, d.store.Close(), d.fast.Leave())...); err != nil {
		d.log.Warn("not everything could be closed", "err", err)
	}
	d.log.Info("the next process takes the calls", "calls", d.calls.Stats().Live)
}

// outlives says what happens to calls when this process dies.
func (d *Daemon) outlives() string {
	path, why := d.fast.Persistence()
	switch {
	case d.store == nil:
		return "calls end with this process: " + d.unstored
	case path == "":
		return "calls are taken over by the next process, with a gap: " + why
	}
	return fmt.Sprintf("calls go on for %v, and the next process takes them over", seconds(d.opts.Outlive))
}
