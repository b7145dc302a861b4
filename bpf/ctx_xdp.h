// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The XDP body of what relay.h asks of its hook, native and generic.
#pragma once

#include "csum.h"
#include "parse.h"
#include "types.h"

typedef struct xdp_md ctx_t;

#define CSUM_WORDS 512 // longest UDP packet that is summed, in 32-bit words

static __always_inline void *ctx_data(ctx_t *ctx) { return (void *)(long)ctx->data; }
static __always_inline void *ctx_end(ctx_t *ctx) { return (void *)(long)ctx->data_end; }
static __always_inline bool ctx_holds(ctx_t *ctx, __u32 length)
{
	return ctx_data(ctx) + (length & 0x1ffff) <= ctx_end(ctx);
}

static __always_inline int ctx_up(void) { return XDP_PASS; }
static __always_inline int ctx_drop(void) { return XDP_DROP; }

static __always_inline enum reason ctx_admit(ctx_t *ctx)
{
	return REASON_RELAYED;
}

// ctx_tx tells whether a frame goes back the way it came by XDP_TX. Where that is not possible it can still be
// redirected to its own device.
static __always_inline bool ctx_tx(ctx_t *ctx, const struct hop *hop)
{
	return hop->port & PORT_TX && hop->ifindex == ctx->ingress_ifindex;
}

// A device that is not prepared for redirected frames drops them without a trace. Generic XDP sends buffers of the
// ordinary kind, which every device takes.
static __always_inline bool ctx_can_send(ctx_t *ctx, const struct hop *hop, enum hook hook)
{
	return hook == HOOK_XDP_GENERIC || hop->port & PORT_XMIT || ctx_tx(ctx, hop);
}

static __always_inline int ctx_send(ctx_t *ctx, const struct hop *hop)
{
	return ctx_tx(ctx, hop) ? XDP_TX : bpf_redirect(hop->ifindex, 0);
}

// ctx_sum sums the len bytes at off, folded; -1 when they are too many. It is a function of its own so that the verifier
// walks its loop once.
__noinline int ctx_sum(struct xdp_md *ctx, __u32 off, __u32 len)
{
	void *pos = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;

	if (off > IPV6_UDP || len > CSUM_WORDS * 4)
		return -1;
	pos += off;
	for (int i = 0; i < CSUM_WORDS && len >= 4; i++) {
		barrier_var(pos); // or the compiler works out the end in advance, with arithmetic the verifier refuses
		if (pos + 4 > end)
			return -1;
		sum += *(__u32 *)pos;
		pos += 4;
		len -= 4;
	}
	if (len >= 2) {
		if (pos + 2 > end)
			return -1;
		sum += *(__u16 *)pos;
		pos += 2;
		len -= 2;
	}
	if (len) {
		if (pos + 1 > end)
			return -1;
		sum += bpf_htons(*(__u8 *)pos << 8);
	}
	return csum_fold(sum);
}

// ctx_checksum_local finds the checksum of a packet whose checksum field holds the sum of the pseudo header.
//
// Symptom: the far end drops every packet of a sender on this machine (container, veth), none of a sender on the wire.
// Cause: such a sender leaves the checksum to a network device that never comes. The field holds only the sum of the
// pseudo header, and the mark that says so is not visible here and lost with native XDP. One sound packet in 65536 has
// that value by chance, and is treated correctly as well. Generic XDP keeps the mark, so there the pseudo header's sum
// has to stay one.
static __always_inline int ctx_checksum_local(ctx_t *ctx, const struct packet *pkt, const struct flow *flow, __u32 rest,
					      enum hook hook)
{
	int sum = ctx_sum(ctx, pkt->ipv6 ? IPV6_UDP : IPV4_UDP, pkt->udp_len);

	if (sum < 0)
		return -1;
	if (csum_fold((__u64)flow->addrs_in + rest + sum) == 0xffff)
		return csum_change(pkt->udp_check, flow->addrs_in + flow->ports_in, flow->addrs_out + flow->ports_out);
	if (hook == HOOK_XDP_GENERIC)
		return csum_fold((__u64)flow->addrs_out + rest);
	// The field itself is in the sum, and equal to the pseudo header: it stands for it.
	return csum_finish((__u64)sum + (__u16)~flow->ports_in + flow->ports_out + (__u16)~flow->addrs_in + flow->addrs_out);
}

// ctx_checksum makes the UDP checksum that of the packet to be. False: it cannot, and nothing was changed.
static __always_inline bool ctx_checksum(ctx_t *ctx, const struct packet *pkt, const struct flow *flow, enum hook hook)
{
	__u32 rest = (__u32)bpf_htons(pkt->udp_len) + bpf_htons(IPPROTO_UDP);
	struct udphdr *udp;
	int check;

	if (!pkt->udp_check) // IPv4 without checksum stays without
		return true;
	if (pkt->udp_check == csum_fold((__u64)flow->addrs_in + rest))
		check = ctx_checksum_local(ctx, pkt, flow, rest, hook);
	else
		check = csum_change(pkt->udp_check, flow->addrs_in + flow->ports_in, flow->addrs_out + flow->ports_out);
	if (check < 0)
		return false;
	udp = ctx_data(ctx) + (pkt->ipv6 ? IPV6_UDP : IPV4_UDP);
	if ((void *)(udp + 1) > ctx_end(ctx))
		return false;
	udp->check = check;
	return true;
}
