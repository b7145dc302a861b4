// Command bench measures what it costs to relay a packet and to set up a call, for Weir and for its peer.
//
// See docs/benchmark.md for the rig and the method.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cilium/ebpf/rlimit"
)

// maxCalls is what the proxies' range of ports and the callers' have room for.
const maxCalls = 9000

// plan is what a benchmark is to do.
type plan struct {
	programs programs
	calls    []int    // at the same time, one stage each
	runs     int      // of every subject in every stage
	only     []string // subjects; empty means all
	relay    bool     // whether packets are measured
	length   time.Duration
	batch    int // calls in a signalling run; 0 means no signalling
	pace     int // calls a second at which answers are timed; 0 means none
	idle     int // calls whose memory is measured; 0 means none
	cycles   int // calls made and deleted to see what is left; 0 means none
	json     bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		slog.Error("benchmark failed", "error", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	p, err := parsePlan(args, stderr)
	if err != nil {
		return err
	}
	if err := prepare(); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	rep := &report{Machine: p.programs.facts(), Relay: []result{}, Signalling: []result{}}
	for _, calls := range p.calls {
		if !p.relay {
			break
		}
		results, err := relayStage(ctx, logger, p, calls)
		if err != nil {
			return err
		}
		rep.Relay = append(rep.Relay, results...)
	}
	if rep.Signalling, err = signallingStage(ctx, logger, p); err != nil {
		return err
	}
	if rep.Delay, err = delayStage(ctx, logger, p); err != nil {
		return err
	}
	if rep.Memory, err = memoryStage(ctx, logger, p); err != nil {
		return err
	}
	if rep.Churn, err = churnStage(ctx, logger, p); err != nil {
		return err
	}
	rep.compare()
	if p.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(rep)
	} else {
		rep.print(stdout)
	}
	if n := rep.problems(); err == nil && n > 0 {
		err = fmt.Errorf("%d of the figures could not be taken; the report says why", n)
	}
	return err
}

// parsePlan reads the command line.
func parsePlan(args []string, stderr io.Writer) (plan, error) {
	p := plan{length: 1500 * time.Millisecond, batch: 1000, pace: 1000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calls := flags.String("calls", "100,1000", "calls at the same time, one `list` entry per stage")
	only := flags.String("only", "", "`list` of subjects to measure (default "+strings.Join(subjectNames(), ",")+")")
	quick := flags.Bool("quick", false, "a short run to see that everything works; its figures are coarse")
	noRelay := flags.Bool("no-relay", false, "leave out packets")
	noSignalling := flags.Bool("no-signalling", false, "leave out offers and answers per second, and how long they take")
	flags.IntVar(&p.idle, "idle", 10000, "`calls` whose memory is measured, 0 for none")
	flags.IntVar(&p.cycles, "cycles", 100000, "`calls` to make and delete, to see what is left of them; 0 for none")
	flags.IntVar(&p.runs, "runs", 5, "runs of every subject")
	flags.BoolVar(&p.json, "json", false, "print one JSON object instead of tables")
	flags.StringVar(&p.programs.weir, "weir", "bin/weir", "`path` of weir")
	flags.StringVar(&p.programs.rtpengine, "rtpengine", "/usr/bin/rtpengine", "`path` of rtpengine")
	if err := flags.Parse(args); err != nil {
		return plan{}, err
	}
	if flags.NArg() > 0 {
		return plan{}, fmt.Errorf("unexpected argument %q: all settings are flags, see --help", flags.Arg(0))
	}
	if *quick {
		p.length, p.batch, p.runs, *calls = 300*time.Millisecond, 200, 2, "100"
		p.idle, p.cycles = min(p.idle, 1000), min(p.cycles, 2000)
	}
	p.relay = !*noRelay
	if *noSignalling {
		p.batch, p.pace = 0, 0
	}
	if p.idle < 0 || p.cycles < 0 {
		return plan{}, errors.New("--idle and --cycles cannot be negative")
	}
	for field := range strings.SplitSeq(*calls, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 || n > maxCalls {
			return plan{}, fmt.Errorf("--calls: %q is not a number from 1 to %d", field, maxCalls)
		}
		p.calls = append(p.calls, n)
	}
	if p.runs < 1 {
		return plan{}, fmt.Errorf("--runs: %d is not a positive number", p.runs)
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	for _, name := range p.only {
		if !slices.Contains(subjectNames(), name) {
			return plan{}, fmt.Errorf("--only: there is no subject %q, only %s", name, strings.Join(subjectNames(), ", "))
		}
	}
	return p, nil
}

// subjects are those of the plan.
func (p plan) subjects() []subject {
	return slices.DeleteFunc(p.programs.subjects(), func(s subject) bool {
		return len(p.only) > 0 && !slices.Contains(p.only, s.name)
	})
}

// prepare checks the machine and moves this process off the measured CPU.
func prepare() error {
	if os.Geteuid() != 0 {
		return errors.New("the benchmark needs root: run it with sudo")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	return moveTo(clientCPU)
}
