// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// All that can be done to a packet for one receiver: another IP version, VLAN tags, treatment of the content, copies for
// userspace, RTCP that goes elsewhere than RTP, and a receiver that is another flow of this host.
#pragma once

#include <bpf/bpf_helpers.h>

#include "relay.h"
#include "tap.h"
#include "treat.h"
#include "work.h"

struct full_tag {
	__be16 tci;
	__be16 proto;
};

// full_parse is parse, for frames that may have a tag of a device of this host.
static __always_inline enum reason full_parse(ctx_t *ctx, struct packet *pkt)
{
	enum reason reason = parse(ctx_data(ctx), ctx_end(ctx), pkt);
	struct ethhdr *eth = ctx_data(ctx);
	struct full_tag *tag = (void *)(eth + 1);
	struct vlan key;

	if (reason != REASON_VLAN || !CTX_TAGS)
		return reason;
	if ((void *)(tag + 1) > ctx_end(ctx))
		return REASON_TRUNCATED;
	if (eth->h_proto != bpf_htons(ETH_P_8021Q))
		return REASON_VLAN;
	key.ifindex = ctx->ingress_ifindex;
	key.tag = 1 << 16 | (bpf_ntohs(tag->tci) & 0xfff);
	if (!bpf_map_lookup_elem(&vlans, &key))
		return REASON_VLAN;
	pkt->tagged = 1;
	return parse_ip(tag + 1, ctx_end(ctx), tag->proto, pkt);
}

