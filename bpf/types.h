// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Structures shared with userspace. This file is their only definition: the Go side is generated from it.
//
// Addresses are 16 bytes, IPv4 in its v4-mapped form (RFC 4291, section 2.5.5.2). Addresses and ports are in network
// order, everything else in host order. Padding is explicit and zero.
#pragma once

#include <linux/bpf.h>
#include <linux/types.h>

// Goes up with every change of what the maps hold, so that a program never reads a flow of another meaning.
#define FLOW_VERSION 3

#define FLOW_SOURCES 4   // SSRCs of a flow that are told apart
#define FLOW_CLOCKS 8    // payload types of a flow whose clock rate is known
#define FLOW_SILENCES 4  // payload types of a flow that silence can be made of
#define FLOW_RECEIVERS 32
#define FLOW_STEP 3000   // how far sequence numbers of a stream are apart at most, in both directions; as in package rtp
#define FLOW_CHAIN 3     // flows that one packet may take one after the other

// What is done with the packets of a flow. A program that does not know the action passes them up.
enum flow_action {
	FLOW_RELAY = 1,  // new addresses, to one receiver
	FLOW_FULL = 2,   // whatever else can be done for one receiver
	FLOW_FAN = 3,    // to several receivers
	FLOW_SECURE = 4, // out of SRTP, into SRTP or both, to one receiver
};

enum flow_flag {
	FLOW_DROP_FOREIGN = 1 << 0, // packets from another source end here
	FLOW_FILTER = 1 << 1,       // only the payload types of the bitmap are relayed
	FLOW_RTCP = 1 << 2,         // the port is for RTCP alone

	// The rest is for FLOW_FULL and FLOW_FAN, but for what is about RTCP.
	FLOW_BLOCK_MEDIA = 1 << 3,  // packets that are no events end here
	FLOW_SILENCE = 1 << 4,      // their payload becomes silence, or they end here where there is none
	FLOW_BLOCK_EVENTS = 1 << 5, // telephone events end here (RFC 4733)
	FLOW_STRIP = 1 << 6,        // header extensions are taken out (RFC 8285)
	FLOW_TAP = 1 << 7,          // userspace gets copies of all packets
	FLOW_TAP_RTCP = 1 << 8,     // of RTCP
	FLOW_TAP_EVENTS = 1 << 9,   // of telephone events
	FLOW_TO_RTCP = 1 << 10,     // there is a TARGET_RTCP
};

// Where a program runs.
enum hook {
	HOOK_XDP,
	HOOK_TC,
	HOOK_XDP_GENERIC,
};

// Programs that another one ends in, by tail call. XDP has each twice, the generic ones STAGE_COUNT later.
enum stage {
	STAGE_FULL,
	STAGE_FAN, // tc and native XDP
	STAGE_SECURE,
	STAGE_COUNT,
};

// Packets that took one exit, per hook: a packet that XDP passes up meets tc next.
struct exit_count {
	__u64 xdp;
	__u64 tc;
	__u64 xdp_generic;
};

// What a network device can do with the frames of an XDP program.
enum port_flag {
	PORT_XMIT = 1 << 0,  // sends frames redirected to it
	PORT_TX = 1 << 1,    // sends back frames it received itself by XDP_TX
	PORT_LOCAL = 1 << 2, // no device: the destination is this host
	PORT_EGRESS = 1 << 3, // frames for it go through the map of that name
	PORT_FAN = 1 << 4,    // all frames for it have been doing so for some time, so that copies may
};

// A network device, for XDP. A VLAN device is another one with a tag.
struct port {
	enum port_flag flags;
	__u32 ifindex; // of the device that has the frames
	__u32 tag;     // to be put on: 1 << 16 | VLAN, in host order; 0: none
};

// A list of receivers that leave by one device.
struct fan_key {
	__u32 ifindex;
	__u32 receivers;
};

// A tag that a device of this host is for.
struct vlan {
	__u32 ifindex;
	__u32 tag; // as in port
};

struct endpoint {
	__be32 addr[4];
	__be16 port;
	__u16 index; // of a group in the map of targets, else zero
};

#define TARGET_GROUP 4     // receivers that lie together, so that one look-up finds them
#define TARGET_RTCP 0xffff // index of the group whose first is the receiver of RTCP that comes to the port of RTP

