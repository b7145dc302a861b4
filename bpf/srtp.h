// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// SRTP of the suites AES_CM_*_HMAC_SHA1_* (RFC 3711, RFC 6188): a packet is turned in a buffer, and only what has
// succeeded is written back. Nothing is learnt from a packet before srtp_claim.
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cipher.h"
#include "reasons.h"
#include "sha1.h"

#define SRTP_MAX 1536       // longest packet, in bytes
#define SRTP_MAX_HEADER 256 // longest RTP header
#define SRTP_MASK 2047      // for the verifier: what SRTP_MAX fits in
#define SRTP_TAG_MAX 10
#define AES_BLOCK 16

// A packet that has been turned, and not been accounted for.
struct srtp_claim {
	__u64 index;
	__u32 ssrc;
	__u32 place; // in the cipher
};

// Where one packet is turned.
struct srtp_buffer {
	__u8 packet[SRTP_MASK + 1]; // from the RTP header on, with room for what is hashed behind it
	__u8 stream[SRTP_MASK + 1]; // counter blocks, then key stream
	struct sha1_block last;     // to be hashed
	struct srtp_claim opened, sealed;
};

// A buffer for each CPU, as no program that uses it interrupts another.
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct srtp_buffer);
	__uint(max_entries, 1);
} srtp_buffers SEC(".maps");

static __always_inline struct srtp_buffer *srtp_buffer(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&srtp_buffers, &zero);
}

// srtp_size gives the helpers a length from 1 to SRTP_MAX in a form in which the verifier believes that.
static __always_inline __u64 srtp_size(__u64 len)
{
	asm volatile("%0 += -1; %0 &= 2047; %0 += 1" : "+r"(len));
	return len;
}

// srtp_hash makes the tag of the first len bytes of the packet and its rollover counter (RFC 3711, section 4.2). It writes
// up to 76 bytes behind them.
__noinline int srtp_hash(const struct cipher_keys *keys, __u32 len, __u32 roc, struct sha1_state *tag)
{
	struct srtp_buffer *buffer = srtp_buffer();
	struct sha1_block *last;
	__u32 end;
	__u8 *pos;

	if (!buffer || !keys || !tag || len > SRTP_MAX)
		return -1;
	pos = buffer->packet + len;
	*(__be32 *)pos = bpf_htonl(roc);
	for (int i = 0; i < 9; i++)
		*(__u64 *)(pos + 4 + 8 * i) = 0;
	pos[4] = 0x80;
	end = (len + 4 + 1 + 8 + 63) & ~63u;
	pos = buffer->packet + ((end - 4) & SRTP_MASK & ~3u);
	*(__be32 *)pos = bpf_htonl(8 * (64 + len + 4));

	__builtin_memcpy(tag, keys->inner, sizeof(*tag));
	for (__u32 i = 0; i < (SRTP_MAX + 76) / 64; i++) {
		if (64 * i >= end)
			break;
		sha1_update(tag, (void *)(buffer->packet + 64 * i));
	}
	last = &buffer->last;
	__builtin_memset(last, 0, sizeof(*last));
	for (int i = 0; i < 5; i++)
		last->words[i] = bpf_htonl(tag->h[i]);
	last->words[5] = bpf_htonl(0x80000000);
	last->words[15] = bpf_htonl(8 * (64 + 20));
	__builtin_memcpy(tag, keys->outer, sizeof(*tag));
	return sha1_update(tag, last);
}

// srtp_counters fills the stream with the counter blocks for len bytes (RFC 3711, section 4.1.1).
__noinline int srtp_counters(const struct cipher_keys *keys, __u32 len, __u32 ssrc, __u64 index)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u64 high, low;

	if (!buffer || !keys)
		return -1;
	high = *(__u64 *)keys->salt ^ bpf_cpu_to_be64(ssrc);
	low = *(__u64 *)(keys->salt + 8) ^ bpf_cpu_to_be64(index << 16);
	for (__u32 i = 0; i < SRTP_MAX / AES_BLOCK; i++) {
		__u64 *block = (void *)(buffer->stream + AES_BLOCK * i);

		if (AES_BLOCK * i >= len)
			break;
		block[0] = high;
		block[1] = low ^ bpf_cpu_to_be64(i);
	}
	return 0;
}

