package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/weir-media/weir/fastpath"
)

const (
	leadIn = 100 * time.Millisecond // of every run, not counted

	maxLoss        = 0.001 // share of packets; a run that loses more has no figure
	kernelShare    = 0.10  // of the CPU, the most a proxy may use while the kernel relays
	userspaceShare = 0.30  // of the CPU, the least a proxy uses while it relays itself

	settleBurst    = 100 * time.Millisecond
	settlePatience = 15 * time.Second
)

// line is a rig with a subject in it, ready for runs.
type line struct {
	subject subject
	secured secured
	rig     *rig
	daemon  *daemon         // nil without a proxy
	ends    *ends           // nil without a proxy
	plane   *fastpath.Plane // where flows are installed without a proxy
	engine  fastpath.Mode   // of plane that is measured
	relayed uint64          // packets, by engine, so far
}

// newLine starts the subject, sets up calls and makes both ends of each known to the proxy.
func newLine(ctx context.Context, s subject, calls int, keyed secured) (l *line, err error) {
	l = &line{subject: s, secured: keyed}
	if l.rig, err = newRig(); err != nil {
		return nil, err
	}
	if s.command == nil {
		err = l.bare(calls)
	} else {
		err = l.proxied(ctx, calls)
	}
	if err == nil {
		err = l.rig.attach(l.rig.callee, "proxy", l.rig.bpf.Sink)
	}
	if err == nil {
		err = l.settle(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bare has the floor program in the place of a proxy.
func (l *line) bare(calls int) error {
	streams, err := l.rig.bareStreams(calls)
	if err != nil {
		return err
	}
	if err := l.rig.load(streams, secured{}, nil); err != nil {
		return err
	}
	return l.rig.attach(l.rig.proxy, "caller", l.rig.bpf.BareRedirect)
}

// portsOf is how many calls share a local address where no proxy deals out the ports.
const portsOf = 50000

// bareStreams are those of callers who need no proxy to know where to send.
func (r *rig) bareStreams(n int) ([]stream, error) {
	from, err := r.caller.Device("proxy")
	if err != nil {
		return nil, err
	}
	to, err := r.proxy.Device("caller")
	if err != nil {
		return nil, err
	}
	streams := make([]stream, n)
	for i := range streams {
		port, local := uint16(10000+i%portsOf), proxyToCaller
		if i >= portsOf {
			local = secondToCaller
		}
		streams[i] = stream{
			srcMAC: from.HardwareAddr, dstMAC: to.HardwareAddr, ssrc: uint32(i + 1),
			src: netip.AddrPortFrom(callerAddr, port), dst: netip.AddrPortFrom(local, port),
		}
	}
	return streams, nil
}

func (l *line) proxied(ctx context.Context, n int) (err error) {
	if l.daemon, err = startDaemon(l.rig, l.subject.command); err != nil {
		return err
	}
	calls := newSecuredCalls("relay", n, l.secured)
	if err := l.daemon.client.setUp(calls); err != nil {
		return l.daemon.explain(err)
	}
	if l.ends, err = openEnds(l.rig, calls); err != nil {
		return err
	}
	if err := l.ends.learn(ctx); err != nil {
		return l.daemon.explain(err)
	}
	streams, err := l.ends.streams(l.rig)
	if err != nil {
		return err
	}
	return l.rig.load(streams, l.secured, l.ends.callers)
}

// settle runs until the packets are relayed where they should be: the flows of all calls may take a while to reach the
// kernel, and a proxy may want to see packets from both ends on the way.
func (l *line) settle(ctx context.Context) error {
	for deadline := time.Now().Add(settlePatience); ; {
		s, err := l.rig.run(ctx, settleBurst, settleBurst, l.cpuTime)
		// A device that is not ready yet may eat the first window of packets, and the closed loop stands still.
		if err != nil && !errors.Is(err, errNoPacket) {
			return err
		}
		if err == nil {
			err = l.checkPlane(s)
		}
		if err == nil {
			return nil
		}
		if late := time.Now().After(deadline); late && l.daemon != nil {
			return l.daemon.explain(err)
		} else if late {
			return err
		}
		// The packets of a series were numbered before any that would be sent now.
		if l.ends != nil && l.rig.series == nil {
			if err := l.ends.send(); err != nil {
				return err
			}
		}
		if err := sleep(ctx, learnInterval); err != nil {
			return err
		}
	}
}

// run makes one run and refuses a figure that would say something else than it seems to.
func (l *line) run(ctx context.Context, length time.Duration) (sample, error) {
	s, err := l.rig.run(ctx, leadIn, length, l.cpuTime)
	if err != nil {
		return s, err
	}
	if float64(s.lost) > maxLoss*float64(s.sent) {
		return s, fmt.Errorf("%d of %d packets were lost", s.lost, s.sent)
	}
	return s, l.checkPlane(s)
}

// checkPlane tells by the proxy's CPU time whether it or the kernel relayed.
func (l *line) checkPlane(s sample) error {
	share := s.share()
	switch {
	case l.subject.plane == kernel && share > kernelShare:
		return fmt.Errorf("the proxy used %.0f %% of the CPU: not all packets are relayed in the kernel", 100*share)
	case l.subject.plane == userspace && share < userspaceShare:
		return fmt.Errorf("the proxy used %.0f %% of the CPU: it does not relay the packets", 100*share)
	}
	return l.checkEngine(s)
}

func (l *line) cpuTime() (time.Duration, error) {
	if l.daemon == nil {
		return 0, nil
	}
	return l.daemon.cpuTime()
}

// Close takes the line down.
func (l *line) Close() error {
	var errs []error
	if l.ends != nil {
		l.ends.Close()
	}
	if l.daemon != nil {
		errs = append(errs, l.daemon.Close())
	}
	if l.plane != nil {
		errs = append(errs, l.plane.Close())
	}
	return errors.Join(append(errs, l.rig.Close())...)
}
