package media

import (
	"net/netip"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// PairState is what a pair of legs has found out and counted, for a process to come. Settings are not part of it: signalling
// knows them. It is a plain value in a form that can be stored; times are those of the wall clock, so that another host
// understands them, too.
type PairState struct {
	Local     netip.AddrPort `json:"local"`               // of the leg for RTP, an even port; that for RTCP has the next one
	Interface string         `json:"interface,omitempty"` // whose address that is
	RTP       LegState       `json:"rtp,omitzero"`
	RTCP      LegState       `json:"rtcp,omitzero"`
	Streams   []StreamState  `json:"streams,omitempty"`
}

// Second is the address and port of the leg for RTCP.
func (st *PairState) Second() netip.AddrPort {
	return netip.AddrPortFrom(st.Local.Addr(), st.Local.Port()+1)
}

// LegState is that of one leg.
type LegState struct {
	Closed    bool             `json:"closed,omitempty"` // the other one of the pair is all that is left
	Peer      *PeerState       `json:"peer,omitempty"`   // as learnt; nil until it is final
	Route     *RouteState      `json:"route,omitempty"`  // that ICE has selected
	Allowed   []netip.AddrPort `json:"allowed,omitempty"`
	Cipher    *CipherState     `json:"cipher,omitempty"`
	RoundTrip time.Duration    `json:"round_trip,omitempty"`

	In                 Counts            `json:"in,omitzero"` // but for RTP, which the streams count
	Out                Counts            `json:"out,omitzero"`
	OutKernel          Counts            `json:"out_kernel,omitzero"`
	Learning           uint64            `json:"learning,omitempty"`
	Stray              uint64            `json:"stray,omitempty"`
	Lost               uint64            `json:"lost,omitempty"`
	Handshakes, Failed uint64            `json:",omitzero"` // of DTLS
	Last               time.Time         `json:"last,omitzero"`
	Drops              map[string]uint64 `json:"drops,omitempty"`
	Withdrawn          fastpath.Counters `json:"withdrawn,omitzero"` // of flows that are not in the kernel any more, times since 1970
	Live               fastpath.Counters `json:"live,omitzero"`      // of the one that is, likewise
	SSRC               *uint32           `json:"ssrc,omitempty"`     // of the last packet at the socket
}

// PeerState is a source that learning has settled on.
type PeerState struct {
	Epoch  uint32         `json:"epoch,omitempty"`
	Source netip.AddrPort `json:"source"`
	At     time.Time      `json:"at,omitzero"`
}

// RouteState is the way that ICE has selected.
type RouteState struct {
	Via netip.AddrPort `json:"via"` // our end
	To  netip.AddrPort `json:"to"`
}

// CipherState is the SRTP state: the keys, and where each SSRC was when the state was taken. A receiver cannot tell replays of
// packets that came after that.
type CipherState struct {
	In  *srtp.Params `json:"in,omitempty"`
	Out *srtp.Params `json:"out,omitempty"`

	Received []srtp.State `json:"received,omitempty"`
	Sent     []srtp.State `json:"sent,omitempty"`
}

// StreamState is one SSRC.
type StreamState struct {
	SSRC   uint32 `json:"ssrc"`
	Media  int32  `json:"media,omitempty"` // of a bundle; -1 when it is not known
	User   Counts `json:"user,omitzero"`
	Kernel Counts `json:"kernel,omitzero"`

	Lost       uint64    `json:"lost,omitempty"`
	KernelLost int64     `json:"kernel_lost,omitempty"`
	Stray      uint64    `json:"stray,omitempty"`
	Highest    uint32    `json:"highest,omitempty"` // extended sequence number
	Timestamp  uint32    `json:"timestamp,omitempty"`
	Seen       time.Time `json:"seen,omitzero"` // at the socket
	KernelSeen time.Time `json:"kernel_seen,omitzero"`
	Jitter     uint32    `json:"jitter,omitempty"` // in time stamp units
	Rate       uint32    `json:"rate,omitempty"`
}

// wallTime and ownTime translate between the wall clock and the plane's; 0 is the zero time.
func (p *Plane) wallTime(at time.Duration) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return time.Now().Add(at - p.now()).Round(time.Millisecond).UTC()
}

func (p *Plane) ownTime(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	now := p.now()
	return min(max(1, now-time.Since(at)), now) // clocks of hosts differ
}

