// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The XDP body of what relay.h and full.h ask of their hook, native and generic.
#pragma once

#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "maps.h"
#include "parse.h"
#include "rewrite.h"
#include "types.h"

typedef struct xdp_md ctx_t;

#define CTX_TAGS true // frames come with their VLAN tag

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

// ctx_readable brings a whole frame where it can be read.
static __always_inline bool ctx_readable(ctx_t *ctx, __u32 length)
{
	return true;
}

// The programs behind the first one, by stage, the generic ones STAGE_COUNT later. Written by userspace at start. A stage that this
// kernel cannot load is missing, and its packets go up.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, enum stage);
	__type(value, __u32);
	__uint(max_entries, 2 * STAGE_COUNT);
} stages_xdp SEC(".maps");

// Devices that copies leave by, and the program that every frame for them passes: see ctx_fan_xdp.h. Written by userspace when
// XDP is attached to them.
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__type(key, __u32);
	__uint(value_size, sizeof(struct bpf_devmap_val));
	__uint(max_entries, 256);
} egress SEC(".maps");

// ctx_go_on ends in another program, and returns only if that is missing.
static __always_inline void ctx_go_on(ctx_t *ctx, enum hook hook, enum stage stage)
{
	bpf_tail_call(ctx, &stages_xdp, hook == HOOK_XDP_GENERIC ? STAGE_COUNT + stage : stage);
}

// ctx_port turns what is known of a device into how frames leave by it: those of a VLAN device by the one below.
static __always_inline void ctx_port(struct hop *hop, const struct port *port)
{
	hop->port = port->flags;
	hop->tag = port->tag;
	if (port->tag)
		hop->ifindex = port->ifindex;
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

static __always_inline int ctx_send(ctx_t *ctx, const struct hop *hop, enum hook hook)
{
	if (ctx_tx(ctx, hop))
		return XDP_TX;
	if (hop->port & PORT_EGRESS && hook != HOOK_XDP_GENERIC &&
	    bpf_redirect_map(&egress, hop->ifindex, 0) == XDP_REDIRECT) // else the device is a new one
		return XDP_REDIRECT;
	return bpf_redirect(hop->ifindex, 0);
}

#include "payload.h"

// ctx_checksum_local finds the checksum of a packet whose checksum field holds the sum of the pseudo header, or nothing.
//
// Symptom: the far end drops every packet of a sender on this machine (container, veth), none of a sender on the wire.
// Cause: such a sender leaves the checksum to a network device that never comes. The field holds only the sum of the
// pseudo header, and the mark that says so is not visible here and lost with native XDP. One sound packet in 65536 has
// that value by chance, and is treated correctly as well. Generic XDP keeps the mark, so there the pseudo header's sum
// has to stay one.
static __always_inline int ctx_checksum_local(ctx_t *ctx, const struct packet *pkt, const struct sums *sums, __u32 rest,
					      enum hook hook)
{
	__u32 off = (pkt->ipv6 ? IPV6_UDP : IPV4_UDP) + (pkt->tagged ? VLAN_HLEN : 0);
	int sum = payload_sum(ctx, off, pkt->udp_len);
	__u64 whole;

	if (sum < 0)
		return -1;
	whole = (__u64)sums->addrs_in + rest;
	if (pkt->udp_check && csum_fold(whole + sum) == 0xffff)
		return csum_change(pkt->udp_check, sums->addrs_in + sums->ports_in,
				   (__u64)sums->addrs_out + sums->ports_out + sums->pseudo + sums->inner);
	if (pkt->udp_check && hook == HOOK_XDP_GENERIC)
		// The device would look for a header that moves where it was.
		return sums->moves ? -1 : csum_fold((__u64)sums->addrs_out + rest + sums->pseudo);
	// The field itself is in the sum, and equal to the pseudo header: it stands for it.
	if (pkt->udp_check)
		whole = 0;
	whole += (__u64)sum + (__u16)~sums->ports_in + sums->ports_out;
	whole += (__u64)(__u16)~sums->addrs_in + sums->addrs_out + sums->pseudo + sums->inner;
	return csum_finish(whole);
}

// ctx_checksum finds the UDP checksum of the packet to be; -1 when it cannot.
static __always_inline int ctx_checksum(ctx_t *ctx, const struct packet *pkt, const struct sums *sums, bool needed,
					enum hook hook)
{
	__u32 rest = (__u32)bpf_htons(pkt->udp_len) + bpf_htons(IPPROTO_UDP);

	if (!pkt->udp_check && !needed) // IPv4 without checksum stays without
		return 0;
	if (!pkt->udp_check || pkt->udp_check == csum_fold((__u64)sums->addrs_in + rest))
		return ctx_checksum_local(ctx, pkt, sums, rest, hook);
	return csum_change(pkt->udp_check, sums->addrs_in + sums->ports_in,
			   (__u64)sums->addrs_out + sums->ports_out + sums->pseudo + sums->inner);
}

// ctx_bridge makes the packet one of the other IP version. When it cannot, nothing was changed.
static __always_inline enum reason ctx_bridge(ctx_t *ctx, const struct packet *pkt, const struct target *target,
					      const struct hop *hop, int check)
{
	struct udphdr *udp;
	struct ethhdr *eth;

	if (bpf_xdp_adjust_head(ctx, target->ipv6 ? (int)IPV4_UDP - (int)IPV6_UDP : (int)IPV6_UDP - (int)IPV4_UDP))
		return REASON_HEADROOM;
	// Nothing can fail from here on but in the eyes of the verifier.
	eth = ctx_data(ctx);
	udp = ctx_data(ctx) + (target->ipv6 ? IPV6_UDP : IPV4_UDP);
	if ((void *)(udp + 1) > ctx_end(ctx) || !rewrite_ip_anew(eth + 1, ctx_end(ctx), target, pkt->udp_len))
		return REASON_TRUNCATED;
	rewrite_ethernet(eth, hop);
	eth->h_proto = target->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	rewrite_udp(udp, target);
	udp->check = check;
	return REASON_RELAYED;
}

// ctx_relay writes new addresses into a packet that stays as it is otherwise. When it cannot, nothing was changed.
static __always_inline enum reason ctx_relay(ctx_t *ctx, struct packet *pkt, const struct target *target,
					     const struct hop *hop, const struct sums *sums, enum hook hook)
{
	int check = ctx_checksum(ctx, pkt, sums, target->ipv6 && !pkt->ipv6, hook);
	struct udphdr *udp;
	bool rewritten;

	if (check < 0)
		return REASON_CHECKSUM;
	if (pkt->ipv6 != target->ipv6)
		return ctx_bridge(ctx, pkt, target, hop, check);
	udp = ctx_data(ctx) + (pkt->ipv6 ? IPV6_UDP : IPV4_UDP);
	if ((void *)(udp + 1) > ctx_end(ctx))
		return REASON_TRUNCATED; // for the verifier: the headers were there before
	udp->check = check;
	if (pkt->ipv6)
		rewritten = rewrite_ipv6(ctx_data(ctx), ctx_end(ctx), target, hop);
	else
		rewritten = rewrite_ipv4(ctx_data(ctx), ctx_end(ctx), target, hop);
	return rewritten ? REASON_RELAYED : REASON_TRUNCATED;
}

static __always_inline long ctx_load(ctx_t *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_xdp_load_bytes(ctx, off, to, len);
}
