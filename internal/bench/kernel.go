package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"text/tabwriter"
	"time"

	"github.com/weir-media/weir/fastpath"
)

// kernelWork is what the kernel is measured at, with flows that the benchmark installs itself: the packets of nobody else
// need to be learnt, and there may be more flows than a proxy has ports.
type kernelWork struct {
	name, title string
	mode        fastpath.Mode // empty: a bare redirect, by tc if bareTC
	bareTC      bool
	many        bool                   // the table is full, and all of it in use
	idle        bool                   // the table is full, and the first of it in use
	change      func(f *fastpath.Flow) // of every flow
	beside      func(f *fastpath.Flow) // of a flow more, without packets
	copies      int                    // that reach the callee
	longer      int                    // bytes that are added

	against string  // the name of what it is compared with
	times   float64 // so often
	limit   float64 // the ratio that is asked for; 0: none
}

func kernelWorks() []kernelWork {
	to6 := func(f *fastpath.Flow) {
		f.From, f.To = netip.AddrPortFrom(proxyToCallee6, f.From.Port()), netip.AddrPortFrom(calleeAddr6, f.To.Port())
	}
	eight := func(f *fastpath.Flow) {
		for i := range uint16(7) {
			f.More = append(f.More, fastpath.Target{
				From: netip.AddrPortFrom(proxyToCallee, 2000+i), To: netip.AddrPortFrom(calleeAddr, 3000+i),
			})
		}
	}
	return []kernelWork{
		{name: "floor", title: "bare XDP redirect (the floor)"},
		{name: "floor-tc", title: "bare tc redirect", bareTC: true, against: "floor", times: 1},
		{name: "xdp", title: "XDP", mode: fastpath.XDP, against: "floor", times: 1, limit: 2},
		{name: "xdp-table", title: "XDP, a few of many flows in use", mode: fastpath.XDP, idle: true, against: "floor", times: 1, limit: 2.6},
		{name: "floor-many", title: "bare XDP redirect, as many callers", many: true},
		{name: "xdp-many", title: "XDP, all of many flows in use", mode: fastpath.XDP, many: true, against: "floor-many", times: 1, limit: 2.6},
		{name: "xdp-beside", title: "XDP, beside a flow to eight", mode: fastpath.XDP, beside: eight, against: "xdp", times: 1},
		{name: "xdp-46", title: "XDP, IPv4 to IPv6", mode: fastpath.XDP, change: to6, longer: 20, against: "floor", times: 1, limit: 2.5},
		{name: "tc", title: "tc", mode: fastpath.TC, against: "floor-tc", times: 1, limit: 1.7},
		{name: "tc-46", title: "tc, IPv4 to IPv6", mode: fastpath.TC, change: to6, longer: 20, against: "floor-tc", times: 1},
		{name: "tc-8", title: "tc, one to eight", mode: fastpath.TC, change: eight, copies: 8, against: "tc", times: 8, limit: 0.6},
		{name: "xdp-8", title: "XDP, one to eight", mode: fastpath.XDP, change: eight, copies: 8, against: "tc", times: 8, limit: 0.6},
	}
}

// kernelRow is the outcome of one of them.
type kernelRow struct {
	result
	Flows   int     `json:"flows"` // in the table
	Against string  `json:"against,omitempty"`
	Ratio   float64 `json:"ratio,omitempty"`
	Limit   float64 `json:"limit,omitempty"`
}

// tableRates tell how fast flows come, go and are read.
type tableRates struct {
	Changes float64 `json:"changes_per_second"` // installations and removals
	Flows   int     `json:"flows"`              // that are read
	Read    float64 `json:"read_ms"`
}

