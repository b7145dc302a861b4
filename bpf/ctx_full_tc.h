// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The tc body of what full.h asks of its hook.
#pragma once

#include "full.h"

// ctx_write brings checksum and headers up to date in a packet in which there is room for them.
__noinline int ctx_write(ctx_t *ctx, struct work *w)
{
	struct rtp *rtp;

	if (!w)
		return REASON_STAGE;
	w->pkt.ipv6 = w->target.ipv6; // that is where the checksum is now
	if (!ctx_checksum(ctx, &w->pkt, &w->sums) || !ctx_headers(ctx, &w->target, &w->hop, w->pkt.udp_len))
		return REASON_TRUNCATED;
	if (parse_is_rtcp(&w->pkt))
		return REASON_RELAYED;
	rtp = ctx_data(ctx) + (w->target.ipv6 ? IPV6_UDP : IPV4_UDP) + sizeof(struct udphdr);
	if ((void *)(rtp + 1) > ctx_end(ctx))
		return REASON_TRUNCATED;
	rewrite_rtp(rtp, &w->shown);
	return REASON_RELAYED;
}

static __always_inline enum reason ctx_full(ctx_t *ctx, struct work *w, enum hook hook)
{
	__u32 off = w->target.ipv6 ? IPV6_UDP : IPV4_UDP;
	enum reason reason;

	if (w->change.strip)
		return REASON_STRIP; // nothing takes bytes out of the middle and keeps the kernel's sum right
	reason = ctx_bridge(ctx, &w->pkt, &w->target);
	if (reason != REASON_RELAYED)
		return reason;
	// Nothing can fail from here on but in the eyes of the verifier.
	w->shown = w->pkt;
	reason = ctx_write(ctx, w);
	if (reason == REASON_RELAYED && w->change.octet)
		payload_fill(ctx, off + sizeof(struct udphdr) + w->pkt.header, w->silence, w->change.octet);
	return reason;
}
