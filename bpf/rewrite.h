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

static __always_inline void rewrite_udp(struct udphdr *udp, const struct target *target)
{
	udp->source = target->from.port;
	udp->dest = target->to.port;
}

// rewrite_ipv4_header writes what changes in a sound IPv4 header.
static __always_inline void rewrite_ipv4_header(struct iphdr *ip, const struct target *target)
{
	__u16 *word = (void *)ip;
	__u64 sum = 0;

	ip->tos = target->tos;
	ip->id = 0; // meaningless with DF (RFC 6864, section 4.1)
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = REWRITE_TTL;
	ip->saddr = target->from.addr[3];
	ip->daddr = target->to.addr[3];
	for (int i = 0; i < 5; i++) // up to the checksum
		sum += word[i];
	ip->check = ~csum_fold(sum + target->addrs_out);
}

static __always_inline void rewrite_ipv6_header(struct ipv6hdr *ip, const struct target *target)
{
	*(__be32 *)ip = rewrite_ipv6_first(target->tos);
	ip->hop_limit = REWRITE_TTL;
	__builtin_memcpy(&ip->saddr, target->from.addr, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, target->to.addr, sizeof(ip->daddr));
}

static __always_inline bool rewrite_ipv4(void *data, void *end, const struct target *target, const struct hop *hop)
{
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return false;
	rewrite_ethernet(eth, hop);
	rewrite_ipv4_header(ip, target);
	rewrite_udp(udp, target);
	return true;
}

static __always_inline bool rewrite_ipv6(void *data, void *end, const struct target *target, const struct hop *hop)
{
	struct ethhdr *eth = data;
	struct ipv6hdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	if ((void *)(udp + 1) > end)
		return false;
	rewrite_ethernet(eth, hop);
	rewrite_ipv6_header(ip, target);
	rewrite_udp(udp, target);
	return true;
}

// rewrite_ip_anew makes the whole IP header, of the target's family, for udp_len bytes of UDP.
static __always_inline bool rewrite_ip_anew(void *pos, void *end, const struct target *target, __u32 udp_len)
{
	if (target->ipv6) {
		struct ipv6hdr *ip = pos;

		if ((void *)(ip + 1) > end)
			return false;
		ip->payload_len = bpf_htons(udp_len);
		ip->nexthdr = IPPROTO_UDP;
		rewrite_ipv6_header(ip, target);
	} else {
		struct iphdr *ip = pos;

		if ((void *)(ip + 1) > end)
			return false;
		ip->version = 4;
		ip->ihl = 5;
		ip->tot_len = bpf_htons(udp_len + sizeof(*ip));
		ip->protocol = IPPROTO_UDP;
		rewrite_ipv4_header(ip, target);
	}
	return true;
}

// rewrite_rtp writes the fixed part of an RTP header as pkt has it.
static __always_inline void rewrite_rtp(struct rtp *rtp, const struct packet *pkt)
{
	rtp->vpxcc = pkt->vpxcc;
	rtp->mpt = pkt->mpt;
	rtp->seq = bpf_htons(pkt->seq);
	rtp->timestamp = bpf_htonl(pkt->timestamp);
	rtp->ssrc = bpf_htonl(pkt->ssrc);
}

// rewrite_rtp_sum is what that header adds to a checksum.
static __always_inline __u64 rewrite_rtp_sum(const struct packet *pkt)
{
	struct rtp rtp;
	__u32 *word = (void *)&rtp;

	rewrite_rtp(&rtp, pkt);
	return (__u64)word[0] + word[1] + word[2];
}
