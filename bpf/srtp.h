// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// SRTP of the suites AES_CM_*_HMAC_SHA1_* (RFC 3711, RFC 6188) and AEAD_AES_*_GCM (RFC 7714): a packet is turned in a buffer, and only what has
// succeeded is written back. Nothing is learnt from a packet before srtp_claim.
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cipher.h"
#include "ghash.h"
#include "reasons.h"
#include "sha1.h"

#define SRTP_MAX 1536       // longest packet, in bytes
#define SRTP_MAX_HEADER 256 // longest RTP header
#define SRTP_MASK 2047      // for the verifier: what SRTP_MAX fits in
#define SRTP_TAG_LONG 10 // of HMAC-SHA1
#define SRTP_TAG_MAX CIPHER_TAG_AEAD
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
	__u8 header[SRTP_MAX_HEADER + AES_BLOCK]; // filled up to whole blocks
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

// srtp_sum_blocks adds the padded header, or len bytes of the packet from start on, to a sum.
__noinline int srtp_sum_blocks(__u32 id, bool header, __u32 start, __u32 len, struct ghash_sum *sum)
{
	struct ghash_table *table = bpf_map_lookup_elem(&ghash_tables, &id);
	struct srtp_buffer *buffer = srtp_buffer();

	if (!table || !buffer || !sum || start > SRTP_MAX_HEADER)
		return -1;
	for (__u32 i = 0; i < SRTP_MAX / AES_BLOCK && AES_BLOCK * i < len; i++) {
		__u64 *pos = (void *)(buffer->packet + start + AES_BLOCK * i);

		if (header)
			pos = (void *)(buffer->header + (AES_BLOCK * i & (SRTP_MAX_HEADER - 1)));
		ghash_block(table, sum, bpf_be64_to_cpu(pos[0]), bpf_be64_to_cpu(pos[1]));
	}
	return 0;
}

// srtp_pad fills packet and header, of which it makes a copy, up with zeros.
__noinline int srtp_pad(__u32 header, __u32 len)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u64 *pos;

	if (!buffer || header > SRTP_MAX_HEADER || len > SRTP_MAX)
		return -1;
	pos = (void *)(buffer->packet + len);
	pos[0] = pos[1] = 0;
	for (__u32 i = 0; i < SRTP_MAX_HEADER / AES_BLOCK && AES_BLOCK * i < header; i++) {
		__u64 *from = (void *)(buffer->packet + AES_BLOCK * i), *to = (void *)(buffer->header + AES_BLOCK * i);

		to[0] = from[0];
		to[1] = from[1];
	}
	pos = (void *)(buffer->header + header);
	pos[0] = pos[1] = 0;
	return 0;
}

// srtp_sum_aead makes the tag of a packet of len bytes, but for the mask that is added to it (RFC 7714, section 5). It writes
// AES_BLOCK bytes behind the packet.
__noinline int srtp_sum_aead(__u32 id, __u32 header, __u32 len, struct ghash_sum *sum)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u64 *bits;

	if (!buffer || !sum || srtp_pad(header, len))
		return -1;
	sum->high = sum->low = 0;
	if (srtp_sum_blocks(id, true, 0, header, sum) || srtp_sum_blocks(id, false, header, len - header, sum))
		return -1;
	bits = (void *)buffer->header;
	bits[0] = bpf_cpu_to_be64(8 * header);
	bits[1] = bpf_cpu_to_be64(8 * (len - header));
	return srtp_sum_blocks(id, true, 0, AES_BLOCK, sum);
}

// srtp_counters fills the stream with the counter blocks for len bytes (RFC 3711, section 4.1.1). With AEAD the first one is for
// the tag (RFC 7714, section 8.1).
__noinline int srtp_counters(const struct cipher_keys *keys, __u32 len, __u32 ssrc, __u64 index, bool aead)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u64 high, low;

	if (!buffer || !keys)
		return -1;
	high = *(__u64 *)keys->salt;
	low = *(__u64 *)(keys->salt + 8);
	if (aead) {
		high ^= bpf_cpu_to_be64((__u64)ssrc << 16 | index >> 32);
		low ^= bpf_cpu_to_be64(index << 32);
	} else {
		high ^= bpf_cpu_to_be64(ssrc);
		low ^= bpf_cpu_to_be64(index << 16);
	}
	for (__u32 i = 0; i <= SRTP_MAX / AES_BLOCK; i++) {
		__u64 *block = (void *)(buffer->stream + AES_BLOCK * i);

		if (AES_BLOCK * i >= len)
			break;
		block[0] = high;
		block[1] = low ^ bpf_cpu_to_be64(i + aead);
	}
	return 0;
}

// srtp_mix adds the stream, behind the block for a tag, to the packet from start on, and runs over the end by up to
// AES_BLOCK - 1 bytes.
__noinline int srtp_mix(__u32 start, __u32 len, bool aead)
{
	struct srtp_buffer *buffer = srtp_buffer();
	__u32 first = aead ? AES_BLOCK : 0;

	if (!buffer || start > SRTP_MAX_HEADER)
		return -1;
	for (__u32 i = 0; i < SRTP_MAX / AES_BLOCK; i++) {
		__u64 *pos = (void *)(buffer->packet + start + AES_BLOCK * i);
		__u64 *stream = (void *)(buffer->stream + first + AES_BLOCK * i);

		if (AES_BLOCK * i >= len)
			break;
		pos[0] ^= stream[0];
		pos[1] ^= stream[1];
	}
	return 0;
}

