// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "ctx_xdp.h"
#include "ctx_full_xdp.h"
#include "ctx_fan_xdp.h"

const struct tap *tap_type __attribute__((unused)); // or its layout would not be told to userspace

char _license[] SEC("license") = "Dual MIT/GPL";

SEC("xdp")
int relay_xdp(struct xdp_md *ctx)
{
	return relay(ctx, HOOK_XDP);
}

SEC("xdp")
int relay_xdp_generic(struct xdp_md *ctx)
{
	return relay(ctx, HOOK_XDP_GENERIC);
}

SEC("xdp")
int full_xdp(struct xdp_md *ctx)
{
	return full(ctx, HOOK_XDP);
}

SEC("xdp")
int full_xdp_generic(struct xdp_md *ctx)
{
	return full(ctx, HOOK_XDP_GENERIC);
}

SEC("xdp")
int fan_xdp(struct xdp_md *ctx)
{
	return fan(ctx);
}

SEC("xdp/devmap")
int fan_xdp_copy(struct xdp_md *ctx)
{
	return fan_copy(ctx);
}
