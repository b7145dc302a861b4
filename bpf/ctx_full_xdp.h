// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The XDP body of what full.h asks of its hook.
#pragma once

#include "full.h"

// ctx_strip works out what taking out the header extension changes: it goes, with the mark that says it is there, and the
// length stands in the UDP header and in the pseudo header.
static __always_inline bool ctx_strip(ctx_t *ctx, struct work *w)
{
	int sum = payload_sum(ctx, w->off + sizeof(struct udphdr) + sizeof(struct rtp), w->change.strip);

	if (sum < 0)
		return false;
	w->sums.moves = 1;
	w->sums.pseudo = csum_fold((__u64)csum_less(bpf_htons(w->pkt.udp_len)) +
				   bpf_htons(w->pkt.udp_len - w->change.strip));
	w->sums.inner = csum_fold((__u64)w->sums.inner + w->sums.pseudo + csum_less(sum) + csum_less(bpf_htons(0x1000)));
	return true;
}

// ctx_checks finds the UDP checksum of the packet to be; -1 when it cannot.
__noinline int ctx_checks(ctx_t *ctx, struct work *w, int hook)
{
	if (!w || (w->change.strip && !ctx_strip(ctx, w)))
		return -1;
	return ctx_checksum(ctx, &w->pkt, &w->sums, w->target.ipv6 && !w->pkt.ipv6, hook);
}

// ctx_write writes all headers into a packet in which there is room for them, up to the payload.
__noinline int ctx_write(ctx_t *ctx, struct work *w, int check)
{
	struct full_tag *tag;
	struct ethhdr *eth;
	struct udphdr *udp;
	struct rtp *rtp;
	__be16 type;
	void *pos;

	if (!w)
		return REASON_STAGE;
	type = w->target.ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	eth = ctx_data(ctx);
	if ((void *)(eth + 1) > ctx_end(ctx))
		return REASON_TRUNCATED;
	rewrite_ethernet(eth, &w->hop);
	pos = eth + 1;
	if (w->hop.tag) {
		tag = pos;
		if ((void *)(tag + 1) > ctx_end(ctx))
			return REASON_TRUNCATED;
		tag->tci = bpf_htons(w->hop.tag & 0xfff);
		tag->proto = type;
		type = bpf_htons(ETH_P_8021Q);
		pos = tag + 1;
	}
	eth->h_proto = type;
	if (!rewrite_ip_anew(pos, ctx_end(ctx), &w->target, w->pkt.udp_len - w->change.strip))
		return REASON_TRUNCATED;
	pos += w->target.ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	udp = pos;
	if ((void *)(udp + 1) > ctx_end(ctx))
		return REASON_TRUNCATED;
	rewrite_udp(udp, &w->target);
	udp->len = bpf_htons(w->pkt.udp_len - w->change.strip);
	udp->check = check;
	if (parse_is_rtcp(&w->pkt))
		return REASON_RELAYED;
	rtp = (void *)(udp + 1);
	if ((void *)(rtp + 1) > ctx_end(ctx))
		return REASON_TRUNCATED;
	rewrite_rtp(rtp, &w->pkt);
	if (w->change.strip)
		rtp->vpxcc &= ~0x10;
	return REASON_RELAYED;
}

static __always_inline enum reason ctx_full(ctx_t *ctx, struct work *w, enum hook hook)
{
	__u32 before = w->off + w->change.strip, after = full_outer(w->hop.tag, w->target.ipv6);
	int check = ctx_checks(ctx, w, hook);
	enum reason reason;

	if (check < 0)
		return REASON_CHECKSUM;
	if (before != after && bpf_xdp_adjust_head(ctx, (int)before - (int)after))
		return REASON_HEADROOM;
	// Nothing can fail from here on but in the eyes of the verifier.
	reason = ctx_write(ctx, w, check);
	if (reason == REASON_RELAYED && w->change.octet)
		payload_fill(ctx, after + sizeof(struct udphdr) + w->pkt.header - w->change.strip, w->silence,
			     w->change.octet);
	return reason;
}
