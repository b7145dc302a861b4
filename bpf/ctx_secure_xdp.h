// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The XDP body of what secure.h asks of its hook.
#pragma once

#include "ctx_full_xdp.h"
#include "secure.h"

static __always_inline enum reason ctx_secure(ctx_t *ctx, struct work *w, const struct secure_turn *turn, enum hook hook)
{
	__u32 after = full_outer(w->hop.tag, w->target.ipv6);
	int head = (int)w->off - (int)after, tail, check;
	enum reason reason;

	check = ctx_checks(ctx, w, hook);
	if (check < 0)
		return REASON_CHECKSUM;
	// A frame may be longer than what is in it.
	tail = (int)(w->off + sizeof(struct udphdr) + turn->len) - (int)(ctx_end(ctx) - ctx_data(ctx));
	if (tail > 0 && bpf_xdp_adjust_tail(ctx, tail))
		return REASON_HEADROOM;
	reason = head && bpf_xdp_adjust_head(ctx, head) ? REASON_HEADROOM : secure_claim(turn);
	if (reason != REASON_RELAYED) {
		if (head && reason != REASON_HEADROOM)
			bpf_xdp_adjust_head(ctx, -head);
		if (tail > 0)
			bpf_xdp_adjust_tail(ctx, -tail);
		return reason;
	}

	// Nothing can fail from here on but in the eyes of the verifier.
	if (bpf_xdp_store_bytes(ctx, after + sizeof(struct udphdr), turn->buffer->packet, srtp_size(turn->len)))
		return REASON_SRTP_LOST;
	if (tail < 0 && bpf_xdp_adjust_tail(ctx, tail))
		return REASON_SRTP_LOST;
	w->pkt.udp_len = turn->len + sizeof(struct udphdr);
	return ctx_write(ctx, w, check) == REASON_RELAYED ? REASON_RELAYED : REASON_SRTP_LOST;
}