// States takes the state of the pairs that legs belong to, in their order. With SRTP it waits for the workers, so that no lock
// that packets need may be held.
func (p *Plane) States(legs []*Leg) []PairState {
	ciphers := exportCiphers(legs)
	var all []PairState
	at := make(map[*Leg]int, len(legs)) // by the leg for RTP
	for _, l := range legs {
		first := l.first()
		i, known := at[first]
		if !known {
			i = len(all)
			at[first] = i
			all = append(all, PairState{
				Local: first.local, Interface: first.iface, RTP: LegState{Closed: true}, RTCP: LegState{Closed: true}, Streams: p.streamStates(l.streams),
			})
		}
		st := &all[i].RTP
		if l != first {
			st = &all[i].RTCP
		}
		*st = l.state()
		st.Cipher = ciphers[l]
	}
	return all
}

// first returns the leg of the pair that has the even port.
func (l *Leg) first() *Leg {
	if l.local.Port() != l.lease.port {
		return l.beside
	}
	return l
}

func (l *Leg) state() LegState {
	c, p := &l.count, l.plane
	st := LegState{
		In: c.in.load(), Out: c.out.load(), OutKernel: c.outKernel.load(), RoundTrip: time.Duration(l.roundTrip.Load()),
		Learning: c.learning.Load(), Stray: c.stray.Load(), Lost: c.lost.Load(),
		Handshakes: c.handshakes.Load(), Failed: c.failed.Load(), Last: p.wallTime(time.Duration(c.last.Load())),
	}
	for i := range c.drops {
		if n := c.drops[i].Load(); n > 0 {
			if st.Drops == nil {
				st.Drops = make(map[string]uint64)
			}
			st.Drops[Drop(i).String()] = n
		}
	}
	if q := l.peer.Load(); q != nil && q.closed {
		st.Peer = &PeerState{Epoch: q.epoch, Source: q.source.addr, At: p.wallTime(q.at)}
	}
	if r := l.route.Load(); r != nil {
		st.Route = &RouteState{Via: r.via.local, To: r.to.addr}
	}
	if s := l.allowed.Load(); s != nil {
		st.Allowed = s.list
	}
	if s := l.stream.Load(); s != nil {
		st.SSRC = &s.ssrc
	}
	k := &l.kernel
	k.mu.Lock()
	defer k.mu.Unlock()
	st.Withdrawn, st.Live = p.wallCounters(k.withdrawn), p.wallCounters(k.live)
	return st
}

// wallCounters and ownCounters translate the times of a flow's counters.
func (p *Plane) wallCounters(c fastpath.Counters) fastpath.Counters {
	return eachTime(c, func(at time.Duration) time.Duration { return time.Duration(p.wallTime(at).UnixNano()) })
}

func (p *Plane) ownCounters(c fastpath.Counters) fastpath.Counters {
	return eachTime(c, func(at time.Duration) time.Duration { return p.ownTime(time.Unix(0, int64(at))) })
}

func eachTime(c fastpath.Counters, change func(time.Duration) time.Duration) fastpath.Counters {
	times := []*time.Duration{&c.LastSeen}
	for i := range c.Sources {
		times = append(times, &c.Sources[i].LastSeen)
	}
	for _, at := range times {
		if *at != 0 {
			*at = change(*at)
		}
	}
	return c
}

func (p *Plane) streamStates(s *streams) []StreamState {
	var all []StreamState
	for _, one := range s.all(nil) {
		last, units := one.last.Load(), one.units.Load()
		one.mu.Lock()
		st := StreamState{
			SSRC: one.ssrc, Media: one.media.Load(), User: one.count.load(),
			Kernel: Counts{Packets: one.kernel.packets, Bytes: one.kernel.bytes}, KernelLost: one.kernel.lost,
			KernelSeen: p.wallTime(one.kernel.seen),
			Lost:       one.lost.Load(), Stray: one.stray.Load(), Highest: uint32(last >> 32), Timestamp: uint32(last),
			Seen: p.wallTime(time.Duration(one.seen.Load())), Jitter: uint32(units >> 32), Rate: uint32(units),
		}
		one.mu.Unlock()
		all = append(all, st)
	}
	return all
}

