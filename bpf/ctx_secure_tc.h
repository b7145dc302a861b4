// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The tc body of what secure.h asks of its hook.
#pragma once

#include "ctx_full_tc.h"
#include "secure.h"

static __always_inline enum reason ctx_secure(ctx_t *ctx, struct work *w, const struct secure_turn *turn, enum hook hook)
{
	__be16 type = w->target.ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	__u32 off = w->off + sizeof(struct udphdr), wanted = off + turn->len, frame = ctx->len;
	enum reason reason;
	struct udphdr *udp;

	if (w->target.ipv6 && !w->pkt.udp_check)
		return REASON_UDP_CHECKSUM;
	// A buffer that grows forgets the sum that the kernel may have taken over it, which nothing could keep right. It also
	// becomes one piece, and nobody else's.
	if (bpf_skb_change_tail(ctx, wanted > frame ? wanted : frame + 1, 0))
		return REASON_HEADROOM;
	reason = secure_claim(turn);
	if (reason != REASON_RELAYED) {
		bpf_skb_change_tail(ctx, frame, 0);
		return reason;
	}

	// Only lack of memory can make anything fail from here on.
	if (bpf_skb_store_bytes(ctx, off, turn->buffer->packet, srtp_size(turn->len), 0))
		return REASON_SRTP_LOST;
	if (wanted <= frame && bpf_skb_change_tail(ctx, wanted, 0))
		return REASON_SRTP_LOST;
	if (w->target.ipv6 != w->pkt.ipv6 && bpf_skb_change_proto(ctx, type, 0))
		return REASON_SRTP_LOST;
	w->pkt.udp_len = turn->len + sizeof(*udp);
	w->shown = w->pkt;
	if (ctx_write(ctx, w) != REASON_RELAYED)
		return REASON_SRTP_LOST;
	udp = ctx_data(ctx) + full_outer(false, w->target.ipv6);
	if ((void *)(udp + 1) > ctx_end(ctx))
		return REASON_SRTP_LOST;
	udp->len = bpf_htons(w->pkt.udp_len);
	return REASON_RELAYED;
}
