// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Hands UDP datagrams to the sockets of userspace's workers by the local address and port they come to, so that a media
// port needs no socket of its own. What is not listed goes the way it always goes. Connected sockets of other programs are
// found before this program is asked.
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "Dual MIT/GPL";

#define INET 2 // AF_INET

// A local address, IPv4 in its v4-mapped form, in network order.
struct steer_address {
	__be32 addr[4];
};

struct steer_ports {
	__u8 owner[65536];
};

enum steer_family {
	STEER_IPV4,
	STEER_IPV6,
	STEER_FAMILIES,
};

// Local addresses and their places in the map of ports. Written by userspace once, before the program is attached.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct steer_address);
	__type(value, __u32);
	__uint(max_entries, 1);
} addresses SEC(".maps");

// Whose the ports of a local address are, by port in host order: 0 is nobody's, n is worker n-1's. Userspace writes it through
// a mapping, which costs no system call per port.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct steer_ports);
	__uint(max_entries, 1);
} ports SEC(".maps");

// The sockets of the workers, STEER_FAMILIES each: the first for IPv4, the second for IPv6. Written by userspace; closing a
// socket takes it out.
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} sockets SEC(".maps");

SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	struct steer_address local = {};
	struct steer_ports *table;
	__u32 *place, port, socket, ip4;
	struct bpf_sock *sk;
	__u8 owner;

	if (ctx->protocol != IPPROTO_UDP)
		return SK_PASS;
	if (ctx->family == INET) {
		ip4 = ctx->local_ip4;
		// Or else the compiler makes one load of this and the last one below, from a computed address, which the verifier refuses.
		asm volatile("" : "+r"(ip4));
		local.addr[2] = bpf_htonl(0xffff);
		local.addr[3] = ip4;
	} else {
		local.addr[0] = ctx->local_ip6[0];
		local.addr[1] = ctx->local_ip6[1];
		local.addr[2] = ctx->local_ip6[2];
		local.addr[3] = ctx->local_ip6[3];
	}
	place = bpf_map_lookup_elem(&addresses, &local);
	if (!place)
		return SK_PASS;
	table = bpf_map_lookup_elem(&ports, place);
	if (!table)
		return SK_PASS;
	port = ctx->local_port & 0xffff;
	owner = table->owner[port];
	if (!owner)
		return SK_PASS;
	socket = (owner - 1) * STEER_FAMILIES + (ctx->family == INET ? STEER_IPV4 : STEER_IPV6);
	sk = bpf_map_lookup_elem(&sockets, &socket);
	if (!sk)
		return SK_PASS;
	// A refusal is no fault: another such program has chosen already, and the packet goes where that says.
	bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return SK_PASS;
}
