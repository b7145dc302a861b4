package rtpproxy_test

import (
	"net/netip"
	"sync"
	"testing"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/recording"
)

// kernel is a fast path that relays nothing and remembers what it was asked to. What plain calls do not need it does not have.
type kernel struct {
	media.FastPath

	mu    sync.Mutex
	flows map[netip.AddrPort]fastpath.Flow
}

func (*kernel) Serves(netip.Addr) (bool, string) { return true, "" }

func (k *kernel) Install(f fastpath.Flow) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.flows[f.Local] = f
	return nil
}

func (k *kernel) Adopt(f fastpath.Flow) (c fastpath.Counters, adopted bool, err error) {
	return c, false, k.Install(f)
}

func (k *kernel) Remove(local netip.AddrPort) (c fastpath.Counters, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.flows, local)
	return c, nil
}

func (k *kernel) Walk(func(netip.AddrPort, fastpath.Counters)) error { return nil }

func (k *kernel) Tap(func(fastpath.TappedPacket)) error { return nil }

func (k *kernel) flow(local netip.AddrPort) (fastpath.Flow, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.flows[local]
	return f, ok
}

func TestSessionsAreRelayedByTheKernel(t *testing.T) {
	k := &kernel{flows: make(map[netip.AddrPort]fastpath.Flow)}
	recordings, err := recording.OpenDirectory(t.TempDir(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(s *setup) { s.plane = media.Config{FastPath: k}; s.Recordings = recordings })
	caller, callee := newPhone(t), newPhone(t)
	towardsCallee := r.port("U c " + caller.where() + " f;1")
	towardsCaller := r.port("L c " + callee.where() + " f;1 t;1")
	for range 5 { // so many end learning
		caller.says(towardsCaller)
		callee.hears(callee.rtp)
		callee.says(towardsCallee)
		caller.hears(caller.rtp)
	}
	r.until("both ways are in the kernel", func() bool {
		a, ok := k.flow(towardsCaller)
		b, also := k.flow(towardsCallee)
		return ok && also && a.From == towardsCallee && b.From == towardsCaller && !a.Taps.All
	})
	r.wants("R c f t", "0")
	r.until("the recorded way is in the kernel with a tap", func() bool {
		a, ok := k.flow(towardsCaller)
		return ok && a.Taps.All
	})
	r.wants("D c f t", "0")
	r.until("nothing is left in the kernel", func() bool {
		_, ok := k.flow(towardsCaller)
		_, also := k.flow(towardsCallee)
		return !ok && !also
	})
	if err := recordings.Close(); err != nil {
		t.Error(err)
	}
}
