// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Counters of a flow, of its SSRCs and of the exits.
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

// All packets of a flow come by one queue and so to one CPU. Should two meet in one flow after all, a count may be wrong by
// one, which is cheaper than locked operations for every packet.

// stats_sequence follows the sequence numbers of an SSRC (RFC 3550, appendix A.3, reduced to gaps). A jump by more than a stream can
// lose is no loss: the stream begins anew once a second packet follows it.
static __always_inline void stats_sequence(struct source *source, const struct packet *pkt)
{
	__u16 gap = pkt->seq - (__u16)(source->last >> 16);
	__u32 lost = source->lost;

	if (gap == 0) {
		source->repeated++;
		return;
	}
	if (gap > 0xffff - FLOW_STEP + 1) {
		source->late++;
		if (lost)
			source->lost = lost - 1; // it came after all
		return;
	}
	if (gap < FLOW_STEP) {
		source->lost = lost + gap - 1;
	} else if (source->jumped && source->jump == pkt->seq) {
		source->jumped = 0;
	} else {
		source->jump = pkt->seq + 1;
		source->jumped = 1;
		return;
	}
	source->last = (__u64)pkt->ssrc << 32 | (__u32)pkt->seq << 16 | 1;
}

// Reading the clock costs as much as finding the flow. So jitter is estimated from each of the first packets of an SSRC, and then
// from those which begin each cycle: differences are between neighbours all the same, only fewer of them.
#define STATS_EACH 64
#define STATS_CYCLE 16
#define STATS_BEGIN 4

#define STATS_ARRIVAL_SHIFT 10 // from ns to the unit of arrival

// stats_jitter estimates the interarrival jitter (RFC 3550, appendix A.8).
static __always_inline void stats_jitter(struct source *source, const struct packet *pkt)
{
	__u64 scale = source->scale, jitter = source->jitter, n = source->packets;
	__u32 arrival;
	__s32 d;

	if (!scale || (n >= STATS_EACH && n % STATS_CYCLE >= STATS_BEGIN))
		return;
	arrival = bpf_ktime_get_ns() >> STATS_ARRIVAL_SHIFT;
	if (source->arrival && (n < STATS_EACH || n % STATS_CYCLE)) {
		d = ((arrival - source->arrival) * scale) >> (32 - STATS_ARRIVAL_SHIFT);
		d -= pkt->timestamp - source->timestamp;
		if (d < 0)
			d = -d;
		source->jitter = jitter + (__u32)d - ((jitter + 8) >> 4);
	}
	source->arrival = arrival;
}

// stats_payload_type notes a payload type that is another than that of the packet before.
static __always_inline void stats_payload_type(struct flow *flow, __u32 i, struct source *source, __u8 type)
{
	__u32 scale = 0;

	if (i >= FLOW_SOURCES)
		return; // for the verifier
	__sync_fetch_and_or(&flow->seen_types[i][type >> 6 & 1], 1ull << (type & 63));
	source->payload_type = type;
	for (int k = 0; k < FLOW_CLOCKS; k++)
		if (flow->clock_types[k] == type)
			scale = flow->clock_scales[k];
	if (source->scale != scale) {
		source->scale = scale;
		source->jitter = 0;
		source->arrival = 0;
	}
}

// stats_rtp accounts for an RTP packet of the learnt source. The SSRC is looked for among those of the flow, the first one
// of which is nearly always it; further ones than there is room for are only counted.
static __always_inline void stats_rtp(struct flow *flow, const struct packet *pkt, __u64 now)
{
	__u32 bytes = pkt->udp_len - sizeof(struct udphdr);
	__u8 type = pkt->mpt & 0x7f;
	struct source *source;

	for (__u32 i = 0; i < FLOW_SOURCES; i++) {
		__u64 last;

		source = &flow->sources[i];
		last = *(volatile __u64 *)&source->last;
		if (!last) {
			__u64 first = (__u64)pkt->ssrc << 32 | (__u32)pkt->seq << 16 | 1;

			last = __sync_val_compare_and_swap(&source->last, 0, first);
			if (!last) { // a new source starts without loss
				stats_payload_type(flow, i, source, type);
				goto counted;
			}
		}
		if (last >> 32 != pkt->ssrc)
			continue;
		stats_sequence(source, pkt);
		if (source->payload_type != type || !source->when)
			stats_payload_type(flow, i, source, type);
		goto counted;
	}
	__sync_fetch_and_add(&flow->untracked, 1);
	__sync_fetch_and_add(&flow->untracked_bytes, bytes);
	return;
counted:
	stats_jitter(source, pkt);
	source->packets++;
	source->bytes += bytes;
	source->timestamp = pkt->timestamp;
	source->when = now;
}

static __always_inline void stats_rtcp(struct flow *flow, const struct packet *pkt, __u64 now)
{
	__sync_fetch_and_add(&flow->rtcp, 1);
	__sync_fetch_and_add(&flow->rtcp_bytes, pkt->udp_len - sizeof(struct udphdr));
	flow->rtcp_when = now;
}

// stats_out accounts for what each receiver of the flow gets. RTCP is not counted here.
static __always_inline void stats_out(struct flow *flow, __u32 bytes)
{
	__sync_fetch_and_add(&flow->out_packets, 1);
	__sync_fetch_and_add(&flow->out_bytes, bytes);
}