// srtp_mix adds the stream to the packet from start on, and runs over the end by up to AES_BLOCK - 1 bytes.
__noinline int srtp_mix(__u32 start, __u32 len)
{
	struct srtp_buffer *buffer = srtp_buffer();

	if (!buffer || start > SRTP_MAX_HEADER)
		return -1;
	for (__u32 i = 0; i < SRTP_MAX / AES_BLOCK; i++) {
		__u64 *pos = (void *)(buffer->packet + start + AES_BLOCK * i);
		__u64 *stream = (void *)(buffer->stream + AES_BLOCK * i);

		if (AES_BLOCK * i >= len)
			break;
		pos[0] ^= stream[0];
		pos[1] ^= stream[1];
	}
	return 0;
}

// srtp_crypt encrypts or decrypts what is between start and end.
static __always_inline bool srtp_crypt(struct cipher *cipher, struct srtp_buffer *buffer, __u32 start, __u32 end,
				       const struct srtp_claim *claim)
{
	struct bpf_crypto_ctx *aes = cipher->aes;
	__u32 len = end - start, blocks;
	struct bpf_dynptr stream;

	if (!aes)
		return false;
	if (!len)
		return true;
	blocks = (len + AES_BLOCK - 1) & SRTP_MASK & ~(AES_BLOCK - 1u);
	srtp_counters(&cipher->keys, len, claim->ssrc, claim->index);
	if (bpf_dynptr_from_mem(buffer->stream, blocks, 0, &stream))
		return false;
	if (bpf_crypto_encrypt(aes, &stream, &stream, NULL))
		return false;
	return !srtp_mix(start, len);
}

// srtp_find looks for the stream of a packet and estimates its index.
static __always_inline enum reason srtp_find(const struct cipher *cipher, __u32 ssrc, __u16 seq, struct srtp_claim *claim,
					     __s32 *late)
{
	__u32 place = cipher_find(cipher, ssrc);

	claim->ssrc = ssrc;
	claim->place = place;
	if (place >= CIPHER_STREAMS)
		return REASON_SRTP_STREAM;
	claim->index = replay_estimate(*(volatile __u64 *)&cipher->streams[place].highest, seq, late);
	return claim->index > REPLAY_MAX_INDEX ? REASON_SRTP_STREAM : REASON_RELAYED;
}

// srtp_tag is the tag at pos, and srtp_differs compares it in constant time.
struct srtp_tag {
	__be32 words[3];
};

static __always_inline __u32 srtp_differs(const struct srtp_tag *tag, const struct sha1_state *sum, __u32 len)
{
	__u32 differs = bpf_ntohl(tag->words[0]) ^ sum->h[0];

	if (len == SRTP_TAG_MAX)
		differs |= (bpf_ntohl(tag->words[1]) ^ sum->h[1]) | (bpf_ntohl(tag->words[2]) ^ sum->h[2]) >> 16;
	return differs;
}

// srtp_open makes RTP of the SRTP packet of len bytes in the buffer, and returns its length, or a reason below zero. Nobody
// has a use for what is refused with REASON_SRTP_AUTH or REASON_SRTP_REPLAY; everything else is for userspace. This and
// srtp_seal are functions of their own so that the verifier walks them once.
__noinline int srtp_open(__u32 id, __u32 len, __u32 header, __u32 ssrc, __u32 seq)
{
	struct srtp_buffer *buffer = srtp_buffer();
	struct cipher *cipher = bpf_map_lookup_elem(&ciphers, &id);
	__u32 tag_len, end;
	struct sha1_state sum = {};
	struct srtp_claim *claim;
	enum reason reason;
	struct srtp_tag tag;
	__s32 late;

	if (!cipher || !buffer)
		return -REASON_SRTP_KEYS;
	claim = &buffer->opened;
	tag_len = *(volatile __u32 *)&cipher->tag;
	if (!tag_len)
		return -REASON_SRTP_KEYS;
	if (len > SRTP_MAX || tag_len > SRTP_TAG_MAX || header > SRTP_MAX_HEADER || len < header + tag_len)
		return -REASON_SRTP_LENGTH;
	reason = srtp_find(cipher, ssrc, seq, claim, &late);
	if (reason != REASON_RELAYED)
		return -(int)reason;
	if (!replay_fresh(&cipher->streams[claim->place & (CIPHER_STREAMS - 1)], claim->index))
		return -REASON_SRTP_REPLAY;
	end = len - tag_len;
	if (end > SRTP_MAX)
		return -REASON_SRTP_LENGTH; // for the verifier
	tag = *(struct srtp_tag *)(buffer->packet + end);
	if (srtp_hash(&cipher->keys, end, claim->index >> 16, &sum))
		return -REASON_SRTP_LENGTH;
	if (srtp_differs(&tag, &sum, tag_len)) // or the keys were wiped meanwhile
		return *(volatile __u32 *)&cipher->tag ? -REASON_SRTP_AUTH : -REASON_SRTP_KEYS;
	return srtp_crypt(cipher, buffer, header, end, claim) ? (int)end : -REASON_SRTP_KEYS;
}

