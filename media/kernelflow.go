package media

import (
	"sync"

	"github.com/weir-media/weir/fastpath"
)

// Why an RTP leg is not in the kernel. Details follow some of them in Stats.Why, never in Totals.
const (
	whyNoPlan     = "not set up"
	whyClosed     = "closed"
	whyKind       = "not RTP"
	whyUserspace  = "needs userspace"
	whyNoFastPath = "no kernel plane"
	whyMuted      = "muted"
	whyNoSink     = "no hearer"
	whySinks      = "several hearers"
	whyUnserved   = "local address not served"
	whySinkClosed = "hearer closed"
	whyFamily     = "address families differ"
	whyLearning   = "learning the source"
	whyNoAddress  = "hearer's address unknown"
	whyPeer       = "learning the hearer's address"
	whyDetour     = "ICE selected another address"
	whyPending    = "about to be installed"
	whyInstall    = "installation failed"
	whyStill      = "packets still reached the socket"
	whyGone       = "flow vanished from the kernel"
)

// KernelReasons returns all labels that Totals.NotKernel can have.
func KernelReasons() []string {
	return []string{
		whyNoPlan, whyClosed, whyKind, whyUserspace, whyNoFastPath, whyMuted, whyNoSink, whySinks, whyUnserved, whySinkClosed, whyFamily,
		whyLearning, whyNoAddress, whyPeer, whyDetour, whyPending, whyInstall, whyStill, whyGone,
	}
}

// reason is a label out of a closed set, and what else there is to say.
type reason struct{ label, detail string }

func (r reason) String() string {
	if r.detail == "" {
		return r.label
	}
	return r.label + ": " + r.detail
}

// kernelFlow is what the kernel does for a leg.
type kernelFlow struct {
	mu        sync.Mutex
	installed bool
	flow      fastpath.Flow
	sink      *Leg
	withdrawn fastpath.Counters // of flows taken out again
	live      fastpath.Counters // of the one installed, as of the last poll
	since     uint64            // the poll before the installation
	polled    uint64            // the last poll that saw the flow
	checked   uint64            // packets when the flow was last verified
	strays    uint64            // of the leg when the kernel last counted something new
	banned    reason            // set when it did not work, for the epoch
	epoch     uint32
}

// sum returns the counters of all flows the leg has had.
func (k *kernelFlow) sum() fastpath.Counters {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.withdrawn.Add(k.live)
}

func (k *kernelFlow) read(l *Leg) (c fastpath.Counters, installed bool, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed {
		why = k.why(l).String()
	}
	return k.withdrawn.Add(k.live), k.installed, why
}

func (k *kernelFlow) state(l *Leg) (installed bool, label string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed {
		label = k.why(l).label
	}
	return k.installed, label
}

func (k *kernelFlow) why(l *Leg) reason {
	_, _, why := k.wanted(l)
	if why.label == "" {
		why.label = whyPending
	}
	return why
}

// wanted returns the flow that l should have in the kernel, or why none.
func (k *kernelFlow) wanted(l *Leg) (f fastpath.Flow, sink *Leg, why reason) {
	p := l.plan.Load()
	switch {
	case l.closed.Load():
		return f, nil, reason{label: whyClosed}
	case p == nil:
		return f, nil, reason{label: whyNoPlan}
	case p.Kind != RTP:
		return f, nil, reason{label: whyKind}
	case p.UserspaceReason != "":
		return f, nil, reason{whyUserspace, p.UserspaceReason}
	case p.treated != "":
		return f, nil, reason{whyUserspace, p.treated}
	case p.Bundle != nil:
		return f, nil, reason{whyUserspace, "bundle"}
	case p.rewritten:
		return f, nil, reason{whyUserspace, "header extensions"}
	case l.plane.offload.fast == nil:
		return f, nil, reason{label: whyNoFastPath}
	case p.Muted:
		return f, nil, reason{label: whyMuted}
	case p.LoopCheck:
		return f, nil, reason{whyUserspace, "loop check"}
	case l.secured(p) != "":
		return f, nil, reason{whyUserspace, l.secured(p)}
	case len(p.Sinks) == 0 || len(p.Sinks) == 1 && p.Sinks[0].RTP == nil:
		return f, nil, reason{label: whyNoSink}
	case len(p.Sinks) > 1:
		return f, nil, reason{label: whySinks}
	case k.banned.label != "" && k.epoch == p.Epoch:
		return f, nil, k.banned
	}
	if ok, why := l.plane.offload.fast.Serves(l.local.Addr()); !ok {
		return f, nil, reason{whyUnserved, why}
	}
	sink = p.Sinks[0].RTP
	if sink.closed.Load() {
		return f, nil, reason{label: whySinkClosed}
	}
	if sp := sink.plan.Load(); sp != nil && sink.secured(sp) != "" {
		return f, nil, reason{whyUserspace, sink.secured(sp)}
	}
	if sink.local.Addr().Is4() != l.local.Addr().Is4() {
		return f, nil, reason{label: whyFamily}
	}
	if l.detours() || sink.detours() {
		return f, nil, reason{label: whyDetour}
	}
	source, closed := l.source()
	if !closed {
		return f, nil, reason{label: whyLearning}
	}
	to, settled := sink.destination(p.Unidirectional)
	switch {
	case to == nil:
		return f, nil, reason{label: whyNoAddress}
	case !settled:
		return f, nil, reason{label: whyPeer}
	}
	sp := sink.plan.Load() // not nil: it has a destination
	return fastpath.Flow{
		Local: l.local, Source: source, From: sink.local, To: to.addr, TOS: sp.TOS,
		// ICE may have authenticated other addresses of the peer, too.
		DropForeign: !p.Handover && !p.Open && l.allowed.Load() == nil,
	}, sink, reason{}
}

// same tells whether two flows relay alike.
func same(a, b fastpath.Flow) bool {
	a.Seq, a.SSRC, a.Seeded = b.Seq, b.SSRC, b.Seeded
	return a == b
}

// credit accounts to the hearer and to the stream for what the kernel has sent since the last time.
func (k *kernelFlow) credit(l *Leg, c fastpath.Counters) {
	if c.Packets >= k.live.Packets && c.Bytes >= k.live.Bytes {
		l.credit(k.live, c)
		k.sink.count.outKernel.add(c.Packets-k.live.Packets, c.Bytes-k.live.Bytes)
	}
}

// merge takes over the counters that a poll has found.
func (k *kernelFlow) merge(l *Leg, c fastpath.Counters, walk uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed || k.since >= walk {
		return // the counts are perhaps those of the flow before
	}
	k.polled = walk
	k.credit(l, c)
	k.live = c
}

// moved tells whether the kernel has relayed anything since the last call.
func (k *kernelFlow) moved() bool {
	moved := k.live.Packets != k.checked
	k.checked = k.live.Packets
	return moved
}
