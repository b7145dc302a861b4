// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// What full.h and fan.h know of the packet in hand. It is too much for the stack, and its parts are worked out by functions
// of their own, so that the verifier walks through each of them once.
#pragma once

#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "maps.h"
#include "parse.h"

// What is to be done to a packet, besides new headers.
struct change {
	__u32 strip;  // so many bytes of header extension go
	__u8 octet;   // the payload becomes these; 0: it stays
	__u8 blocked; // the packet ends here
	__u16 zero;
};

// A packet as one flow received it.
struct seen {
	struct endpoint local; // of the flow
	__u32 ssrc, timestamp;
	__u16 seq;
	__u16 zero;
};

struct work {
	struct packet pkt;    // as it came, and as it will leave in the end
	struct packet shown;  // tc: the RTP header as it leaves, and as the receiver before was sent it
	struct target target; // where it goes
	struct hop hop;
	struct sums sums;
	struct change change;
	struct seen seen[FLOW_CHAIN];
	__u32 flows;         // of seen
	__u32 off;           // of the UDP header
	__u32 silence;       // length of the payload to be silenced
	__u32 receivers;     // fan.h: how many
	__u32 number;        // of a packet that XDP copies
	__u32 sent;          // of these copies so far
	struct fan_key egress; // where they go
	__u64 now;
	__u64 inner;         // see struct sums, not folded yet
	struct endpoint source; // of the packet as it came
	enum flow_flag flags;   // of the first flow
};

// One for each CPU: programs of one CPU do not interrupt each other.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct work);
	__uint(max_entries, 1);
} works SEC(".maps");

static __always_inline struct work *work_begin(void)
{
	__u32 key = 0;
	struct work *w = bpf_map_lookup_elem(&works, &key);

	if (w)
		__builtin_memset(w, 0, sizeof(*w));
	return w;
}

// Before Linux 6.6 a key has to be on the stack: what a function is given a pointer to will not do.

static __always_inline struct flow *work_flow(const struct endpoint *local)
{
	struct endpoint key = *local;

	return bpf_map_lookup_elem(&flows, &key);
}

static __always_inline struct target_group *work_targets(const struct endpoint *local, __u16 index)
{
	struct endpoint key = *local;

	key.index = index;
	return bpf_map_lookup_elem(&targets, &key);
}
