package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/ng"
)

// ctlWay is one port for rtpengine-ctl.
type ctlWay struct {
	*cli.Ctl
}

// Serve implements transport.
func (c ctlWay) Serve(ctx context.Context, disp *ng.Dispatcher) error {
	return c.Ctl.Serve(ctx, disp.CommandLineFrom)
}

func (d *Daemon) listenCtl() error {
	return d.listenAll("--listen-cli", "ctl", "tcp", d.opts.ListenCLI, func(a netip.AddrPort) (transport, error) {
		s, err := cli.ListenCtl(a, d.book.logger("control"))
		if err != nil {
			return nil, err
		}
		return ctlWay{s}, nil
	})
}

// commandLines are what rtpengine-ctl talks to.
func (d *Daemon) commandLines() *cli.Commands {
	return &cli.Commands{
		Calls: d.calls, Counts: d.snapshot, JSON: d.jsonStatistics, Tuner: d.tuner, Debug: d.book.debug, Params: d.opts.params,
		Cluster: d,
	}
}

// paramNames are what rtpengine calls settings inside, where that is not the name of the option.
var paramNames = map[string]string{
	"table": "kernel_table", "recording-dir": "spooldir", "recording-method": "rec_method", "listen-ng": "ng_listen_ep",
	"listen-udp": "udp_listen_ep", "listen-tcp": "tcp_listen_ep", "listen-cli": "cli_listen_ep", "listen-tcp-ng": "ng_tcp_listen_ep",
	"graphite": "graphite_ep", "homer": "homer_ep", "redis": "redis_ep", "redis-write": "redis_write_ep", "redis-subscribe": "redis_subscribe_ep", "tos": "default_tos",
}

// params are the settings that stay as they are, with their values.
func (o *Options) params() []cli.Param {
	var all []cli.Param
	o.flags.VisitAll(func(f *pflag.Flag) {
		name := paramNames[f.Name]
		if name == "" {
			name = strings.ReplaceAll(f.Name, "-", "_")
		}
		switch {
		case strings.HasPrefix(f.Name, "redis") && secret(f.Name):
			if text := f.Value.String(); text != "" {
				all = append(all, cli.Param{Name: name, Value: text[strings.LastIndexByte(text, '@')+1:]}) // without the password
			}
		case f.Name == "subscribe-keyspace":
			for i, n := range o.Redis.keyspaces() {
				all = append(all, cli.Param{Name: fmt.Sprintf("keyspace[%d]", i), Value: strconv.Itoa(n)})
			}
		case f.Name == "help" || f.Name == "version" || isTuned(f.Name) || secret(f.Name):
		case f.Name == "interface":
			for i, spec := range o.interfaces {
				all = append(all, cli.Param{Name: fmt.Sprintf("interface[%d]", i), Value: spec.name + `\` + spec.address + spec.alias})
			}
		case f.Value.Type() == "stringArray":
			for i, item := range f.Value.(pflag.SliceValue).GetSlice() {
				all = append(all, cli.Param{Name: fmt.Sprintf("%s[%d]", name, i), Value: item})
			}
		default:
			all = append(all, cli.Param{Name: name, Value: f.Value.String()})
		}
	})
	return all
}

// isTuned tells whether the value of an option may change, so that it is shown from elsewhere.
func isTuned(name string) bool {
	switch name {
	case "timeout", "silent-timeout", "offer-timeout", "final-timeout", "delete-delay", "max-sessions", "max-load", "max-cpu", "max-bandwidth",
		"control-tos", "log-level", "redis-allowed-errors", "redis-disable-time", "redis-cmd-timeout", "redis-connect-timeout":
		return true
	}
	return strings.HasPrefix(name, "log-level-")
}

// secret tells whether the value of an option is not for everybody's eyes. Redis has its password in the address.
func secret(name string) bool {
	switch name {
	case "mysql-pass", "mqtt-pass", "janus-secret", "redis", "redis-write", "redis-subscribe":
		return true
	}
	return false
}
