// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The tc (ingress) body of what relay.h and full.h ask of their hook.
#pragma once

#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "maps.h"
#include "parse.h"
#include "rewrite.h"
#include "types.h"

typedef struct __sk_buff ctx_t;

#define CTX_TAGS false // a VLAN device has them without, and a second tag is not for us

#define CTX_PACKET_HOST 0 // skb->pkt_type: for this station

static __always_inline void *ctx_data(ctx_t *ctx) { return (void *)(long)ctx->data; }
static __always_inline void *ctx_end(ctx_t *ctx) { return (void *)(long)ctx->data_end; }
static __always_inline bool ctx_holds(ctx_t *ctx, __u32 length) { return ctx->len >= length; }

// Not TC_ACT_OK: other programs on the device want to see the packet too.
static __always_inline int ctx_up(void) { return TC_ACT_UNSPEC; }
static __always_inline int ctx_drop(void) { return TC_ACT_SHOT; }

// ctx_readable brings a whole frame where it can be read, as many drivers leave all behind the UDP header in pages.
static __always_inline bool ctx_readable(ctx_t *ctx, __u32 length)
{
	return ctx_data(ctx) + length <= ctx_end(ctx) || !bpf_skb_pull_data(ctx, length);
}

// ctx_admit looks at what the packet's metadata says and brings the headers where they can be read.
static __always_inline enum reason ctx_admit(ctx_t *ctx)
{
	__u32 protocol = ETH_HLEN;
	__u8 value;

	if (ctx->pkt_type != CTX_PACKET_HOST)
		return REASON_OTHER_HOST;
	if (ctx->vlan_present)
		return REASON_VLAN;
	if (ctx->gso_size)
		return REASON_GSO;
	// Only UDP is worth the copy.
	if (ctx_data(ctx) + HEADERS_MAX > ctx_end(ctx)) {
		protocol += ctx->protocol == bpf_htons(ETH_P_IP) ? __builtin_offsetof(struct iphdr, protocol)
								 : __builtin_offsetof(struct ipv6hdr, nexthdr);
		if (!bpf_skb_load_bytes(ctx, protocol, &value, sizeof(value)) && value == IPPROTO_UDP)
			bpf_skb_pull_data(ctx, ctx->len < HEADERS_MAX ? ctx->len : HEADERS_MAX);
	}
	return REASON_RELAYED;
}

// The programs behind the first one, by stage. Written by userspace at start. A stage that this
// kernel cannot load is missing, and its packets go up.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, enum stage);
	__type(value, __u32);
	__uint(max_entries, STAGE_COUNT);
} stages_tc SEC(".maps");

// ctx_go_on ends in another program, and returns only if that is missing.
static __always_inline void ctx_go_on(ctx_t *ctx, enum hook hook, enum stage stage)
{
	bpf_tail_call(ctx, &stages_tc, stage);
}

// ctx_port: frames leave by any device, which puts on its tag by itself.
static __always_inline void ctx_port(struct hop *hop, const struct port *port)
{
	hop->port = port->flags;
}

static __always_inline bool ctx_can_send(ctx_t *ctx, const struct hop *hop, enum hook hook)
{
	return true;
}

// ctx_leave: the packet starts a new life. With the old mark it could be routed, filtered or shaped as what it was, with
// the old queue leave by a queue the egress device lacks, with the old time be held back by the fq qdisc.
static __always_inline void ctx_leave(ctx_t *ctx)
{
	ctx->mark = 0;
	barrier(); // two stores; the verifier refuses the one that the compiler would make of them
	ctx->queue_mapping = 0;
	ctx->tstamp = 0;
}

static __always_inline int ctx_send(ctx_t *ctx, const struct hop *hop, enum hook hook)
{
	ctx_leave(ctx);
	return bpf_redirect(hop->ifindex, 0);
}

#include "payload.h"

