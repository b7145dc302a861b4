// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// One packet to several receivers of one IP version: what tc and XDP have in common.
#pragma once

#include <bpf/bpf_helpers.h>

#include "full.h"

// fan_begin finds out what becomes of the packet, whoever gets it.
__noinline int fan_begin(struct work *w)
{
	enum reason reason;
	struct flow *flow;

	if (!w)
		return REASON_STAGE;
	flow = work_flow(&w->pkt.local);
	if (!flow || flow->action != FLOW_FAN)
		return REASON_ACTION;
	if (parse_is_rtcp(&w->pkt) != !!(flow->flags & FLOW_RTCP))
		return REASON_RTCP;
	w->receivers = flow->targets;
	w->seen[0].local = w->pkt.local;
	w->seen[0].ssrc = w->pkt.ssrc;
	w->seen[0].seq = w->pkt.seq;
	w->seen[0].timestamp = w->pkt.timestamp;
	w->flows = 1;
	if (parse_is_rtcp(&w->pkt))
		return REASON_RELAYED;
	if (!relay_admitted(flow, w->pkt.mpt))
		return REASON_PAYLOAD_TYPE;
	reason = treat(flow, &w->pkt, &w->change);
	if (reason == REASON_RELAYED && w->change.strip)
		return REASON_STRIP;
	return reason;
}

// fan_take is full_begin for a flow with several receivers.
static __always_inline enum reason fan_take(ctx_t *ctx, struct work *w)
{
	enum reason reason = full_begin(ctx, w);

	return reason == REASON_RELAYED ? fan_begin(w) : reason;
}

// fan_refuse ends a packet that fan_take has a reason not to take.
static __always_inline int fan_refuse(enum hook hook, enum reason reason)
{
	if (reason != REASON_FOREIGN_DROP)
		return relay_up(hook, reason);
	stats_exit(hook, reason);
	return ctx_drop();
}

// fan_group finds the group of a receiver, counted from 0.
static __always_inline struct target_group *fan_group(const struct work *w, __u32 i)
{
	return work_targets(&w->pkt.local, i / TARGET_GROUP + 1);
}

// fan_reach tells whether and how a receiver can be sent to.
static __always_inline enum reason fan_reach(ctx_t *ctx, struct work *w, struct target *target, struct hop *hop)
{
	enum reason reason;

	if (target->ipv6 != w->pkt.ipv6)
		return REASON_TARGET;
	__builtin_memset(hop, 0, sizeof(*hop));
	reason = route(ctx, target, w->pkt.ip_len, w->now, hop);
	if (reason != REASON_RELAYED)
		return reason;
	return hop->port & PORT_LOCAL ? REASON_NO_ROUTE : REASON_RELAYED;
}

// fan_silence fills the payload of a packet that is silenced.
static __always_inline void fan_silence(ctx_t *ctx, struct work *w)
{
	if (w->change.octet)
		payload_fill(ctx, w->off + sizeof(struct udphdr) + w->pkt.header, w->silence, w->change.octet);
}