static __always_inline __u32 full_outer(bool tagged, bool ipv6)
{
	return (tagged ? ETH_HLEN + VLAN_HLEN : ETH_HLEN) + (ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

// full_begin reads the packet and finds out whether its flow takes it from this source. REASON_FOREIGN_DROP: it does not.
__noinline int full_begin(ctx_t *ctx, struct work *w)
{
	enum reason reason;
	struct flow *flow;

	if (!w)
		return REASON_STAGE;
	reason = ctx_admit(ctx);
	if (reason != REASON_RELAYED)
		return reason;
	reason = full_parse(ctx, &w->pkt);
	if (reason != REASON_RELAYED)
		return reason;
	w->off = full_outer(w->pkt.tagged, w->pkt.ipv6);
	if (!ctx_holds(ctx, w->off + w->pkt.udp_len))
		return REASON_LENGTH;
	flow = work_flow(&w->pkt.local);
	if (!flow)
		return REASON_NO_FLOW;
	if (flow->version != FLOW_VERSION)
		return REASON_ACTION;
	if (!relay_source(flow, &w->pkt)) {
		if (!(flow->flags & FLOW_DROP_FOREIGN))
			return REASON_FOREIGN;
		__sync_fetch_and_add(&flow->refused, 1);
		return REASON_FOREIGN_DROP;
	}
	w->flags = flow->flags;
	w->source = w->pkt.source;
	w->sums.addrs_in = flow->addrs_in;
	w->sums.ports_in = flow->ports_in;
	w->inner = csum_less(rewrite_rtp_sum(&w->pkt));
	w->now = bpf_ktime_get_coarse_ns();
	return REASON_RELAYED;
}

// full_target finds who gets a packet of the flow. RTCP that comes to the port of RTP may go to another one.
static __always_inline struct target *full_target(struct flow *flow, const struct packet *pkt)
{
	struct target_group *group;

	if (!parse_is_rtcp(pkt) || flow->flags & FLOW_RTCP)
		return &flow->target;
	if (!(flow->flags & FLOW_TO_RTCP))
		return NULL;
	group = work_targets(&pkt->local, TARGET_RTCP);
	return group ? &group->of[0] : NULL;
}

// full_check tells whether flow takes the packet.
static __always_inline enum reason full_check(struct flow *flow, const struct packet *pkt)
{
	if (flow->version != FLOW_VERSION || (flow->action != FLOW_RELAY && flow->action != FLOW_FULL))
		return REASON_ACTION;
	if (parse_is_rtcp(pkt))
		return REASON_RELAYED;
	if (flow->flags & FLOW_RTCP)
		return REASON_RTCP;
	return relay_admitted(flow, pkt->mpt) ? REASON_RELAYED : REASON_PAYLOAD_TYPE;
}

// full_step takes the packet through the i-th flow on its way. When the receiver is this host, the packet is then as that
// will get it.
__noinline int full_step(ctx_t *ctx, struct work *w, __u32 i)
{
	struct target *target;
	enum reason reason;
	struct flow *flow;

	if (!w || i >= FLOW_CHAIN)
		return REASON_NO_ROUTE;
	flow = work_flow(&w->pkt.local);
	if (!flow)
		return i ? REASON_NO_ROUTE : REASON_NO_FLOW;
	reason = full_check(flow, &w->pkt);
	if (reason != REASON_RELAYED)
		return reason;
	// The packet that userspace would send there has to be the one that the flow is for.
	if (i && (!relay_source(flow, &w->pkt) || flow->flags & FLOW_TAP))
		return REASON_NO_ROUTE;
	w->seen[i].local = w->pkt.local;
	w->seen[i].ssrc = w->pkt.ssrc;
	w->seen[i].seq = w->pkt.seq;
	w->seen[i].timestamp = w->pkt.timestamp;
	w->flows = i + 1;
	target = full_target(flow, &w->pkt);
	if (!target)
		return REASON_RTCP;
	if (!parse_is_rtcp(&w->pkt)) {
		reason = treat(flow, &w->pkt, &w->change);
		if (reason != REASON_RELAYED || w->change.blocked)
			return reason;
		treat_shift(target, &w->pkt);
	}
	__builtin_memset(&w->hop, 0, sizeof(w->hop));
	reason = route(ctx, target, relay_ip_len(&w->pkt, target, w->change.strip), w->now, &w->hop);
	if (reason != REASON_RELAYED)
		return reason;
	w->target = *target;
	if (w->hop.port & PORT_LOCAL) {
		w->pkt.source = target->from;
		w->pkt.local = target->to;
	}
	return REASON_RELAYED;
}

// full_content finds out how the content changes, and makes the copies for userspace, for which the packet is still whole.
__noinline int full_content(ctx_t *ctx, struct work *w)
{
	struct flow *flow;
	enum reason reason;

	if (!w)
		return REASON_STAGE;
	if (!ctx_readable(ctx, w->off + w->pkt.udp_len))
		return REASON_TRUNCATED;
	w->inner += rewrite_rtp_sum(&w->pkt);
	if (w->change.octet && !w->change.blocked) {
		reason = treat_payload(ctx, w);
		if (reason != REASON_RELAYED)
			return reason;
	}
	w->sums.addrs_out = w->target.addrs_out;
	w->sums.ports_out = w->target.ports_out;
	w->sums.inner = csum_fold(w->inner);
	if (w->flags & (FLOW_TAP | FLOW_TAP_RTCP | FLOW_TAP_EVENTS)) {
		flow = work_flow(&w->seen[0].local);
		if (flow)
			tap(ctx, flow, w);
	}
	return REASON_RELAYED;
}

// full_account counts the packet for the flows it took.
__noinline int full_account(struct work *w)
{
	struct flow *flow;

	if (!w)
		return 0;
	for (__u32 i = 0; i < FLOW_CHAIN && i < w->flows; i++) {
		flow = work_flow(&w->seen[i].local);
		if (!flow)
			return 0;
		if (parse_is_rtcp(&w->pkt)) {
			stats_rtcp(flow, &w->pkt, w->now);
			continue;
		}
		w->pkt.ssrc = w->seen[i].ssrc;
		w->pkt.seq = w->seen[i].seq;
		w->pkt.timestamp = w->seen[i].timestamp;
		stats_rtp(flow, &w->pkt, w->now);
		if (w->change.blocked && i + 1 == w->flows)
			__sync_fetch_and_add(&flow->blocked, 1);
		else if (flow->action != FLOW_RELAY)
			stats_out(flow, w->pkt.udp_len - sizeof(struct udphdr) - w->change.strip);
	}
	return 0;
}

// ctx_full makes the packet what w says: new headers in front, of which the RTP header is that of w->pkt. Each hook has its
// own.
static __always_inline enum reason ctx_full(ctx_t *ctx, struct work *w, enum hook hook);

static __always_inline int full(ctx_t *ctx, enum hook hook)
{
	struct work *w = work_begin();
	enum reason reason;

	if (!w)
		return relay_up(hook, REASON_STAGE); // for the verifier
	reason = full_begin(ctx, w);
	if (reason == REASON_FOREIGN_DROP) {
		stats_exit(hook, reason);
		return ctx_drop();
	}
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	for (__u32 i = 0; i < FLOW_CHAIN; i++) {
		reason = full_step(ctx, w, i);
		if (reason != REASON_RELAYED)
			return relay_up(hook, reason);
		if (!(w->hop.port & PORT_LOCAL) || w->change.blocked)
			break;
	}
	if (!w->change.blocked) {
		if (w->hop.port & PORT_LOCAL)
			return relay_up(hook, REASON_NO_ROUTE);
		if (!ctx_can_send(ctx, &w->hop, hook))
			return relay_up(hook, REASON_PORT);
	}
	reason = full_content(ctx, w);
	if (reason == REASON_RELAYED && !w->change.blocked)
		reason = ctx_full(ctx, w, hook);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	full_account(w);
	if (w->change.blocked) {
		stats_exit(hook, REASON_BLOCKED);
		return ctx_drop();
	}
	stats_exit(hook, REASON_RELAYED);
	return ctx_send(ctx, &w->hop, hook);
}
