package daemon

import (
	"errors"
	"fmt"
	"net"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/control/graphite"
)

// graphiteOptions say where statistics are pushed.
type graphiteOptions struct {
	Server   string
	Interval int // s
	Prefix   string
	Timeout  int // s
}

func (o *graphiteOptions) register(fs *pflag.FlagSet) {
	fs.StringVarP(&o.Server, "graphite", "g", "", "HOST:PORT of a Carbon server that statistics are pushed to")
	fs.IntVarP(&o.Interval, "graphite-interval", "G", 1, "seconds between two pushes")
	fs.StringVar(&o.Prefix, "graphite-prefix", "", "what stands before all names, with the dot at its end")
	fs.IntVar(&o.Timeout, "graphite-timeout", 0, "seconds to connect to it; 0 is no limit")
}

func (o *graphiteOptions) check() error {
	if o.Timeout < 0 {
		return errors.New("--graphite-timeout is negative")
	}
	if o.Server == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(o.Server); err != nil {
		return fmt.Errorf("--graphite %q is no HOST:PORT: %w", o.Server, err)
	}
	return nil
}

// pusher returns what pushes; nil when nothing is to be.
func (d *Daemon) pusher() *graphite.Pusher {
	o := &d.opts.Graphite
	if o.Server == "" {
		return nil
	}
	return graphite.New(graphite.Config{
		Address: o.Server, Prefix: o.Prefix, Interval: seconds(o.Interval), Timeout: seconds(o.Timeout), Log: d.log,
		Snapshot: func() *counts.Snapshot {
			s := d.snapshot()
			s.Families = d.calls.Families()
			s.Times = make(map[string]counts.Times)
			for command, e := range d.disp.TakeExtremes() {
				s.Times[string(command)] = counts.Times(e)
			}
			return s
		},
	})
}
