package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// listings are what "list" shows.
func listings() []command {
	number := func(name, about, format string, of func(*Settings) any) command {
		return command{name, "", about, func(c *Commands, _ []string) string {
			now := c.Tuner.Settings()
			return fmt.Sprintf(format, of(&now))
		}, nil}
	}
	return []command{
		{"numsessions", "", "number of calls", (*Commands).numSessions, nil},
		{"sessions", "[all|own|foreign|recording|<callid>]", "calls with one line each, or one call with everything", (*Commands).sessions, nil},
		{"totals", "", "all statistics", (*Commands).totals, nil},
		{"counters", "", "packets, bytes and errors per second", (*Commands).counters, nil},
		{"maxopenfiles", "", "limit of open files", (*Commands).maxOpenFiles, nil},
		number("maxsessions", "limit of calls", "Maximum sessions configured on rtpengine: %d\n", func(s *Settings) any { return s.Limits.MaxSessions }),
		number("maxcpu", "limit of CPU usage", "Maximum CPU usage configured on rtpengine: %.1f\n", func(s *Settings) any { return s.MaxCPU }),
		number("maxload", "limit of the load average", "Maximum load average configured on rtpengine: %.2f\n", func(s *Settings) any { return s.MaxLoad }),
		number("maxbw", "limit of bandwidth", "Maximum bandwidth configured on rtpengine: %d\n", func(s *Settings) any { return s.MaxBandwidth }),
		number("timeout", "seconds without packets that end a call", "TIMEOUT=%d\n", func(s *Settings) any { return whole(s.Limits.Timeout) }),
		number("silenttimeout", "the same on hold", "SILENT_TIMEOUT=%d\n", func(s *Settings) any { return whole(s.Limits.SilentTimeout) }),
		number("offertimeout", "seconds an offer waits for its answer", "OFFER_TIMEOUT=%d\n", func(s *Settings) any { return whole(s.Limits.OfferTimeout) }),
		number("finaltimeout", "seconds any call may live", "FINAL_TIMEOUT=%d\n", func(s *Settings) any { return whole(s.Limits.FinalTimeout) }),
		{"loglevels", "", "names of the log's subsystems", logSystems, nil},
		{"loglevel", "[<system>]", "log level of all subsystems, or of one", (*Commands).logLevel, nil},
		number("redisallowederrors", "errors before Redis is left alone", "%d\n", func(s *Settings) any { return s.Redis.AllowedErrors }),
		number("redisdisabletime", "seconds for which it is", "%d\n", func(s *Settings) any { return s.Redis.DisableTime }),
		number("redisconnecttimeout", "milliseconds to connect to Redis", "%d\n", func(s *Settings) any { return s.Redis.ConnectTimeout }),
		number("rediscmdtimeout", "milliseconds for a command to Redis", "%d\n", func(s *Settings) any { return s.Redis.CommandTimeout }),
		number("controltos", "TOS of replies on control sockets", "%d\n", func(s *Settings) any { return s.ControlTOS }),
		number("deletedelay", "seconds between a delete and its effect", "%d\n", func(s *Settings) any { return whole(s.Limits.DeleteDelay) }),
		{"interfaces", "", "local addresses with ports, traffic and quality", (*Commands).interfaces, nil},
		{"jsonstats", "", "all statistics as JSON", func(c *Commands, _ []string) string { return c.JSON() }, nil},
		{"transcoders", "", "conversions of audio", func(*Commands, []string) string { return "No stats entries\n" }, nil},
	}
}

func whole(d time.Duration) int { return int(d.Seconds()) }

func (c *Commands) numSessions([]string) string {
	st := c.Calls.Stats()
	n := c.Calls.Families()
	return fmt.Sprintf("Current sessions own: %d\nCurrent sessions foreign: %d\nCurrent sessions total: %d\nCurrent transcoded media: 0\n"+
		"Current sessions ipv4 only media: %d\nCurrent sessions ipv6 only media: %d\nCurrent sessions ip mixed  media: %d\n",
		st.Live-min(st.Foreign, st.Live), st.Foreign, st.Live, n.IPv4, n.IPv6, n.Mixed)
}

