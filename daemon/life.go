package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/weir-media/weir/store"
	"github.com/weir-media/weir/store/redis"
)

// ErrLeave, as the cause of the end of a Run, leaves all calls to the next process: those in the kernel lose no packet.
var ErrLeave = errors.New("calls are left to the next process")

// openStore opens the places where calls are kept. Without any everything works, but calls end with this process.
func (d *Daemon) openStore() {
	var places []store.Kept
	if file := d.openFile(); file != nil {
		places = append(places, store.Kept{Backend: file})
	}
	cfg := store.Config{Log: d.log}
	if w := d.cluster.write; w != nil {
		expires := seconds(d.opts.Redis.Expires)
		d.cluster.backend = redis.NewBackend(w, expires)
		places = append(places, store.Kept{Backend: d.cluster.backend, Delay: redisDelay})
		cfg.Refresh = store.RefreshFor(expires)
	}
	if len(places) > 0 {
		d.store = store.New(cfg, places...)
	}
}

// openFile opens the file of calls; nil when there is none.
func (d *Daemon) openFile() *store.File {
	if d.opts.StateDir == "" || d.opts.StateDir == "none" || d.opts.Outlive == 0 {
		d.unstored = "switched off by configuration"
		return nil
	}
	file, err := store.OpenFile(store.FileConfig{
		Path: filepath.Join(d.opts.StateDir, "calls-"+strconv.Itoa(d.opts.Table)+".db"), Scope: strconv.FormatUint(d.fast.Namespace(), 16), Log: d.log,
	})
	if err != nil {
		d.unstored = err.Error()
		d.log.Warn("calls end with this process", "reason", d.unstored)
		return nil
	}
	return file
}

// takeOver goes on with the calls of a process before, and those of other nodes.
func (d *Daemon) takeOver() error {
	if d.store != nil {
		n, err := d.store.Restore(context.Background(), d.calls, d.opts.Redis.Threads, d.cluster.origins()...)
		switch {
		case err != nil && d.opts.Redis.on() && !d.opts.Redis.NotRequired:
			return fmt.Errorf("calls cannot be restored: %w; --no-redis-required starts without them", err)
		case err != nil:
			d.log.Error("the calls of the process before cannot be read", "err", err)
		}
		if n != (store.Restored{}) {
			d.log.Info("calls of the process before", "taken_over", n.Own, "foreign", n.Foreign, "lost", n.Lost)
		}
		d.store.Start(d.calls)
	}
	d.cluster.start()
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
	return nil
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
	d.cluster.still()
	if err := errors.Join(append(errs, d.store.Close(), d.cluster.close(), d.fast.Leave())...); err != nil {
		d.log.Warn("not everything could be closed", "err", err)
	}
	d.log.Info("the next process takes the calls", "calls", d.calls.Stats().Live)
}

// outlives says what happens to calls when this process dies.
func (d *Daemon) outlives() string {
	path, why := d.fast.Persistence()
	switch {
	case d.unstored != "" && d.cluster.write != nil:
		return "calls are taken over by other nodes, or by the next process, from Redis"
	case d.unstored != "":
		return "calls end with this process: " + d.unstored
	case path == "":
		return "calls are taken over by the next process, with a gap: " + why
	}
	return fmt.Sprintf("calls go on for %v, and the next process takes them over", seconds(d.opts.Outlive))
}
