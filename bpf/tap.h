// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Copies of packets for userspace, as they came.
#pragma once

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"
#include "treat.h"

static __always_inline void tap_fill(struct tap *tap, const struct work *w)
{
	tap->local = w->seen[0].local;
	tap->source = w->source;
	tap->when = bpf_ktime_get_ns();
	tap->len = w->pkt.udp_len - sizeof(struct udphdr);
	tap->zero = 0;
}

// tap_load fills the room for data behind the head of a record.
static __always_inline bool tap_load(ctx_t *ctx, const struct work *w, struct tap *tap, __u32 room)
{
	__u32 len = w->pkt.udp_len - sizeof(struct udphdr);

	tap_fill(tap, w);
	// One bound after the other, of one register: before Linux 6.6 the verifier makes nothing of what the compiler would
	// make of them.
	barrier_var(len);
	if (len > room)
		return false;
	barrier_var(len);
	if (len < RTCP_MIN)
		return false;
	return !ctx_load(ctx, w->off + sizeof(struct udphdr), tap + 1, len);
}

// tap_copy gives userspace a copy of the packet, as long as that is what it came as. False: there was no room.
__noinline int tap_copy(ctx_t *ctx, struct work *w)
{
	struct tap *tap;
	bool loaded;

	if (!w)
		return false;
	if (w->pkt.udp_len - sizeof(struct udphdr) <= TAP_SMALL - sizeof(*tap)) {
		tap = bpf_ringbuf_reserve(&taps, TAP_SMALL, 0);
		if (!tap)
			return false;
		loaded = tap_load(ctx, w, tap, TAP_SMALL - sizeof(*tap));
	} else {
		tap = bpf_ringbuf_reserve(&taps, TAP_LARGE, 0);
		if (!tap)
			return false;
		loaded = tap_load(ctx, w, tap, TAP_LARGE - sizeof(*tap));
	}
	if (loaded)
		bpf_ringbuf_submit(tap, 0);
	else
		bpf_ringbuf_discard(tap, 0);
	return loaded;
}

// tap_wanted tells whether the flow wants a copy of the packet.
static __always_inline bool tap_wanted(const struct flow *flow, const struct packet *pkt)
{
	bool wanted = flow->flags & FLOW_TAP;

	if (parse_is_rtcp(pkt))
		wanted |= flow->flags & FLOW_TAP_RTCP;
	else if (flow->flags & FLOW_TAP_EVENTS)
		wanted |= treat_has(flow->events, pkt->mpt);
	return wanted;
}

// tap copies the packet if the flow wants that.
static __always_inline void tap(ctx_t *ctx, struct flow *flow, struct work *w)
{
	if (tap_wanted(flow, &w->pkt) && !tap_copy(ctx, w))
		__sync_fetch_and_add(&flow->untapped, 1);
}
