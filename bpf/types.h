// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Structures shared with userspace. This file is their only definition: the Go side is generated from it.
//
// Addresses are 16 bytes, IPv4 in its v4-mapped form (RFC 4291, section 2.5.5.2). Addresses and ports are in network
// order, everything else in host order. Padding is explicit and zero.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

#define FLOW_VERSION 1

// What is done with the packets of a flow. A program that does not know the action passes them up.
enum flow_action {
	FLOW_RELAY = 1,
};

enum flow_flag {
	FLOW_DROP_FOREIGN = 1 << 0, // packets from another source end here
	FLOW_FILTER = 1 << 1,       // only the payload types of the bitmap are relayed
};

// Where a program runs.
enum hook {
	HOOK_XDP,
	HOOK_TC,
	HOOK_XDP_GENERIC,
};

// Packets that took one exit, per hook: a packet that XDP passes up meets tc next.
struct exit_count {
	__u64 xdp;
	__u64 tc;
	__u64 xdp_generic;
};

// What a network device can do with the frames of an XDP program.
enum port_flag {
	PORT_XMIT = 1 << 0, // sends frames redirected to it
	PORT_TX = 1 << 1,   // sends back frames it received itself by XDP_TX
};

struct endpoint {
	__be32 addr[4];
	__be16 port;
	__u16 zero;
};

// The last answer of the routing and neighbour tables, kept so that a packet costs no look-up.
struct hop {
	__u64 when;    // of the look-up, in ticks of the kernel (jiffies); 0 is "none"
	__u64 when_ns; // the same moment on CLOCK_MONOTONIC
	__u32 ifindex;
	__u32 mtu; // largest IP packet
	__u8 dst[6];
	__u8 src[6];
	enum port_flag port; // of ifindex at that time
};

// What all flows have in common. Userspace writes it, as a sign of life.
struct life_sign {
	__u64 deadline_ns; // on CLOCK_MONOTONIC: from then on no flow is relayed; 0: there is none
	__u64 netns;       // cookie of the network namespace that the programs serve
	__u64 now;         // in ticks, as of the last run of life_forget
};

struct stats {
	__u64 packets;
	__u64 bytes;
	__u64 refused;
	__u64 lost;
	__u64 last_seen; // in ticks; hop.when and hop.when_ns tell what time that is
	__u64 last;      // SSRC << 32 | sequence number << 16 | 1 once there is one
};

struct flow {
	enum flow_action action;
	enum flow_flag flags;
	__u8 version;
	__u8 tos;
	__u16 zero;
	struct endpoint source; // the learnt peer
	struct endpoint from;
	struct endpoint to;
	// Folded one's complement sums of what a relayed packet loses and gains in its UDP checksum. They are the same
	// for all packets of a flow, so they are summed once, at installation.
	__u16 addrs_in, ports_in;   // source and local
	__u16 addrs_out, ports_out; // from and to
	__u64 payload_types[2];
	struct hop hop;
	struct stats stats;
	__u64 reserved;
};

_Static_assert(sizeof(struct endpoint) == 20, "endpoint is a map key: no hidden padding");
_Static_assert(sizeof(struct hop) == 40, "size of hop");
_Static_assert(sizeof(struct life_sign) == 24, "size of life");
_Static_assert(sizeof(struct stats) == 48, "size of stats");
_Static_assert(sizeof(struct flow) == 192, "size of flow");
_Static_assert(__builtin_offsetof(struct flow, payload_types) % 8 == 0, "alignment of payload_types");
_Static_assert(__builtin_offsetof(struct flow, stats) % 8 == 0, "atomics need aligned counters");
