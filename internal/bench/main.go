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
	"syscall"

	"github.com/cilium/ebpf/rlimit"
)

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
	rep := &report{Machine: p.programs.facts(), Relay: []result{}, Secure: []result{}, Signalling: []result{}, Handshakes: []result{}, Languages: []result{}}
	for _, lanes := range p.relay() {
		results, err := relayStage(ctx, logger, p, lanes)
		if err != nil {
			return err
		}
		rep.Relay = append(rep.Relay, results...)
	}
	if p.has(partKernel) {
		if err := rep.kernelStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if rep.Secure, err = relayStage(ctx, logger, p, p.secure()); err != nil {
		return err
	}
	if p.has(partSignalling) {
		if rep.Signalling, err = signallingStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partDelay) {
		if rep.Delay, err = delayStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partMemory) {
		if rep.Memory, err = memoryStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partChurn) {
		if rep.Churn, err = churnStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partHandshakes) {
		if rep.Handshakes, err = handshakeStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partFloods) {
		if rep.Floods, err = floodStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partLanguages) {
		if rep.Languages, err = languageStage(ctx, logger, p); err != nil {
			return err
		}
	}
	if p.has(partLooks) {
		if rep.Looks, err = lookStage(ctx, logger, p); err != nil {
			return err
		}
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
