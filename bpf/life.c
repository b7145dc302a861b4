// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "maps.h"

char _license[] SEC("license") = "Dual MIT/GPL";

static long life_forget_flow(const void *map, const struct endpoint *key, struct flow *flow, void *unused)
{
	*(volatile __u64 *)&flow->target.hop.when = 0;
	return 0;
}

static long life_forget_targets(const void *map, const struct endpoint *key, struct target_group *group, void *unused)
{
	for (int i = 0; i < TARGET_GROUP; i++)
		*(volatile __u64 *)&group->of[i].hop.when = 0;
	return 0;
}

// Has every flow ask for its next hops anew. Userspace runs it when routes or neighbours have changed.
SEC("syscall")
int life_forget(void *ctx)
{
	bpf_for_each_map_elem(&flows, life_forget_flow, NULL, 0);
	bpf_for_each_map_elem(&targets, life_forget_targets, NULL, 0);
	return 0;
}
