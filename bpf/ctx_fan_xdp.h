// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Several receivers by native XDP: the kernel clones the packet into a map with one entry for each, all of one device, and
// a second program makes the copies those of the receivers as they leave.
//
// Nothing tells one copy from another, and nothing has to: whichever comes next is for the next receiver. What is to be
// written is worked out before, receiver by receiver, and lies in a slot of this CPU; the number of the slot travels in
// front of the frame. The copies leave in the same round (NAPI) on the same CPU, so it stays there as long as they need it.
//
// The kernel collects frames by device and runs on all of them the program of the first one. So once there are copies,
// other frames leave through the same program as well, which lets them pass: see PORT_EGRESS.
#pragma once

#include <bpf/bpf_helpers.h>

#include "ctx_full_xdp.h"
#include "fan.h"

#define FAN_SLOTS 64       // most packets of one round
#define FAN_MAGIC 0x57656972
#define FAN_FRAME_MAX 2048 // the kernel copies frame and headroom into one page

struct fan_devices {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__type(key, __u32);
	__uint(value_size, sizeof(struct bpf_devmap_val));
	__uint(max_entries, 1);
};

// The same device so many times, for every device of egress and every number of receivers.
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__type(key, struct fan_key);
	__uint(max_entries, 256 * FLOW_RECEIVERS);
	__array(values, struct fan_devices);
} fans SEC(".maps");

// What stands in front of a frame that is to be copied.
struct fan_mark {
	__u32 magic;
	__u32 number;
};

struct fan {
	struct work work;
	struct target receivers[FLOW_RECEIVERS]; // with their next hops
};

// FAN_SLOTS for each CPU that is there at start, one CPU after the other. A map with its own values for each CPU would have
// them also for CPUs that the machine may get one day.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct fan);
	__uint(max_entries, FAN_SLOTS);
} fan_slots SEC(".maps");

// Packets of each CPU so far.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} fan_numbers SEC(".maps");

static __always_inline struct fan *fan_slot(__u32 number)
{
	__u32 slot = bpf_get_smp_processor_id() * FAN_SLOTS + number % FAN_SLOTS;

	return bpf_map_lookup_elem(&fan_slots, &slot);
}

static __always_inline struct fan *fan_new(void)
{
	__u32 zero = 0, *number = bpf_map_lookup_elem(&fan_numbers, &zero);
	struct fan *f = number ? fan_slot(++*number) : NULL;

	if (!f)
		return NULL;
	__builtin_memset(&f->work, 0, sizeof(f->work));
	f->work.number = *number;
	return f;
}

// fan_ready tells whether the receivers of a group, the first of which is the i-th of all, counted from 0, can be sent to by the
// device of those before.
__noinline int fan_ready(ctx_t *ctx, struct fan *f, __u32 i)
{
	struct target_group *group;
	enum reason reason;
	struct hop *hop;

	if (!f)
		return REASON_TARGET;
	group = fan_group(&f->work, i);
	if (!group)
		return REASON_TARGET;
	hop = &f->work.hop;
#pragma clang loop unroll(disable)
	for (__u32 k = 0; k < TARGET_GROUP && i + k < f->work.receivers; k++) {
		__u32 at = (i + k) % FLOW_RECEIVERS; // for the verifier

		reason = fan_reach(ctx, &f->work, &group->of[k], hop);
		if (reason != REASON_RELAYED)
			return reason;
		if (!(hop->port & PORT_FAN) || hop->tag || (at && f->work.egress.ifindex != hop->ifindex))
			return REASON_PORT;
		f->work.egress.ifindex = hop->ifindex;
		barrier_var(at);
		f->receivers[at] = group->of[k];
		f->receivers[at].hop = *hop;
	}
	return REASON_RELAYED;
}

// fan_mark puts the number of the slot in front of the frame, and nothing else.
static __always_inline bool fan_mark(ctx_t *ctx, struct work *w)
{
	struct fan_mark *mark;

	if (bpf_xdp_adjust_meta(ctx, (int)(ctx->data - ctx->data_meta) - (int)sizeof(*mark)))
		return false; // some drivers leave no room
	mark = (void *)(long)ctx->data_meta;
	if ((void *)(mark + 1) > ctx_data(ctx))
		return false;
	mark->magic = FAN_MAGIC;
	mark->number = w->number;
	return true;
}

// fan_checksum makes the UDP checksum of the packet a whole one, and w->inner what is the same for all receivers.
static __always_inline enum reason fan_checksum(ctx_t *ctx, struct work *w)
{
	int check;

	w->sums.addrs_out = w->sums.addrs_in;
	w->sums.ports_out = w->sums.ports_in;
	check = ctx_checks(ctx, w, HOOK_XDP);
	if (check < 0)
		return REASON_CHECKSUM;
	w->pkt.udp_check = check;
	w->inner = (__u64)csum_less((__u64)w->sums.addrs_in + w->sums.ports_in) + csum_less(rewrite_rtp_sum(&w->pkt)) +
		   (__u16)~check;
	return REASON_RELAYED;
}

