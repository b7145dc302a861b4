// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// What userspace does with ciphers. Programs, because only they can make a context for AES, and can change what is known of
// a stream without coming between the packets. Each returns 0, or a negative error number.
#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "parse.h"
#include "srtp.h"

char _license[] SEC("license") = "Dual MIT/GPL";

// cipher_set gives the empty cipher request->id its keys. What is secret is wiped from the request, and from the stack.
SEC("syscall")
int cipher_set(struct cipher_request *request)
{
	struct bpf_crypto_params params = {.type = "skcipher", .algo = "ecb(aes)"};
	struct bpf_crypto_ctx *aes;
	struct cipher *cipher;
	__u32 id = request->id;
	int error = 0;

	__builtin_memcpy(params.key, request->key, sizeof(request->key));
	params.key_len = request->key_len;
	aes = bpf_crypto_ctx_create(&params, sizeof(params), &error);
	__builtin_memset(params.key, 0, sizeof(request->key));
	barrier_var(params.key_len);
	__builtin_memset(request->key, 0, sizeof(request->key));
	request->error = error;
	if (!aes)
		return -EINVAL;
	cipher = bpf_map_lookup_elem(&ciphers, &id);
	if (!cipher) {
		bpf_crypto_ctx_release(aes);
		return -ENOENT;
	}
	__builtin_memcpy(&cipher->keys, &request->keys, sizeof(cipher->keys));
	__builtin_memset(&request->keys, 0, sizeof(request->keys));
	aes = bpf_kptr_xchg(&cipher->aes, aes);
	if (aes)
		bpf_crypto_ctx_release(aes);
	bpf_spin_lock(&cipher->lock);
	cipher->tag = request->tag;
	bpf_spin_unlock(&cipher->lock);
	return 0;
}

// cipher_follow tells the cipher request->id of a stream: a new one, or what userspace has seen of one that is there. The
// stream takes what is higher.
SEC("syscall")
int cipher_follow(struct cipher_request *request)
{
	struct cipher_stream *stream;
	struct cipher *cipher;
	__u32 id = request->id, ssrc = request->stream.ssrc, place;
	__u64 highest = request->stream.highest, recent = request->stream.seen[0], older = request->stream.seen[1];
	int error = 0;

	cipher = bpf_map_lookup_elem(&ciphers, &id);
	if (!cipher)
		return -ENOENT;
	bpf_spin_lock(&cipher->lock);
	place = cipher_find(cipher, ssrc);
	if (place < CIPHER_STREAMS) {
		stream = &cipher->streams[place];
		replay_merge(stream, highest, recent, older);
	} else {
		error = -ENOSPC;
		for (__u32 i = 0; i < CIPHER_STREAMS; i++) {
			stream = &cipher->streams[i];
			if (stream->used)
				continue;
			stream->highest = highest;
			stream->seen[0] = recent;
			stream->seen[1] = older;
			stream->ssrc = ssrc;
			stream->used = 1;
			error = 0;
			break;
		}
	}
	bpf_spin_unlock(&cipher->lock);
	return error;
}

// cipher_wipe takes the keys from the cipher request->id. Packets that are under way are not sent any more. What is known of
// its streams stays for userspace to read, which then deletes it.
SEC("syscall")
int cipher_wipe(struct cipher_request *request)
{
	struct ghash_table *table;
	struct bpf_crypto_ctx *aes;
	struct cipher *cipher;
	__u32 id = request->id;

	cipher = bpf_map_lookup_elem(&ciphers, &id);
	if (!cipher)
		return -ENOENT;
	bpf_spin_lock(&cipher->lock);
	cipher->tag = 0;
	bpf_spin_unlock(&cipher->lock);
	aes = bpf_kptr_xchg(&cipher->aes, NULL);
	if (aes)
		bpf_crypto_ctx_release(aes);
	__builtin_memset(&cipher->keys, 0, sizeof(cipher->keys));
	table = bpf_map_lookup_elem(&ghash_tables, &id);
	if (table)
		for (int place = 0; place < 8; place++)
			for (int n = 0; n < 16; n++)
				*(volatile __u64 *)&table->products[place][n].high = *(volatile __u64 *)&table->products[place][n].low = 0;
	return 0;
}

// What cipher_try finds at the beginning of a packet.
struct trial {
	__u32 open; // ciphers; 0: none
	__u32 seal;
};

// cipher_try opens and seals the RTP packet behind a struct trial, if it is not refused; it returns the reason. It is
// attached nowhere: userspace sees with it whether the kernel calculates as it should.
SEC("xdp")
int cipher_try(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct trial *trial = (void *)(long)ctx->data;
	struct rtp *rtp = (void *)(trial + 1);
	struct srtp_buffer *buffer = srtp_buffer();
	struct cipher *open = NULL, *seal = NULL;
	enum reason reason;
	__u32 len, before, id, ssrc, seq;
	int turned;

	if (!buffer || (void *)(rtp + 1) > end)
		return REASON_TRUNCATED;
	seq = bpf_ntohs(rtp->seq);
	ssrc = bpf_ntohl(rtp->ssrc);
	before = len = end - (void *)rtp;
	if (len > SRTP_MAX)
		return REASON_SRTP_LENGTH;
	id = trial->open;
	if (id && !(open = bpf_map_lookup_elem(&ciphers, &id)))
		return REASON_SRTP_KEYS;
	id = trial->seal;
	if (id && !(seal = bpf_map_lookup_elem(&ciphers, &id)))
		return REASON_SRTP_KEYS;
	if (bpf_xdp_load_bytes(ctx, sizeof(*trial), buffer->packet, srtp_size(len)))
		return REASON_TRUNCATED;
	if (open) {
		turned = srtp_open(trial->open, len, sizeof(*rtp), ssrc, seq);
		reason = turned < 0 ? (enum reason)-turned : srtp_claim(open, &buffer->opened, true);
		if (reason != REASON_RELAYED)
			return reason;
		len = turned;
	}
	if (seal) {
		turned = srtp_seal(id, len, sizeof(*rtp), ssrc, seq);
		reason = turned < 0 ? (enum reason)-turned : srtp_claim(seal, &buffer->sealed, false);
		if (reason != REASON_RELAYED)
			return reason;
		len = turned;
	}
	if (bpf_xdp_adjust_tail(ctx, (int)len - (int)before))
		return REASON_TOO_BIG;
	return bpf_xdp_store_bytes(ctx, sizeof(*trial), buffer->packet, srtp_size(len)) ? REASON_TRUNCATED : REASON_RELAYED;
}
