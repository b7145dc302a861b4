package daemon

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// statistics gathers all counts in the tree that the ng command "statistics" and the command line "list jsonstats" show. What
// Weir does not count is 0.
func (d *Daemon) statistics() ngproto.Dict {
	quality := d.plane.Totals().Quality
	return ngproto.Dict{
		{Key: "currentstatistics", Value: ngproto.Map(d.currentStatistics())},
		{Key: "totalstatistics", Value: ngproto.Map(d.totalStatistics())},
		{Key: "mos", Value: ngproto.Map(sampled("mos", quality.MOS, 10))},
		{Key: "voip_metrics", Value: ngproto.Map(voipMetrics(&quality))},
		{Key: "controlstatistics", Value: ngproto.Map(controlStatistics(d.disp.Clients()))},
		{Key: "interfaces", Value: ngproto.List(d.interfaceStatistics()...)},
		{Key: "transcoders", Value: ngproto.List()},
		{Key: "poller_threads", Value: ngproto.List()},
	}
}

// counts writes numbers under keys, which come with their values in turns.
type counts ngproto.Dict

func (c *counts) add(key string, n uint64) {
	*c = append(*c, ngproto.Entry{Key: key, Value: ngproto.Int(int64(min(n, math.MaxInt64)))})
}

// seconds writes a time the way clients expect it.
func (c *counts) seconds(key string, s float64) {
	*c = append(*c, ngproto.Entry{Key: key, Value: ngproto.String(strconv.FormatFloat(s, 'f', 6, 64))})
}

func (d *Daemon) currentStatistics() ngproto.Dict {
	cs, ms := d.calls.Stats(), d.plane.Totals()
	var c counts
	c.add("sessionsown", cs.Live)
	c.add("sessionsforeign", 0)
	c.add("sessionstotal", cs.Live)
	for _, key := range []string{
		"transcodedmedia", "mediacache", "playercache",
		"packetrate_user", "byterate_user", "errorrate_user", "packetrate_kernel", "byterate_kernel", "errorrate_kernel",
		"packetrate", "byterate", "errorrate",
	} {
		c.add(key, 0)
	}
	c.add("media_userspace", uint64(ms.UserFlows))
	c.add("media_kernel", uint64(ms.KernelFlows))
	c.add("media_mixed", 0)
	return ngproto.Dict(c)
}

func (d *Daemon) totalStatistics() ngproto.Dict {
	cs, ms := d.calls.Stats(), d.plane.Totals()
	errors := ms.Drops.Errors()
	var c counts
	c.add("uptime", uint64(time.Since(d.started).Seconds()))
	c.add("managedsessions", cs.Ended)
	c.add("rejectedsessions", cs.Rejected)
	c.add("timeoutsessions", cs.EndedBy[call.ReasonTimeout])
	c.add("silenttimeoutsessions", cs.EndedBy[call.ReasonSilentTimeout])
	c.add("finaltimeoutsessions", cs.EndedBy[call.ReasonFinalTimeout])
	c.add("offertimeoutsessions", cs.EndedBy[call.ReasonOfferTimeout])
	c.add("regularterminatedsessions", cs.EndedBy[call.ReasonDeleted])
	c.add("forcedterminatedsessions", cs.EndedBy[call.ReasonShutdown]+cs.EndedBy[call.ReasonFailed])
	c.add("relayedpackets_user", ms.Userspace.Packets)
	c.add("relayedpacketerrors_user", errors)
	c.add("relayedbytes_user", ms.Userspace.Bytes)
	c.add("relayedpackets_kernel", ms.Kernel.Packets)
	c.add("relayedpacketerrors_kernel", 0)
	c.add("relayedbytes_kernel", ms.Kernel.Bytes)
	c.add("relayedpackets", ms.Userspace.Packets+ms.Kernel.Packets)
	c.add("relayedpacketerrors", errors)
	c.add("relayedbytes", ms.Userspace.Bytes+ms.Kernel.Bytes)
	c.add("zerowaystreams", 0)
	c.add("onewaystreams", 0)
	for _, key := range []string{"avgcallduration", "totalcallsduration", "totalcallsduration2", "totalcallsduration_stddev"} {
		c.seconds(key, 0)
	}
	return ngproto.Dict(c)
}

// sampled writes the keys of a quantity that is sampled in units of 1/scale.
func sampled(name string, s media.Sums, scale float64) ngproto.Dict {
	sum, squares, n := float64(s.Sum)/scale, float64(s.Squares)/(scale*scale), float64(max(s.Samples, 1))
	var c counts
	c.seconds(name+"_total", sum)
	c.seconds(name+"2_total", squares)
	c.add(name+"_samples_total", s.Samples)
	c.seconds(name+"_average", sum/n)
	c.seconds(name+"_stddev", math.Sqrt(max(0, squares/n-sum/n*(sum/n))))
	return ngproto.Dict(c)
}

