// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "ctx_tc.h"
#include "ctx_full_tc.h"
#include "ctx_fan_tc.h"

char _license[] SEC("license") = "Dual MIT/GPL";

SEC("tc")
int relay_tc(struct __sk_buff *ctx)
{
	return relay(ctx, HOOK_TC);
}

SEC("tc")
int full_tc(struct __sk_buff *ctx)
{
	return full(ctx, HOOK_TC);
}

SEC("tc")
int fan_tc(struct __sk_buff *ctx)
{
	return fan(ctx);
}
