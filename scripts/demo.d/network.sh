# shellcheck shell=bash disable=SC2154 # the variables are those of scripts/demo
# The network of the demo: a caller, a proxy host and a callee, each in a namespace of its own.
# Sourced by scripts/demo, which sets the names of the namespaces (unique to the run) and the addresses.
#
#   $ns_caller  caller_net --- p_caller  $ns_proxy  p_callee --- callee_net  $ns_callee

# in_ns runs a command in a namespace. nsenter and not "ip netns exec": that one mounts a fresh /sys, which hides the
# BPF file system from the daemon. It becomes the command, so the pid of a background job is the command's own.
in_ns() {
	local ns=$1
	shift
	exec nsenter --net="/run/netns/$ns" -- "$@"
}

# network_side NS DEV PROXY_DEV ADDRESS PROXY_ADDRESS joins one end to the proxy host.
network_side() {
	local ns=$1 dev=$2 proxy_dev=$3 address=$4 proxy_address=$5
	ip link add name "$dev" netns "$ns" type veth peer name "$proxy_dev" netns "$ns_proxy"
	# Without nodad an IPv6 address cannot be bound for the first second or two.
	ip -n "$ns" address add "$address/$prefix" dev "$dev" ${nodad:+"$nodad"}
	ip -n "$ns_proxy" address add "$proxy_address/$prefix" dev "$proxy_dev" ${nodad:+"$nodad"}
	ip -n "$ns" link set dev "$dev" up
	ip -n "$ns_proxy" link set dev "$proxy_dev" up
	# A veth takes frames redirected by XDP only if its other end has an XDP program or GRO on; without it they vanish
	# silently. Network cards need neither.
	(in_ns "$ns" ethtool -K "$dev" gro on) >/dev/null
}

network_up() {
	local ns
	for ns in "$ns_caller" "$ns_proxy" "$ns_callee"; do
		ip netns add "$ns"
		ip -n "$ns" link set dev lo up
	done
	# Nothing but the media proxy may carry packets across, so two-way audio proves that it did.
	(in_ns "$ns_proxy" sh -c 'echo 0 >/proc/sys/net/ipv4/ip_forward; echo 0 >/proc/sys/net/ipv6/conf/all/forwarding')
	network_side "$ns_caller" caller_net p_caller "$caller" "$proxy_caller"
	network_side "$ns_callee" callee_net p_callee "$callee" "$proxy_callee"
}

# network_down ends what still runs inside, whoever started it, and removes the namespaces with their links.
network_down() {
	local ns pid
	for ns in "$ns_caller" "$ns_proxy" "$ns_callee"; do
		[ -e "/run/netns/$ns" ] || continue
		for pid in $(ip netns pids "$ns"); do
			kill -KILL "$pid" 2>/dev/null || true
		done
		ip netns delete "$ns" || true
	done
}

# datagrams_read NS prints how many UDP datagrams programs in a namespace have read. What the fast path forwards is not
# among them: the packets never reach a socket.
datagrams_read() {
	(in_ns "$1" cat /proc/net/snmp /proc/net/snmp6 2>/dev/null || true) | awk '
		$1 == "Udp:" && !column { for (i = 2; i <= NF; i++) if ($i == "InDatagrams") column = i; next }
		$1 == "Udp:" { sum += $column }
		$1 == "Udp6InDatagrams" { sum += $2 }
		END { print sum + 0 }'
}
