package cli

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// report writes statistics, one a line.
type report struct{ strings.Builder }

func (r *report) head(text string) { r.WriteString("\n" + text + ":\n\n") }

func (r *report) count(about string, n uint64) { fmt.Fprintf(r, " %-48s:%d\n", about, n) }

func (r *report) value(about string, v float64) { fmt.Fprintf(r, " %-48s:%.6f\n", about, v) }

// sums writes what is known of a quantity that is sampled in units of 1/scale.
func (r *report) sums(name string, s media.Sums, scale float64) {
	sum, squares, n := float64(s.Sum)/scale, float64(s.Squares)/(scale*scale), float64(max(s.Samples, 1))
	r.value("Sum of all "+name+" values sampled", sum)
	r.value("Sum of all "+name+" square values sampled", squares)
	r.count("Total number of "+name+" samples", s.Samples)
	r.value("Average "+name, sum/n)
	r.value(name+" standard deviation", deviation(sum, squares, n))
}

func deviation(sum, squares, n float64) float64 { return math.Sqrt(max(0, squares/n-sum/n*(sum/n))) }

func (c *Commands) totals([]string) string {
	s := c.Counts()
	var r report
	r.head("Statistics over currently running sessions")
	r.count("Owned sessions", s.Calls.Live)
	r.count("Foreign sessions", 0)
	r.count("Total sessions", s.Calls.Live)
	r.count("Transcoded media", 0)
	r.count("Media cache entries", 0)
	r.count("Player cache entries", 0)
	writeRates(&r.Builder, &s.Rates)
	r.count("Userspace-only media streams", uint64(s.Media.UserFlows))
	r.count("Kernel-only media streams", uint64(s.Media.KernelFlows))
	r.count("Mixed kernel/userspace media streams", 0)
	r.ended(s)
	r.head("MOS statistics")
	r.sums("MOS", s.Media.Quality.MOS, 10)
	r.head("VoIP metrics")
	r.quality(&s.Media.Quality, s.Media.Lost)
	r.clients(s)
	for i := range s.Interfaces {
		n := &s.Interfaces[i]
		r.head(fmt.Sprintf("VoIP metrics for interface %s/%s", n.Name, n.Address))
		r.sums("MOS", n.Pool.Quality.MOS, 10)
		r.quality(&n.Pool.Quality, n.Traffic.Lost)
	}
	return r.String()
}

func (r *report) quality(q *media.Figures, lost uint64) {
	r.sums("jitter (reported)", q.Jitter, 1)
	r.sums("end-to-end round-trip time", q.RoundTrip, 1)
	r.sums("discrete round-trip time", q.RoundTripLeg, 1)
	r.sums("packet loss", q.Loss, 1)
	r.sums("jitter (measured)", q.JitterMeasured, 1)
	r.count("Packets lost", lost)
	for _, about := range []string{"Duplicate RTP packets", "RTP sequence skips", "RTP sequence resets", "Out-of-order RTP packets"} {
		r.count(about, 0)
	}
}

func (r *report) ended(s *counts.Snapshot) {
	cs, ms := &s.Calls, &s.Media
	errors := ms.Drops.Errors()
	r.head("Total statistics (does not include current running sessions)")
	fmt.Fprintf(r, " %-48s:%d seconds\n", "Uptime of rtpengine", int(s.Uptime.Seconds()))
	for _, row := range []struct {
		about string
		n     uint64
	}{
		{"Total managed sessions", cs.Ended},
		{"Total rejected sessions", cs.Rejected},
		{"Total timed-out sessions via TIMEOUT", cs.EndedBy[call.ReasonTimeout]},
		{"Total timed-out sessions via SILENT_TIMEOUT", cs.EndedBy[call.ReasonSilentTimeout]},
		{"Total timed-out sessions via FINAL_TIMEOUT", cs.EndedBy[call.ReasonFinalTimeout]},
		{"Total timed-out sessions via OFFER_TIMEOUT", cs.EndedBy[call.ReasonOfferTimeout]},
		{"Total regular terminated sessions", cs.EndedBy[call.ReasonDeleted]},
		{"Total forced terminated sessions", cs.EndedBy[call.ReasonForced] + cs.EndedBy[call.ReasonShutdown] + cs.EndedBy[call.ReasonFailed]},
		{"Total relayed packets (userspace)", ms.Userspace.Packets},
		{"Total relayed packet errors (userspace)", errors},
		{"Total relayed bytes (userspace)", ms.Userspace.Bytes},
		{"Total relayed packets (kernel)", ms.Kernel.Packets},
		{"Total relayed packet errors (kernel)", 0},
		{"Total relayed bytes (kernel)", ms.Kernel.Bytes},
		{"Total relayed packets", ms.Userspace.Packets + ms.Kernel.Packets},
		{"Total relayed packet errors", errors},
		{"Total relayed bytes", ms.Userspace.Bytes + ms.Kernel.Bytes},
		{"Total number of streams with no relayed packets", cs.Past.SilentStreams},
		{"Total number of 1-way streams", cs.Past.OneWayStreams},
	} {
		r.count(row.about, row.n)
	}
	n := float64(max(cs.Ended, 1))
	r.value("Average call duration", cs.Past.Seconds/n)
	r.value("Total calls duration", cs.Past.Seconds)
	r.value("Total calls duration squared", cs.Past.SquaredSeconds)
	r.value("Total calls duration standard deviation", deviation(cs.Past.Seconds, cs.Past.SquaredSeconds, n))
}

// clients writes the table of who has asked for what.
func (r *report) clients(s *counts.Snapshot) {
	r.head("Control statistics")
	fmt.Fprintf(r, " %-20s", "Proxy")
	for _, command := range s.Commands {
		fmt.Fprintf(r, " | %10s", s.Short[command])
	}
	fmt.Fprintf(r, " | %10s\n", "Errors")
	clients := slices.SortedFunc(slices.Values(s.Clients), func(a, b counts.Client) int { return strings.Compare(a.Address, b.Address) })
	for i := range clients {
		fmt.Fprintf(r, " %-20s", clients[i].Address)
		for _, command := range s.Commands {
			fmt.Fprintf(r, " | %10d", clients[i].Requests[command].Count)
		}
		fmt.Fprintf(r, " | %10d\n", clients[i].Errors)
	}
}
