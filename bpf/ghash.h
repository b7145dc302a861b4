// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// GHASH (NIST SP 800-38D, section 6.4), by tables of multiples of the hash key.
//
// A block is a polynomial whose lowest power is the highest bit of its first byte. It is taken from its last word of 32 bits to
// the first, with one table for each of the eight places of a nibble in a word. Look-ups do not wait for one another then, and a
// block is reduced four times only.
#pragma once

#include <bpf/bpf_helpers.h>

#include "cipher_types.h"

struct ghash_sum {
	__u64 high, low;
};

// Tables by number of the cipher. Userspace makes and deletes them with it; the programs of cipher.c wipe them before. Memory is
// taken per cipher. When full, the flow stays in userspace.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct ghash_table);
	__uint(max_entries, 1);
} ghash_tables SEC(".maps");

// ghash_word multiplies the sum by x^32 and adds the multiple for a word.
static __always_inline void ghash_word(const struct ghash_table *table, struct ghash_sum *sum, __u32 word)
{
	__u64 out = (__u32)sum->low, high, low;

	low = sum->low >> 32 | sum->high << 32;
	high = sum->high >> 32 ^ (out ^ out << 5 ^ out << 6 ^ out << 7) << 25; // x^128 is 1 + x + x^2 + x^7
#pragma clang loop unroll(full)
	for (int place = 0; place < 8; place++) {
		const void *product = table;

		// One after the other: there are ten registers, and what does not fit in would fill the stack.
		barrier_var(product);
		product += (word >> (28 - 4 * place) & 15) * sizeof(struct ghash_product);
		barrier_var(product);
		high ^= ((const struct ghash_table *)product)->products[place][0].high;
		low ^= ((const struct ghash_table *)product)->products[place][0].low;
	}
	sum->high = high;
	sum->low = low;
}

static __always_inline void ghash_block(const struct ghash_table *table, struct ghash_sum *sum, __u64 high, __u64 low)
{
	__u64 words[2] = {sum->high ^ high, sum->low ^ low};

	sum->high = sum->low = 0;
	ghash_word(table, sum, words[1]);
	ghash_word(table, sum, words[1] >> 32);
	ghash_word(table, sum, words[0]);
	ghash_word(table, sum, words[0] >> 32);
}
