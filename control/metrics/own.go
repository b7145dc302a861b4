package metrics

import (
	"runtime"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
)

// ownFamilies are those that rtpengine does not have.
func ownFamilies() []family {
	return append([]family{
		{name: "weir_build_info", kind: gauge, help: "Always 1; the labels say what runs.",
			labels: []label{boundedBy("version", "this process"), boundedBy("go", "this process")},
			read:   func(s *counts.Snapshot, out emit) { out(1, s.Version, runtime.Version()) }},
		{name: "weir_kernel_packet_share", kind: gauge, help: "Packets relayed in the kernel, of all relayed since the start: 0 to 1.",
			read: func(s *counts.Snapshot, out emit) { out(share(s.Media.Kernel.Packets, s.Media.Userspace.Packets)) }},
		{name: "weir_rtp_legs", kind: gauge, help: "RTP legs by the plane that relays what comes to them.",
			labels: []label{oneOf("plane", "kernel", "userspace")}, read: func(s *counts.Snapshot, out emit) {
				out(float64(s.Media.KernelFlows), "kernel")
				out(float64(s.Media.UserFlows), "userspace")
			}},
		{name: "weir_legs_not_in_kernel", kind: gauge, help: "RTP legs in userspace, by why they are not in the kernel.",
			labels: []label{oneOf("reason", media.KernelReasons()...)}, read: func(s *counts.Snapshot, out emit) {
				for _, why := range media.KernelReasons() {
					out(float64(s.Media.NotKernel[why]), why)
				}
			}},
		{name: "weir_kernel_exits_total", kind: counter, help: "Packets by the way they left the kernel programs; docs/operating.md explains the reasons.",
			labels: []label{oneOf("hook", string(fastpath.XDP), string(fastpath.TC), string(fastpath.XDPGeneric)), oneOf("reason", fastpath.Exits()...)},
			read: func(s *counts.Snapshot, out emit) {
				for _, r := range s.Exits {
					out(float64(r.Packets), string(r.Hook), r.Name)
				}
			}},
		{name: "weir_drops_total", kind: counter, help: "Packets that userspace did not relay, by reason.",
			labels: []label{oneOf("reason", media.DropReasons()...)}, read: func(s *counts.Snapshot, out emit) {
				for why, n := range s.Media.Drops {
					out(float64(n), media.Drop(why).String())
				}
			}},
		number("weir_foreign_packets_total", "Packets from sources that are not the party, on both planes.",
			func(s *counts.Snapshot) uint64 { return s.Media.Refused }),
		{name: "weir_ports", kind: gauge, help: "Media ports by state; resting ones were freed a short while ago.",
			labels: append(interfaceLabels(), oneOf("state", "free", "used", "resting")), read: func(s *counts.Snapshot, out emit) {
				for i := range s.Interfaces {
					n := &s.Interfaces[i]
					for _, p := range []struct {
						state string
						pairs int
					}{{"free", n.Pool.Free}, {"used", n.Pool.Used}, {"resting", n.Pool.Resting}} {
						out(float64(2*p.pairs), n.Name, n.Address.String(), p.state)
					}
				}
			}},
		{name: "weir_dtls_handshakes_total", kind: counter, help: "DTLS handshakes that found keys, and that did not.",
			labels: []label{oneOf("result", "done", "failed")}, read: func(s *counts.Snapshot, out emit) {
				out(float64(s.Media.Handshakes), "done")
				out(float64(s.Media.HandshakesFailed), "failed")
			}},
	}, append(stateFamilies(), storeFamilies()...)...)
}

// stateFamilies are about the daemon itself.
func stateFamilies() []family {
	return []family{
		{name: "weir_calls", kind: gauge, help: "Calls that live, by the control language they were made in.",
			labels: []label{oneOf("language", call.LanguageWords()...)}, read: func(s *counts.Snapshot, out emit) {
				for l, word := range call.LanguageWords() {
					out(float64(s.Calls.ByLanguage[call.Language(l)].Live), word)
				}
			}},
		{name: "weir_calls_created_total", kind: counter, help: "Calls that came to be, by the control language they were made in.",
			labels: []label{oneOf("language", call.LanguageWords()...)}, read: func(s *counts.Snapshot, out emit) {
				for l, word := range call.LanguageWords() {
					out(float64(s.Calls.ByLanguage[call.Language(l)].Created), word)
				}
			}},
		number("weir_calls_refused_total", "Calls that were refused by a limit or a drain.", func(s *counts.Snapshot) uint64 { return s.Calls.Rejected }),
		{name: "weir_calls_ended_total", kind: counter, help: "Calls that have ended, by why.",
			labels: []label{oneOf("reason", call.ReasonWords()...)}, read: func(s *counts.Snapshot, out emit) {
				for why, word := range call.ReasonWords() {
					out(float64(s.Calls.EndedBy[call.Reason(why)]), word)
				}
			}},
		number("weir_requests_failed_total", "ng requests that were answered with an error, or not at all.",
			func(s *counts.Snapshot) uint64 { return s.RequestsFailed }),
		{name: "weir_faults_total", kind: counter, help: "Faults of the daemon that were contained; each is a bug, and in the log.",
			labels: []label{oneOf("part", "command", "call", "media")}, read: func(s *counts.Snapshot, out emit) {
				out(float64(s.RequestFaults), "command")
				out(float64(s.Calls.Faults), "call")
				out(float64(s.Media.Faults+s.Media.Drops[media.DropFault]), "media")
			}},
		{name: "weir_export_messages_total", kind: counter, help: "Messages to those who are told of what happens (docs/export.md), by what became of them; those to clients of ng are counted only when they are dropped.",
			labels: []label{oneOf("to", counts.ToDTMF, counts.ToHomer, counts.ToMQTT, counts.ToNG, counts.ToSyslog), oneOf("result", "sent", "dropped")},
			read: func(s *counts.Snapshot, out emit) {
				for _, e := range s.Exports {
					out(float64(e.Sent), e.To, "sent")
					out(float64(e.Dropped), e.To, "dropped")
				}
			}},
		{name: "weir_draining", kind: gauge, help: "1 while new calls are refused so that the daemon may end, else 0.",
			read: func(s *counts.Snapshot, out emit) { out(truth(s.Draining)) }},
		{name: "weir_drain_remaining_calls", kind: gauge, help: "Calls that a drain still waits for; 0 without one.",
			read: func(s *counts.Snapshot, out emit) { out(float64(s.Remaining)) }},
		{name: "weir_drain_deadline_timestamp_seconds", kind: gauge, help: "When a drain ends the calls that are left, in Unix time; 0 without a deadline.",
			read: func(s *counts.Snapshot, out emit) {
				if s.DrainDeadline.IsZero() {
					out(0)
					return
				}
				out(float64(s.DrainDeadline.Unix()))
			}},
		{name: "weir_objects", kind: gauge, help: "Live objects of each kind. One that grows while the calls do not is a leak.",
			labels: []label{oneOf("kind", "calls", "legs", "kernel flows", "clients", "remembered replies", "goroutines")},
			read: func(s *counts.Snapshot, out emit) {
				for _, o := range []struct {
					kind string
					n    int
				}{
					{"calls", int(s.Calls.Live)}, {"legs", s.Media.Legs}, {"kernel flows", s.Media.KernelFlows}, {"clients", len(s.Clients)},
					{"remembered replies", s.Replies}, {"goroutines", s.Goroutines},
				} {
					out(float64(o.n), o.kind)
				}
			}},
	}
}

func share(part, rest uint64) float64 {
	if part+rest == 0 {
		return 0
	}
	return float64(part) / float64(part+rest)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
