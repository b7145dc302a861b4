package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// report is all that one benchmark found. Its JSON form is what --json prints.
type report struct {
	Machine    facts       `json:"machine"`
	Relay      []result    `json:"relay"`  // nanoseconds per packet
	Kernel     []kernelRow `json:"kernel"` // nanoseconds per packet, by flows that are installed without a proxy
	Table      *tableRates `json:"table,omitempty"`
	Secure     []result    `json:"secure"`     // nanoseconds per packet, SRTP on one side, and the floor
	Signalling []result    `json:"signalling"` // offers with their answers per second
	Delay      []delay     `json:"delay"`      // until an offer is answered
	Memory     []memory    `json:"memory"`     // of calls without packets
	Churn      []churn     `json:"churn"`      // what is left of many calls
	Handshakes []result    `json:"handshakes"` // per second of the proxy's CPU time
	Floods     []flood     `json:"floods"`     // bad packets, with a call in progress
	Languages  []result    `json:"languages"`  // calls made, answered and deleted per second, by control language
	Looks      []look      `json:"looks"`      // what operators wait for, and what it costs calls
}

// result is the outcome of the runs of one subject.
type result struct {
	Subject string    `json:"subject"`
	Title   string    `json:"title"`
	Path    string    `json:"path,omitempty"` // what becomes of the packets
	Calls   int       `json:"calls"`          // at the same time in a relay run, in all in a signalling run
	Runs    []float64 `json:"runs"`           // in the order they were made
	Min     float64   `json:"min"`
	Median  float64   `json:"median"`
	Max     float64   `json:"max"`

	Sent uint64 `json:"sent,omitempty"` // packets, all runs together
	Lost uint64 `json:"lost"`           // likewise

	ProxyShare  float64 `json:"proxy_cpu_share"`            // of its CPU, mean of the runs
	ClientShare float64 `json:"client_cpu_share,omitempty"` // likewise, signalling only

	Own float64 `json:"proxy_ns,omitempty"` // CPU time of the proxy per packet, mean of the runs

	ToFloor float64 `json:"times_floor,omitempty"`                // the median over the floor's
	ToPeer  float64 `json:"times_as_fast_as_rtpengine,omitempty"` // the medians, so that more is better
	Problem string  `json:"problem,omitempty"`                    // why there is no figure
}

func newResult(s subject, calls int) result {
	return result{Subject: s.name, Title: s.title, Calls: calls, Runs: []float64{}}
}

// attrs name the result in the log.
func (r *result) attrs() []any {
	if r.Path != "" {
		return []any{"subject", r.Subject, "path", r.Path, "calls", r.Calls}
	}
	return []any{"subject", r.Subject, "calls", r.Calls}
}

// title is the result's name for people.
func (r *result) title() string {
	if r.Path != "" {
		return r.Path + ", " + r.Title
	}
	return r.Title
}

// fail notes why the subject has no figure; the first reason stands.
func (r *result) fail(err error) {
	if r.Problem == "" {
		r.Problem = err.Error()
	}
}

func (r *result) measured() bool { return r.Problem == "" && len(r.Runs) > 0 }

// summarise fills in minimum, median and maximum.
func (r *result) summarise() {
	if !r.measured() {
		return
	}
	sorted := slices.Sorted(slices.Values(r.Runs))
	r.Min, r.Max = sorted[0], sorted[len(sorted)-1]
	middle := len(sorted) / 2
	r.Median = sorted[middle]
	if len(sorted)%2 == 0 {
		r.Median = (sorted[middle-1] + sorted[middle]) / 2
	}
	r.ProxyShare /= float64(len(r.Runs))
	r.Own /= float64(len(r.Runs))
	r.ClientShare /= float64(len(r.Runs))
}

// compare fills in the ratios within the results of each kind.
func (r *report) compare() {
	for _, list := range [][]result{r.Relay, r.Secure} {
		for i := range list {
			a := &list[i]
			if floor := find(list, floorName, a); floor != nil {
				a.ToFloor = a.Median / floor.Median
			}
			if peer := find(list, peerName, a); peer != nil {
				a.ToPeer = peer.Median / a.Median
			}
		}
	}
	for _, list := range [][]result{r.Signalling, r.Handshakes, r.Languages} {
		for i := range list {
			a := &list[i]
			if peer := find(list, peerName, a); peer != nil {
				a.ToPeer = a.Median / peer.Median
			}
		}
	}
}

// find returns the result of a subject that a can be compared with. The floor does nothing to packets, whatever their path.
func find(results []result, subject string, a *result) *result {
	if !a.measured() {
		return nil
	}
	for i := range results {
		if r := &results[i]; r.Subject == subject && r.Calls == a.Calls && (r.Path == a.Path || subject == floorName) && r.measured() {
			return r
		}
	}
	return nil
}

