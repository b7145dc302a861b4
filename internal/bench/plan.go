package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxCalls is what the proxies' range of ports and the callers' have room for.
const maxCalls = 9000

// plan is what a benchmark is to do.
type plan struct {
	programs programs
	calls    []int    // at the same time, one stage each
	runs     int      // of every subject in every stage
	only     []string // subjects; empty means all
	parts    []string // of the benchmark
	length   time.Duration
	batch    int // calls in a signalling run
	pace     int // calls a second at which answers are timed
	idle     int // calls whose memory is measured; 0 means none
	table    int // flows in the kernel where many are
	cycles   int // calls made and deleted to see what is left; 0 means none
	shakes   int // calls in a run of handshakes
	looked   int // calls that are looked at; 0 means none
	json     bool
}

// The parts of the benchmark.
const (
	partRelay      = "relay"
	partKernel     = "kernel"
	partSecure     = "srtp"
	partSignalling = "signalling"
	partDelay      = "delay"
	partMemory     = "memory"
	partChurn      = "churn"
	partHandshakes = "dtls"
	partFloods     = "floods"
	partLanguages  = "rtpproxy"
	partLooks      = "looks"
)

func allParts() []string {
	return []string{partRelay, partKernel, partSecure, partSignalling, partDelay, partMemory, partChurn, partHandshakes, partFloods, partLanguages, partLooks}
}

func (p plan) has(part string) bool { return slices.Contains(p.parts, part) }

// relay lists the figures of clear packets, those to be taken at the same time together.
func (p plan) relay() (stages [][]lane) {
	if !p.has(partRelay) {
		return nil
	}
	for _, calls := range p.calls {
		var lanes []lane
		for _, s := range p.subjects() {
			lanes = append(lanes, lane{subject: s, calls: calls})
		}
		stages = append(stages, lanes)
	}
	return stages
}

// secure lists the figures of packets that are encrypted or decrypted, all with the first number of calls, behind that of
// the floor, where they stay as they are.
func (p plan) secure() (lanes []lane) {
	if !p.has(partSecure) {
		return nil
	}
	for _, s := range p.subjects() {
		if s.name == floorName {
			lanes = append(lanes, lane{subject: s, calls: p.calls[0]})
		}
	}
	for _, path := range securedPaths() {
		for _, s := range p.subjects() {
			if s.name != floorName && (s.plane == userspace || path.kernel()) {
				lanes = append(lanes, lane{subject: s, calls: p.calls[0], secured: path})
			}
		}
	}
	return lanes
}

// parsePlan reads the command line.
func parsePlan(args []string, stderr io.Writer) (plan, error) {
	p := plan{length: 1500 * time.Millisecond, batch: 1000, pace: 1000, shakes: 500, table: 100_000}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	calls := flags.String("calls", "100,1000", "calls at the same time, one `list` entry per stage")
	only := flags.String("only", "", "`list` of subjects to measure (default "+strings.Join(subjectNames(), ",")+")")
	quick := flags.Bool("quick", false, "a short run to see that everything works; its figures are coarse")
	parts := flags.String("parts", strings.Join(allParts(), ","), "`list` of what to measure")
	flags.IntVar(&p.idle, "idle", 10000, "`calls` whose memory is measured, 0 for none")
	flags.IntVar(&p.cycles, "cycles", 100000, "`calls` to make and delete, to see what is left of them; 0 for none")
	flags.IntVar(&p.looked, "looked", 5000, "`calls` that are held while they are looked at, 0 for none")
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
		p.length, p.batch, p.shakes, p.runs, p.table, *calls = 300*time.Millisecond, 200, 100, 2, 10_000, "100"
		p.idle, p.cycles = min(p.idle, 1000), min(p.cycles, 2000)
		p.looked = min(p.looked, 500)
	}
	if p.idle < 0 || p.cycles < 0 || p.looked < 0 || p.looked > maxCalls {
		return plan{}, fmt.Errorf("--idle, --cycles and --looked cannot be negative, nor --looked above %d", maxCalls)
	}
	p.parts = strings.Split(*parts, ",")
	for _, part := range p.parts {
		if !slices.Contains(allParts(), part) {
			return plan{}, fmt.Errorf("--parts: there is no part %q, only %s", part, strings.Join(allParts(), ", "))
		}
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
