// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// SHA-1 (FIPS 180-4, section 6.1).
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/types.h>

struct sha1_state {
	__u32 h[5];
};

struct sha1_block {
	__be32 words[16];
};

// Keep a value in a register, so that the compiler makes no other arithmetic of it, nor the work of later rounds early: there
// are ten registers, and what does not fit in would fill the stack.
#define SHA1_PIN(x) asm volatile("" : "+r"(x))
#define SHA1_PIN32(x) asm volatile("" : "+w"(x))

// sha1_word is the next word of the message schedule, in place of the one sixteen before.
static __always_inline __u32 sha1_word(volatile __u32 *words, int i)
{
	__u64 word = words[(i - 3) & 15] ^ words[(i - 8) & 15] ^ words[(i - 14) & 15] ^ words[i & 15];
	__u64 twice;

	SHA1_PIN(word);
	twice = word;
	SHA1_PIN(twice);
	word = word << 32 | twice;
	SHA1_PIN(word);
	return word >> 31;
}

static __always_inline __u32 sha1_mix(int i, __u32 b, __u32 c, __u32 d)
{
	if (i < 20)
		return (d ^ (b & (c ^ d))) + 0x5a827999;
	if (i < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (i < 60)
		return (b & c) + (d & (b ^ c)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

// sha1_update takes one block in. It is a function of its own so that the verifier walks it once.
//
// There is no instruction that rotates. A word that stands twice in a register is rotated by a shift, so a and b are kept
// like that; of all others only the lower half counts. What depends on the round before is added last.
__noinline int sha1_update(struct sha1_state *state, const struct sha1_block *block)
{
	volatile __u32 words[16];
	__u64 a, b, c, d, e;

	if (!state || !block)
		return -1;
	a = state->h[0] | (__u64)state->h[0] << 32;
	b = state->h[1] | (__u64)state->h[1] << 32;
	c = state->h[2];
	d = state->h[3];
	e = state->h[4];
#pragma clang loop unroll(full)
	for (int i = 0; i < 80; i++) {
		__u32 word = i < 16 ? bpf_ntohl(block->words[i]) : sha1_word(words, i);
		__u32 sum = (__u32)e + word;
		__u64 shifted = a, next;

		words[i & 15] = word;
		sum += sha1_mix(i, b, c, d);
		SHA1_PIN32(sum);
		SHA1_PIN(shifted);
		shifted >>= 27;
		sum += (__u32)shifted;
		SHA1_PIN32(sum);
		e = d;
		d = c;
		c = b >> 2;
		b = a;
		next = sum;
		SHA1_PIN(next);
		a = next << 32 | next;
		SHA1_PIN(a);
		SHA1_PIN(c);
	}
	state->h[0] += a;
	state->h[1] += b;
	state->h[2] += c;
	state->h[3] += d;
	state->h[4] += e;
	return 0;
}