// lists are all results.
func (r *report) lists() [][]result {
	return [][]result{r.Relay, r.Secure, r.Signalling, r.Handshakes}
}

// problems counts the results without a figure.
func (r *report) problems() (n int) {
	for _, list := range r.lists() {
		for i := range list {
			if !list[i].measured() {
				n++
			}
		}
	}
	for _, d := range r.Delay {
		n += count(d.Problem != "")
	}
	for _, f := range r.Floods {
		n += count(f.Problem != "")
	}
	for i := range r.Kernel {
		n += count(!r.Kernel[i].measured())
	}
	for _, m := range r.Memory {
		n += count(m.Problem != "")
	}
	for _, l := range r.Looks {
		n += count(l.Problem != "")
	}
	for _, c := range r.Churn {
		n += count(c.Problem != "" || len(c.Left) > 0)
	}
	return n
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	fmt.Fprintln(w, r.Machine)
	if len(r.Relay) > 0 {
		fmt.Fprintln(w, "\nOne packet from caller to callee, in ns, with generator and sink, on one CPU:")
		table(w, "calls\trelay\tmin\tmedian\tmax\tx floor\tx as fast as rtpengine\tlost", r.Relay, func(a *result) string {
			return fmt.Sprintf("%.0f\t%.0f\t%.0f\t%s\t%s\t%d",
				a.Min, a.Median, a.Max, ratio(a.ToFloor), ratio(a.ToPeer), a.Lost)
		})
	}
	r.printKernel(w)
	if len(r.Secure) > 0 {
		fmt.Fprintln(w, "\nOne packet that is encrypted or decrypted on the way, in ns, likewise; own is the CPU time of the proxy alone:")
		table(w, "calls\trelay\tmin\tmedian\tmax\town\tx floor\tx rtpengine's time\tlost", r.Secure, func(a *result) string {
			return fmt.Sprintf("%.0f\t%.0f\t%.0f\t%.0f\t%s\t%s\t%d",
				a.Min, a.Median, a.Max, a.Own, ratio(a.ToFloor), ratio(inverse(a.ToPeer)), a.Lost)
		})
	}
	if len(r.Signalling) > 0 {
		fmt.Fprintln(w, "\nOffers with their answers per second, the proxy on one CPU and the client on another:")
		table(w, "calls\tproxy\tmin\tmedian\tmax\tx rtpengine\tproxy CPU\tclient CPU", r.Signalling, func(a *result) string {
			return fmt.Sprintf("%.0f\t%.0f\t%.0f\t%s\t%.0f %%\t%.0f %%",
				a.Min, a.Median, a.Max, ratio(a.ToPeer), 100*a.ProxyShare, 100*a.ClientShare)
		})
	}
	r.printDelay(w)
	r.printMemory(w)
	r.printChurn(w)
	if len(r.Handshakes) > 0 {
		fmt.Fprintln(w, "\nDTLS handshakes per second of CPU time of the proxy, which is the passive side:")
		table(w, "calls\tproxy\tmin\tmedian\tmax\tx rtpengine\tproxy CPU\tclient CPU", r.Handshakes, func(a *result) string {
			return fmt.Sprintf("%.0f\t%.0f\t%.0f\t%s\t%.0f %%\t%.0f %%",
				a.Min, a.Median, a.Max, ratio(a.ToPeer), 100*a.ProxyShare, 100*a.ClientShare)
		})
	}
	r.printFloods(w)
	r.printLanguages(w)
	r.printLooks(w)
	for _, list := range r.lists() {
		for _, a := range list {
			if a.Problem != "" {
				fmt.Fprintf(w, "\n%s, %d calls: not measured: %s\n", a.title(), a.Calls, a.Problem)
			}
		}
	}
}

