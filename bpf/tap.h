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
	tap->when = w->now;
	tap->len = w->pkt.udp_len - sizeof(struct udphdr);
	tap->zero = 0;
}

// tap_copy gives userspace a copy of the packet, as long as that is what it came as. False: there was no room.
__noinline int tap_copy(ctx_t *ctx, struct work *w)
{
	struct tap *tap;
	__u32 off, len;
	long failed;

	if (!w)
		return false;
	off = w->off + sizeof(struct udphdr);
	len = w->pkt.udp_len - sizeof(struct udphdr);
	barrier_var(len); // or the bounds below are those of another register
	if (len - 1 < TAP_SMALL - sizeof(*tap)) {
		tap = bpf_ringbuf_reserve(&taps, TAP_SMALL, 0);
		if (!tap)
			return false;
		tap_fill(tap, w);
		failed = ctx_load(ctx, off, tap + 1, len);
	} else if (len - 1 < TAP_LARGE - sizeof(*tap)) {
		tap = bpf_ringbuf_reserve(&taps, TAP_LARGE, 0);
		if (!tap)
			return false;
		tap_fill(tap, w);
		failed = ctx_load(ctx, off, tap + 1, len);
	} else {
		return false;
	}
	if (failed)
		bpf_ringbuf_discard(tap, 0);
	else
		bpf_ringbuf_submit(tap, 0);
	return !failed;
}

// tap copies the packet if the flow wants that.
static __always_inline void tap(ctx_t *ctx, struct flow *flow, struct work *w)
{
	bool wanted = flow->flags & FLOW_TAP;

	if (parse_is_rtcp(&w->pkt))
		wanted |= flow->flags & FLOW_TAP_RTCP;
	else if (flow->flags & FLOW_TAP_EVENTS)
		wanted |= treat_has(flow->events, w->pkt.mpt);
	if (wanted && !tap_copy(ctx, w))
		__sync_fetch_and_add(&flow->untapped, 1);
}
