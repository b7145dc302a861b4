package metrics

import (
	"strconv"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// number makes a counter without labels.
func number(name, help string, read func(*counts.Snapshot) uint64) family {
	return family{name: name, kind: counter, help: help, read: func(s *counts.Snapshot, out emit) { out(float64(read(s))) }}
}

// byPlane makes a counter with one sample for each plane.
func byPlane(name, help string, read func(*media.Totals) (user, kernel uint64)) family {
	return family{name: name, kind: counter, help: help, labels: []label{oneOf("type", "userspace", "kernel")},
		read: func(s *counts.Snapshot, out emit) {
			user, kernel := read(&s.Media)
			out(float64(user), "userspace")
			out(float64(kernel), "kernel")
		}}
}

// peerFamilies are those of rtpengine that are about calls, packets and requests.
func peerFamilies() []family {
	return []family{
		{name: "rtpengine_sessions", kind: gauge, labels: []label{oneOf("type", "own", "foreign")},
			help: "Calls that live.", read: func(s *counts.Snapshot, out emit) {
				out(float64(s.Calls.Live-s.Calls.Foreign), "own")
				out(float64(s.Calls.Foreign), "foreign")
			}},
		{name: "rtpengine_mediastreams", kind: gauge, labels: []label{oneOf("type", "userspace", "kernel", "mixed")},
			help: "RTP legs by the plane that relays them.", read: func(s *counts.Snapshot, out emit) {
				out(float64(s.Media.UserFlows), "userspace")
				out(float64(s.Media.KernelFlows), "kernel")
				out(0, "mixed")
			}},
		{name: "rtpengine_uptime_seconds", kind: gauge, help: "Seconds since the start.",
			read: func(s *counts.Snapshot, out emit) { out(s.Uptime.Seconds()) }},
		number("rtpengine_sessions_total", "Calls that have ended.", func(s *counts.Snapshot) uint64 { return s.Calls.Ended }),
		{name: "rtpengine_closed_sessions_total", kind: counter, help: "Calls that were refused by a limit, or have ended, by reason.",
			labels: []label{oneOf("reason", "rejected", "timeout", "silent_timeout", "final_timeout", "offer_timeout", "terminated", "force_terminated")},
			read:   closedSessions},
		byPlane("rtpengine_packets_total", "Packets relayed.", func(t *media.Totals) (user, kernel uint64) {
			return t.Userspace.Packets, t.Kernel.Packets
		}),
		byPlane("rtpengine_packet_errors_total", "Packets that were broken or could not be sent; the kernel leaves those to userspace.",
			func(t *media.Totals) (user, kernel uint64) { return t.Drops.Errors(), 0 }),
		byPlane("rtpengine_bytes_total", "Bytes of UDP payload relayed.", func(t *media.Totals) (user, kernel uint64) {
			return t.Userspace.Bytes, t.Kernel.Bytes
		}),
		number("rtpengine_zero_packet_streams_total", "Streams of ended calls without any packet.",
			func(s *counts.Snapshot) uint64 { return s.Calls.Past.SilentStreams }),
		number("rtpengine_one_way_sessions_total", "Streams of ended calls with packets in one direction only.",
			func(s *counts.Snapshot) uint64 { return s.Calls.Past.OneWayStreams }),
		{name: "rtpengine_call_duration_avg", kind: gauge, help: "Average life of ended calls in seconds.",
			read: func(s *counts.Snapshot, out emit) { out(s.Calls.Past.Seconds / float64(max(s.Calls.Ended, 1))) }},
		{name: "rtpengine_call_duration_total", kind: counter, help: "Lives of ended calls in seconds, summed.",
			read: func(s *counts.Snapshot, out emit) { out(s.Calls.Past.Seconds) }},
		{name: "rtpengine_call_duration2_total", kind: counter, help: "The same squared.",
			read: func(s *counts.Snapshot, out emit) { out(s.Calls.Past.SquaredSeconds) }},
		number("rtpengine_packets_lost", "Gaps in the sequence numbers of RTP received.", func(s *counts.Snapshot) uint64 { return s.Media.Lost }),
		{name: "rtpengine_requests_total", kind: counter, help: "ng requests by client and command. Of 100 clients and more only the commands that each has used are there.", labels: requestLabels(),
			read: func(s *counts.Snapshot, out emit) {
				eachRequest(s, func(client, command string, r counts.Requests) { out(float64(r.Count), client, command) })
			}},
		{name: "rtpengine_request_seconds_total", kind: counter, help: "Seconds that they took.", labels: requestLabels(),
			read: func(s *counts.Snapshot, out emit) {
				eachRequest(s, func(client, command string, r counts.Requests) { out(r.Time.Seconds(), client, command) })
			}},
		{name: "rtpengine_errors_total", kind: counter, help: "ng requests that were answered with an error.", labels: requestLabels()[:1],
			read: func(s *counts.Snapshot, out emit) {
				for i := range s.Clients {
					out(float64(s.Clients[i].Errors), s.Clients[i].Address)
				}
			}},
	}
}

func requestLabels() []label {
	return []label{boundedBy("proxy", "addresses of control clients, 1,000 at most"), boundedBy("request", "ng commands")}
}

// manyClients is from how many clients on commands that a client has not used are left out: most use four.
const manyClients = 100

// eachRequest walks all clients and all commands.
func eachRequest(s *counts.Snapshot, fn func(client, command string, r counts.Requests)) {
	for i := range s.Clients {
		for _, command := range s.Commands {
			if r := s.Clients[i].Requests[command]; r.Count > 0 || len(s.Clients) < manyClients {
				fn(s.Clients[i].Address, command, r)
			}
		}
	}
}

func closedSessions(s *counts.Snapshot, out emit) {
	by := s.Calls.EndedBy
	out(float64(s.Calls.Rejected), "rejected")
	out(float64(by[call.ReasonTimeout]), "timeout")
	out(float64(by[call.ReasonSilentTimeout]), "silent_timeout")
	out(float64(by[call.ReasonFinalTimeout]), "final_timeout")
	out(float64(by[call.ReasonOfferTimeout]), "offer_timeout")
	out(float64(by[call.ReasonDeleted]), "terminated")
	out(float64(by[call.ReasonForced]+by[call.ReasonShutdown]+by[call.ReasonFailed]), "force_terminated")
}

// figure is one quantity that is sampled, in units of 1/scale.
type figure struct {
	name, help string
	scale      float64
	of         func(*media.Figures) media.Sums
}

func figures() []figure {
	return []figure{
		{"mos", "mean opinion scores", 10, func(f *media.Figures) media.Sums { return f.MOS }},
		{"jitter", "jitter that RTCP reports, in ms", 1, func(f *media.Figures) media.Sums { return f.Jitter }},
		{"rtt_e2e", "round trips between the ends, in µs", 1, func(f *media.Figures) media.Sums { return f.RoundTrip }},
		{"rtt_dsct", "round trips between a party and Weir, in µs", 1, func(f *media.Figures) media.Sums { return f.RoundTripLeg }},
		{"packetloss", "packet loss in percent", 1, func(f *media.Figures) media.Sums { return f.Loss }},
		{"jitter_measured", "jitter of what arrives here, in ms", 1, func(f *media.Figures) media.Sums { return f.JitterMeasured }},
	}
}

// qualityFamilies are three for each figure, over all streams and by interface.
func qualityFamilies() []family {
	var all []family
	for _, f := range figures() {
		for _, part := range []struct {
			suffix, help string
			value        func(media.Sums) float64
		}{
			{"_total", "Sum of the samples of ", func(s media.Sums) float64 { return float64(s.Sum) / f.scale }},
			{"2_total", "Sum of the squares of the samples of ", func(s media.Sums) float64 { return float64(s.Squares) / (f.scale * f.scale) }},
			{"_samples_total", "Number of samples of ", func(s media.Sums) float64 { return float64(s.Samples) }},
		} {
			all = append(all,
				family{name: "rtpengine_" + f.name + part.suffix, kind: counter, help: part.help + f.help + ".",
					read: func(s *counts.Snapshot, out emit) { out(part.value(f.of(&s.Media.Quality))) }},
				family{name: "rtpengine_interface_" + f.name + part.suffix, kind: counter, help: "The same by interface.", labels: interfaceLabels(),
					read: func(s *counts.Snapshot, out emit) {
						for i := range s.Interfaces {
							n := &s.Interfaces[i]
							out(part.value(f.of(&n.Pool.Quality)), n.Name, n.Address.String())
						}
					}})
		}
	}
	return all
}

// byInterface makes a family with one sample for each address.
func byInterface(name, help string, read func(*counts.Interface) uint64) family {
	return family{name: name, kind: gauge, help: help, labels: interfaceLabels(), read: func(s *counts.Snapshot, out emit) {
		for i := range s.Interfaces {
			n := &s.Interfaces[i]
			out(float64(read(n)), n.Name, n.Address.String())
		}
	}}
}

// byDirection makes a family with one sample for each address and direction.
func byDirection(name, help string, read func(*media.Traffic) (in, out uint64)) family {
	return family{name: name, kind: gauge, help: help, labels: append(interfaceLabels(), oneOf("direction", "ingress", "egress")),
		read: func(s *counts.Snapshot, out emit) {
			for i := range s.Interfaces {
				n := &s.Interfaces[i]
				received, sent := read(&n.Traffic)
				out(float64(received), n.Name, n.Address.String(), "ingress")
				out(float64(sent), n.Name, n.Address.String(), "egress")
			}
		}}
}

func interfaceFamilies() []family {
	lost := byInterface("rtpengine_interface_packets_lost", "Gaps in the sequence numbers of RTP received.",
		func(n *counts.Interface) uint64 { return n.Traffic.Lost })
	lost.kind = counter
	return []family{
		byInterface("rtpengine_ports_used", "Media ports in use.", func(n *counts.Interface) uint64 { return 2 * uint64(n.Pool.Used) }),
		byInterface("rtpengine_ports_free", "Media ports ready for use.", func(n *counts.Interface) uint64 { return 2 * uint64(n.Pool.Free) }),
		byInterface("rtpengine_ports", "Media ports in the range.", func(n *counts.Interface) uint64 { return uint64(n.PortMax) - uint64(n.PortMin) + 1 }),
		lost,
		byDirection("rtpengine_interface_packets", "Packets received from parties and sent to them; a counter in spite of its type.",
			func(t *media.Traffic) (in, out uint64) { return t.In.Packets, t.Out.Packets }),
		byDirection("rtpengine_interface_bytes", "The same in bytes of UDP payload.",
			func(t *media.Traffic) (in, out uint64) { return t.In.Bytes, t.Out.Bytes }),
		byDirection("rtpengine_interface_errors", "Packets received that were broken or could not be sent on.",
			func(t *media.Traffic) (in, out uint64) { return t.Errors, 0 }),
	}
}

// idleFamilies are those of rtpengine that Weir has nothing to count for. They are exported as 0, so that dashboards and alert
// rules which name them work.
func idleFamilies() []family {
	var all []family
	add := func(kind, idle string, labels []label, names ...string) {
		for _, name := range names {
			f := family{name: "rtpengine_" + name, kind: counter, labels: labels, idle: idle, help: "Always 0: " + idle + "."}
			if kind == "gauge" {
				f.kind = gauge
			}
			f.read = func(s *counts.Snapshot, out emit) {
				values := make([]string, len(labels))
				for i := range labels {
					switch labels[i].name {
					case "index":
						values[i] = "0"
					case "pid":
						values[i] = strconv.Itoa(s.PID)
					case "type":
						values[i] = labels[i].values[0]
					}
				}
				out(0, values...)
			}
			all = append(all, f)
		}
	}
	const noConversion = "audio is not converted yet"
	chain := []label{oneOf("chain", "")}
	index := oneOf("index", "0")
	name := oneOf("name", "")
	add("gauge", noConversion, nil, "transcoded_media")
	add("gauge", noConversion, chain, "transcoders")
	add("counter", noConversion, chain, "transcode_packets_total", "transcode_bytes_total", "transcode_samples_total")
	add("gauge", "files are not played yet", nil, "media_cache", "player_cache")
	const onlyGaps = "only gaps are counted, see rtpengine_packets_lost"
	add("counter", onlyGaps, nil, "rtp_duplicates", "rtp_skips", "rtp_seq_resets", "rtp_reordered")
	add("counter", "there are no poller threads like rtpengine's", []label{index, boundedBy("pid", "this process"), oneOf("type", "user")},
		"poller_wakeups", "poller_items")
	add("counter", "there is no kernel module with sender rings", []label{index},
		"ksender_errors", "ksender_read_preempt", "ksender_write_preempt", "ksender_slots_full", "ksender_buf_full")
	duplicates := byInterface("rtpengine_interface_duplicates", "Always 0: "+onlyGaps+".", func(*counts.Interface) uint64 { return 0 })
	duplicates.kind, duplicates.idle = counter, onlyGaps
	all = append(all, duplicates)
	const noChain = "codec-chain is a build option of rtpengine"
	add("counter", noChain, []label{name}, "cc_async_busy", "cc_async_blocked", "cc_async_retry")
	add("counter", noChain, []label{index, name}, "cc_runs", "cc_slots", "cc_run_wait", "cc_writers_wait", "cc_compute_wait", "cc_readers_wait",
		"cc_run_busy", "cc_write_busy", "cc_slots_full", "cc_buf_full", "cc_ready_wait", "cc_callbacks_preempt", "cc_callbacks_fetch",
		"cc_callbacks_run", "cc_loop_barrier")
	return all
}
