package daemon

import (
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/control/metrics"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// MetricsPage returns the page of the documentation about metrics.
func MetricsPage() string { return metrics.Page() }

// snapshot gathers all counts. Each part is asked once.
func (d *Daemon) snapshot() *counts.Snapshot {
	ns := d.disp.Stats()
	s := &counts.Snapshot{
		Version: d.version, PID: os.Getpid(), Goroutines: runtime.NumGoroutine(), Uptime: time.Since(d.started),
		Calls: d.calls.Stats(), Media: d.plane.Totals(), Exits: d.fast.Reasons(), Replies: ns.Replies,
		RequestsFailed: ns.Failed, RequestFaults: ns.Faults,
	}
	if s.Draining, s.DrainDeadline = d.calls.Draining(); s.Draining {
		s.Remaining = d.calls.Remaining()
	}
	s.Interfaces, s.Exports = d.addresses(&s.Media), d.exported()
	d.storeCounts(s)
	s.Rates = d.load.rate()
	commands := ngproto.Commands()
	slices.Sort(commands)
	s.Short = make(map[string]string, len(commands))
	for _, c := range commands {
		s.Commands = append(s.Commands, string(c))
		s.Short[string(c)] = c.Short()
	}
	for _, c := range d.disp.Clients() {
		client := counts.Client{Address: addressName(c.Address), Errors: c.Errors, Requests: make(map[string]counts.Requests, len(commands))}
		for command, n := range c.Commands {
			client.Requests[string(command)] = counts.Requests{Count: n.Requests, Time: n.Time}
		}
		s.Clients = append(s.Clients, client)
	}
	return s
}

// addresses lists the addresses of the logical interfaces with what is counted for each.
func (d *Daemon) addresses(totals *media.Totals) []counts.Interface {
	pools := d.plane.Pools()
	var all []counts.Interface
	for _, f := range d.interfaces {
		for _, a := range f.Addresses {
			n := counts.Interface{Name: f.Name, Address: a.IP, PortMin: a.PortMin, PortMax: a.PortMax}
			for i := range pools {
				if pools[i].Address == a.IP {
					n.Pool, n.Traffic = pools[i], totals.Addresses[i]
				}
			}
			all = append(all, n)
		}
	}
	return all
}

// addressName is empty for clients that have none.
func addressName(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
