package fastpath

// ReasonCount says how many packets left the programs by one exit, on one kind of hook. A packet that XDP passes up is
// counted there and once more by tc when that is attached behind.
type ReasonCount struct {
	Hook    Mode // XDP, TC or XDPGeneric
	Number  int
	Name    string
	Meaning string
	Packets uint64
}

// exits describes reasons.h for people.
var exits = [relayReasonREASON_COUNT]struct{ name, meaning string }{
	relayReasonREASON_RELAYED:        {"relayed", "rewritten and sent"},
	relayReasonREASON_OTHER_HOST:     {"other-host", "multicast, broadcast, or for another station"},
	relayReasonREASON_VLAN:           {"vlan", "VLAN tagged for no device of this host, or twice"},
	relayReasonREASON_NOT_IP:         {"not-ip", "neither IPv4 nor IPv6"},
	relayReasonREASON_TRUNCATED:      {"truncated", "ends before the RTP header does"},
	relayReasonREASON_IP_OPTIONS:     {"ip-options", "IPv4 options or IPv6 extension headers"},
	relayReasonREASON_FRAGMENT:       {"fragment", "part of a fragmented packet"},
	relayReasonREASON_IP_CHECKSUM:    {"ip-checksum", "damaged IPv4 header"},
	relayReasonREASON_TTL:            {"ttl", "TTL or hop limit is 0"},
	relayReasonREASON_LENGTH:         {"length", "IP, UDP and frame length disagree"},
	relayReasonREASON_NOT_UDP:        {"not-udp", "another protocol than UDP"},
	relayReasonREASON_UDP_CHECKSUM:   {"udp-checksum", "IPv6 without UDP checksum"},
	relayReasonREASON_NOT_RTP:        {"not-rtp", "not RTP version 2: STUN, DTLS, keep-alives, other UDP"},
	relayReasonREASON_NO_FLOW:        {"no-flow", "no flow is installed for the local address and port"},
	relayReasonREASON_ACTION:         {"action", "the flow is of another version of this program"},
	relayReasonREASON_FOREIGN_DROP:   {"foreign-drop", "not from the learnt source; dropped"},
	relayReasonREASON_FOREIGN:        {"foreign", "not from the learnt source; left to the socket"},
	relayReasonREASON_RTCP:           {"rtcp", "RTCP on the port of RTP, or the other way round"},
	relayReasonREASON_PAYLOAD_TYPE:   {"payload-type", "payload type that the flow does not admit"},
	relayReasonREASON_GSO:            {"gso", "several datagrams in one buffer"},
	relayReasonREASON_FORWARDING_OFF: {"forwarding-off", "routes cannot be looked up: set net.ipv4.conf.lo.forwarding (ipv6 likewise) to 1"},
	relayReasonREASON_NO_ROUTE:       {"no-route", "no route, or the destination is this host and no flow takes the packet there"},
	relayReasonREASON_NO_NEIGHBOUR:   {"no-neighbour", "the next hop's MAC address is not known yet"},
	relayReasonREASON_TOO_BIG:        {"too-big", "longer than the MTU of the path"},
	relayReasonREASON_PORT:           {"port", "the egress device takes no frames of XDP: left to tc"},
	relayReasonREASON_CHECKSUM:       {"checksum", "the UDP checksum could not be made"},
	relayReasonREASON_BAD_RTP:        {"bad-rtp", "the RTP or RTCP header does not fit the packet"},
	relayReasonREASON_STAGE:          {"stage", "the flow needs a program that this hook or kernel does not have"},
	relayReasonREASON_BLOCKED:        {"blocked", "media or events that are not to pass; dropped"},
	relayReasonREASON_TARGET:         {"target", "a receiver of the flow is missing"},
	relayReasonREASON_HEADROOM:       {"headroom", "the device leaves no room for longer headers"},
	relayReasonREASON_STRIP:          {"strip", "a header extension that cannot be taken out here"},
	relayReasonREASON_COPY:           {"copy", "one of several copies that came too late to find its receiver; dropped"},
	relayReasonREASON_ABANDONED:      {"abandoned", "no daemon has kept the flow alive for too long"},
	relayReasonREASON_SRTP_KEYS:      {"srtp-keys", "the SRTP keys are not ready, or being taken out"},
	relayReasonREASON_SRTP_STREAM:    {"srtp-stream", "an SSRC that the kernel does not follow under these SRTP keys"},
	relayReasonREASON_SRTP_LENGTH:    {"srtp-length", "too short for an SRTP tag, or too long"},
	relayReasonREASON_SRTP_AUTH:      {"srtp-auth", "the SRTP tag is wrong; dropped"},
	relayReasonREASON_SRTP_REPLAY:    {"srtp-replay", "SRTP that was received before, or is too old to tell; dropped"},
	relayReasonREASON_SRTP_LOST:      {"srtp-lost", "turned from or to SRTP when memory or keys ran out; dropped"},
}

// Exits returns the names of all exits, by number.
func Exits() []string {
	names := make([]string, len(exits))
	for i := range exits {
		names[i] = exits[i].name
	}
	return names
}

// Reasons are the exits of the programs with their packets, all CPUs together, for the hooks in use. It may be called
// at any time; a plane without programs has none.
func (p *Plane) Reasons() []ReasonCount {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed || p.maps.Exits == nil {
		return nil
	}
	hooks := p.hooks()
	rows := make([]ReasonCount, 0, len(hooks)*len(exits))
	var cpus []relayExitCount
	for number, exit := range exits {
		if err := p.maps.Exits.Lookup(relayReason(number), &cpus); err != nil {
			if !p.unread.Swap(true) {
				p.log.Error("exit counters of the kernel plane cannot be read", "err", err)
			}
			return nil
		}
		for _, hook := range hooks {
			row := ReasonCount{Hook: hook, Number: number, Name: exit.name, Meaning: exit.meaning}
			for i := range cpus {
				row.Packets += cpus[i].of(hook)
			}
			if relayReason(number) == relayReasonREASON_RELAYED {
				row.Packets -= min(row.Packets, p.probed(hook).Load())
			}
			rows = append(rows, row)
		}
	}
	p.unread.Store(false)
	return rows
}

func (c *relayExitCount) of(hook Mode) uint64 {
	switch hook {
	case XDP:
		return c.Xdp
	case TC:
		return c.Tc
	}
	return c.XdpGeneric
}

// hooks are those that may count: XDP has tc behind it.
func (p *Plane) hooks() []Mode {
	var xdp, tc, generic bool
	for _, d := range p.served() {
		switch d.Engine {
		case XDP:
			xdp, tc = true, true
		case TC:
			tc = true
		case XDPGeneric:
			generic = true
		}
	}
	var hooks []Mode
	for _, h := range []struct {
		mode Mode
		used bool
	}{{XDP, xdp}, {TC, tc}, {XDPGeneric, generic}} {
		if h.used {
			hooks = append(hooks, h.mode)
		}
	}
	return hooks
}
