// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// All maps. Userspace creates them once and gives the same ones to every program, but for the stages, which every object
// file has its own of.
#pragma once

#include <bpf/bpf_helpers.h>

#include "reasons.h"
#include "types.h"

// Flows by local address and port. Written by userspace (install, remove); the programs update next hop and counters
// in place. Memory is taken per flow, up to the cap that userspace sets; when full, installation fails and the packets
// stay with the socket.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct endpoint);
	__type(value, struct flow);
	__uint(max_entries, 1);
} flows SEC(".maps");

// Receivers of flows that have several, by local address, port and number of their group from 1; TARGET_RTCP has the receiver
// of RTCP that comes to a port of RTP. Written by userspace before their flow and removed after it; the programs update next hops
// in place. When full, installation fails.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct endpoint);
	__type(value, struct target_group);
	__uint(max_entries, 1);
} targets SEC(".maps");

// Network devices. Written by userspace, every few seconds; read when a next hop is looked up. A device that is missing,
// also because the map is full, is not sent to by XDP: tc serves it.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct port);
	__uint(max_entries, 4096);
} ports SEC(".maps");

// The VLAN device of each tag. Written by userspace with the ports. Frames with other tags go up, as the kernel drops what
// no device is for.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct vlan);
	__type(value, __u32);
	__uint(max_entries, 4096);
} vlans SEC(".maps");

// Packets by exit. Written by the programs, each CPU its own, read by userspace.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum reason);
	__type(value, struct exit_count);
	__uint(max_entries, REASON_COUNT);
} exits SEC(".maps");

// Copies of packets for userspace. When it is full, the flow counts what finds no room, and the packet goes its way.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} taps SEC(".maps");

// One entry. Written by userspace every few seconds, read when a next hop is looked up: flows whose daemon is dead end by
// themselves.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct life_sign);
	__uint(max_entries, 1);
} life SEC(".maps");
