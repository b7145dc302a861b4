// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// RTP to SRTP, SRTP to RTP and from one SRTP to another, for one receiver; of another IP version or behind a VLAN, too. The
// packet is turned in a buffer, and changed only when that has succeeded and all is known to be possible.
#pragma once

#include <bpf/bpf_helpers.h>

#include "full.h"
#include "srtp.h"

// What a packet is turned with, and into what.
struct secure_turn {
	struct srtp_buffer *buffer;
	struct cipher *open, *seal; // NULL: none
	__u32 open_tag, seal_tag;   // lengths
	__u32 len;                  // of the RTP packet in the buffer
};

// secure_claim accounts for the packet in both ciphers.
static __always_inline enum reason secure_claim(const struct secure_turn *turn)
{
	enum reason reason = REASON_RELAYED;

	if (turn->open)
		reason = srtp_claim(turn->open, &turn->buffer->opened, true);
	if (reason == REASON_RELAYED && turn->seal) {
		reason = srtp_claim(turn->seal, &turn->buffer->sealed, false);
		if (reason != REASON_RELAYED && turn->open)
			reason = REASON_SRTP_LOST; // it would be a replay in userspace
	}
	return reason;
}

// secure_end leaves for a reason other than REASON_RELAYED. What userspace would drop is dropped here.
static __always_inline int secure_end(enum hook hook, struct flow *flow, enum reason reason)
{
	switch (reason) {
	case REASON_SRTP_AUTH:
		__sync_fetch_and_add(&flow->unauthenticated, 1);
		break;
	case REASON_SRTP_REPLAY:
		__sync_fetch_and_add(&flow->replayed, 1);
		break;
	case REASON_SRTP_LOST:
		break;
	default:
		return relay_up(hook, reason);
	}
	stats_exit(hook, reason);
	return ctx_drop();
}

// secure_cipher finds a cipher of the flow, and how long its tag is. A flow may do without: NULL.
static __always_inline enum reason secure_cipher(__u32 id, struct cipher **cipher, __u32 *tag)
{
	if (!id)
		return REASON_RELAYED;
	*cipher = bpf_map_lookup_elem(&ciphers, &id);
	if (!*cipher)
		return REASON_SRTP_KEYS;
	*tag = *(volatile __u32 *)&(*cipher)->tag;
	return *tag ? REASON_RELAYED : REASON_SRTP_KEYS;
}

// secure_begin finds out what is to be done with the packet, and whether it can be.
static __always_inline enum reason secure_begin(ctx_t *ctx, struct work *w, struct flow *flow, struct secure_turn *turn)
{
	enum reason reason;
	__u32 ip_len;

	if (flow->version != FLOW_VERSION || flow->action != FLOW_SECURE)
		return REASON_ACTION;
	if (parse_is_rtcp(&w->pkt))
		return REASON_RTCP;
	if (!relay_admitted(flow, w->pkt.mpt))
		return REASON_PAYLOAD_TYPE;
	reason = secure_cipher(flow->open, &turn->open, &turn->open_tag);
	if (reason == REASON_RELAYED)
		reason = secure_cipher(flow->seal, &turn->seal, &turn->seal_tag);
	if (reason != REASON_RELAYED)
		return reason;
	turn->len = w->pkt.udp_len - sizeof(struct udphdr);
	if (turn->len > SRTP_MAX || turn->len < w->pkt.header + turn->open_tag)
		return REASON_SRTP_LENGTH;
	ip_len = w->pkt.udp_len - turn->open_tag + turn->seal_tag;
	ip_len += flow->target.ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	reason = route(ctx, &flow->target, ip_len, w->now, &w->hop);
	if (reason == REASON_RELAYED && w->hop.port & PORT_LOCAL)
		return REASON_NO_ROUTE;
	w->target = flow->target;
	return reason;
}

// secure_sums works out what changes in the checksum. The length stands in the UDP header and in the pseudo header.
static __always_inline void secure_sums(struct work *w, const struct secure_turn *turn)
{
	w->sums.addrs_out = w->target.addrs_out;
	w->sums.ports_out = w->target.ports_out;
	w->sums.pseudo = csum_fold((__u64)csum_less(bpf_htons(w->pkt.udp_len)) +
				   bpf_htons(turn->len + sizeof(struct udphdr)));
	w->sums.inner = csum_fold(w->inner + srtp_sum(turn->len) + w->sums.pseudo);
}

// secure_load fills the room for data behind the head of a record, as tap_load does.
static __always_inline bool secure_load(const struct secure_turn *turn, struct tap *tap, __u32 room)
{
	struct bpf_dynptr clear;
	__u32 len = turn->len;

	if (bpf_dynptr_from_mem(turn->buffer->packet, sizeof(turn->buffer->packet), 0, &clear))
		return false;
	barrier_var(len);
	if (len > room)
		return false;
	barrier_var(len);
	return !bpf_dynptr_read(tap + 1, len, &clear, 0, 0);
}