// kernelLine is a line without a proxy: the flows of all calls are installed in this process.
func kernelLine(ctx context.Context, k kernelWork, active, flows int) (l *line, err error) {
	l = &line{subject: subject{name: k.name, title: k.title, plane: kernel}}
	if l.rig, err = newRig(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	l.rig.copies, l.rig.longer = k.copies, k.longer
	streams, err := l.rig.bareStreams(max(active, flows))
	if err != nil {
		return nil, err
	}
	if err = l.rig.load(streams[:active], secured{}, nil); err != nil {
		return nil, err
	}
	switch {
	case k.bareTC:
		err = l.rig.attachTC(l.rig.proxy, "caller", l.rig.bpf.BareRedirectTc)
	case k.mode == "":
		err = l.rig.attach(l.rig.proxy, "caller", l.rig.bpf.BareRedirect)
	default:
		err = l.install(k, streams[:flows])
	}
	if err == nil {
		err = l.rig.attach(l.rig.callee, "proxy", l.rig.bpf.Sink)
	}
	if err == nil {
		err = l.settle(ctx)
	}
	return l, err
}

// checkEngine tells whether the programs of the engine that is measured have relayed the packets of a run.
func (l *line) checkEngine(s sample) error {
	if l.plane == nil {
		return nil
	}
	before := l.relayed
	l.relayed = 0
	for _, r := range l.plane.Reasons() {
		if r.Hook == l.engine && r.Name == "relayed" {
			l.relayed += r.Packets
		}
	}
	if n := l.relayed - before; n < s.packets {
		return fmt.Errorf("%s has relayed %d of %d packets", l.engine, n, s.packets)
	}
	return nil
}

func (l *line) install(k kernelWork, streams []stream) error {
	l.engine = k.mode
	if err := l.rig.proxy.Do(func() (err error) {
		l.plane, err = fastpath.Open(fastpath.Config{
			Mode: k.mode, Addrs: []netip.Addr{proxyToCaller, secondToCaller, proxyToCallee, proxyToCallee6},
		})
		return err
	}); err != nil {
		return err
	}
	for _, s := range streams {
		if err := l.plane.Install(k.flow(s)); err != nil {
			return err
		}
	}
	if k.beside == nil {
		return nil
	}
	f := kernelWork{change: k.beside}.flow(streams[0])
	f.Local = netip.AddrPortFrom(f.Local.Addr(), 9)
	return l.plane.Install(f)
}

func (k kernelWork) flow(s stream) fastpath.Flow {
	f := fastpath.Flow{
		Local: s.dst, Source: s.src, DropForeign: true, Clocks: [fastpath.MaxClocks]fastpath.Clock{{PayloadType: 0, Rate: 8000}},
		Target: fastpath.Target{
			From: netip.AddrPortFrom(proxyToCallee, s.dst.Port()), To: netip.AddrPortFrom(calleeAddr, s.src.Port()),
		},
	}
	if k.change != nil {
		k.change(&f)
	}
	return f
}

// kernelStage measures all of it in turns, like relayStage.
func (r *report) kernelStage(ctx context.Context, logger *slog.Logger, p plan) (err error) {
	works := kernelWorks()
	lines := make([]*line, len(works))
	defer func() {
		for _, l := range lines {
			if l != nil {
				err = errors.Join(err, l.Close())
			}
		}
	}()
	for i, k := range works {
		active, flows := p.calls[0], p.calls[0]
		if k.many || k.idle {
			flows = p.table
		}
		if k.many {
			active = p.table
		}
		row := kernelRow{result: newResult(subject{name: k.name, title: k.title}, active), Flows: flows, Against: k.against, Limit: k.limit}
		logger.Info("setting up", "kernel", k.name, "flows", flows)
		if lines[i], err = kernelLine(ctx, k, active, flows); err != nil {
			if ctx.Err() != nil {
				return err
			}
			row.fail(err)
			lines[i] = nil
		}
		r.Kernel = append(r.Kernel, row)
	}
	for n := range p.runs {
		for i, l := range lines {
			row := &r.Kernel[i]
			if row.Problem != "" {
				continue
			}
			s, err := l.run(ctx, p.length)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				row.fail(err)
				continue
			}
			logger.Info("relayed", "kernel", row.Subject, "run", n+1, "ns", int(s.nsPerPacket), "packets", s.packets, "lost", s.lost)
			row.Runs = append(row.Runs, s.nsPerPacket)
			row.Sent, row.Lost = row.Sent+s.sent, row.Lost+s.lost
		}
	}
	for i := range r.Kernel {
		r.Kernel[i].summarise()
	}
	for i, k := range works {
		for j := range r.Kernel {
			if of := &r.Kernel[j]; of.Subject == k.against && of.measured() && r.Kernel[i].measured() {
				r.Kernel[i].Ratio = r.Kernel[i].Median / (k.times * of.Median)
			}
		}
		if k.name == "xdp" && lines[i] != nil {
			if r.Table, err = lines[i].tableRates(); err != nil {
				return err
			}
		}
	}
	return nil
}

// tableRates installs and removes flows, and reads many.
func (l *line) tableRates() (*tableRates, error) {
	const flows, reads = 10_000, 5
	streams, err := l.rig.bareStreams(flows + portsOf)
	if err != nil {
		return nil, err
	}
	streams = streams[portsOf:] // none of those that are in use
	start := time.Now()
	for _, s := range streams {
		if err := l.plane.Install(kernelWork{}.flow(s)); err != nil {
			return nil, err
		}
	}
	took := time.Since(start)
	t := &tableRates{Read: 1e9}
	for range reads {
		start, t.Flows = time.Now(), 0
		if err := l.plane.Walk(func(netip.AddrPort, fastpath.Counters) { t.Flows++ }); err != nil {
			return nil, err
		}
		t.Read = min(t.Read, float64(time.Since(start).Microseconds())/1000)
	}
	start = time.Now()
	for _, s := range streams {
		if _, err := l.plane.Remove(s.dst); err != nil {
			return nil, err
		}
	}
	t.Changes = 2 * flows / (took + time.Since(start)).Seconds()
	return t, nil
}

func (r *report) printKernel(w io.Writer) {
	if len(r.Kernel) == 0 {
		return
	}
	fmt.Fprintln(w, "\nOne packet by the kernel alone, in ns, with generator and sink, on one CPU:")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "callers\tflows\tby\tmin\tmedian\tmax\tratio\tto\tasked\tlost")
	works := kernelWorks()
	for i, a := range r.Kernel {
		if !a.measured() {
			fmt.Fprintf(tw, "%d\t%d\t%s\tnot measured: %s\n", a.Calls, a.Flows, a.Title, a.Problem)
			continue
		}
		to, asked := "-", "-"
		if a.Against != "" {
			to = a.Against
			if works[i].times > 1 {
				to = fmt.Sprintf("%.0f x %s", works[i].times, a.Against)
			}
		}
		if a.Limit > 0 {
			asked = fmt.Sprintf("%.1f", a.Limit)
		}
		fmt.Fprintf(tw, "%d\t%d\t%s (%s)\t%.0f\t%.0f\t%.0f\t%s\t%s\t%s\t%d\n", a.Calls, a.Flows, a.Title, a.Subject, a.Min, a.Median,
			a.Max, ratio(a.Ratio), to, asked, a.Lost)
	}
	tw.Flush()
	if t := r.Table; t != nil {
		fmt.Fprintf(w, "Flows are installed and removed at %.0f changes a second; the figures of %d are read in %.1f ms.\n", t.Changes, t.Flows, t.Read)
	}
}
