package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/weir-media/weir/internal/netrig"
)

// The addresses of a rig. Every rig has namespaces of its own, so all use the same ones.
var (
	callerAddr    = netip.MustParseAddr("10.88.1.2")
	proxyToCaller = netip.MustParseAddr("10.88.1.1")
	proxyToCallee = netip.MustParseAddr("10.88.2.1")
	calleeAddr    = netip.MustParseAddr("10.88.2.2")

	// For more ports than one address has, and for calls between address families.
	secondToCaller = netip.MustParseAddr("10.88.1.3")
	proxyToCallee6 = netip.MustParseAddr("fd88:2::1")
	calleeAddr6    = netip.MustParseAddr("fd88:2::2")
)

// window is the most packets a rig has under way, copies and all. A veth ring holds 256; less leaves room in the socket buffers.
const window = 128

// rig is a caller, a proxy and a callee in a row, with the generator at the caller and the sink at the callee.
type rig struct {
	net                   *netrig.Rig
	caller, proxy, callee *netrig.Host

	bpf    rigObjects
	source *ebpf.Program // of packets
	frame  []byte        // what the generator starts from
	series *series       // nil: the generator makes its packets itself
	copies int           // that reach the callee of each packet; 0 means one
	longer int           // bytes that the proxy adds to a packet
	links  []link.Link   // kept, as a collected link detaches its program
}

