// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The way of a packet: parse, find the flow, check the source, filter, route, rewrite, account, send. Every doubt passes
// the packet up, to the next program and in the end to the socket.
//
// The file that includes this one has included ctx_xdp.h or ctx_tc.h before; nothing here knows which.
#pragma once

#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "parse.h"
#include "rewrite.h"
#include "route.h"
#include "stats.h"

static __always_inline int relay_up(enum hook hook, enum reason reason)
{
	stats_exit(hook, reason);
	return ctx_up();
}

static __always_inline bool relay_source(const struct flow *flow, const struct packet *pkt)
{
	const __u32 *a = flow->source.addr, *b = pkt->source.addr;

	return flow->source.port == pkt->source.port &&
	       !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

// relay_rtcp tells RTCP from RTP on one port (RFC 5761, section 4).
static __always_inline bool relay_rtcp(__u8 mpt)
{
	return mpt >= 192 && mpt <= 223;
}

static __always_inline bool relay_admitted(const struct flow *flow, __u8 mpt)
{
	__u64 types = mpt & 64 ? flow->payload_types[1] : flow->payload_types[0];

	return !(flow->flags & FLOW_FILTER) || types >> (mpt & 63) & 1;
}

static __always_inline int relay(ctx_t *ctx, enum hook hook)
{
	struct packet pkt = {};
	struct hop hop = {};
	enum reason reason;
	struct flow *flow;
	bool rewritten;
	__u64 now;

	reason = ctx_admit(ctx);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	reason = parse(ctx_data(ctx), ctx_end(ctx), &pkt);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	if (!ctx_holds(ctx, ETH_HLEN + pkt.ip_len))
		return relay_up(hook, REASON_LENGTH);

	flow = bpf_map_lookup_elem(&flows, &pkt.local);
	if (!flow)
		return relay_up(hook, REASON_NO_FLOW);
	if (flow->version != FLOW_VERSION || flow->action != FLOW_RELAY)
		return relay_up(hook, REASON_ACTION);
	if (!relay_source(flow, &pkt)) {
		if (!(flow->flags & FLOW_DROP_FOREIGN))
			return relay_up(hook, REASON_FOREIGN);
		__sync_fetch_and_add(&flow->stats.refused, 1);
		stats_exit(hook, REASON_FOREIGN_DROP);
		return ctx_drop();
	}
	if (relay_rtcp(pkt.mpt))
		return relay_up(hook, REASON_RTCP);
	if (!relay_admitted(flow, pkt.mpt))
		return relay_up(hook, REASON_PAYLOAD_TYPE);

	now = bpf_jiffies64();
	reason = route(ctx, flow, &pkt, now, &hop);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	if (!ctx_can_send(ctx, &hop, hook))
		return relay_up(hook, REASON_PORT);

	if (!ctx_checksum(ctx, &pkt, flow, hook))
		return relay_up(hook, REASON_CHECKSUM);
	// Look at the packet anew: the checksum helpers of tc may have moved it.
	if (pkt.ipv6)
		rewritten = rewrite_ipv6(ctx_data(ctx), ctx_end(ctx), flow, &hop);
	else
		rewritten = rewrite_ipv4(ctx_data(ctx), ctx_end(ctx), flow, &hop);
	if (!rewritten)
		return relay_up(hook, REASON_TRUNCATED); // for the verifier: the headers were there before

	stats_relayed(&flow->stats, &pkt, now);
	stats_exit(hook, REASON_RELAYED);
	return ctx_send(ctx, &hop);
}