func (c *Commands) sessions(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	switch words[0] {
	case "recording":
		return "No recording sessions on this media relay.\n" // there is no such thing yet
	case "all", "own", "foreign":
		var b strings.Builder
		for _, snap := range c.Calls.Snapshots(-1) {
			if words[0] == "own" && snap.Foreign || words[0] == "foreign" && !snap.Foreign {
				continue
			}
			fmt.Fprintf(&b, "ID: %60s | del:%s | creat:%12d | prx:%s | redis:%2d | frgn:%s | rec:%s\n", snap.CallID,
				mark(snap.State == call.StateDeleted), snap.Created.Unix(), creator(snap), c.Cluster.Keyspace(snap), mark(snap.Foreign), mark(false))
		}
		switch {
		case b.Len() > 0:
			return b.String()
		case words[0] == "all":
			return "No sessions on this media relay.\n"
		}
		return "No " + words[0] + " sessions on this media relay.\n"
	}
	snap, err := c.Calls.Look(words[0])
	if err != nil {
		return "\nCall ID not found (" + words[0] + ").\n\n"
	}
	return c.describe(snap)
}

func mark(set bool) string {
	if set {
		return "y"
	}
	return "n"
}

// creator is the address of the proxy that made a call; empty when it has none.
func creator(s *call.Snapshot) string {
	if !s.Creator.IsValid() {
		return ""
	}
	return s.Creator.String()
}

func (c *Commands) maxOpenFiles([]string) string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return "Error getting the limit of open files: " + err.Error() + "\n"
	}
	if limit.Cur == unix.RLIM_INFINITY {
		return "Maximum open-files configured on rtpengine: infinite\n"
	}
	return fmt.Sprintf("Maximum open-files configured on rtpengine: %d; cat /proc/%d/limits\n", limit.Cur, os.Getpid())
}

func (c *Commands) counters([]string) string {
	r := c.Counts().Rates
	var b strings.Builder
	b.WriteString("\nCurrent per-second counters:\n\n")
	writeRates(&b, &r)
	return b.String()
}

func writeRates(b *strings.Builder, r *counts.Rates) {
	for _, row := range []struct {
		plane string
		rate  counts.Rate
	}{{"userspace", r.Userspace}, {"kernel", r.Kernel}, {"total", r.Sum()}} {
		for _, n := range []struct {
			what string
			n    uint64
		}{{"Packets", row.rate.Packets}, {"Bytes", row.rate.Bytes}, {"Errors", row.rate.Errors}} {
			fmt.Fprintf(b, " %-48s:%d\n", n.what+" per second ("+row.plane+")", n.n)
		}
	}
}

func (c *Commands) interfaces([]string) string {
	var b strings.Builder
	s := c.Counts()
	for i := range s.Interfaces {
		n := &s.Interfaces[i]
		family := "IPv4"
		if n.Address.Is6() {
			family = "IPv6"
		}
		all, used := int(n.PortMax)-int(n.PortMin)+1, 2*n.Pool.Used
		fmt.Fprintf(&b, "Interface '%s' address '%s' (%s)\n Port range: %5d - %5d\n Ports used: %5d / %5d (%5.1f%%)\n Packets/bytes/errors:\n",
			n.Name, n.Address, family, n.PortMin, n.PortMax, used, all, 100*float64(used)/float64(all))
		fmt.Fprintf(&b, "  Ingress:   %10d / %10d / %10d\n  Egress:    %10d / %10d / %10d\n Packets lost/duplicates: %10d / %10d\n",
			n.Traffic.In.Packets, n.Traffic.In.Bytes, n.Traffic.Errors, n.Traffic.Out.Packets, n.Traffic.Out.Bytes, 0, n.Traffic.Lost, 0)
		q := &n.Pool.Quality
		fmt.Fprintf(&b, " MOS:    avg %s, packet loss avg %s%%\n Jitter: avg %s (measured %s)\n RTT:    e2e %s, dsct %s\n\n",
			average(q.MOS, 10, 1), average(q.Loss, 1, 0), average(q.Jitter, 1, 0), average(q.JitterMeasured, 1, 0),
			average(q.RoundTrip, 1, 0), average(q.RoundTripLeg, 1, 0))
	}
	return b.String()
}

// average is in units of 1/scale; "nan" without samples.
func average(s media.Sums, scale float64, decimals int) string {
	if s.Samples == 0 {
		return "nan"
	}
	return strconv.FormatFloat(float64(s.Sum)/scale/float64(s.Samples), 'f', decimals, 64)
}