// voipMetrics has jitter in ms, round trips in µs and loss in percent.
func voipMetrics(f *media.Figures) ngproto.Dict {
	var all ngproto.Dict
	for _, m := range []struct {
		name string
		sums media.Sums
	}{
		{"jitter", f.Jitter}, {"rtt_e2e", f.RoundTrip}, {"rtt_dsct", f.RoundTripLeg}, {"packetloss", f.Loss},
		{"jitter_measured", f.JitterMeasured},
	} {
		all = append(all, sampled(m.name, m.sums, 1)...)
	}
	c := counts(all)
	for _, key := range []string{"packets_lost", "rtp_duplicates", "rtp_skips", "rtp_seq_resets", "rtp_reordered"} {
		c.add(key, 0)
	}
	return ngproto.Dict(c)
}

func controlStatistics(clients []ng.ClientStats) ngproto.Dict {
	commands := ngproto.Commands()
	slices.SortFunc(commands, func(a, b ngproto.Command) int { return strings.Compare(string(a), string(b)) })
	slices.SortFunc(clients, func(a, b ng.ClientStats) int { return a.Address.Compare(b.Address) })
	var proxies []ngproto.Value
	var total counts
	sums := make(map[ngproto.Command]uint64)
	var errors uint64
	for i := range clients {
		c := &clients[i]
		address := ""
		if c.Address.IsValid() {
			address = c.Address.String()
		}
		p := counts{{Key: "proxy", Value: ngproto.String(address)}}
		for _, command := range commands {
			short, n := lowered(command), c.Commands[command]
			p.add(short+"count", n.Requests)
			p.seconds(short+"duration", n.Time.Seconds())
			sums[command] += n.Requests
		}
		p.add("errorcount", c.Errors)
		errors += c.Errors
		proxies = append(proxies, ngproto.Map(ngproto.Dict(p)))
	}
	for _, command := range commands {
		total.add("total"+lowered(command)+"count", sums[command])
	}
	total.add("totalerrorcount", errors)
	return append(ngproto.Dict{{Key: "proxies", Value: ngproto.List(proxies...)}}, total...)
}

// lowered returns the name of a command in statistics.
func lowered(c ngproto.Command) string { return strings.ToLower(c.Short()) }

// interfaceStatistics lists the addresses of the logical interfaces. Addresses that several of them share have the same ports.
func (d *Daemon) interfaceStatistics() []ngproto.Value {
	pools := d.plane.Pools()
	var all []ngproto.Value
	for _, f := range d.interfaces {
		for _, a := range f.Addresses {
			var ports counts
			var quality media.Figures
			ports.add("min", uint64(a.PortMin))
			ports.add("max", uint64(a.PortMax))
			for _, p := range pools {
				if p.Address != a.IP {
					continue
				}
				all := p.Free + p.Used + p.Resting // pairs; what is shown are ports
				quality = p.Quality
				ports.add("used", 2*uint64(p.Used))
				ports = append(ports, ngproto.Entry{Key: "used_pct", Value: ngproto.Float(100 * float64(p.Used) / float64(max(all, 1)))})
				ports.add("free", 2*uint64(p.Free))
				ports.add("totals", 2*uint64(all))
			}
			traffic := counts{}
			for _, key := range []string{"packets", "bytes", "errors"} {
				traffic.add(key, 0)
			}
			i := counts{
				{Key: "name", Value: ngproto.String(f.Name)}, {Key: "address", Value: ngproto.String(a.IP.String())},
				{Key: "ports", Value: ngproto.Map(ngproto.Dict(ports))},
			}
			i.add("packets_lost", 0)
			i.add("duplicates", 0)
			metrics := append(sampled("mos", quality.MOS, 10), voipMetrics(&quality)...)
			i = append(i, ngproto.Entry{Key: "voip_metrics", Value: ngproto.Map(metrics)},
				ngproto.Entry{Key: "ingress", Value: ngproto.Map(ngproto.Dict(traffic))}, ngproto.Entry{Key: "egress", Value: ngproto.Map(ngproto.Dict(traffic))})
			all = append(all, ngproto.Map(ngproto.Dict(i)))
		}
	}
	return all
}

// jsonStatistics is statistics as one line of JSON.
func (d *Daemon) jsonStatistics() string {
	return string(ngproto.Encode(d.statistics(), ngproto.JSON)) + "\n"
}