// srtp_stream makes the key stream for len bytes, with AEAD behind the block for the tag.
static __always_inline bool srtp_stream(struct cipher *cipher, struct srtp_buffer *buffer, __u32 len, const struct srtp_claim *claim,
					bool aead)
{
	struct bpf_crypto_ctx *aes = cipher->aes;
	struct bpf_dynptr stream;
	__u32 blocks;

	if (!aes)
		return false;
	if (aead)
		len += AES_BLOCK;
	if (!len)
		return true;
	blocks = (len + AES_BLOCK - 1) & SRTP_MASK & ~(AES_BLOCK - 1u);
	srtp_counters(&cipher->keys, len, claim->ssrc, claim->index, aead);
	return !bpf_dynptr_from_mem(buffer->stream, blocks, 0, &stream) && !bpf_crypto_encrypt(aes, &stream, &stream, NULL);
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
	__be32 words[4];
};

static __always_inline __u32 srtp_differs(const struct srtp_tag *tag, const struct sha1_state *sum, __u32 len)
{
	__u32 differs = bpf_ntohl(tag->words[0]) ^ sum->h[0];

	if (len == SRTP_TAG_LONG)
		differs |= (bpf_ntohl(tag->words[1]) ^ sum->h[1]) | (bpf_ntohl(tag->words[2]) ^ sum->h[2]) >> 16;
	return differs;
}

// srtp_mask_aead makes of a sum the tag as it is sent.
static __always_inline void srtp_mask_aead(const struct srtp_buffer *buffer, struct ghash_sum *sum)
{
	const __u64 *mask = (const void *)buffer->stream;

	sum->high = bpf_cpu_to_be64(sum->high) ^ mask[0];
	sum->low = bpf_cpu_to_be64(sum->low) ^ mask[1];
}

static __always_inline __u32 srtp_differs_aead(const struct srtp_buffer *buffer, const struct srtp_tag *tag, struct ghash_sum *sum)
{
	srtp_mask_aead(buffer, sum);
	return (tag->words[0] ^ (__u32)sum->high) | (tag->words[1] ^ (__u32)(sum->high >> 32)) |
	       (tag->words[2] ^ (__u32)sum->low) | (tag->words[3] ^ (__u32)(sum->low >> 32));
}

// srtp_open makes RTP of the SRTP packet of len bytes in the buffer, and returns its length, or a reason below zero. Nobody
// has a use for what is refused with REASON_SRTP_AUTH or REASON_SRTP_REPLAY; everything else is for userspace. This and
// srtp_seal are functions of their own so that the verifier walks them once.
__noinline int srtp_open(__u32 id, __u32 len, __u32 header, __u32 ssrc, __u32 seq)
{
	struct srtp_buffer *buffer = srtp_buffer();
	struct cipher *cipher = bpf_map_lookup_elem(&ciphers, &id);
	__u32 tag_len, end, differs;
	struct ghash_sum aead_sum = {};
	struct sha1_state sum = {};
	bool aead;
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
	aead = tag_len == CIPHER_TAG_AEAD;
	tag = *(struct srtp_tag *)(buffer->packet + end);
	if (aead) {
		if (!srtp_stream(cipher, buffer, end - header, claim, true) || srtp_sum_aead(id, header, end, &aead_sum))
			return -REASON_SRTP_KEYS;
		differs = srtp_differs_aead(buffer, &tag, &aead_sum);
	} else {
		if (srtp_hash(&cipher->keys, end, claim->index >> 16, &sum))
			return -REASON_SRTP_LENGTH;
		differs = srtp_differs(&tag, &sum, tag_len);
	}
	if (differs) // or the keys were wiped meanwhile
		return *(volatile __u32 *)&cipher->tag ? -REASON_SRTP_AUTH : -REASON_SRTP_KEYS;
	if (!aead && !srtp_stream(cipher, buffer, end - header, claim, false))
		return -REASON_SRTP_KEYS;
	return srtp_mix(header, end - header, aead) ? -REASON_SRTP_KEYS : (int)end;
}

// srtp_seal makes SRTP of the RTP packet of len bytes in the buffer, and returns its length, or a reason below zero.
__noinline int srtp_seal(__u32 id, __u32 len, __u32 header, __u32 ssrc, __u32 seq)
{
	struct srtp_buffer *buffer = srtp_buffer();
	struct cipher *cipher = bpf_map_lookup_elem(&ciphers, &id);
	struct ghash_sum aead_sum = {};
	struct sha1_state sum = {};
	__u32 tag_len;
	bool aead;
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
	barrier_var(len);
	len &= SRTP_MASK; // for the verifier, here and there
	aead = tag_len == CIPHER_TAG_AEAD;
	if (!srtp_stream(cipher, buffer, len - header, claim, aead) || srtp_mix(header, len - header, aead))
		return -REASON_SRTP_KEYS;
	if (aead) {
		if (srtp_sum_aead(id, header, len, &aead_sum))
			return -REASON_SRTP_KEYS;
		srtp_mask_aead(buffer, &aead_sum);
		*(struct ghash_sum *)(buffer->packet + len) = aead_sum;
		return len + CIPHER_TAG_AEAD;
	}
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
