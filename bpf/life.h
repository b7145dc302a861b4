// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The life of all flows together: they end some time after the daemon's last sign of life.
#pragma once

#include <bpf/bpf_helpers.h>

#include "maps.h"

// life_over tells whether the daemon has been dead for too long. It is asked when a next hop is looked up, once a second
// and flow, so that it costs a packet nothing.
static __always_inline bool life_over(void)
{
	const struct life_sign *l;
	__u64 deadline;
	__u32 key = 0;

	l = bpf_map_lookup_elem(&life, &key);
	if (!l)
		return false;
	deadline = *(volatile __u64 *)&l->deadline_ns;
	return deadline && bpf_ktime_get_coarse_ns() > deadline;
}
