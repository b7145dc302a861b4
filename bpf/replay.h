// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Packet indices of SRTP: their estimate from sequence numbers and the replay window (RFC 3711, section 3.3).
#pragma once

#include <linux/types.h>
#include <stdbool.h>

#include "cipher_types.h"

#define REPLAY_WINDOW 128
#define REPLAY_MAX_INDEX ((1ull << 48) - 1)

// replay_estimate returns the index of a packet by the highest one so far. What would be before index zero is taken for
// one ahead, as in userspace; late then tells by how much it is behind, and is 0 for all others.
static __always_inline __u64 replay_estimate(__u64 highest, __u16 seq, __s32 *late)
{
	__s32 distance = (__s16)(seq - (__u16)highest);

	*late = 0;
	if (distance == -0x8000 && !(highest & 0x8000))
		distance = 0x8000; // half way round is ahead from the lower half
	if ((__s64)highest + distance < 0) {
		*late = -distance;
		return seq;
	}
	return highest + distance;
}

// replay_fresh tells whether an index was not seen before and is not too old to tell.
static __always_inline bool replay_fresh(const struct cipher_stream *stream, __u64 index)
{
	__u64 behind = stream->highest - index;

	if (index > stream->highest)
		return true;
	if (behind >= REPLAY_WINDOW)
		return false;
	return !((behind < 64 ? stream->seen[0] : stream->seen[1]) >> (behind & 63) & 1);
}

// replay_advance makes an index the highest, if it is.
static __always_inline void replay_advance(struct cipher_stream *stream, __u64 index)
{
	__u64 ahead = index - stream->highest;

	if (index <= stream->highest)
		return;
	stream->highest = index;
	if (ahead >= 64) {
		stream->seen[1] = ahead < REPLAY_WINDOW ? stream->seen[0] << (ahead & 63) : 0;
		stream->seen[0] = 0;
		return;
	}
	stream->seen[1] = stream->seen[1] << ahead | stream->seen[0] >> (64 - ahead);
	stream->seen[0] <<= ahead;
}

// replay_see takes an index in, whether fresh or not.
static __always_inline void replay_see(struct cipher_stream *stream, __u64 index)
{
	__u64 behind;

	replay_advance(stream, index);
	behind = stream->highest - index;
	if (behind < 64)
		stream->seen[0] |= 1ull << behind;
	else if (behind < REPLAY_WINDOW)
		stream->seen[1] |= 1ull << (behind & 63);
}

// replay_merge adds what another has seen of the same stream.
static __always_inline void replay_merge(struct cipher_stream *stream, __u64 highest, __u64 recent, __u64 older)
{
	__u64 behind;

	replay_advance(stream, highest);
	behind = stream->highest - highest;
	if (behind < 64) {
		stream->seen[0] |= recent << behind;
		stream->seen[1] |= older << behind;
		if (behind)
			stream->seen[1] |= recent >> (64 - behind);
	} else if (behind < REPLAY_WINDOW) {
		stream->seen[1] |= recent << (behind & 63);
	}
}
