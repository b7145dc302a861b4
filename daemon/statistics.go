package daemon

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// statistics gathers all counts in the tree that the ng command "statistics" and the command line "list jsonstats" show. What
// Weir does not count is 0.
func (d *Daemon) statistics() ngproto.Dict { return d.statisticsOf(d.snapshot(), nil) }

// statisticsOf is the tree of a moment. Changes returns what to compare an interface with; nil: nothing.
func (d *Daemon) statisticsOf(s *counts.Snapshot, changes func(i int) *change) ngproto.Dict {
	return ngproto.Dict{
		{Key: "currentstatistics", Value: ngproto.Map(currentStatistics(s))},
		{Key: "totalstatistics", Value: ngproto.Map(totalStatistics(s))},
		{Key: "mos", Value: ngproto.Map(sampled("mos", s.Media.Quality.MOS, 10))},
		{Key: "voip_metrics", Value: ngproto.Map(voipMetrics(&s.Media.Quality, s.Media.Lost))},
		{Key: "controlstatistics", Value: ngproto.Map(controlStatistics(s.Clients))},
		{Key: "interfaces", Value: ngproto.List(interfaceStatistics(s.Interfaces, changes)...)},
		{Key: "transcoders", Value: ngproto.List()},
		{Key: "poller_threads", Value: ngproto.List()},
	}
}

// branch writes numbers under keys, which come with their values in turns.
type branch ngproto.Dict

func (c *branch) add(key string, n uint64) {
	*c = append(*c, ngproto.Entry{Key: key, Value: ngproto.Int(int64(min(n, math.MaxInt64)))})
}

// seconds writes a time the way clients expect it.
func (c *branch) seconds(key string, s float64) {
	*c = append(*c, ngproto.Entry{Key: key, Value: ngproto.String(strconv.FormatFloat(s, 'f', 6, 64))})
}

func currentStatistics(s *counts.Snapshot) ngproto.Dict {
	cs, ms := &s.Calls, &s.Media
	var c branch
	c.add("sessionsown", cs.Live-cs.Foreign)
	c.add("sessionsforeign", cs.Foreign)
	c.add("sessionstotal", cs.Live)
	for _, key := range []string{"transcodedmedia", "mediacache", "playercache"} {
		c.add(key, 0)
	}
	for _, r := range []struct {
		suffix string
		rate   counts.Rate
	}{{"_user", s.Rates.Userspace}, {"_kernel", s.Rates.Kernel}, {"", s.Rates.Sum()}} {
		c.add("packetrate"+r.suffix, r.rate.Packets)
		c.add("byterate"+r.suffix, r.rate.Bytes)
		c.add("errorrate"+r.suffix, r.rate.Errors)
	}
	c.add("media_userspace", uint64(ms.UserFlows))
	c.add("media_kernel", uint64(ms.KernelFlows))
	c.add("media_mixed", 0)
	return ngproto.Dict(c)
}

func totalStatistics(s *counts.Snapshot) ngproto.Dict {
	cs, ms := &s.Calls, &s.Media
	errors := ms.Drops.Errors()
	var c branch
	c.add("uptime", uint64(s.Uptime.Seconds()))
	c.add("managedsessions", cs.Ended)
	c.add("rejectedsessions", cs.Rejected)
	c.add("timeoutsessions", cs.EndedBy[call.ReasonTimeout])
	c.add("silenttimeoutsessions", cs.EndedBy[call.ReasonSilentTimeout])
	c.add("finaltimeoutsessions", cs.EndedBy[call.ReasonFinalTimeout])
	c.add("offertimeoutsessions", cs.EndedBy[call.ReasonOfferTimeout])
	c.add("regularterminatedsessions", cs.EndedBy[call.ReasonDeleted])
	c.add("forcedterminatedsessions", cs.EndedBy[call.ReasonForced]+cs.EndedBy[call.ReasonShutdown]+cs.EndedBy[call.ReasonFailed])
	c.add("relayedpackets_user", ms.Userspace.Packets)
	c.add("relayedpacketerrors_user", errors)
	c.add("relayedbytes_user", ms.Userspace.Bytes)
	c.add("relayedpackets_kernel", ms.Kernel.Packets)
	c.add("relayedpacketerrors_kernel", 0)
	c.add("relayedbytes_kernel", ms.Kernel.Bytes)
	c.add("relayedpackets", ms.Userspace.Packets+ms.Kernel.Packets)
	c.add("relayedpacketerrors", errors)
	c.add("relayedbytes", ms.Userspace.Bytes+ms.Kernel.Bytes)
	past, n := &cs.Past, float64(max(cs.Ended, 1))
	c.add("zerowaystreams", past.SilentStreams)
	c.add("onewaystreams", past.OneWayStreams)
	c.seconds("avgcallduration", past.Seconds/n)
	c.seconds("totalcallsduration", past.Seconds)
	c.seconds("totalcallsduration2", past.SquaredSeconds)
	c.seconds("totalcallsduration_stddev", deviation(past.Seconds, past.SquaredSeconds, n))
	return ngproto.Dict(c)
}