func newRig() (r *rig, err error) {
	r = &rig{}
	if r.net, err = netrig.New(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	for name, host := range map[string]**netrig.Host{"caller": &r.caller, "proxy": &r.proxy, "callee": &r.callee} {
		if *host, err = r.net.Host(name); err != nil {
			return nil, err
		}
	}
	end := func(h *netrig.Host, device string, addrs ...netip.Addr) netrig.End {
		e := netrig.End{Host: h, Device: device, GRO: true, Neighbours: true}
		for _, a := range addrs {
			bits := 24
			if a.Is6() {
				bits = 64
			}
			e.Addrs = append(e.Addrs, netip.PrefixFrom(a, bits))
		}
		return e
	}
	if err = r.net.Link(end(r.caller, "proxy", callerAddr), end(r.proxy, "caller", proxyToCaller, secondToCaller)); err != nil {
		return nil, err
	}
	err = r.net.Link(end(r.proxy, "callee", proxyToCallee, proxyToCallee6), end(r.callee, "proxy", calleeAddr, calleeAddr6))
	return r, err
}

// load prepares the programs for streams, one of which is next in turn for every packet. The callers are needed where they
// speak SRTP.
func (r *rig) load(streams []stream, s secured, callers []*party) error {
	out, err := r.caller.Device("proxy")
	if err != nil {
		return err
	}
	onward, err := r.proxy.Device("callee")
	if err != nil {
		return err
	}
	spec, err := loadRig()
	if err != nil {
		return err
	}
	spec.Maps[rigMapFlows].MaxEntries = uint32(len(streams))
	if s.caller {
		spec.Maps[rigMapSeries].MaxEntries = seriesLen
	}
	for name, value := range map[string]uint32{
		rigVarCalls:       uint32(len(streams)),
		rigVarWindow:      uint32(window / max(1, r.copies)),
		rigVarCallerIndex: uint32(out.Index),
		rigVarCalleeIndex: uint32(onward.Index),
		rigVarPreparedLen: uint32(s.callerFrame()),
		rigVarSunkLen:     uint32(s.calleeFrame() + r.longer),
		rigVarCopies:      uint32(max(1, r.copies)),
		rigVarSpare:       uint32(s.spare()),
	} {
		if err := spec.Variables[name].Set(value); err != nil {
			return err
		}
	}
	if err := spec.LoadAndAssign(&r.bpf, nil); err != nil {
		return fmt.Errorf("load the rig's programs: %w", err)
	}
	for i, s := range streams {
		flow := s.flow()
		if err := r.bpf.Flows.Put(uint32(i), &flow); err != nil {
			return fmt.Errorf("flow %d: %w", i, err)
		}
	}
	r.source, r.frame = r.bpf.Generate, streams[0].frame()
	if s.caller {
		r.source, r.frame = r.bpf.Replay, make([]byte, s.callerFrame())
		r.series, err = newSeries(r.bpf.Series, callers, streams, s.callerFrame())
	}
	r.frame = append(r.frame, make([]byte, s.spare())...)
	return err
}

// attach puts an XDP program on a device and keeps it there until Close.
func (r *rig) attach(host *netrig.Host, device string, prog *ebpf.Program) error {
	return r.attachBy(host, device, func(index int) (link.Link, error) {
		return link.AttachXDP(link.XDPOptions{Program: prog, Interface: index, Flags: link.XDPDriverMode})
	})
}

// attachTC is attach for the tc hook.
func (r *rig) attachTC(host *netrig.Host, device string, prog *ebpf.Program) error {
	return r.attachBy(host, device, func(index int) (link.Link, error) {
		return link.AttachTCX(link.TCXOptions{Program: prog, Interface: index, Attach: ebpf.AttachTCXIngress})
	})
}

func (r *rig) attachBy(host *netrig.Host, device string, attach func(index int) (link.Link, error)) error {
	return host.Do(func() error {
		dev, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		l, err := attach(dev.Index)
		if err != nil {
			return fmt.Errorf("attach to %s: %w", device, err)
		}
		r.links = append(r.links, l)
		return nil
	})
}

// errNoPacket is returned by run when nothing arrived in the measured window.
var errNoPacket = errors.New("no packet reached the callee")

// sample is what one run measured.
type sample struct {
	nsPerPacket float64
	packets     uint64        // ended in the measured window
	lost        uint64        // of the whole run, with its lead-in
	sent        uint64        // likewise
	proxyTime   time.Duration // CPU time of the proxy's process in the measured window
	window      time.Duration
}

// share is the part of the measured CPU that the proxy's process had.
func (s sample) share() float64 { return s.proxyTime.Seconds() / s.window.Seconds() }

// cpuClock reads the CPU time of a proxy so far.
type cpuClock func() (time.Duration, error)

// run generates for leadIn, then measures for length.
func (r *rig) run(ctx context.Context, leadIn, length time.Duration, proxy cpuClock) (sample, error) {
	for _, v := range []*ebpf.Variable{r.bpf.Sent, r.bpf.Sunk} {
		if err := v.Set(uint64(0)); err != nil {
			return sample{}, err
		}
	}
	if r.series != nil {
		if err := r.bpf.First.Set(r.series.first); err != nil {
			return sample{}, err
		}
	}
	g := startGenerator(r.caller, r.source, r.frame)
	s, err := r.measure(ctx, leadIn, length, proxy)
	if err := errors.Join(err, g.stop()); err != nil {
		return sample{}, err
	}
	if s.sent, s.lost, err = r.drain(); err != nil {
		return sample{}, err
	}
	if r.series != nil {
		if err := r.series.advance(s.sent); err != nil {
			return sample{}, err
		}
	}
	if s.packets == 0 {
		return sample{}, errNoPacket
	}
	return s, nil
}

// wait sleeps, or until there are not enough prepared packets left to go on.
func (r *rig) wait(ctx context.Context, d time.Duration) error {
	if r.series == nil {
		return sleep(ctx, d)
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		if n, err := r.count(r.bpf.Sent); err != nil || n > seriesLen-seriesMargin {
			return err
		}
		if err := sleep(ctx, 2*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) measure(ctx context.Context, leadIn, length time.Duration, proxy cpuClock) (sample, error) {
	if err := r.awaitFirst(ctx); err != nil {
		return sample{}, err
	}
	if err := sleep(ctx, leadIn); err != nil {
		return sample{}, err
	}
	proxyBefore, err := proxy()
	if err != nil {
		return sample{}, err
	}
	packetsBefore, err := r.count(r.bpf.Sunk)
	start := time.Now()
	if err != nil {
		return sample{}, err
	}
	if err := r.wait(ctx, length); err != nil {
		return sample{}, err
	}
	packets, err := r.count(r.bpf.Sunk)
	elapsed := time.Since(start)
	if err != nil {
		return sample{}, err
	}
	proxyAfter, err := proxy()
	if err != nil {
		return sample{}, err
	}
	s := sample{packets: packets - packetsBefore, proxyTime: proxyAfter - proxyBefore, window: elapsed}
	s.nsPerPacket = float64(elapsed.Nanoseconds()) / float64(s.packets)
	return s, nil
}

// awaitFirst waits for the first packet to end, for a while: on a busy machine the generator's thread may start late.
func (r *rig) awaitFirst(ctx context.Context) error {
	for range 1000 {
		if n, err := r.count(r.bpf.Sunk); n > 0 || err != nil {
			return err
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil // the window will show that there is none
}

// drain waits until the packets under way have ended, or until none has ended for a while: those are lost.
func (r *rig) drain() (sent, lost uint64, err error) {
	const patience = 100 * time.Millisecond
	if sent, err = r.count(r.bpf.Sent); err != nil {
		return 0, 0, err
	}
	for last, since := uint64(0), time.Now(); ; time.Sleep(time.Millisecond) {
		sunk, err := r.count(r.bpf.Sunk)
		if err != nil {
			return 0, 0, err
		}
		if sunk >= sent || sunk == last && time.Since(since) > patience {
			return sent, max(sent, sunk) - sunk, nil
		}
		if sunk != last {
			last, since = sunk, time.Now()
		}
	}
}

func (r *rig) count(v *ebpf.Variable) (n uint64, err error) {
	err = v.Get(&n)
	return n, err
}

// Close takes the whole rig down.
func (r *rig) Close() error {
	var errs []error
	for _, l := range r.links {
		errs = append(errs, l.Close())
	}
	if r.bpf.Generate != nil {
		errs = append(errs, r.bpf.Close())
	}
	return errors.Join(append(errs, r.net.Close())...)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
