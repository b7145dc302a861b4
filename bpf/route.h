// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The next hop of a flow, from the kernel's routing and neighbour tables.
#pragma once

#include <bpf/bpf_helpers.h>

#include "life.h"
#include "maps.h"
#include "parse.h"

#define ROUTE_LOOPBACK 1 // ifindex of the loopback device in every network namespace

#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

// The tick of the kernel, set by userspace. An answer is used for one second. Ticks, because reading their counter is one
// load, while every clock is a call that would be among the dearest steps of a packet.
const volatile __u32 ticks_per_second = 250;

static __always_inline enum reason route_reason(long result)
{
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return REASON_RELAYED;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return REASON_NO_NEIGHBOUR; // the socket path resolves it
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return REASON_TOO_BIG;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return REASON_FORWARDING_OFF;
	default:
		return REASON_NO_ROUTE;
	}
}

// route_look_up asks for the packet that leaves, from flow->from to flow->to. It asks in the name of the loopback
// device, as the kernel does for what the host itself sends: rules for the ingress device are about the packet that
// came in, and this one is ours. It also means that only the loopback device has to have forwarding on.
static __always_inline enum reason route_look_up(ctx_t *ctx, struct flow *flow, const struct packet *pkt, __u64 now,
						 struct hop *hop)
{
	struct bpf_fib_lookup fib = {};
	enum reason reason;
	enum port_flag *port;

	fib.l4_protocol = IPPROTO_UDP;
	fib.sport = flow->from.port;
	fib.dport = flow->to.port;
	fib.tot_len = pkt->ip_len;
	fib.ifindex = ROUTE_LOOPBACK;
	if (pkt->ipv6) {
		fib.family = AF_INET6;
		fib.flowinfo = bpf_htonl((__u32)flow->tos << 20);
		__builtin_memcpy(fib.ipv6_src, flow->from.addr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, flow->to.addr, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.tos = flow->tos;
		fib.ipv4_src = flow->from.addr[3];
		fib.ipv4_dst = flow->to.addr[3];
	}
	reason = route_reason(bpf_fib_lookup(ctx, &fib, sizeof(fib), 0));
	if (reason != REASON_RELAYED)
		return reason;

	hop->ifindex = fib.ifindex;
	hop->mtu = fib.mtu_result;
	__builtin_memcpy(hop->dst, fib.dmac, sizeof(hop->dst));
	__builtin_memcpy(hop->src, fib.smac, sizeof(hop->src));
	port = bpf_map_lookup_elem(&ports, &hop->ifindex);
	hop->port = port ? *port : 0;
	hop->when = now;

	// Another CPU may be reading: without a time the hop is not used, so it sees the old one, none or the new one.
	*(volatile __u64 *)&flow->hop.when = 0;
	barrier();
	flow->hop.when_ns = bpf_ktime_get_coarse_ns();
	flow->hop.ifindex = hop->ifindex;
	flow->hop.mtu = hop->mtu;
	__builtin_memcpy(flow->hop.dst, hop->dst, sizeof(hop->dst));
	__builtin_memcpy(flow->hop.src, hop->src, sizeof(hop->src));
	flow->hop.port = hop->port;
	barrier();
	*(volatile __u64 *)&flow->hop.when = now;
	return REASON_RELAYED;
}

// route fills hop from the flow's cache, or looks it up when that is empty or old.
static __always_inline enum reason route(ctx_t *ctx, struct flow *flow, const struct packet *pkt, __u64 now,
					 struct hop *hop)
{
	__u64 when = *(volatile __u64 *)&flow->hop.when;
	enum reason reason;

	if (when && now - when < ticks_per_second) {
		barrier();
		*hop = flow->hop;
		barrier();
		if (*(volatile __u64 *)&flow->hop.when == when)
			goto found;
	}
	if (life_over())
		return REASON_ABANDONED;
	reason = route_look_up(ctx, flow, pkt, now, hop);
	if (reason != REASON_RELAYED)
		return reason;
found:
	return pkt->ip_len > hop->mtu ? REASON_TOO_BIG : REASON_RELAYED;
}