// sampled writes the keys of a quantity that is sampled in units of 1/scale.
func sampled(name string, s media.Sums, scale float64) ngproto.Dict {
	sum, squares, n := float64(s.Sum)/scale, float64(s.Squares)/(scale*scale), float64(max(s.Samples, 1))
	var c branch
	c.seconds(name+"_total", sum)
	c.seconds(name+"2_total", squares)
	c.add(name+"_samples_total", s.Samples)
	c.seconds(name+"_average", sum/n)
	c.seconds(name+"_stddev", deviation(sum, squares, n))
	return ngproto.Dict(c)
}

// deviation is the standard one.
func deviation(sum, squares, n float64) float64 { return math.Sqrt(max(0, squares/n-sum/n*(sum/n))) }

// voipMetrics has jitter in ms, round trips in µs and loss in percent.
func voipMetrics(f *media.Figures, lost uint64) ngproto.Dict {
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
	c := branch(all)
	c.add("packets_lost", lost)
	for _, key := range []string{"rtp_duplicates", "rtp_skips", "rtp_seq_resets", "rtp_reordered"} {
		c.add(key, 0)
	}
	return ngproto.Dict(c)
}

func controlStatistics(clients []counts.Client) ngproto.Dict {
	commands := ngproto.Commands()
	slices.SortFunc(commands, func(a, b ngproto.Command) int { return strings.Compare(string(a), string(b)) })
	slices.SortFunc(clients, func(a, b counts.Client) int { return strings.Compare(a.Address, b.Address) })
	var proxies []ngproto.Value
	var total branch
	sums := make(map[ngproto.Command]uint64)
	var errors uint64
	for i := range clients {
		c := &clients[i]
		p := branch{{Key: "proxy", Value: ngproto.String(c.Address)}}
		for _, command := range commands {
			short, n := lowered(command), c.Requests[string(command)]
			p.add(short+"count", n.Count)
			p.seconds(short+"duration", n.Time.Seconds())
			sums[command] += n.Count
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

// interfaceStatistics lists the addresses of the logical interfaces.
func interfaceStatistics(interfaces []counts.Interface, changes func(i int) *change) []ngproto.Value {
	var all []ngproto.Value
	for i := range interfaces {
		n := &interfaces[i]
		pairs := n.Pool.Free + n.Pool.Used + n.Pool.Resting // what is shown are ports
		var ports branch
		ports.add("min", uint64(n.PortMin))
		ports.add("max", uint64(n.PortMax))
		ports.add("used", 2*uint64(n.Pool.Used))
		ports = append(ports, ngproto.Entry{Key: "used_pct", Value: ngproto.Float(100 * float64(n.Pool.Used) / float64(max(pairs, 1)))})
		ports.add("free", 2*uint64(n.Pool.Free))
		ports.add("totals", 2*uint64(pairs))
		c := branch{
			{Key: "name", Value: ngproto.String(n.Name)}, {Key: "address", Value: ngproto.String(n.Address.String())},
			{Key: "ports", Value: ngproto.Map(ngproto.Dict(ports))},
		}
		c.add("packets_lost", n.Traffic.Lost)
		c.add("duplicates", 0)
		quality := append(sampled("mos", n.Pool.Quality.MOS, 10), voipMetrics(&n.Pool.Quality, n.Traffic.Lost)...)
		c = append(c, ngproto.Entry{Key: "voip_metrics", Value: ngproto.Map(quality)},
			ngproto.Entry{Key: "ingress", Value: ngproto.Map(traffic(n.Traffic.In, n.Traffic.Errors))},
			ngproto.Entry{Key: "egress", Value: ngproto.Map(traffic(n.Traffic.Out, 0))})
		if changes != nil {
			changes(i).add(&c, n)
		}
		all = append(all, ngproto.Map(ngproto.Dict(c)))
	}
	return all
}

// traffic writes one direction.
func traffic(n media.Counts, errors uint64) ngproto.Dict {
	var c branch
	c.add("packets", n.Packets)
	c.add("bytes", n.Bytes)
	c.add("errors", errors)
	return ngproto.Dict(c)
}

// jsonStatistics is statistics as one line of JSON.
func (d *Daemon) jsonStatistics() string {
	return string(ngproto.Encode(d.statistics(), ngproto.JSON)) + "\n"
}
