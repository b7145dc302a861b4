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
	whySinks      = "too many hearers"
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
	to        hearers
	withdrawn fastpath.Counters // of flows taken out again
	live      fastpath.Counters // of the one installed, as of the last poll
	since     uint64            // the poll before the installation
	polled    uint64            // the last poll that saw the flow
	checked   uint64            // packets when the flow was last verified
	strays    uint64            // of the leg when the kernel last counted something new
	banned    reason            // set when it did not work, for the epoch
	epoch     uint32
	refused   fastpath.Flow // the one that was banned, if it could not even be installed

	restored bool              // the kernel may have the flow already, from a process before
	former   fastpath.Counters // what that one had counted of it when it last said so
}

// sum returns the counters of all flows the leg has had.
func (k *kernelFlow) sum() fastpath.Counters {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.total()
}

// total is sum with the lock held. RTCP counts as well, since to a leg all are packets.
func (k *kernelFlow) total() fastpath.Counters {
	c := k.withdrawn.Add(k.live)
	if k.restored {
		c = c.Add(k.former)
	}
	c.Packets, c.Bytes = c.Packets+c.RTCP, c.Bytes+c.RTCPBytes
	return c
}

func (k *kernelFlow) read(l *Leg) (c fastpath.Counters, installed bool, why string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.installed {
		why = k.why(l).String()
	}
	return k.total(), k.installed, why
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

// credit accounts to the hearers and to the streams for what the kernel has relayed since the last time.
func (k *kernelFlow) credit(l *Leg, c fastpath.Counters) {
	before := &k.live
	if c.Unauthenticated >= before.Unauthenticated && c.Replayed >= before.Replayed {
		l.count.drops[DropAuth].Add(c.Unauthenticated - before.Unauthenticated)
		l.count.drops[DropReplay].Add(c.Replayed - before.Replayed)
	}
	if c.Packets < before.Packets || c.Bytes < before.Bytes {
		return
	}
	for i := range c.Sources {
		l.credit(&before.Sources[i], &c.Sources[i])
	}
	for _, to := range k.to.rtp {
		to.count.outKernel.add(c.Out-before.Out, c.OutBytes-before.OutBytes)
	}
	for _, to := range k.to.rtcp {
		to.count.outKernel.add(c.RTCP-before.RTCP, c.RTCPBytes-before.RTCPBytes)
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
