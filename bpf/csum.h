// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Internet checksum arithmetic (RFC 1071, RFC 1624). Sums are one's complement sums of 16-bit words as they lie in
// memory, so byte order never matters.
#pragma once

#include <bpf/bpf_endian.h>
#include <linux/types.h>

// What a packet loses and gains in its UDP checksum.
struct sums {
	__u16 addrs_in, ports_in;
	__u16 addrs_out, ports_out;
	__u16 pseudo; // gained by the pseudo header but for the addresses
	__u16 inner;  // gained by UDP header and payload but for the ports
	__u16 moves;  // 1: the UDP header moves away from where it was in the buffer
	__u16 zero;
};

// csum_fold brings a sum down to 16 bits; it does not complement.
static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32); // 33 bits
	sum = (sum & 0xffff) + (sum >> 16);     // 18 bits
	sum = (sum & 0xffff) + (sum >> 16);     // at most 0x10001
	return sum + (sum >> 16);
}

// csum_finish complements a sum for a UDP header, where 0 would mean "none" (RFC 768).
static __always_inline __u16 csum_finish(__u64 sum)
{
	__u16 check = ~csum_fold(sum);
	return check ? check : 0xffff;
}

// csum_change replaces a part of what check covers (RFC 1624, equation 3).
static __always_inline __u16 csum_change(__u16 check, __u32 before, __u64 after)
{
	return csum_finish((__u64)(__u16)~check + (__u16)~csum_fold(before) + after);
}

// csum_less is what taking away a part with that sum adds.
static __always_inline __u16 csum_less(__u64 sum)
{
	return ~csum_fold(sum);
}

// csum_octets is the sum of len equal octets.
static __always_inline __u16 csum_octets(__u8 octet, __u32 len)
{
	__u64 sum = (__u64)(len / 2) * (octet | octet << 8);

	if (len & 1)
		sum += bpf_htons(octet << 8);
	return csum_fold(sum);
}