// secure_copy holds a copy of the RTP packet in the buffer, for userspace. NULL: there is no room. What is done with it waits until
// the packet is sent: it may still go up, where it would be copied again.
static __always_inline struct tap *secure_copy(struct work *w, const struct secure_turn *turn)
{
	struct tap *tap;
	bool loaded;

	if (turn->len <= TAP_SMALL - sizeof(*tap)) {
		tap = bpf_ringbuf_reserve(&taps, TAP_SMALL, 0);
		if (!tap)
			return NULL;
		loaded = secure_load(turn, tap, TAP_SMALL - sizeof(*tap));
	} else {
		tap = bpf_ringbuf_reserve(&taps, TAP_LARGE, 0);
		if (!tap)
			return NULL;
		loaded = secure_load(turn, tap, TAP_LARGE - sizeof(*tap));
	}
	w->seen[0].local = w->pkt.local;
	tap_fill(tap, w);
	tap->len = turn->len;
	if (loaded)
		return tap;
	bpf_ringbuf_discard(tap, 0);
	return NULL;
}

// ctx_secure makes the packet what is in the buffer, with new headers in front, once secure_claim has allowed it. When that
// or something else fails before, the packet is as it was. Each hook has its own.
static __always_inline enum reason ctx_secure(ctx_t *ctx, struct work *w, const struct secure_turn *turn, enum hook hook);

static __always_inline int secure(ctx_t *ctx, enum hook hook)
{
	struct secure_turn turn = {.buffer = srtp_buffer()};
	struct work *w = work_begin();
	__u32 clear, ssrc, timestamp;
	struct tap *copy = NULL;
	enum reason reason;
	struct flow *flow;
	bool tapped;
	__u16 seq;
	int len;

	if (!w || !turn.buffer)
		return relay_up(hook, REASON_STAGE); // for the verifier
	reason = full_begin(ctx, w);
	if (reason == REASON_FOREIGN_DROP) {
		stats_exit(hook, reason);
		return ctx_drop();
	}
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	flow = work_flow(&w->pkt.local);
	if (!flow)
		return relay_up(hook, REASON_NO_FLOW);
	reason = secure_begin(ctx, w, flow, &turn);
	if (reason != REASON_RELAYED)
		return relay_up(hook, reason);
	if (!ctx_can_send(ctx, &w->hop, hook))
		return relay_up(hook, REASON_PORT);

	if (ctx_load(ctx, w->off + sizeof(struct udphdr), turn.buffer->packet, srtp_size(turn.len)))
		return relay_up(hook, REASON_TRUNCATED);
	w->inner = csum_less(srtp_sum(turn.len));
	ssrc = w->pkt.ssrc;
	seq = w->pkt.seq;
	timestamp = w->pkt.timestamp;
	if (turn.open) {
		len = srtp_open(flow->open, turn.len, w->pkt.header, ssrc, seq);
		if (len < 0)
			return secure_end(hook, flow, -len);
		turn.len = len;
	}
	clear = turn.len;
	tapped = tap_wanted(flow, &w->pkt);
	if (tapped)
		copy = secure_copy(w, &turn);
	treat_shift(&w->target, &w->pkt);
	rewrite_rtp((void *)turn.buffer->packet, &w->pkt);
	if (turn.seal) {
		len = srtp_seal(flow->seal, turn.len, w->pkt.header, w->pkt.ssrc, w->pkt.seq);
		if (len < 0) {
			if (copy)
				bpf_ringbuf_discard(copy, 0);
			return relay_up(hook, -len);
		}
		turn.len = len;
	}
	secure_sums(w, &turn);
	reason = ctx_secure(ctx, w, &turn, hook);
	if (reason != REASON_RELAYED) {
		if (copy)
			bpf_ringbuf_discard(copy, 0);
		return secure_end(hook, flow, reason);
	}
	if (copy)
		bpf_ringbuf_submit(copy, 0);
	else if (tapped)
		__sync_fetch_and_add(&flow->untapped, 1);

	// As in userspace, what has come is counted without its tag, and what leaves with it.
	w->pkt.udp_len = clear + sizeof(struct udphdr);
	w->pkt.ssrc = ssrc;
	w->pkt.seq = seq;
	w->pkt.timestamp = timestamp;
	stats_rtp(flow, &w->pkt, w->now);
	stats_out(flow, turn.len);
	stats_exit(hook, REASON_RELAYED);
	return ctx_send(ctx, &w->hop, hook);
}
