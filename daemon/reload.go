package daemon

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/ngproto"
)

// reloadable tells whether a changed value of an option takes effect with a reload.
func reloadable(name string) bool { return name == "templates" || isTuned(name) }

// again reads the configuration file once more, with the command line as it was.
func (o *Options) again() (*Options, error) {
	next := NewOptions(o.defaultFile, o.defaultSection)
	fs := pflag.NewFlagSet("reload", pflag.ContinueOnError)
	next.Register(fs)
	for name, list := range o.given {
		for _, value := range list {
			if err := fs.Set(name, value); err != nil {
				return nil, fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	if err := next.Complete(); err != nil {
		return nil, err
	}
	if _, err := resolveInterfaces(next.interfaces, nil); err != nil {
		return nil, err
	}
	return next, nil
}

// differences are the options whose values differ, and the section of templates by its own name.
func (o *Options) differences(next *Options) []string {
	var names []string
	o.flags.VisitAll(func(f *pflag.Flag) {
		other := next.flags.Lookup(f.Name)
		if !oneOff(f.Name) && other != nil && !slices.Equal(values(f), values(other)) {
			names = append(names, f.Name)
		}
	})
	if !mapsEqual(o.templates, next.templates) && !slices.Contains(names, "templates") {
		names = append(names, "templates")
	}
	if !slices.EqualFunc(o.interfaces, next.interfaces, sameInterface) {
		for _, name := range []string{"interface", "interfaces-config", "port-min", "port-max"} {
			if slices.Contains(names, name) {
				return names
			}
		}
		names = append(names, "interfaces-config")
	}
	return names
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func sameInterface(a, b interfaceSpec) bool {
	return a.name == b.name && a.alias == b.alias && a.address == b.address && a.advertised == b.advertised &&
		a.portMin == b.portMin && a.portMax == b.portMax && slices.Equal(a.exclude, b.exclude)
}

// Reload reads the configuration file again. When all of it is good, what can be changed at run time is as it says, also where
// rtpengine-ctl had changed it; what else has changed waits for the next start. On error everything stays as it was.
func (d *Daemon) Reload() (cli.Reloaded, error) {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.tellReloading()
	defer d.tellReady()
	before := d.opts
	if d.reloaded != nil {
		before = d.reloaded
	}
	next, err := d.opts.again()
	if err != nil {
		d.log.Error("the configuration was not reloaded", "err", err)
		return cli.Reloaded{}, fmt.Errorf("nothing was changed: %w", err)
	}
	r := cli.Reloaded{Changed: []string{}, Restart: []string{}}
	for _, name := range before.differences(next) {
		if reloadable(name) {
			r.Changed = append(r.Changed, name)
		}
	}
	for _, name := range d.opts.differences(next) { // also of earlier reloads
		if !reloadable(name) {
			r.Restart = append(r.Restart, name)
		}
	}
	if err := d.tuner.restart(next.settings()); err != nil {
		d.log.Error("the configuration was not reloaded", "err", err)
		return cli.Reloaded{}, fmt.Errorf("nothing was changed: %w", err)
	}
	d.disp.SetParser(&ngproto.Parser{Templates: next.templates})
	d.reloaded = next
	d.log.Info("configuration reloaded", "changed", strings.Join(r.Changed, " "), "after_restart", strings.Join(r.Restart, " "))
	return r, nil
}
