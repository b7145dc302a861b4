// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The tc (ingress) body of what relay.h asks of its hook.
#pragma once

#include <linux/pkt_cls.h>

#include "csum.h"
#include "parse.h"
#include "rewrite.h"
#include "types.h"

typedef struct __sk_buff ctx_t;

#define CTX_PACKET_HOST 0 // skb->pkt_type: for this station

static __always_inline void *ctx_data(ctx_t *ctx) { return (void *)(long)ctx->data; }
static __always_inline void *ctx_end(ctx_t *ctx) { return (void *)(long)ctx->data_end; }
static __always_inline bool ctx_holds(ctx_t *ctx, __u32 length) { return ctx->len >= length; }

// Not TC_ACT_OK: other programs on the device want to see the packet too.
static __always_inline int ctx_up(void) { return TC_ACT_UNSPEC; }
static __always_inline int ctx_drop(void) { return TC_ACT_SHOT; }

// ctx_admit looks at what the packet's metadata says and brings the headers where they can be read.
static __always_inline enum reason ctx_admit(ctx_t *ctx)
{
	__u32 protocol = ETH_HLEN;
	__u8 value;

	if (ctx->pkt_type != CTX_PACKET_HOST)
		return REASON_OTHER_HOST;
	if (ctx->vlan_present)
		return REASON_VLAN;
	if (ctx->gso_size)
		return REASON_GSO;
	// Many drivers leave all behind the UDP header in pages. Only UDP is worth the copy.
	if (ctx_data(ctx) + HEADERS_MAX > ctx_end(ctx)) {
		protocol += ctx->protocol == bpf_htons(ETH_P_IP) ? __builtin_offsetof(struct iphdr, protocol)
								 : __builtin_offsetof(struct ipv6hdr, nexthdr);
		if (!bpf_skb_load_bytes(ctx, protocol, &value, sizeof(value)) && value == IPPROTO_UDP)
			bpf_skb_pull_data(ctx, ctx->len < HEADERS_MAX ? ctx->len : HEADERS_MAX);
	}
	return REASON_RELAYED;
}

static __always_inline bool ctx_can_send(ctx_t *ctx, const struct hop *hop, enum hook hook)
{
	return true;
}

static __always_inline int ctx_send(ctx_t *ctx, const struct hop *hop)
{
	// The packet starts a new life: with the old mark it could be routed, filtered or shaped as what it was, with
	// the old queue leave by a queue the egress device lacks, with the old time be held back by the fq qdisc.
	ctx->mark = 0;
	barrier(); // two stores; the verifier refuses the one that the compiler would make of them
	ctx->queue_mapping = 0;
	ctx->tstamp = 0;
	return bpf_redirect(hop->ifindex, 0);
}

// ctx_sum_ipv6 tells the kernel's sum over the packet, if it keeps one, what changes in the IPv6 header. (An IPv4
// header always sums to the same, thanks to its own checksum.)
static __always_inline bool ctx_sum_ipv6(ctx_t *ctx, const struct flow *flow, __u32 addrs)
{
	struct ipv6hdr *ip = ctx_data(ctx) + ETH_HLEN;
	struct ipv6hdr after;
	__u32 *old = (void *)ip, *new = (void *)&after;

	if ((void *)(ip + 1) > ctx_end(ctx))
		return false;
	new[0] = rewrite_ipv6_first(flow->tos);
	new[1] = old[1];
	after.hop_limit = REWRITE_TTL;
	// The helper for the UDP checksum takes every pseudo header for one of IPv4 and subtracts the addresses here; they
	// are added again.
	bpf_csum_update(ctx, csum_fold((__u64)addrs + (__u32)~old[0] + new[0] + (__u32)~old[1] + new[1]));
	return true;
}

// ctx_checksum makes the UDP checksum that of the packet to be. False: it cannot, and nothing was changed.
// The helpers know whether the packet has a whole checksum, none, or one that a network device will complete.
static __always_inline bool ctx_checksum(ctx_t *ctx, const struct packet *pkt, const struct flow *flow, enum hook hook)
{
	__u32 check = (pkt->ipv6 ? IPV6_UDP : IPV4_UDP) + __builtin_offsetof(struct udphdr, check);
	__u32 addrs = csum_fold((__u64)flow->addrs_out + (__u16)~flow->addrs_in);
	__u32 udp_ports = csum_fold((__u64)flow->ports_out + (__u16)~flow->ports_in);

	if (!pkt->udp_check)
		return true;
	if (bpf_l4_csum_replace(ctx, check, 0, addrs, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return false;
	bpf_l4_csum_replace(ctx, check, 0, udp_ports, BPF_F_MARK_MANGLED_0);
	return !pkt->ipv6 || ctx_sum_ipv6(ctx, flow, addrs);
}