// srtp_seal makes SRTP of the RTP packet of len bytes in the buffer, and returns its length, or a reason below zero.
__noinline int srtp_seal(__u32 id, __u32 len, __u32 header, __u32 ssrc, __u32 seq)
{
	struct srtp_buffer *buffer = srtp_buffer();
	struct cipher *cipher = bpf_map_lookup_elem(&ciphers, &id);
	__u32 tag_len;
	struct sha1_state sum = {};
	struct srtp_claim *claim;
	enum reason reason;
	struct srtp_tag *tag;
	__s32 late;

	if (!cipher || !buffer)
		return -REASON_SRTP_KEYS;
	claim = &buffer->sealed;
	tag_len = *(volatile __u32 *)&cipher->tag;
	if (!tag_len)
		return -REASON_SRTP_KEYS;
	if (len > SRTP_MAX - SRTP_TAG_MAX || tag_len > SRTP_TAG_MAX || header > SRTP_MAX_HEADER || len < header)
		return -REASON_SRTP_LENGTH;
	reason = srtp_find(cipher, ssrc, seq, claim, &late);
	if (reason != REASON_RELAYED)
		return -(int)reason;
	if (late > 0 && late <= REPLAY_WINDOW)
		return -REASON_SRTP_STREAM; // of before the first packet: a receiver would lose count
	if (!srtp_crypt(cipher, buffer, header, len, claim))
		return -REASON_SRTP_KEYS;
	if (srtp_hash(&cipher->keys, len, claim->index >> 16, &sum))
		return -REASON_SRTP_LENGTH;
	tag = (void *)(buffer->packet + len);
	for (int i = 0; i < 3; i++)
		tag->words[i] = bpf_htonl(sum.h[i]);
	return len + tag_len;
}

// srtp_claim accounts for a packet that is about to be sent. After another reason than REASON_RELAYED it must not be.
static __always_inline enum reason srtp_claim(struct cipher *cipher, const struct srtp_claim *claim, bool open)
{
	struct cipher_stream *stream = &cipher->streams[claim->place & (CIPHER_STREAMS - 1)];
	enum reason reason = REASON_RELAYED;

	bpf_spin_lock(&cipher->lock);
	if (!cipher->tag || stream->ssrc != claim->ssrc)
		reason = REASON_SRTP_KEYS; // wiped meanwhile
	else if (open && !replay_fresh(stream, claim->index))
		reason = REASON_SRTP_REPLAY; // the same packet on another CPU
	else
		replay_see(stream, claim->index);
	bpf_spin_unlock(&cipher->lock);
	return reason;
}

// srtp_sum is the sum of the first len bytes of the packet, for its checksum. It writes up to three bytes behind them.
__noinline int srtp_sum(__u32 len)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u32 sum = 0;

	if (!buffer || len > SRTP_MAX)
		return 0;
	*(__u32 *)(buffer->packet + len) = 0;
	len = (len + 3) & ~3u;
	for (__u32 pos = 0; pos < SRTP_MAX; pos += 512) { // kernels before 6.13 take no more at once
		__u32 part = len - pos;

		if (pos >= len)
			break;
		sum = bpf_csum_diff(NULL, 0, (void *)(buffer->packet + pos), part < 512 ? part : 512, sum);
	}
	return csum_fold(sum);
}