func (r *report) printFloods(w io.Writer) {
	if len(r.Floods) == 0 {
		return
	}
	fmt.Fprintln(w, "\nBad packets per second to the ports of a call that loses nothing, and CPU time of the proxy per such packet:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "packets\tproxy\tsurvived\tns\tlost at the next rate")
	for i := range r.Floods {
		fmt.Fprintln(tw, r.Floods[i].rowOf())
	}
	tw.Flush()
}

func (r *report) printLanguages(w io.Writer) {
	if len(r.Languages) == 0 {
		return
	}
	fmt.Fprintln(w, "\nCalls made, answered and deleted per second, Weir on one CPU and the client on another:")
	table(w, "calls\tlanguage\tmin\tmedian\tmax\tx ng\tproxy CPU\tclient CPU", r.Languages, func(a *result) string {
		toNG := 0.0
		if first := &r.Languages[0]; first.measured() {
			toNG = a.Median / first.Median
		}
		return fmt.Sprintf("%.0f\t%.0f\t%.0f\t%s\t%.0f %%\t%.0f %%", a.Min, a.Median, a.Max, ratio(toNG), 100*a.ProxyShare, 100*a.ClientShare)
	})
}

func (r *report) printLooks(w io.Writer) {
	if len(r.Looks) == 0 {
		return
	}
	fmt.Fprintf(w, "\nSeconds until an operator sees something of %d calls, and what it costs the packets of %d of them, in userspace:\n",
		r.Looks[0].Calls, r.Looks[0].Talking)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "by\tmin\tmedian\tmax\tkB\tlost\tms p99\tms longest")
	for _, l := range r.Looks {
		switch {
		case l.Problem != "":
			fmt.Fprintf(tw, "%s\tnot measured: %s\n", l.Name, l.Problem)
		case len(l.Runs) == 0:
			fmt.Fprintf(tw, "%s\t-\t-\t-\t-\t%d\t%.1f\t%.1f\n", l.Name, l.Lost, l.Delay, l.Longest)
		default:
			fmt.Fprintf(tw, "%s\t%.3f\t%.3f\t%.3f\t%d\t%d\t%.1f\t%.1f\n", l.Name, l.Min, l.Median, l.Max, l.Bytes/1000, l.Lost, l.Delay, l.Longest)
		}
	}
	tw.Flush()
}

func (r *report) printDelay(w io.Writer) {
	if len(r.Delay) == 0 {
		return
	}
	fmt.Fprintf(w, "\nTime until an offer is answered, at %d calls a second, in µs:\n", r.Delay[0].Rate)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "calls\tproxy\tp50\tp99\tmax")
	for _, d := range r.Delay {
		if d.Problem != "" {
			fmt.Fprintf(tw, "-\t%s\tnot measured: %s\n", d.Title, d.Problem)
			continue
		}
		fmt.Fprintf(tw, "%d\t%s\t%.0f\t%.0f\t%.0f\n", d.Calls, d.Title, d.P50, d.P99, d.Max)
	}
	tw.Flush()
}

func (r *report) printMemory(w io.Writer) {
	if len(r.Memory) == 0 {
		return
	}
	fmt.Fprintln(w, "\nMemory of calls of two parties with one audio stream and no packets:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "calls\tproxy\tMiB before\tMiB with\tKiB per call\tdescriptors per call")
	for _, m := range r.Memory {
		if m.Problem != "" {
			fmt.Fprintf(tw, "-\t%s\tnot measured: %s\n", m.Title, m.Problem)
			continue
		}
		fmt.Fprintf(tw, "%d\t%s\t%.1f\t%.1f\t%.1f\t%.1f\n", m.Calls, m.Title, float64(m.Before)/1024, float64(m.After)/1024,
			m.PerCall, m.Descriptors)
	}
	tw.Flush()
}

func (r *report) printChurn(w io.Writer) {
	for _, c := range r.Churn {
		if c.Problem != "" {
			fmt.Fprintf(w, "\n%d calls made and deleted: not measured: %s\n", c.Cycles, c.Problem)
			continue
		}
		fmt.Fprintf(w, "\nWeir before and after %d calls made and deleted:\n", c.Cycles)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "\tMiB\tgoroutines\tdescriptors\tcalls\tpairs of ports\tentries of maps")
		for _, row := range []struct {
			when string
			footprint
		}{{"before", c.Before}, {"after", c.After}} {
			fmt.Fprintf(tw, "%s\t%.1f\t%d\t%d\t%d\t%d\t%d\n", row.when, float64(row.RSS)/1024, row.Goroutines, row.Descriptors,
				row.Calls, row.PortPairs, row.MapEntries)
		}
		tw.Flush()
		if len(c.Left) == 0 {
			fmt.Fprintln(w, "Nothing is left of them.")
		} else {
			fmt.Fprintf(w, "Left of them: %s.\n", strings.Join(c.Left, ", "))
		}
	}
}

func table(w io.Writer, header string, results []result, row func(*result) string) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, header)
	for _, a := range results {
		figures := "not measured" + strings.Repeat("\t", strings.Count(header, "\t")-2) // keeps the columns together
		if a.measured() {
			figures = row(&a)
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\n", a.Calls, a.title(), figures)
	}
	tw.Flush()
}

func ratio(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func inverse(x float64) float64 {
	if x == 0 {
		return 0
	}
	return 1 / x
}
