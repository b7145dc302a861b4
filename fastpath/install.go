package fastpath

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// batchFlows is how many flows one system call of Walk reads. It must hold a whole hash bucket.
const batchFlows = 256

// rtcpTarget is the index of the group of the receiver of RTCP that comes to a port of RTP: TARGET_RTCP in bpf/types.h.
const rtcpTarget = 0xffff

type batch struct {
	keys   []relayEndpoint
	values []relayFlow
}

func newBatch() *batch {
	return &batch{keys: make([]relayEndpoint, batchFlows), values: make([]relayFlow, batchFlows)}
}

// Install puts f into the kernel; a flow with the same Local is replaced and the counters start at zero. Errors are
// those of Validate, ErrNoPlane with the reason when nothing serves Local, ErrStage when what does serve it cannot do
// what f needs, ErrFull and ErrClosed.
func (p *Plane) Install(f Flow) error {
	f = f.plain()
	if err := f.Validate(); err != nil {
		return err
	}
	if ok, why := p.Serves(f.Local.Addr()); !ok {
		return fmt.Errorf("flow %v: %w: %s", f.Local, ErrNoPlane, why)
	}
	if err := p.able(&f); err != nil {
		return fmt.Errorf("flow %v: %w", f.Local, err)
	}
	p.fans(&f)
	return p.put(&f)
}

// fans has XDP get ready for flows like f.
func (p *Plane) fans(f *Flow) {
	if len(f.More) > 0 && p.ports != nil {
		p.ports.fan()
	}
}

// put writes the receivers first, so that no packet meets a flow without them.
func (p *Plane) put(f *Flow) error {
	key, value := encodeEndpoint(f.Local), encodeFlow(f)
	insert := func(m *ebpf.Map) error { return m.Update(&key, &value, ebpf.UpdateNoExist) }
	groups := encodeTargets(f)
	if len(groups) == 0 {
		err := p.flow(f.Local, insert)
		if !errors.Is(err, ebpf.ErrKeyExist) {
			return err
		}
	}
	if _, err := p.Remove(f.Local); err != nil && !errors.Is(err, ErrNoFlow) {
		return err
	}
	err := p.flow(f.Local, func(m *ebpf.Map) error {
		for index, group := range groups {
			at := key
			at.Index = index
			if err := p.maps.Targets.Update(&at, &group, ebpf.UpdateAny); err != nil {
				return err
			}
		}
		return insert(m)
	})
	if err != nil {
		for index := range groups {
			err = errors.Join(err, p.removeTargets(key, index))
		}
	}
	return err
}

// Remove takes the flow that arrives on local out of the kernel and returns its final counters, or ErrNoFlow.
func (p *Plane) Remove(local netip.AddrPort) (Counters, error) {
	key, value := encodeEndpoint(local), relayFlow{}
	err := p.flow(local, func(m *ebpf.Map) error {
		if err := m.LookupAndDelete(&key, &value); err != nil {
			return err
		}
		switch {
		case value.Flags&relayFlowFlagFLOW_TO_RTCP != 0:
			return p.removeTargets(key, rtcpTarget)
		case value.Action == relayFlowActionFLOW_FAN:
			var errs []error
			for i := 0; i < int(value.Targets); i += targetGroup {
				errs = append(errs, p.removeTargets(key, groupOf(i)))
			}
			return errors.Join(errs...)
		}
		return nil
	})
	return decodeCounters(&value), err
}

// removeTargets takes out a group of receivers of the flow of a key, if there is one.
func (p *Plane) removeTargets(key relayEndpoint, index uint16) error {
	key.Index = index
	if err := p.maps.Targets.Delete(&key); !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	return nil
}

// Counters are those of the flow that arrives on local, or ErrNoFlow.
func (p *Plane) Counters(local netip.AddrPort) (Counters, error) {
	key, value := encodeEndpoint(local), relayFlow{}
	err := p.flow(local, func(m *ebpf.Map) error { return m.Lookup(&key, &value) })
	return decodeCounters(&value), err
}

// flow does one thing with the flow map on behalf of local.
func (p *Plane) flow(local netip.AddrPort, do func(*ebpf.Map) error) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	if p.maps.Flows == nil {
		return fmt.Errorf("flow %v: %w", local, ErrNoFlow)
	}
	err := do(p.maps.Flows)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ebpf.ErrKeyNotExist):
		err = ErrNoFlow
	case errors.Is(err, unix.E2BIG):
		err = fmt.Errorf("%w: it holds %d", ErrFull, p.maxFlows)
	}
	return fmt.Errorf("flow %v: %w", local, err)
}

// Walk calls fn with every flow. It reads many at a time and allocates nothing per flow; a flow that is installed or
// removed meanwhile may be seen or not. fn must not call Close.
func (p *Plane) Walk(fn func(local netip.AddrPort, c Counters)) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return ErrClosed
	}
	if p.maps.Flows == nil {
		return nil
	}
	b := p.batches.Get().(*batch)
	defer p.batches.Put(b)
	var cursor ebpf.MapBatchCursor
	for {
		n, err := p.maps.Flows.BatchLookup(&cursor, b.keys, b.values, nil)
		for i := range n {
			fn(decodeEndpoint(&b.keys[i]), decodeCounters(&b.values[i]))
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return nil // that was the last batch
		case err != nil:
			return fmt.Errorf("read the flows: %w", err)
		}
	}
}
