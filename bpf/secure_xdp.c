// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "ctx_xdp.h"
#include "ctx_secure_xdp.h"

char _license[] SEC("license") = "Dual MIT/GPL";

SEC("xdp")
int secure_xdp(struct xdp_md *ctx)
{
	return secure(ctx, HOOK_XDP);
}

SEC("xdp")
int secure_xdp_generic(struct xdp_md *ctx)
{
	return secure(ctx, HOOK_XDP_GENERIC);
}
