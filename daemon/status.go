package daemon

import (
	"os"
	"runtime"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/media"
)

func (d *Daemon) engines() []cli.Engine {
	var all []cli.Engine
	for _, f := range d.fast.Interfaces() {
		e := cli.Engine{Interface: f.Name, Engine: string(f.Engine), Reason: f.Reason, Addresses: []string{}}
		if e.Reason == "" {
			e.Reason = "nothing faster exists"
		}
		for _, a := range f.Addrs {
			e.Addresses = append(e.Addresses, a.String())
		}
		all = append(all, e)
	}
	return all
}

// userspaceIO tells how the userspace plane receives and sends, and why.
func (d *Daemon) userspaceIO() cli.UserspaceIO {
	switch e := d.plane.Engine(); {
	case e.Shared && e.Reason == "":
		return cli.UserspaceIO{Engine: ioShared, Reason: "packets of all calls are received and sent together"}
	case e.Shared:
		return cli.UserspaceIO{Engine: ioShared, Reason: "packets are sent by sockets: " + e.Reason}
	case d.noSteering != "":
		return cli.UserspaceIO{Engine: ioSockets, Reason: d.noSteering}
	default:
		return cli.UserspaceIO{Engine: ioSockets, Reason: e.Reason}
	}
}

// srtp tells where SRTP is turned.
func (d *Daemon) srtp() cli.SRTP {
	if ok, why := d.fast.Secures(); !ok {
		return cli.SRTP{Reason: why}
	}
	return cli.SRTP{Kernel: true, Reason: "AES_CM_128, AES_192_CM and AES_256_CM with HMAC_SHA1, and AEAD_AES_128_GCM and _256_GCM; other suites are for userspace"}
}

// Calls returns the owner of all calls.
func (d *Daemon) Calls() *call.Manager { return d.calls }

// Status gathers the counts of all parts.
func (d *Daemon) Status() cli.Status {
	cs, ns, ms := d.calls.Stats(), d.disp.Stats(), d.plane.Totals()
	st := cli.Status{
		Version: d.version, PID: os.Getpid(), Started: d.started, UptimeSeconds: int64(time.Since(d.started).Seconds()),
		Goroutines: runtime.NumGoroutine(),
		Engines:    d.engines(), IO: d.userspaceIO(),
		SRTP: d.srtp(),
		Calls: cli.CallCounts{
			Live: cs.Live, Foreign: cs.Foreign, Created: cs.Created, Ended: cs.Ended, TimedOut: cs.TimedOut, Rejected: cs.Rejected, Faults: cs.Faults,
			EndedBy: make(map[string]uint64), ByLanguage: make(map[string]cli.LanguageCounts),
		},
		NG: cli.NGCounts{Requests: ns.Requests, Failed: ns.Failed, Faults: ns.Faults},
	}
	st.Drain = d.draining()
	st.Life.Outlook = d.outlives()
	st.Life.Pins, _ = d.fast.Persistence()
	if d.store != nil {
		for _, s := range d.store.States() {
			st.Stores = append(st.Stores, cli.Store{Name: s.Name, Kept: s.Kept, Pending: s.Pending, LagSeconds: s.Lag.Seconds(), Trouble: s.Trouble})
			if s.Name == "file" {
				st.Life.Kept, st.Life.Pending = s.Kept, s.Pending
			}
		}
	}
	for why, n := range cs.EndedBy {
		st.Calls.EndedBy[why.String()] = n
	}
	for l, n := range cs.ByLanguage {
		st.Calls.ByLanguage[l.String()] = cli.LanguageCounts{Live: n.Live, Created: n.Created}
	}
	st.Packets = cli.PacketCounts{Kernel: ms.Kernel.Packets, Userspace: ms.Userspace.Packets, Dropped: ms.Drops.Sum()}
	st.Flows = cli.FlowCounts{Kernel: ms.KernelFlows, Userspace: ms.UserFlows}
	notFast, drops, exits := make(map[string]uint64), make(map[string]uint64), make(map[string]uint64)
	for why, n := range ms.NotKernel {
		notFast[why] = uint64(n)
	}
	for why, n := range ms.Drops {
		drops[media.Drop(why).String()] = n
	}
	for _, r := range d.fast.Reasons() {
		exits[string(r.Hook)+": "+r.Meaning] += r.Packets
	}
	st.NotFast, st.Drops, st.Kernel = cli.Rank(notFast), cli.Rank(drops), cli.Rank(exits)
	for _, p := range d.plane.Pools() {
		st.Ports = append(st.Ports, cli.Pool{Address: p.Address.String(), Free: p.Free, Used: p.Used, Resting: p.Resting})
	}
	return st
}