// The last answer of the routing and neighbour tables, kept so that a packet costs no look-up.
struct hop {
	__u64 when; // of the look-up, on CLOCK_MONOTONIC in ns; 0 is "none"
	__u32 ifindex;
	__u32 mtu; // largest IP packet
	__u8 dst[6];
	__u8 src[6];
	enum port_flag port; // of ifindex at that time
	__u32 tag;           // as in port; ifindex is then that of the device below
};

// What all flows have in common. Userspace writes it, as a sign of life.
struct life_sign {
	__u64 deadline_ns; // on CLOCK_MONOTONIC: from then on no flow is relayed; 0: there is none
	__u64 netns;       // cookie of the network namespace that the programs serve
};

// A receiver.
struct target {
	struct endpoint from;
	struct endpoint to;
	__u16 addrs_out, ports_out; // sums of from and to, see struct flow
	__u8 tos;
	__u8 ipv6;
	__u16 seq;       // added to the sequence number
	__u32 ssrc;      // exclusive or with the SSRC
	__u32 timestamp; // added to the time stamp
	struct hop hop;
};

struct target_group {
	struct target of[TARGET_GROUP];
};

// What is known of one SSRC. Shared by all CPUs that serve the flow, which is one as a rule.
struct source {
	__u64 last; // SSRC << 32 | sequence number << 16 | 1 once there is one
	__u64 packets;
	__u64 bytes;
	__u64 when; // the last one came, on CLOCK_MONOTONIC in ns by the clock's tick; 0 is "none by this program"
	__u32 timestamp;
	__u32 jitter; // times 16, in units of the time stamp (RFC 3550, appendix A.8)
	__u32 scale;  // units of the time stamp per ns, times 1 << 32; 0: not known
	__u8 payload_type;
	__u8 jumped; // by more than a stream can lose
	__u16 jump;  // the sequence number that would follow then
	__u32 lost;
	__u32 late;
	__u32 repeated;
	__u32 arrival; // of the last one that jitter was looked at for, on CLOCK_MONOTONIC in 1024 ns; 0: there is none
};

struct flow {
	enum flow_action action;
	enum flow_flag flags;
	__u8 version;
	__u8 targets; // FLOW_FAN: how many there are in the map of targets
	// Folded one's complement sums of what a relayed packet loses in its UDP checksum: source and local. With those of
	// the target they are the same for all packets, so they are summed once, at installation.
	__u16 addrs_in, ports_in;
	__u16 zero;
	struct endpoint source; // the learnt peer
	__u32 zero2;
	__u64 payload_types[2];
	__u64 refused;
	struct target target;
	struct source sources[FLOW_SOURCES];

	// What only some packets need.
	__u64 seen_types[FLOW_SOURCES][2]; // payload types of each SSRC
	__u64 out_packets, out_bytes;      // to each receiver; FLOW_RELAY does not count them, they are those received
	__u64 untracked, untracked_bytes;  // of further SSRCs
	__u64 rtcp, rtcp_bytes;
	__u64 rtcp_when;
	__u64 blocked;
	__u64 untapped; // copies that found no room
	__u64 events[2];
	__u32 clock_scales[FLOW_CLOCKS]; // as in source
	__u8 clock_types[FLOW_CLOCKS];
	__u8 silence_types[FLOW_SILENCES];
	__u8 silence_octets[FLOW_SILENCES]; // 0: none
	__u32 open, seal; // FLOW_SECURE: ciphers; 0: none
	__u64 unauthenticated, replayed;
};

// A copy of a packet for userspace, in one of two sizes.
struct tap {
	struct endpoint local;
	struct endpoint source;
	__u64 when; // CLOCK_MONOTONIC in ns
	__u32 len;  // of the data: UDP payload
	__u32 zero;
};

#define TAP_SMALL 256
#define TAP_LARGE 2048

_Static_assert(sizeof(struct endpoint) == 20, "endpoint is a map key: no hidden padding");
_Static_assert(sizeof(struct hop) == 40, "size of hop");
_Static_assert(sizeof(struct life_sign) == 16, "size of life_sign");
_Static_assert(sizeof(struct target) == 96, "size of target");
_Static_assert(sizeof(struct source) == 64, "size of source");
_Static_assert(sizeof(struct tap) == 56, "size of tap");
_Static_assert(sizeof(struct flow) == 640, "size of flow");
_Static_assert(__builtin_offsetof(struct flow, target) == 64, "what every packet needs comes first");
_Static_assert(__builtin_offsetof(struct flow, sources) == 160, "and stays together");
