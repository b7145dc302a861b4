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

type batch struct {
	keys   []relayEndpoint
	values []relayFlow
}

func newBatch() *batch {
	return &batch{keys: make([]relayEndpoint, batchFlows), values: make([]relayFlow, batchFlows)}
}

// Install puts f into the kernel; a flow with the same Local is replaced and the counters start at zero. Errors are
// those of Validate, ErrNoPlane with the reason when nothing serves Local, ErrFull and ErrClosed.
func (p *Plane) Install(f Flow) error {
	f = f.plain()
	if err := f.Validate(); err != nil {
		return err
	}
	if ok, why := p.Serves(f.Local.Addr()); !ok {
		return fmt.Errorf("flow %v: %w: %s", f.Local, ErrNoPlane, why)
	}
	key, value := encodeEndpoint(f.Local), encodeFlow(f)
	return p.flow(f.Local, func(m *ebpf.Map) error { return m.Update(&key, &value, ebpf.UpdateAny) })
}

// Remove takes the flow that arrives on local out of the kernel and returns its final counters, or ErrNoFlow.
func (p *Plane) Remove(local netip.AddrPort) (Counters, error) {
	key, value := encodeEndpoint(local), relayFlow{}
	err := p.flow(local, func(m *ebpf.Map) error { return m.LookupAndDelete(&key, &value) })
	return decodeCounters(&value, p.tick), err
}

// Counters are those of the flow that arrives on local, or ErrNoFlow.
func (p *Plane) Counters(local netip.AddrPort) (Counters, error) {
	key, value := encodeEndpoint(local), relayFlow{}
	err := p.flow(local, func(m *ebpf.Map) error { return m.Lookup(&key, &value) })
	return decodeCounters(&value, p.tick), err
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
			fn(decodeEndpoint(&b.keys[i]), decodeCounters(&b.values[i], p.tick))
		}
		switch {
		case errors.Is(err, ebpf.ErrKeyNotExist):
			return nil // that was the last batch
		case err != nil:
			return fmt.Errorf("read the flows: %w", err)
		}
	}
}
