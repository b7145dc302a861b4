// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// From frame to RTP header. A parser checks bounds once per header and returns a reason, REASON_RELAYED for "go on".
// Whatever is unusual is not parsed further: the kernel's own stack does that better.
#pragma once

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "csum.h"
#include "reasons.h"
#include "types.h"

// The fixed part of the header (RFC 3550, section 5.1).
struct rtp {
	__u8 vpxcc;
	__u8 mpt;
	__be16 seq;
	__be32 timestamp;
	__be32 ssrc;
};

struct packet {
	struct endpoint source;
	struct endpoint local;
	__u32 ip_len;  // of the whole IP packet
	__u32 udp_len; // of the UDP header and payload
	__u32 timestamp;
	__u32 ssrc;
	__u16 seq;
	__u16 udp_check;
	__u16 header;  // length of the RTP header with contributing sources and extension
	__u16 profile; // of the extension, if there is one
	__u8 vpxcc;
	__u8 mpt; // the second byte of RTP, or of RTCP
	__u8 ipv6;
	__u8 tagged; // there is a VLAN tag in front
};

// Headers are where they always are, because packets with anything between them are not parsed. A tag moves them by
// VLAN_HLEN.
#define IPV4_UDP (ETH_HLEN + sizeof(struct iphdr))
#define IPV6_UDP (ETH_HLEN + sizeof(struct ipv6hdr))
#define HEADERS_MAX (IPV6_UDP + sizeof(struct udphdr) + sizeof(struct rtp))
#define RTCP_MIN 8 // common header and SSRC (RFC 3550, section 6.1)

#ifndef VLAN_HLEN
#define VLAN_HLEN 4
#endif

// parse_is_rtcp tells RTCP from RTP on one port (RFC 5761, section 4).
static __always_inline bool parse_is_rtcp(const struct packet *pkt)
{
	return pkt->mpt >= 192 && pkt->mpt <= 223;
}

// parse_rtp_length finds out how long an RTP header with contributing sources or an extension is.
static __always_inline enum reason parse_rtp_length(struct rtp *rtp, void *end, struct packet *pkt)
{
	__u32 header = sizeof(*rtp) + 4 * (pkt->vpxcc & 15);
	__be16 *extension = (void *)rtp + header;

	if (pkt->vpxcc & 0x10) {
		if (header + 4 > pkt->udp_len - sizeof(struct udphdr))
			return REASON_BAD_RTP;
		if ((void *)(extension + 2) > end)
			return REASON_TRUNCATED;
		pkt->profile = bpf_ntohs(extension[0]);
		header += 4 + 4 * bpf_ntohs(extension[1]);
	}
	if (header > pkt->udp_len - sizeof(struct udphdr))
		return REASON_BAD_RTP;
	pkt->header = header;
	return REASON_RELAYED;
}

static __always_inline enum reason parse_rtcp(struct rtp *rtp, void *end, struct packet *pkt)
{
	if ((void *)rtp + RTCP_MIN > end)
		return REASON_TRUNCATED;
	// Only the first header can be read, as SRTCP encrypts the rest.
	if (4 + 4 * (__u32)bpf_ntohs(rtp->seq) > pkt->udp_len - sizeof(struct udphdr))
		return REASON_BAD_RTP;
	return REASON_RELAYED;
}

static __always_inline enum reason parse_udp(void *pos, void *end, struct packet *pkt)
{
	struct udphdr *udp = pos;
	struct rtp *rtp = (void *)(udp + 1);

	if ((void *)(udp + 1) > end)
		return REASON_TRUNCATED;
	pkt->udp_len = bpf_ntohs(udp->len);
	pkt->udp_check = udp->check;
	pkt->source.port = udp->source;
	pkt->local.port = udp->dest;
	if (pkt->udp_len < sizeof(*udp) + RTCP_MIN)
		return pkt->udp_len < sizeof(*udp) ? REASON_LENGTH : REASON_NOT_RTP;
	if ((void *)rtp + RTCP_MIN > end)
		return REASON_TRUNCATED;
	pkt->vpxcc = rtp->vpxcc;
	pkt->mpt = rtp->mpt;
	if (pkt->vpxcc >> 6 != 2)
		return REASON_NOT_RTP;
	if (parse_is_rtcp(pkt))
		return parse_rtcp(rtp, end, pkt);
	if (pkt->udp_len < sizeof(*udp) + sizeof(*rtp))
		return REASON_NOT_RTP;
	if ((void *)(rtp + 1) > end)
		return REASON_TRUNCATED;
	pkt->seq = bpf_ntohs(rtp->seq);
	pkt->timestamp = bpf_ntohl(rtp->timestamp);
	pkt->ssrc = bpf_ntohl(rtp->ssrc);
	if (pkt->vpxcc & 0x1f)
		return parse_rtp_length(rtp, end, pkt);
	pkt->header = sizeof(*rtp);
	return REASON_RELAYED;
}

