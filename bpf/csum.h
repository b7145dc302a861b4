// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Internet checksum arithmetic (RFC 1071, RFC 1624). Sums are one's complement sums of 16-bit words as they lie in
// memory, so byte order never matters.
#pragma once

#include <linux/types.h>

// csum_fold brings a sum down to 16 bits; it does not complement.
static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

// csum_finish complements a sum for a UDP header, where 0 would mean "none" (RFC 768).
static __always_inline __u16 csum_finish(__u64 sum)
{
	__u16 check = ~csum_fold(sum);
	return check ? check : 0xffff;
}

// csum_change replaces a part of what check covers (RFC 1624, equation 3).
static __always_inline __u16 csum_change(__u16 check, __u32 before, __u32 after)
{
	return csum_finish((__u64)(__u16)~check + (__u16)~csum_fold(before) + after);
}
