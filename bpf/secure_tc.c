// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "ctx_tc.h"
#include "ctx_secure_tc.h"

char _license[] SEC("license") = "Dual MIT/GPL";

SEC("tc")
int secure_tc(struct __sk_buff *ctx)
{
	return secure(ctx, HOOK_TC);
}
