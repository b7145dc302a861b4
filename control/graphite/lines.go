package graphite

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
)

// write writes the lines of an interval. Counts are what has come to since before, unless they are called totals.
func write(out *bytes.Buffer, prefix string, before, now *counts.Snapshot, s *span, at int64) {
	whole := func(name string, n uint64) { line(out, prefix, name, strconv.FormatUint(n, 10), at) }
	decimal := func(name string, v float64) { line(out, prefix, name, fmt.Sprintf("%.6f", v), at) }
	sums, old := totals(now), totals(before)
	for _, command := range now.Commands {
		name := strings.ReplaceAll(command, " ", "_")
		count, times := sums[command]-old[command], s.times[command]
		decimal(name+"_time_min", times.Shortest.Seconds())
		decimal(name+"_time_max", times.Longest.Seconds())
		decimal(name+"_time_avg", average(spent(now, command)-spent(before, command), count))
		whole(name+"s_ps_min", s.slowest[command])
		whole(name+"s_ps_max", s.quick[command])
		whole(name+"s_ps_avg", count/uint64(max(s.seconds, 1)))
		whole(name+"_count", sums[command])
	}
	a, b := &before.Calls, &now.Calls
	ended := func(reasons ...call.Reason) (n uint64) {
		for _, r := range reasons {
			n += b.EndedBy[r] - a.EndedBy[r]
		}
		return n
	}
	lived := b.Past.Seconds - a.Past.Seconds
	decimal("call_dur", lived)
	decimal("average_call_dur", lived/float64(max(b.Ended-a.Ended, 1)))
	whole("forced_term_sess", ended(call.ReasonForced, call.ReasonShutdown, call.ReasonFailed))
	whole("managed_sess", b.Ended)
	whole("managed_sess_min", s.fewest)
	whole("managed_sess_max", s.most)
	whole("current_sessions_total", b.Live)
	whole("current_sessions_own", b.Live)
	whole("current_sessions_foreign", 0)
	whole("current_transcoded_media", 0)
	whole("current_sessions_ipv4", uint64(now.Families.IPv4))
	whole("current_sessions_ipv6", uint64(now.Families.IPv6))
	whole("current_sessions_mixed", uint64(now.Families.Mixed))
	whole("nopacket_relayed_sess", b.Past.SilentStreams-a.Past.SilentStreams)
	whole("oneway_stream_sess", b.Past.OneWayStreams-a.Past.OneWayStreams)
	whole("regular_term_sess", ended(call.ReasonDeleted))

	m, n := &before.Media, &now.Media
	errors := n.Drops.Errors() - m.Drops.Errors()
	user, kernel := n.Userspace, n.Kernel
	user.Packets, user.Bytes = user.Packets-m.Userspace.Packets, user.Bytes-m.Userspace.Bytes
	kernel.Packets, kernel.Bytes = kernel.Packets-m.Kernel.Packets, kernel.Bytes-m.Kernel.Bytes
	whole("relayed_errors_user", errors)
	whole("relayed_packets_user", user.Packets)
	whole("relayed_bytes_user", user.Bytes)
	whole("relayed_errors_kernel", 0)
	whole("relayed_packets_kernel", kernel.Packets)
	whole("relayed_bytes_kernel", kernel.Bytes)
	whole("relayed_errors", errors)
	whole("relayed_packets", user.Packets+kernel.Packets)
	whole("relayed_bytes", user.Bytes+kernel.Bytes)
	whole("silent_timeout_sess", ended(call.ReasonSilentTimeout))
	whole("final_timeout_sess", ended(call.ReasonFinalTimeout))
	whole("offer_timeout_sess", ended(call.ReasonOfferTimeout))
	whole("timeout_sess", ended(call.ReasonTimeout))
	whole("reject_sess", b.Rejected-a.Rejected)
	for i := range now.Interfaces {
		f := &now.Interfaces[i]
		whole("ports_free_"+f.Name+"_"+f.Address.String(), 2*uint64(f.Pool.Free))
		whole("ports_used_"+f.Name+"_"+f.Address.String(), 2*uint64(f.Pool.Used))
	}
}

// spent is the time that requests of a command have taken.
func spent(s *counts.Snapshot, command string) (d time.Duration) {
	for i := range s.Clients {
		d += s.Clients[i].Requests[command].Time
	}
	return d
}

func average(d time.Duration, n uint64) float64 { return d.Seconds() / float64(max(n, 1)) }
