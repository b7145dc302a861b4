// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The way of a packet: parse, find the flow, check the source, filter, route, rewrite, account, send. Every doubt passes
// the packet up, to the next program and in the end to the socket. Flows that need more than new addresses, and packets
// that are not quite ordinary, go on in another program, which begins anew.
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

// relay_stage ends in another program, or passes the packet up if that is missing.
static __always_inline int relay_stage(ctx_t *ctx, enum hook hook, enum stage stage)
{
	ctx_go_on(ctx, hook, stage);
	return relay_up(hook, REASON_STAGE);
}

static __always_inline bool relay_source(const struct flow *flow, const struct packet *pkt)
{
	const __u32 *a = flow->source.addr, *b = pkt->source.addr;

	return flow->source.port == pkt->source.port &&
	       !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

static __always_inline int relay_foreign(enum hook hook, struct flow *flow)
{
	if (!(flow->flags & FLOW_DROP_FOREIGN))
		return relay_up(hook, REASON_FOREIGN);
	__sync_fetch_and_add(&flow->refused, 1);
	stats_exit(hook, REASON_FOREIGN_DROP);
	return ctx_drop();
}

static __always_inline bool relay_admitted(const struct flow *flow, __u8 mpt)
{
	__u64 types = mpt & 64 ? flow->payload_types[1] : flow->payload_types[0];

	return !(flow->flags & FLOW_FILTER) || types >> (mpt & 63) & 1;
}

// relay_ip_len is how long the IP packet will be when strip bytes of it are taken out.
static __always_inline __u32 relay_ip_len(const struct packet *pkt, const struct target *target, __u32 strip)
{
	return pkt->udp_len - strip + (target->ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

static __always_inline int relay(ctx_t *ctx, enum hook hook)
{
	struct packet pkt = {};
	struct hop hop = {};
	struct sums sums = {};
	enum reason reason;
	struct flow *flow;
	bool rtcp;
	__u64 now;

	reason = ctx_admit(ctx);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	reason = parse(ctx_data(ctx), ctx_end(ctx), &pkt);
	if (reason == REASON_VLAN)
		return relay_stage(ctx, hook, STAGE_FULL);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	if (!ctx_holds(ctx, ETH_HLEN + pkt.ip_len))
		return relay_up(hook, REASON_LENGTH);

	flow = bpf_map_lookup_elem(&flows, &pkt.local);
	if (!flow)
		return relay_up(hook, REASON_NO_FLOW);
	if (flow->version != FLOW_VERSION)
		return relay_up(hook, REASON_ACTION);
	if (!relay_source(flow, &pkt))
		return relay_foreign(hook, flow);
	if (flow->action == FLOW_FULL)
		return relay_stage(ctx, hook, STAGE_FULL);
	if (flow->action == FLOW_FAN)
		return relay_stage(ctx, hook, STAGE_FAN);
	if (flow->action == FLOW_SECURE)
		return relay_stage(ctx, hook, STAGE_SECURE);
	if (flow->action != FLOW_RELAY)
		return relay_up(hook, REASON_ACTION);
	rtcp = parse_is_rtcp(&pkt);
	if (rtcp != !!(flow->flags & FLOW_RTCP))
		return relay_stage(ctx, hook, STAGE_FULL);
	if (!rtcp && !relay_admitted(flow, pkt.mpt))
		return relay_up(hook, REASON_PAYLOAD_TYPE);

	now = bpf_ktime_get_coarse_ns();
	reason = route(ctx, &flow->target, relay_ip_len(&pkt, &flow->target, 0), now, &hop);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	if (hop.tag || hop.port & PORT_LOCAL)
		return relay_stage(ctx, hook, STAGE_FULL);
	if (!ctx_can_send(ctx, &hop, hook))
		return relay_up(hook, REASON_PORT);

	sums.addrs_in = flow->addrs_in;
	sums.ports_in = flow->ports_in;
	sums.addrs_out = flow->target.addrs_out;
	sums.ports_out = flow->target.ports_out;
	reason = ctx_relay(ctx, &pkt, &flow->target, &hop, &sums, hook);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);

	if (rtcp)
		stats_rtcp(flow, &pkt, now);
	else
		stats_rtp(flow, &pkt, now);
	stats_exit(hook, REASON_RELAYED);
	return ctx_send(ctx, &hop, hook);
}
