// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// The programs of the benchmark rig: where packets come from, where they end, and the least a proxy could do.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define HEAD_WORDS 7      // Ethernet, IPv4, UDP and RTP headers and two bytes of payload
#define FRAME_LEN 214     // the headers and 160 bytes of G.711
#define CSUM_OFFSET 40    // of the UDP checksum
#define SEQUENCE_OFFSET 44 // of the RTP sequence number
#define STAMP_OFFSET 46   // of the RTP time stamp
#define FRAME_SAMPLES 160 // 20 ms at 8 kHz
#define SLOT_WORDS 28     // of a prepared frame; its last 8 bytes are kept apart, as it may be a little longer
#define SERIES 262144     // prepared frames, a power of two

// One call's caller as seen on the wire, and where its RTP stream is.
struct flow {
	__u64 head[HEAD_WORDS]; // as sent, but with a zero sequence number, time stamp and UDP checksum
	__u32 sum;              // one's complement sum of all that the UDP checksum covers in such a packet
	__u32 stamp;            // RTP time stamp of the next packet
	__u16 sequence;         // RTP sequence number of the next packet
	__u16 pad[3];
};
_Static_assert(sizeof(struct flow) == 72, "the Go side writes this struct");

// The callers by number. Written by the benchmark before a run, read and advanced by generate.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); // set when the number of calls is known
	__type(key, __u32);
	__type(value, struct flow);
} flows SEC(".maps");

// A frame that was prepared, since no program here could make it.
struct slot {
	__u64 words[SLOT_WORDS];
	__u64 tail; // its last 8 bytes
};
_Static_assert(sizeof(struct slot) == 232, "the Go side writes this struct");

// The prepared frames, a ring: a receiver of SRTP takes none twice. Written by the benchmark between runs, read by replay.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); // SERIES where replay is used
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct slot);
} series SEC(".maps");

const volatile __u32 calls;        // callers in use
const volatile __u32 window;       // most packets under way
const volatile __u32 prepared_len = FRAME_LEN; // of the frames of replay
const volatile __u32 sunk_len = FRAME_LEN;     // of the frames that reach the callee
const volatile __u32 copies = 1; // that reach the callee of each packet
const volatile __u32 spare;        // bytes behind every frame that are taken off before it is sent
const volatile __u32 caller_index; // the caller's device in the caller's host
const volatile __u32 callee_index; // the device towards the callee in the proxy's host

// Packets started and ended. Everything runs on one CPU, so plain additions do.
__u64 sent, sunk;
__u32 next;
__u32 arrived; // copies of the packet that is on its way
__u32 first; // slot of the first frame of a run

// Sends a frame without its spare bytes.
//
// Symptom: SRTP that a proxy's XDP program has made longer or shorter comes back with that length as the next packet.
// Cause: test runs use a frame again as they find it, unless their own program has changed its bounds.
static __always_inline int send(struct xdp_md *ctx)
{
	if (spare && bpf_xdp_adjust_tail(ctx, -(int)spare))
		return XDP_DROP;
	sent++;
	return bpf_redirect(caller_index, 0);
}

// Sends the next packet of the next caller. While the window is full the frame is dropped: the test run calls again.
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 i = next;

	if (sent - sunk >= window || data + FRAME_LEN > end)
		return XDP_DROP;
	struct flow *flow = bpf_map_lookup_elem(&flows, &i);
	if (!flow)
		return XDP_DROP;
	next = i + 1 < calls ? i + 1 : 0;

	// The frame comes back from the last packet as the proxy left it, so all of the headers are written.
	__u64 *head = data;
	for (int w = 0; w < HEAD_WORDS; w++)
		head[w] = flow->head[w];
	__u16 sequence = __builtin_bswap16(flow->sequence);
	__u32 stamp = __builtin_bswap32(flow->stamp);
	*(__u16 *)(data + SEQUENCE_OFFSET) = sequence;
	__builtin_memcpy(data + STAMP_OFFSET, &stamp, sizeof(stamp));
	flow->sequence++;
	flow->stamp += FRAME_SAMPLES;

	__u32 sum = flow->sum + sequence + (stamp & 0xffff) + (stamp >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	__u16 csum = ~sum;
	*(__u16 *)(data + CSUM_OFFSET) = csum ? csum : 0xffff; // zero means no checksum

	return send(ctx);
}

// Sends the next prepared frame, as long as there are any.
SEC("xdp")
int replay(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 length = prepared_len;
	__u32 i = (first + sent) & (SERIES - 1);

	if (sent - sunk >= window || sent >= SERIES)
		return XDP_DROP;
	if (length < sizeof(__u64) * SLOT_WORDS || data + length > end)
		return XDP_DROP;
	struct slot *slot = bpf_map_lookup_elem(&series, &i);
	if (!slot)
		return XDP_DROP;
	__u64 *words = data;
	for (int w = 0; w < SLOT_WORDS; w++)
		words[w] = slot->words[w];
	__builtin_memcpy(data + length - sizeof(slot->tail), &slot->tail, sizeof(slot->tail));

	return send(ctx);
}

// Ends the measured packets at the callee, which have a length of their own; others go on to the host.
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	if (ctx->data_end - ctx->data != sunk_len)
		return XDP_PASS;
	if (++arrived < copies)
		return XDP_DROP;
	arrived = 0;
	sunk++;
	return XDP_DROP;
}

// The floor: moves packets to the callee and looks at nothing.
SEC("xdp")
int bare_redirect(struct xdp_md *ctx)
{
	return bpf_redirect(callee_index, 0);
}

// The floor of tc.
SEC("tc")
int bare_redirect_tc(struct __sk_buff *ctx)
{
	return bpf_redirect(callee_index, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
