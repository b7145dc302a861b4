// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Several receivers by tc: the packet is rewritten for each and cloned for all but the last.
#pragma once

#include "fan.h"

// fan_ready tells whether the receiver of w->key can be sent to.
__noinline int fan_ready(ctx_t *ctx, struct work *w)
{
	struct target *target;

	return w ? fan_reach(ctx, w, &target, &w->hop) : REASON_STAGE;
}

// fan_send makes the packet that of the receiver of w->key, and sends a clone of it unless it is the last one. It returns a
// verdict.
__noinline int fan_send(ctx_t *ctx, struct work *w)
{
	struct target *target;

	if (!w)
		return TC_ACT_SHOT;
	target = work_target(&w->key);
	if (!target)
		return TC_ACT_SHOT; // gone this very moment, with its flow
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
	if (!w->left)
		return bpf_redirect(w->hop.ifindex, 0);
	bpf_clone_redirect(ctx, w->hop.ifindex, 0);
	return TC_ACT_SHOT;
}

static __always_inline int fan(ctx_t *ctx)
{
	struct work *w = work_begin();
	int verdict = TC_ACT_SHOT;
	enum reason reason;
	__u32 n;

	if (!w)
		return relay_up(HOOK_TC, REASON_STAGE); // for the verifier
	reason = fan_take(ctx, w);
	if (reason != REASON_RELAYED)
		return fan_refuse(HOOK_TC, reason);
	n = w->left;
	// Either all get it from here or all from userspace.
	for (__u16 i = 1; i <= FLOW_RECEIVERS && i <= n && !w->change.blocked; i++) {
		w->key.index = i;
		reason = fan_ready(ctx, w);
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
	for (__u16 i = 1; i <= FLOW_RECEIVERS && i <= n; i++) {
		w->key.index = i;
		w->left = n - i;
		verdict = fan_send(ctx, w);
	}
	return verdict;
}
