// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Structures of SRTP that are shared with userspace. This file is their only definition: the Go side is generated from it.
// Padding is explicit and zero.
#pragma once

#include <linux/types.h>

#define CIPHER_STREAMS 4 // SSRCs that the kernel follows for one cipher; packets of others go up

// What is known of one SSRC. All zero is an empty place.
struct cipher_stream {
	__u64 highest; // index of a packet: rollover counter << 16 | sequence number
	__u64 seen[2]; // bit i of the whole tells whether highest - i has passed
	__u32 ssrc;
	__u32 used; // 1: the place is taken
};

// The session keys of one direction of a leg, but for that of AES.
struct cipher_keys {
	__u32 inner[5]; // states of SHA-1 with the padded authentication key taken in (RFC 2104); zero with AEAD
	__u32 outer[5];
	__u8 salt[16]; // of 14 bytes, with AEAD of 12; the rest is zero
};

#define CIPHER_TAG_AEAD 16 // length of the tag of AEAD_AES_*_GCM (RFC 7714), and of no other suite

// Multiples of the hash key of GCM: of n * x^(4 * place), with n as four bits whose highest is the lowest power.
struct ghash_product {
	__u64 high, low; // of the block as one number, its first byte in front
};

struct ghash_table {
	struct ghash_product products[8][16]; // by place and n
};

// What userspace asks of the programs that keep ciphers.
struct cipher_request {
	__u32 id;
	__u32 tag;     // length in bytes
	__u32 key_len; // of the session key
	__s32 error;   // the answer: of making the context
	__u8 key[32];
	struct cipher_keys keys;
	struct cipher_stream stream;
};

_Static_assert(sizeof(struct cipher_stream) == 32, "size of cipher_stream");
_Static_assert(sizeof(struct cipher_keys) == 56, "size of cipher_keys");
_Static_assert(sizeof(struct ghash_table) == 2048, "userspace writes it as numbers");
_Static_assert(sizeof(struct cipher_request) == 136, "size of cipher_request");
