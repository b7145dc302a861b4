// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// What needs a walk through the payload. The functions are not inlined, so that the verifier walks their loops once. Of a
// packet in tc, they see what ctx_admit has made readable.
#pragma once

#include <bpf/bpf_helpers.h>

#include "csum.h"
#include "parse.h"

#define PAYLOAD_WORDS 512 // longest part that is walked through, in 32-bit words
#define PAYLOAD_OFF 0x7ff // largest offset, a mask

// payload_sum sums the len bytes at off, folded; -1 when they are too many, or not there.
__noinline int payload_sum(ctx_t *ctx, __u32 off, __u32 len)
{
	void *pos = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 sum = 0;

	if (off > PAYLOAD_OFF || len > PAYLOAD_WORDS * 4)
		return -1;
	pos += off;
	for (int i = 0; i < PAYLOAD_WORDS && len >= 4; i++) {
		barrier_var(pos); // or the compiler works out the end in advance, with arithmetic the verifier refuses
		if (pos + 4 > end)
			return -1;
		sum += *(__u32 *)pos;
		pos += 4;
		len -= 4;
	}
	if (len >= 2) {
		if (pos + 2 > end)
			return -1;
		sum += *(__u16 *)pos;
		pos += 2;
		len -= 2;
	}
	if (len) {
		if (pos + 1 > end)
			return -1;
		sum += bpf_htons(*(__u8 *)pos << 8);
	}
	return csum_fold(sum);
}

// payload_fill makes the len bytes at off octets of one kind; -1 when they are too many, or not there.
__noinline int payload_fill(ctx_t *ctx, __u32 off, __u32 len, __u32 octet)
{
	void *pos = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 word = (octet & 0xff) * 0x01010101;

	if (off > PAYLOAD_OFF || len > PAYLOAD_WORDS * 4)
		return -1;
	pos += off;
	for (int i = 0; i < PAYLOAD_WORDS && len >= 4; i++) {
		barrier_var(pos);
		if (pos + 4 > end)
			return -1;
		*(__u32 *)pos = word;
		pos += 4;
		len -= 4;
	}
	for (int i = 0; i < 3 && len; i++) {
		barrier_var(pos);
		if (pos + 1 > end)
			return -1;
		*(__u8 *)pos = word;
		pos += 1;
		len--;
	}
	return 0;
}

// payload_byte reads one byte; -1 when it is not there.
static __always_inline int payload_byte(ctx_t *ctx, __u32 off)
{
	void *pos = ctx_data(ctx);

	if (off > PAYLOAD_OFF)
		return -1;
	pos += off;
	if (pos + 1 > ctx_end(ctx))
		return -1;
	return *(__u8 *)pos;
}
