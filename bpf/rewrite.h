// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// New headers for a packet that leaves. The UDP checksum is not touched here: how it is kept right depends on the hook.
#pragma once

#include "csum.h"
#include "parse.h"

#define REWRITE_TTL 64

static __always_inline void rewrite_ethernet(struct ethhdr *eth, const struct hop *hop)
{
	// By 16-bit words: the header's type promises no alignment, so a memcpy would go byte by byte.
	__u16 *to = (void *)eth;
	const __u16 *dst = (const void *)hop->dst, *src = (const void *)hop->src;

	to[0] = dst[0];
	to[1] = dst[1];
	to[2] = dst[2];
	to[3] = src[0];
	to[4] = src[1];
	to[5] = src[2];
}

// rewrite_ipv6_first is the first word of an IPv6 header: version, traffic class, no flow label.
static __always_inline __be32 rewrite_ipv6_first(__u8 tos)
{
	return bpf_htonl(6u << 28 | (__u32)tos << 20);
}

static __always_inline void rewrite_udp(struct udphdr *udp, const struct flow *flow)
{
	udp->source = flow->from.port;
	udp->dest = flow->to.port;
}

static __always_inline bool rewrite_ipv4(void *data, void *end, const struct flow *flow, const struct hop *hop)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u16 *word = (void *)ip;
	__u64 sum = 0;

	if ((void *)(udp + 1) > end)
		return false;
	rewrite_ethernet(eth, hop);
	ip->tos = flow->tos;
	ip->id = 0; // meaningless with DF (RFC 6864, section 4.1)
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = REWRITE_TTL;
	ip->saddr = flow->from.addr[3];
	ip->daddr = flow->to.addr[3];
	for (int i = 0; i < 5; i++) // up to the checksum
		sum += word[i];
	ip->check = ~csum_fold(sum + flow->addrs_out);
	rewrite_udp(udp, flow);
	return true;
}

static __always_inline bool rewrite_ipv6(void *data, void *end, const struct flow *flow, const struct hop *hop)
{
	struct ethhdr *eth = data;
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return false;
	rewrite_ethernet(eth, hop);
	*(__be32 *)ip = rewrite_ipv6_first(flow->tos);
	ip->hop_limit = REWRITE_TTL;
	__builtin_memcpy(&ip->saddr, flow->from.addr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, flow->to.addr, sizeof(ip->daddr));
	rewrite_udp(udp, flow);
	return true;
}
