// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Several receivers by tc: the packet is rewritten for each and cloned for all but the last.
#pragma once

#include "fan.h"

// fan_ready tells whether the i-th receiver, counted from 0, can be sent to.
__noinline int fan_ready(ctx_t *ctx, struct work *w, __u32 i)
{
	struct target_group *group;

	if (!w)
		return REASON_STAGE;
	group = fan_group(w, i);
	return group ? fan_reach(ctx, w, &group->of[i % TARGET_GROUP], &w->hop) : REASON_TARGET;
}

// fan_send makes the packet that of the i-th receiver, and sends a clone of it unless it is the last one. It returns a verdict.
__noinline int fan_send(ctx_t *ctx, struct work *w, __u32 i)
{
	struct target_group *group;
	struct target *target;

	if (!w)
		return TC_ACT_SHOT;
	group = fan_group(w, i);
	if (!group)
		return TC_ACT_SHOT; // gone this very moment, with its flow
	target = &group->of[i % TARGET_GROUP];
	w->target = *target;
	w->hop = target->hop;
	// From the receiver before to this one. The first one comes after the packet as it was.
	w->inner += csum_less(rewrite_rtp_sum(&w->shown));
	if (!parse_is_rtcp(&w->pkt)) {
		w->shown.ssrc = w->pkt.ssrc ^ target->ssrc;
		w->shown.seq = w->pkt.seq + target->seq;
		w->shown.timestamp = w->pkt.timestamp + target->timestamp;
	}
	w->sums.inner = csum_fold(w->inner + rewrite_rtp_sum(&w->shown));
	w->sums.addrs_out = target->addrs_out;
	w->sums.ports_out = target->ports_out;
	if (ctx_write(ctx, w) != REASON_RELAYED)
		return TC_ACT_SHOT;
	w->sums.addrs_in = w->sums.addrs_out;
	w->sums.ports_in = w->sums.ports_out;
	w->inner = 0;
	if (i + 1 >= w->receivers)
		return bpf_redirect(w->hop.ifindex, 0);
	bpf_clone_redirect(ctx, w->hop.ifindex, 0);
	return TC_ACT_SHOT;
}

static __always_inline int fan(ctx_t *ctx)
{
	struct work *w = work_begin();
	int verdict = TC_ACT_SHOT;
	enum reason reason;

	if (!w)
		return relay_up(HOOK_TC, REASON_STAGE); // for the verifier
	reason = fan_take(ctx, w);
	if (reason != REASON_RELAYED)
		return fan_refuse(HOOK_TC, reason);
	// Either all get it from here or all from userspace.
	for (__u32 i = 0; i < FLOW_RECEIVERS && i < w->receivers && !w->change.blocked; i++) {
		reason = fan_ready(ctx, w, i);
		if (reason != REASON_RELAYED)
			return relay_up(HOOK_TC, reason);
	}
	reason = full_content(ctx, w);
	if (reason != REASON_RELAYED)
		return relay_up(HOOK_TC, reason);
	full_account(w);
	if (w->change.blocked) {
		stats_exit(HOOK_TC, REASON_BLOCKED);
		return ctx_drop();
	}
	stats_exit(HOOK_TC, REASON_RELAYED);

	fan_silence(ctx, w);
	w->shown = w->pkt;
	ctx_leave(ctx);
	for (__u32 i = 0; i < FLOW_RECEIVERS && i < w->receivers; i++)
		verdict = fan_send(ctx, w, i);
	return verdict;
}