// exportCiphers has the workers, who alone may, look at the SRTP state of those legs that have one.
func exportCiphers(legs []*Leg) map[*Leg]*CipherState {
	states := make(map[*Leg]*CipherState)
	for _, l := range legs {
		if l.cipher.Load() == nil {
			continue
		}
		done := make(chan *CipherState, 1)
		l.worker.do(func() { done <- l.cipher.Load().state(l.plane.offload.fast) })
		select {
		case states[l] = <-done:
		case <-l.worker.done: // with the plane
		}
	}
	return states
}

// state asks the kernel, too, how far the streams have come. Should that fail, the next process finds out by itself.
func (c *cipher) state(fast FastPath) *CipherState {
	st := &CipherState{In: c.keys.In, Out: c.keys.Out}
	if c.in != nil {
		c.in.mu.Lock()
		defer c.in.mu.Unlock()
		_ = c.in.twin.catchUp(fast, c.in)
		st.Received = c.in.Export()
	}
	if c.out != nil {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		_ = c.out.twin.catchUp(fast, c.out)
		st.Sent = c.out.Export()
	}
	return st
}

// forRTCP is a margin that keeps SRTCP indices from coming again which were used after the state was taken: more than a stream
// of feedback has in a minute.
const forRTCP = 1 << 14

// restore gives a new leg the state of one before. It is called before the leg's worker knows the leg.
func (l *Leg) restore(st *LegState) {
	c, p := &l.count, l.plane
	c.in.add(st.In.Packets, st.In.Bytes)
	c.out.add(st.Out.Packets, st.Out.Bytes)
	c.outKernel.add(st.OutKernel.Packets, st.OutKernel.Bytes)
	c.learning.Store(st.Learning)
	c.stray.Store(st.Stray)
	c.lost.Store(st.Lost)
	c.handshakes.Store(st.Handshakes)
	c.failed.Store(st.Failed)
	c.last.Store(int64(p.ownTime(st.Last)))
	for i := range c.drops {
		c.drops[i].Store(st.Drops[Drop(i).String()])
	}
	l.roundTrip.Store(int64(st.RoundTrip))
	if q := st.Peer; q != nil && usable(q.Source, l.local) {
		l.learn = learner{epoch: q.Epoch, source: q.Source, rank: rankExact, closed: true}
		l.peer.Store(&peer{epoch: q.Epoch, source: newEndpoint(q.Source), closed: true, named: true, at: p.ownTime(q.At)})
	}
	if len(st.Allowed) > 0 {
		l.allowed.Store(&sources{list: st.Allowed})
	}
	if st.SSRC != nil {
		l.stream.Store(l.streams.get(*st.SSRC))
	}
	if k := st.Cipher; k != nil {
		l.restoreCipher(k)
	}
	l.kernel.withdrawn, l.kernel.former = p.ownCounters(st.Withdrawn), p.ownCounters(st.Live)
	l.kernel.restored = true
}

func (l *Leg) restoreCipher(k *CipherState) {
	c, err := newCipher(l.plane.offload.fast, Keys{In: k.In, Out: k.Out}, nil, l.beside.cipher.Load())
	if err != nil {
		l.plane.logs.srtp.Error("SRTP keys cannot be used", "local", l.local, "err", err)
		return
	}
	if c.in != nil {
		c.in.Import(k.Received...)
	}
	if c.out != nil {
		for i := range k.Sent {
			k.Sent[i].NextRTCP += forRTCP
		}
		c.out.Import(k.Sent...)
	}
	l.cipher.Store(c)
	l.keyed = true
}

func (s *streams) restore(p *Plane, all []StreamState) {
	for _, st := range all[:min(len(all), maxSSRCs)] {
		one := newStream(st.SSRC, int(st.Media))
		one.count.add(st.User.Packets, st.User.Bytes)
		one.kernel = kernelCount{packets: st.Kernel.Packets, bytes: st.Kernel.Bytes, lost: st.KernelLost, seen: p.ownTime(st.KernelSeen)}
		one.lost.Store(st.Lost)
		one.stray.Store(st.Stray)
		one.last.Store(uint64(st.Highest)<<32 | uint64(st.Timestamp))
		one.seen.Store(int64(p.ownTime(st.Seen)))
		one.units.Store(uint64(st.Jitter)<<32 | uint64(st.Rate))
		one.rate = st.Rate
		one.loss = rtp.Loss{Lost: st.Lost}
		one.loss.Resume(st.SSRC, st.Highest)
		s.list = append(s.list, one)
	}
}
