// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// All maps. Userspace creates them once and gives the same ones to every program.
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

// PORT_* by network device. Written by userspace, every few seconds; read when a next hop is looked up. A device that
// is missing, also because the map is full, is not sent to by XDP: tc serves it.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, enum port_flag);
	__uint(max_entries, 4096);
} ports SEC(".maps");

// Packets by exit. Written by the programs, each CPU its own, read by userspace.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, enum reason);
	__type(value, struct exit_count);
	__uint(max_entries, REASON_COUNT);
} exits SEC(".maps");

// One entry. Written by userspace every few seconds, read when a next hop is looked up: flows whose daemon is dead end by
// themselves.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct life_sign);
	__uint(max_entries, 1);
} life SEC(".maps");