// fan_local has a frame that leaves as it is by mistake end at the next switch.
static __always_inline void fan_local(ctx_t *ctx, struct work *w)
{
	struct ethhdr *eth = ctx_data(ctx);

	if ((void *)(eth + 1) > ctx_end(ctx))
		return;
	__builtin_memcpy(w->hop.dst, w->hop.src, sizeof(w->hop.dst));
	rewrite_ethernet(eth, &w->hop);
}

static __always_inline int fan(ctx_t *ctx)
{
	struct fan *f = fan_new();
	void *devices = NULL;
	enum reason reason;
	struct work *w;

	if (!f)
		return relay_up(HOOK_XDP, REASON_STAGE); // a CPU that came later
	w = &f->work;
	reason = fan_take(ctx, w);
	if (reason != REASON_RELAYED)
		return fan_refuse(HOOK_XDP, reason);
	if (!w->change.blocked) {
		if (w->pkt.tagged || ctx_holds(ctx, FAN_FRAME_MAX))
			return relay_up(HOOK_XDP, REASON_PORT);
		// Either all get it from here or nobody.
		for (__u32 i = 0; i < FLOW_RECEIVERS && i < w->receivers; i += TARGET_GROUP) {
			reason = fan_ready(ctx, f, i);
			if (reason != REASON_RELAYED)
				return relay_up(HOOK_XDP, reason);
		}
		w->egress.receivers = w->receivers;
		devices = bpf_map_lookup_elem(&fans, &w->egress);
		if (!devices)
			return relay_up(HOOK_XDP, REASON_PORT);
		if (!fan_mark(ctx, w))
			return relay_up(HOOK_XDP, REASON_HEADROOM);
	}
	reason = full_content(ctx, w);
	if (reason == REASON_RELAYED && !w->change.blocked)
		reason = fan_checksum(ctx, w);
	if (reason != REASON_RELAYED)
		return relay_up(HOOK_XDP, reason);
	full_account(w);
	if (!devices) {
		stats_exit(HOOK_XDP, REASON_BLOCKED);
		return ctx_drop();
	}
	stats_exit(HOOK_XDP, REASON_RELAYED);
	fan_silence(ctx, w);
	fan_local(ctx, w);
	return bpf_redirect_map(devices, 0, BPF_F_BROADCAST);
}

// fan_write makes a copy that of its receiver.
static __always_inline bool fan_write(ctx_t *ctx, const struct work *w, const struct target *target)
{
	struct packet shown = {};
	struct udphdr *udp;
	struct rtp *rtp;
	bool rewritten;

	if (w->pkt.ipv6)
		rewritten = rewrite_ipv6(ctx_data(ctx), ctx_end(ctx), target, &target->hop);
	else
		rewritten = rewrite_ipv4(ctx_data(ctx), ctx_end(ctx), target, &target->hop);
	udp = ctx_data(ctx) + (w->pkt.ipv6 ? IPV6_UDP : IPV4_UDP);
	if (!rewritten || (void *)(udp + 1) > ctx_end(ctx))
		return false;
	shown.vpxcc = w->pkt.vpxcc;
	shown.mpt = w->pkt.mpt;
	if (!parse_is_rtcp(&shown)) {
		shown.ssrc = w->pkt.ssrc;
		shown.seq = w->pkt.seq;
		shown.timestamp = w->pkt.timestamp;
		treat_shift(target, &shown);
		rtp = (void *)(udp + 1);
		if ((void *)(rtp + 1) > ctx_end(ctx))
			return false;
		rewrite_rtp(rtp, &shown);
	}
	if (w->pkt.udp_check)
		udp->check = csum_finish(w->inner + target->addrs_out + target->ports_out + rewrite_rtp_sum(&shown));
	return true;
}

// fan_copy takes the frames that leave by the devices of fans. In doubt a copy is dropped: nobody gets what is not for him.
static __always_inline int fan_copy(ctx_t *ctx)
{
	struct fan_mark *mark = (void *)(long)ctx->data_meta;
	struct fan *f;
	__u32 i;

	if ((void *)(mark + 1) > ctx_data(ctx) || mark->magic != FAN_MAGIC)
		return XDP_PASS;
	f = fan_slot(mark->number);
	if (!f || f->work.number != mark->number || f->work.egress.ifindex != ctx->egress_ifindex)
		goto lost;
	i = f->work.sent;
	if (i >= f->work.receivers || i >= FLOW_RECEIVERS)
		goto lost;
	f->work.sent = i + 1;
	if (!bpf_xdp_adjust_meta(ctx, sizeof(*mark)) && fan_write(ctx, &f->work, &f->receivers[i]))
		return XDP_PASS;
lost:
	stats_exit(HOOK_XDP, REASON_COPY);
	return XDP_DROP;
}
