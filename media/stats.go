package media

import (
	"net/netip"
	"time"

	"github.com/weir-media/weir/fastpath"
)

// Counts are packets and their bytes of UDP payload.
type Counts struct{ Packets, Bytes uint64 }

func (c *Counts) add(d Counts) {
	c.Packets += d.Packets
	c.Bytes += d.Bytes
}

// PlaneName names one of the two packet planes.
type PlaneName string

// The planes.
const (
	PlaneKernel    PlaneName = "kernel"
	PlaneUserspace PlaneName = "userspace"
)

// Stats is what a leg has seen. Numbers of one snapshot may differ by the packets under way while it was taken; those of
// the kernel are as of the last poll, at most some 500 ms ago, and exact once the leg is closed.
type Stats struct {
	In     Counts            // accepted from the peer by userspace, relayed or not
	Kernel fastpath.Counters // received from the peer and relayed by the kernel, over all flows this leg has had
	Out    Counts            // sent to the peer, by both planes

	LearningPackets uint64 // RTP packets of In that came before this leg's source and its hearers' addresses were final
	Lost            uint64 // gaps in the sequence numbers received, less late arrivals, both planes
	Refused         uint64 // from sources that are not the peer, both planes
	Errors          uint64 // packets that were broken or could not be sent
	Drops           Drops  // packets userspace did not relay, by reason

	LastUser, LastKernel time.Duration // when the last packet of the peer came, 0 for never
	SSRC                 uint32        // of the last RTP packet
	Jitter               time.Duration // of the RTP packets seen by userspace; 0 when the clock rate is not known
	Extremes

	Source      netip.AddrPort // the peer's, learnt or demanded; zero when none is known
	LearnedAt   time.Duration  // when Source was learnt; 0 when it was not
	Confirmed   bool           // Source is final
	Destination netip.AddrPort // where packets for the peer go; zero when unknown

	Stranger   netip.AddrPort // the last source that userspace has refused; zero when it has refused none
	StrangerAt time.Duration  // when
	Odd        netip.AddrPort // the last source of what is not what should come here, or has the wrong keys; zero when nothing was

	Plane PlaneName
	Why   string // not in the kernel; empty if it is
}

// Stats returns a snapshot.
func (l *Leg) Stats() Stats {
	c := &l.count
	st := Stats{
		In: c.in.load(), Out: c.out.load(),
		LearningPackets: c.learning.Load(), LastUser: time.Duration(c.last.Load()), Plane: PlaneUserspace,
	}
	st.Out.add(c.outKernel.load())
	for i := range st.Drops {
		st.Drops[i] = c.drops[i].Load()
	}
	var installed bool
	st.Kernel, installed, st.Why = l.kernel.read(l)
	if installed {
		st.Plane = PlaneKernel
	}
	st.LastKernel = st.Kernel.LastSeen
	st.Drops[DropBlocked] += st.Kernel.Blocked
	st.Refused = st.Drops[DropForeign] + st.Kernel.Refused
	st.Errors = st.Drops.Errors()
	st.Lost = l.lost(st.Kernel.Lost)
	s := l.stream.Load()
	if s != nil {
		st.SSRC = s.ssrc
		st.In.add(l.streams.received())
		st.LastUser = max(st.LastUser, time.Duration(s.seen.Load()))
	}
	if st.Kernel.Packets > 0 && st.LastKernel >= st.LastUser {
		st.SSRC = st.Kernel.SSRC
	}
	if s != nil {
		v := s.units.Load()
		st.Jitter = unitsTime(uint32(v>>32), uint32(v))
		st.Extremes = s.extremes.read(uint32(v))
	}
	st.Source, st.Confirmed = l.source()
	st.Stranger, st.StrangerAt = l.strange.read()
	st.Odd, _ = l.odd.read()
	if q, p := l.peer.Load(), l.plan.Load(); q != nil && p != nil && q.epoch == p.Epoch {
		st.LearnedAt = q.at
	}
	if to, _ := l.destination(false); to != nil {
		st.Destination = to.addr
	}
	return st
}

// Totals is the plane as a whole, since it was made.
type Totals struct {
	Kernel    Counts // relayed by the kernel
	Userspace Counts // sent by userspace
	Played    uint64 // packets of prompts among those that userspace has sent
	Resized   Resized
	Refused   uint64 // foreign packets, both planes
	Drops     Drops  // packets userspace did not relay, by reason

	Legs        int            // open now
	KernelFlows int            // RTP legs open now whose packets the kernel relays
	UserFlows   int            // RTP legs open now whose packets userspace relays
	NotKernel   map[string]int // why, for each of UserFlows; the words are few
	Faults      uint64         // of workers, apart from those charged to a leg
	Quality     Figures        // of all streams

	Handshakes, HandshakesFailed uint64    // of DTLS
	Lost                         uint64    // as Stats.Lost
	Addresses                    []Traffic // in the order of Pools
}