// ctx_sum_ip is what the bytes of the IP header add to the kernel's sum over the packet, if it keeps one.
static __always_inline __u16 ctx_sum_ip(ctx_t *ctx, bool ipv6)
{
	__u32 *word = ctx_data(ctx) + ETH_HLEN;
	__u64 sum = 0;

	if (ipv6) {
		if ((void *)(word + 10) > ctx_end(ctx))
			return 0;
		for (int i = 0; i < 10; i++)
			sum += word[i];
	} else {
		if ((void *)(word + 5) > ctx_end(ctx))
			return 0;
		for (int i = 0; i < 5; i++)
			sum += word[i];
	}
	return csum_fold(sum);
}

// ctx_checksum makes the UDP checksum that of the packet to be. False: it cannot, and nothing was changed. The helpers
// know whether the packet has a whole checksum, none, or one that a network device will complete. They take every pseudo
// header for one of IPv4, whose change does not show in the kernel's sum over the packet; see ctx_headers.
static __always_inline bool ctx_checksum(ctx_t *ctx, const struct packet *pkt, const struct sums *sums)
{
	__u32 check = (pkt->ipv6 ? IPV6_UDP : IPV4_UDP) + __builtin_offsetof(struct udphdr, check);
	__u32 pseudo = csum_fold((__u64)sums->addrs_out + (__u16)~sums->addrs_in + sums->pseudo);
	__u32 inner = csum_fold((__u64)sums->ports_out + (__u16)~sums->ports_in + sums->inner);

	if (!pkt->udp_check)
		return true;
	if (bpf_l4_csum_replace(ctx, check, 0, pseudo, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0))
		return false;
	bpf_l4_csum_replace(ctx, check, 0, inner, BPF_F_MARK_MANGLED_0);
	return true;
}

// ctx_headers writes the outer headers, behind ctx_checksum, into a packet whose headers have their place already.
static __always_inline bool ctx_headers(ctx_t *ctx, const struct target *target, const struct hop *hop, __u32 udp_len)
{
	__u16 before = ctx_sum_ip(ctx, target->ipv6);
	struct ethhdr *eth = ctx_data(ctx);
	struct udphdr *udp = ctx_data(ctx) + (target->ipv6 ? IPV6_UDP : IPV4_UDP);

	if ((void *)(udp + 1) > ctx_end(ctx) || !rewrite_ip_anew(eth + 1, ctx_end(ctx), target, udp_len))
		return false;
	rewrite_ethernet(eth, hop);
	eth->h_proto = target->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	rewrite_udp(udp, target);
	bpf_csum_update(ctx, csum_fold((__u64)ctx_sum_ip(ctx, target->ipv6) + csum_less(before)));
	return true;
}

// ctx_bridge makes room for the headers of the target's IP version, where it is another one. When it cannot, nothing was
// changed.
static __always_inline enum reason ctx_bridge(ctx_t *ctx, const struct packet *pkt, const struct target *target)
{
	if (target->ipv6 == pkt->ipv6)
		return REASON_RELAYED;
	if (target->ipv6 && !pkt->udp_check)
		return REASON_UDP_CHECKSUM;
	return bpf_skb_change_proto(ctx, target->ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), 0) ? REASON_HEADROOM
													 : REASON_RELAYED;
}

// ctx_relay writes new addresses into a packet that stays as it is otherwise. When it cannot, nothing was changed.
static __always_inline enum reason ctx_relay(ctx_t *ctx, struct packet *pkt, const struct target *target,
					     const struct hop *hop, const struct sums *sums, enum hook hook)
{
	enum reason reason = ctx_bridge(ctx, pkt, target);
	bool bridged = target->ipv6 != pkt->ipv6;

	if (reason != REASON_RELAYED)
		return reason;
	pkt->ipv6 = target->ipv6; // that is where the checksum is now
	if (!ctx_checksum(ctx, pkt, sums))
		return REASON_CHECKSUM;
	if (pkt->ipv6 || bridged)
		return ctx_headers(ctx, target, hop, pkt->udp_len) ? REASON_RELAYED : REASON_TRUNCATED;
	// An IPv4 header always sums to the same, thanks to its own checksum.
	return rewrite_ipv4(ctx_data(ctx), ctx_end(ctx), target, hop) ? REASON_RELAYED : REASON_TRUNCATED;
}

static __always_inline long ctx_load(ctx_t *ctx, __u32 off, void *to, __u32 len)
{
	return bpf_skb_load_bytes(ctx, off, to, len);
}
