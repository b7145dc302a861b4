// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The next hop of a flow, from the kernel's routing and neighbour tables.
#pragma once

#include <bpf/bpf_helpers.h>

#include "life.h"
#include "maps.h"
#include "parse.h"

#define ROUTE_LOOPBACK 1 // ifindex of the loopback device in every network namespace
#define ROUTE_AGE 1000000000ll // ns an answer is used for

#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

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

// route_look_up asks for the packet that leaves, from target->from to target->to. It asks in the name of the loopback
// device, as the kernel does for what the host itself sends: rules for the ingress device are about the packet that
// came in, and this one is ours. It also means that only the loopback device has to have forwarding on.
static __always_inline enum reason route_look_up(ctx_t *ctx, struct target *target, __u32 ip_len, __u64 now,
						 struct hop *hop)
{
	struct bpf_fib_lookup fib = {};
	enum reason reason;
	struct port *port;
	__u32 ifindex;
	long result;

	fib.l4_protocol = IPPROTO_UDP;
	fib.sport = target->from.port;
	fib.dport = target->to.port;
	fib.tot_len = ip_len;
	fib.ifindex = ROUTE_LOOPBACK;
	if (target->ipv6) {
		fib.family = AF_INET6;
		fib.flowinfo = bpf_htonl((__u32)target->tos << 20);
		__builtin_memcpy(fib.ipv6_src, target->from.addr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, target->to.addr, sizeof(fib.ipv6_dst));
	} else {
		fib.family = AF_INET;
		fib.tos = target->tos;
		fib.ipv4_src = target->from.addr[3];
		fib.ipv4_dst = target->to.addr[3];
	}
	result = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	if (result == BPF_FIB_LKUP_RET_NOT_FWDED) {
		hop->port = PORT_LOCAL;
		hop->mtu = 0xffff;
	} else {
		reason = route_reason(result);
		if (reason != REASON_RELAYED)
			return reason;
		hop->ifindex = fib.ifindex;
		hop->mtu = fib.mtu_result;
		__builtin_memcpy(hop->dst, fib.dmac, sizeof(hop->dst));
		__builtin_memcpy(hop->src, fib.smac, sizeof(hop->src));
		ifindex = fib.ifindex; // on the stack, see work.h
		port = bpf_map_lookup_elem(&ports, &ifindex);
		if (port)
			ctx_port(hop, port);
	}
	hop->when = now;

	// Another CPU may be reading: without a time the hop is not used, so it sees the old one, none or the new one.
	*(volatile __u64 *)&target->hop.when = 0;
	barrier();
	target->hop.ifindex = hop->ifindex;
	target->hop.mtu = hop->mtu;
	__builtin_memcpy(target->hop.dst, hop->dst, sizeof(hop->dst));
	__builtin_memcpy(target->hop.src, hop->src, sizeof(hop->src));
	target->hop.port = hop->port;
	target->hop.tag = hop->tag;
	barrier();
	*(volatile __u64 *)&target->hop.when = now;
	return REASON_RELAYED;
}

// route fills hop, which the caller has zeroed, from the target's cache, or looks it up when that is empty or old. ip_len
// is the length of the IP packet that leaves.
static __always_inline enum reason route(ctx_t *ctx, struct target *target, __u32 ip_len, __u64 now, struct hop *hop)
{
	__u64 when = *(volatile __u64 *)&target->hop.when;
	enum reason reason;

	if (when && (__s64)(now - when) < ROUTE_AGE) { // it may be of a clock that is a tick ahead
		barrier();
		*hop = target->hop;
		barrier();
		if (*(volatile __u64 *)&target->hop.when == when)
			goto found;
	}
	if (life_over())
		return REASON_ABANDONED;
	reason = route_look_up(ctx, target, ip_len, now, hop);
	if (reason != REASON_RELAYED)
		return reason;
found:
	return ip_len > hop->mtu ? REASON_TOO_BIG : REASON_RELAYED;
}