// Traffic is what the legs of one local address have received and sent, on both planes.
type Traffic struct {
	Address      netip.Addr
	In, Out      Counts
	Errors, Lost uint64
}

func (t *Traffic) add(d *Traffic) {
	t.In.add(d.In)
	t.Out.add(d.Out)
	t.Errors += d.Errors
	t.Lost += d.Lost
}

// add takes in a leg's counts, those of its address into at.
func (t *Totals) add(l *Leg, at *Traffic) {
	c := &l.count
	out, kernel := c.out.load(), l.kernel.sum()
	t.Userspace.add(out)
	t.Kernel.add(Counts{Packets: kernel.Packets, Bytes: kernel.Bytes})
	t.Refused += kernel.Refused + c.drops[DropForeign].Load()
	t.Drops[DropBlocked] += kernel.Blocked
	var drops Drops
	for i := range drops {
		drops[i] = c.drops[i].Load()
		t.Drops[i] += drops[i]
	}
	t.Handshakes += c.handshakes.Load()
	t.HandshakesFailed += c.failed.Load()

	d := Traffic{In: c.in.load(), Out: out, Errors: drops.Errors(), Lost: l.lost(kernel.Lost)}
	if l.stream.Load() != nil {
		d.In.add(l.streams.received())
	}
	d.In.add(Counts{Packets: kernel.Packets, Bytes: kernel.Bytes})
	d.Out.add(c.outKernel.load())
	t.Lost += d.Lost
	at.add(&d)
}

// lost returns the gaps in what has come, of which the kernel has counted some. It takes a packet that userspace relayed
// meanwhile for a gap, too.
func (l *Leg) lost(kernel uint64) uint64 {
	if lost, stray := l.count.lost.Load()+kernel, l.count.stray.Load(); lost > stray {
		return lost - stray
	}
	return 0
}

// Totals sums over all legs, also closed ones. No lock is held over more than one of them.
func (p *Plane) Totals() Totals {
	p.mu.RLock()
	t := p.retired
	legs := make([]*Leg, 0, len(p.legs))
	for _, l := range p.legs {
		legs = append(legs, l)
	}
	at := make(map[*hostPool]*Traffic, len(p.pools))
	t.Addresses = make([]Traffic, len(p.pools))
	for i, h := range p.pools {
		t.Addresses[i] = h.retired
		t.Addresses[i].Address = h.addr
		at[h] = &t.Addresses[i]
	}
	p.mu.RUnlock()

	t.Legs, t.NotKernel = len(legs), make(map[string]int)
	for _, l := range legs {
		t.add(l, at[l.lease.pool])
		if plan := l.plan.Load(); plan == nil || plan.Kind != RTP {
			continue
		}
		if installed, why := l.kernel.state(l); installed {
			t.KernelFlows++
		} else {
			t.UserFlows++
			t.NotKernel[why]++
		}
	}
	t.Faults = p.faults.Load()
	t.Played, t.Resized = p.made.played.Load(), p.made.resized()
	for _, h := range p.pools {
		t.Quality.join(h.figures.read())
	}
	return t
}

// Relayed is what the planes have relayed so far.
type Relayed struct {
	Kernel, Userspace Counts
	Errors            uint64
}

// Relayed is a cheaper Totals for those who look often.
func (p *Plane) Relayed() Relayed {
	p.mu.RLock()
	r := Relayed{Kernel: p.retired.Kernel, Userspace: p.retired.Userspace, Errors: p.retired.Drops.Errors()}
	legs := make([]*Leg, 0, len(p.legs))
	for _, l := range p.legs {
		legs = append(legs, l)
	}
	p.mu.RUnlock()
	for _, l := range legs {
		r.Userspace.add(l.count.out.load())
		kernel := l.kernel.sum()
		r.Kernel.add(Counts{Packets: kernel.Packets, Bytes: kernel.Bytes})
		for _, why := range errorDrops {
			r.Errors += l.count.drops[why].Load()
		}
	}
	return r
}

// Pools counts the ports of each local address.
func (p *Plane) Pools() []PoolStats {
	all := make([]PoolStats, 0, len(p.pools))
	now := p.now()
	for _, h := range p.pools {
		all = append(all, h.stats(now))
	}
	return all
}
