package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cilium/ebpf"
)

// footprint is what a proxy holds at a time.
type footprint struct {
	RSS         int `json:"rss_kib"`
	Goroutines  int `json:"goroutines"`
	Descriptors int `json:"descriptors"`
	Calls       int `json:"calls"`
	PortPairs   int `json:"port_pairs"`
	MapEntries  int `json:"map_entries"` // of its BPF hash maps
}

// churn is what is left of many calls.
type churn struct {
	Cycles  int       `json:"cycles"`
	Before  footprint `json:"before"`
	After   footprint `json:"after"`
	Left    []string  `json:"left"` // what there is more of than there may be
	Problem string    `json:"problem,omitempty"`
}

// churnBatch is how many calls are made and deleted at a time.
const churnBatch = 1000

// churnWarmUp is how many are made and deleted at least before the count begins: their garbage, some 40 KB each, fills the
// 64 MB three times over.
const churnWarmUp = 6000

// churnStage makes and deletes calls and looks at what Weir holds before and after.
func churnStage(ctx context.Context, logger *slog.Logger, p plan) ([]churn, error) {
	subjects := p.subjects()
	if p.cycles == 0 || len(subjects) == 0 {
		return []churn{}, nil
	}
	for _, s := range subjects {
		if !s.signals || s.name == peerName {
			continue
		}
		r := churn{Cycles: p.cycles, Left: []string{}}
		if err := r.measure(ctx, logger, s, p.programs.weir); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			r.Problem = err.Error()
		}
		return []churn{r}, nil
	}
	return []churn{}, nil
}

func (r *churn) measure(ctx context.Context, logger *slog.Logger, s subject, weir string) (err error) {
	command := s.command
	// Ports that rest would run out: a call lasts no longer here than it takes to say so.
	s.command = func(dir string) []string { return append(command(dir), "--port-quarantine=0") }
	proxy, err := newSignalling(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	made := 0
	cycle := func(n int) error {
		for end := made + n; made < end; made += churnBatch {
			if err := ctx.Err(); err != nil {
				return err
			}
			calls := newCalls(fmt.Sprintf("churn-%d", made), min(churnBatch, end-made))
			if err := proxy.daemon.client.setUp(calls); err != nil {
				return proxy.daemon.explain(err)
			}
			if err := proxy.hangUp(calls); err != nil {
				return err
			}
		}
		return nil
	}
	// Caches and what the garbage collector leaves lying (see heapFloor in the daemon) fill first: that is not left by the
	// calls that follow.
	if err := cycle(max(r.Cycles/4, churnWarmUp)); err != nil {
		return err
	}
	if r.Before, err = proxy.daemon.footprint(weir); err != nil {
		return err
	}
	if err := cycle(r.Cycles); err != nil {
		return err
	}
	if r.After, err = proxy.daemon.footprint(weir); err != nil {
		return err
	}
	r.judge()
	logger.Info("made and deleted", "calls", r.Cycles, "left", strings.Join(r.Left, ", "))
	return nil
}

// judge names what there is more of. Memory and goroutines move by themselves: a quarter and a few are allowed for.
func (r *churn) judge() {
	for _, c := range []struct {
		what                 string
		before, after, spare int
	}{
		{"KiB of memory", r.Before.RSS, r.After.RSS, r.Before.RSS/4 + 8<<10},
		{"goroutines", r.Before.Goroutines, r.After.Goroutines, 4},
		{"descriptors", r.Before.Descriptors, r.After.Descriptors, 0},
		{"calls", 0, r.After.Calls, 0},
		{"pairs of ports", 0, r.After.PortPairs, 0},
		{"entries of maps", r.Before.MapEntries, r.After.MapEntries, 0},
	} {
		if more := c.after - c.before; more > c.spare {
			r.Left = append(r.Left, fmt.Sprintf("%d %s", more, c.what))
		}
	}
}

// footprint asks Weir and the system.
func (d *daemon) footprint(weir string) (f footprint, err error) {
	time.Sleep(settleTime)
	if f.RSS, err = d.residentKiB(); err != nil {
		return f, err
	}
	if f.Descriptors, err = d.descriptors(); err != nil {
		return f, err
	}
	out, err := exec.Command(weir, "status", "--json", "--control-socket="+filepath.Join(d.dir, "control")).Output()
	if err != nil {
		return f, fmt.Errorf("weir status: %w", err)
	}
	var status struct {
		Goroutines int
		Calls      struct{ Live int }
		Ports      []struct{ Used int }
	}
	if err := json.Unmarshal(out, &status); err != nil {
		return f, fmt.Errorf("weir status: %w", err)
	}
	f.Goroutines, f.Calls = status.Goroutines, status.Calls.Live
	for _, p := range status.Ports {
		f.PortPairs += p.Used
	}
	f.MapEntries, err = d.mapEntries()
	return f, err
}

// mapEntries counts what the process has in BPF maps that can grow.
func (d *daemon) mapEntries() (total int, err error) {
	dir := fmt.Sprintf("/proc/%d/fdinfo", d.cmd.Process.Pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, d.explain(err)
	}
	seen := make(map[ebpf.MapID]bool)
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		id, ok := mapID(string(text))
		if !ok || seen[id] {
			continue
		}
		seen[id] = true
		n, err := entries(id)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// mapID finds the number of a map in what the system says of a descriptor.
func mapID(fdinfo string) (ebpf.MapID, bool) {
	for line := range strings.Lines(fdinfo) {
		var id ebpf.MapID
		if n, _ := fmt.Sscanf(line, "map_id:%d", &id); n == 1 {
			return id, true
		}
	}
	return 0, false
}

func entries(id ebpf.MapID) (n int, err error) {
	m, err := ebpf.NewMapFromID(id)
	if err != nil {
		return 0, fmt.Errorf("map %d: %w", id, err)
	}
	defer m.Close()
	switch m.Type() {
	case ebpf.Hash, ebpf.LRUHash, ebpf.PerCPUHash, ebpf.LRUCPUHash, ebpf.LPMTrie:
	default:
		return 0, nil // of a fixed size
	}
	var next []byte
	for key := any(nil); ; key = next {
		if next, err = m.NextKeyBytes(key); err != nil || next == nil {
			return n, err
		}
		n++
	}
}
