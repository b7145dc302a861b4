// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// What becomes of the content of a packet, for full.h and fan.h: blocked, silenced, shifted, without its header extension.
#pragma once

#include "maps.h"
#include "parse.h"
#include "rewrite.h"
#include "work.h"

static __always_inline bool treat_has(const __u64 types[2], __u8 mpt)
{
	return (mpt & 64 ? types[1] : types[0]) >> (mpt & 63) & 1;
}

static __always_inline __u8 treat_octet(const struct flow *flow, __u8 type)
{
	for (int i = 0; i < FLOW_SILENCES; i++)
		if (flow->silence_types[i] == type && flow->silence_octets[i])
			return flow->silence_octets[i];
	return 0;
}

// treat adds what flow does to an RTP packet.
static __always_inline enum reason treat(const struct flow *flow, const struct packet *pkt, struct change *change)
{
	__u32 flags = flow->flags;
	__u8 octet;

	if (treat_has(flow->events, pkt->mpt)) {
		change->blocked |= !!(flags & FLOW_BLOCK_EVENTS);
	} else if (flags & FLOW_BLOCK_MEDIA) {
		change->blocked = 1;
	} else if (flags & FLOW_SILENCE) {
		octet = treat_octet(flow, pkt->mpt & 0x7f);
		change->blocked |= !octet;
		change->octet = octet;
	}
	// Extensions of another kind than RFC 8285 stay as they are.
	if (flags & FLOW_STRIP && pkt->vpxcc & 0x10 && (pkt->profile == 0xbede || pkt->profile >> 4 == 0x100)) {
		if (pkt->vpxcc & 15)
			return REASON_STRIP; // contributing sources would have to be moved, too
		change->strip = pkt->header - sizeof(struct rtp);
	}
	return REASON_RELAYED;
}

// treat_shift makes an RTP packet one of the target's stream.
static __always_inline void treat_shift(const struct target *target, struct packet *pkt)
{
	pkt->ssrc ^= target->ssrc;
	pkt->seq += target->seq;
	pkt->timestamp += target->timestamp;
}

// treat_payload finds the payload without its padding, and what silencing it adds to the checksum.
static __always_inline enum reason treat_payload(ctx_t *ctx, struct work *w)
{
	__u32 size = w->pkt.udp_len - sizeof(struct udphdr) - w->pkt.header;
	int sum, padding;

	if (w->pkt.vpxcc & 0x20) {
		padding = payload_byte(ctx, w->off + w->pkt.udp_len - 1);
		if (padding <= 0 || (__u32)padding > size)
			return REASON_BAD_RTP;
		size -= padding;
	}
	sum = payload_sum(ctx, w->off + sizeof(struct udphdr) + w->pkt.header, size);
	if (sum < 0)
		return REASON_CHECKSUM;
	w->silence = size;
	w->inner += (__u64)csum_less(sum) + csum_octets(w->change.octet, size);
	return REASON_RELAYED;
}
