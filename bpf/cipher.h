// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Ciphers: the session keys of SRTP, and what is known of the streams under them. AES is the kernel's, by the kfuncs of
// bpf_crypto (Linux 6.10).
#pragma once

#include <bpf/bpf_helpers.h>

#include "cipher_types.h"
#include "replay.h"

// As in the kernel, which finds its types by name.
struct bpf_crypto_ctx {};
struct bpf_crypto_params {
	char type[14];
	__u8 reserved[2];
	char algo[128];
	__u8 key[256];
	__u32 key_len;
	__u32 authsize;
};

extern struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params, __u32 params__sz,
						    int *err) __ksym;
extern void bpf_crypto_ctx_release(struct bpf_crypto_ctx *ctx) __ksym;
extern int bpf_crypto_encrypt(struct bpf_crypto_ctx *ctx, const struct bpf_dynptr *src, const struct bpf_dynptr *dst,
			      const struct bpf_dynptr *siv__nullable) __ksym;

struct cipher {
	struct bpf_crypto_ctx __kptr *aes;
	struct bpf_spin_lock lock; // of tag and streams
	__u32 tag;                 // length in bytes; 0: not ready yet, or on its way out
	struct cipher_keys keys;
	struct cipher_stream streams[CIPHER_STREAMS];
};

_Static_assert(sizeof(struct cipher) == 200, "userspace reads a cipher by these offsets");
_Static_assert(__builtin_offsetof(struct cipher, streams) == 72, "userspace reads a cipher by these offsets");

// Ciphers by number. Userspace makes an empty one and has the programs of cipher.c fill and wipe it; it takes part in what
// is known of the streams through them, too. Memory is taken per cipher. When full, the flow stays in userspace.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct cipher);
	__uint(max_entries, 1);
} ciphers SEC(".maps");

// cipher_find returns the place of an SSRC; CIPHER_STREAMS when it has none.
static __always_inline __u32 cipher_find(const struct cipher *cipher, __u32 ssrc)
{
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < CIPHER_STREAMS; i++)
		if (cipher->streams[i].ssrc == ssrc && cipher->streams[i].used)
			return i;
	return CIPHER_STREAMS;
}
