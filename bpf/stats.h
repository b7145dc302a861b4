// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Counters of a flow and of the exits.
#pragma once

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"

static __always_inline void stats_exit(enum hook hook, enum reason reason)
{
	struct exit_count *exit = bpf_map_lookup_elem(&exits, &reason);

	if (!exit)
		return;
	if (hook == HOOK_XDP)
		exit->xdp++;
	else if (hook == HOOK_TC)
		exit->tc++;
	else
		exit->xdp_generic++;
}

// stats_late takes one loss back for a packet that came after all.
static __always_inline void stats_late(struct stats *stats)
{
	__u64 lost = *(volatile __u64 *)&stats->lost;

	// Exact unless another CPU changes the count at this very moment; then the loss stays counted.
	if (lost)
		__sync_val_compare_and_swap(&stats->lost, lost, lost - 1);
}

// stats_sequence follows the sequence numbers of an SSRC (RFC 3550, appendix A.3, reduced to gaps).
static __always_inline void stats_sequence(struct stats *stats, const struct packet *pkt)
{
	__u64 next = (__u64)pkt->ssrc << 32 | (__u32)pkt->seq << 16 | 1;

	// SSRC and number live in one word, so that two CPUs that serve the same flow neither mix them nor count a gap
	// twice. Losing four times in a row costs one step of the statistics.
	for (int i = 0; i < 4; i++) {
		__u64 last = *(volatile __u64 *)&stats->last;
		__u16 gap = pkt->seq - (__u16)(last >> 16);

		if ((last & 1) && last >> 32 == pkt->ssrc) {
			if (gap == 0)
				return; // repeated
			if (gap > 0x7fff) {
				stats_late(stats);
				return;
			}
		} else {
			gap = 1; // a new source starts without loss
		}
		if (__sync_val_compare_and_swap(&stats->last, last, next) != last)
			continue;
		if (gap > 1)
			__sync_fetch_and_add(&stats->lost, gap - 1);
		return;
	}
}

static __always_inline void stats_relayed(struct stats *stats, const struct packet *pkt, __u64 now)
{
	__sync_fetch_and_add(&stats->packets, 1);
	__sync_fetch_and_add(&stats->bytes, pkt->udp_len - sizeof(struct udphdr));
	stats->last_seen = now;
	stats_sequence(stats, pkt);
}
