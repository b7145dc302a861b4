// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "maps.h"

char _license[] SEC("license") = "Dual MIT/GPL";

static long life_forget_hop(const void *map, const struct endpoint *key, struct flow *flow, void *unused)
{
	*(volatile __u64 *)&flow->hop.when = 0;
	return 0;
}

// Has every flow ask for its next hop anew, and tells the time. Userspace runs it when routes or neighbours have changed.
SEC("syscall")
int life_forget(void *ctx)
{
	struct life_sign *l;
	__u32 key = 0;

	l = bpf_map_lookup_elem(&life, &key);
	if (!l)
		return 1;
	l->now = bpf_jiffies64();
	bpf_for_each_map_elem(&flows, life_forget_hop, NULL, 0);
	return 0;
}