static __always_inline enum reason parse_ipv4(void *pos, void *end, struct packet *pkt)
{
	struct iphdr *ip = pos;
	enum reason reason;
	__u32 *word = pos;
	__u64 sum = 0;

	if ((void *)(ip + 1) > end)
		return REASON_TRUNCATED;
	if (ip->version != 4 || ip->ihl != 5)
		return REASON_IP_OPTIONS;
	if (ip->protocol != IPPROTO_UDP)
		return REASON_NOT_UDP;
	if (ip->frag_off & bpf_htons(0x3fff))
		return REASON_FRAGMENT;
	// The header leaves with a fresh checksum; a damaged one would look sound again.
	for (int i = 0; i < 5; i++)
		sum += word[i];
	if (csum_fold(sum) != 0xffff)
		return REASON_IP_CHECKSUM;
	if (!ip->ttl)
		return REASON_TTL;

	pkt->ipv6 = 0;
	pkt->ip_len = bpf_ntohs(ip->tot_len);
	pkt->source.addr[2] = pkt->local.addr[2] = bpf_htonl(0xffff);
	pkt->source.addr[3] = ip->saddr;
	pkt->local.addr[3] = ip->daddr;
	reason = parse_udp(ip + 1, end, pkt);
	if (reason != REASON_RELAYED)
		return reason;
	if (pkt->ip_len != pkt->udp_len + sizeof(*ip))
		return REASON_LENGTH;
	return REASON_RELAYED;
}

static __always_inline enum reason parse_ipv6(void *pos, void *end, struct packet *pkt)
{
	struct ipv6hdr *ip = pos;
	enum reason reason;

	if ((void *)(ip + 1) > end)
		return REASON_TRUNCATED;
	if (ip->version != 6)
		return REASON_NOT_IP;
	switch (ip->nexthdr) {
	case IPPROTO_UDP:
		break;
	case IPPROTO_FRAGMENT:
		return REASON_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return REASON_IP_OPTIONS;
	default:
		return REASON_NOT_UDP;
	}
	if (!ip->hop_limit)
		return REASON_TTL;

	pkt->ipv6 = 1;
	pkt->ip_len = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	__builtin_memcpy(pkt->source.addr, &ip->saddr, sizeof(pkt->source.addr));
	__builtin_memcpy(pkt->local.addr, &ip->daddr, sizeof(pkt->local.addr));
	reason = parse_udp(ip + 1, end, pkt);
	if (reason != REASON_RELAYED)
		return reason;
	if (pkt->ip_len != pkt->udp_len + sizeof(*ip))
		return REASON_LENGTH;
	if (!pkt->udp_check) // RFC 8200, section 8.1
		return REASON_UDP_CHECKSUM;
	return REASON_RELAYED;
}

static __always_inline enum reason parse_ip(void *pos, void *end, __be16 type, struct packet *pkt)
{
	if (type == bpf_htons(ETH_P_IP))
		return parse_ipv4(pos, end, pkt);
	if (type == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(pos, end, pkt);
	return REASON_NOT_IP;
}

// parse fills pkt, which the caller has zeroed. Whether the frame holds pkt->ip_len bytes is for the caller to check.
static __always_inline enum reason parse(void *data, void *end, struct packet *pkt)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return REASON_TRUNCATED;
	if (eth->h_dest[0] & 1)
		return REASON_OTHER_HOST;
	if (eth->h_proto == bpf_htons(ETH_P_8021Q) || eth->h_proto == bpf_htons(ETH_P_8021AD))
		return REASON_VLAN;
	return parse_ip(eth + 1, end, eth->h_proto, pkt);
}
