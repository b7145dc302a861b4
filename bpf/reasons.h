// SPDX-License-Identifier: (MIT OR GPL-2.0-only)
// Every way out of the programs, numbered. This is the only list; the names and sentences that people read are checked
// against it by a test. Append before REASON_COUNT.
#pragma once

enum reason {
	REASON_RELAYED = 0,
	REASON_OTHER_HOST,     // group address, or a frame for another station
	REASON_VLAN,           // tagged for no device of this host, or twice
	REASON_NOT_IP,         // neither IPv4 nor IPv6
	REASON_TRUNCATED,      // ends before the RTP header does
	REASON_IP_OPTIONS,     // IPv4 options or IPv6 extension headers
	REASON_FRAGMENT,       // part of a fragmented packet
	REASON_IP_CHECKSUM,    // damaged IPv4 header
	REASON_TTL,            // TTL or hop limit is used up
	REASON_LENGTH,         // IP, UDP and frame length disagree
	REASON_NOT_UDP,        // another protocol
	REASON_UDP_CHECKSUM,   // IPv6 without UDP checksum
	REASON_NOT_RTP,        // version is not 2: STUN, DTLS, keep-alives
	REASON_NO_FLOW,        // no flow has this local address and port
	REASON_ACTION,         // the flow wants what this program cannot do
	REASON_FOREIGN_DROP,   // not from the learnt source; dropped
	REASON_FOREIGN,        // not from the learnt source; passed up
	REASON_RTCP,           // RTCP on the RTP port
	REASON_PAYLOAD_TYPE,   // not admitted
	REASON_GSO,            // several datagrams in one buffer
	REASON_FORWARDING_OFF, // the routing look-up is not allowed
	REASON_NO_ROUTE,       // unreachable, or a local destination that no flow is for
	REASON_NO_NEIGHBOUR,   // the next hop's MAC address is not known yet
	REASON_TOO_BIG,        // longer than the MTU of the path
	REASON_PORT,           // the egress device takes no redirected frames
	REASON_CHECKSUM,       // the UDP checksum could not be made
	REASON_BAD_RTP,        // the RTP or RTCP header does not fit the packet
	REASON_STAGE,          // the flow needs a stage that this hook does not have
	REASON_BLOCKED,        // media or events that are not to pass; dropped
	REASON_TARGET,         // a receiver is missing
	REASON_HEADROOM,       // no room for longer headers
	REASON_STRIP,          // a header extension that cannot be taken out here
	REASON_ABANDONED,      // the daemon has been dead for too long
	REASON_SRTP_KEYS,      // the cipher is not ready, or being taken out
	REASON_SRTP_STREAM,    // the stream under these keys is not known yet
	REASON_SRTP_LENGTH,    // too short for a tag, or too long
	REASON_SRTP_AUTH,      // the authentication tag is wrong; dropped
	REASON_SRTP_REPLAY,    // received before, or too old to tell; dropped
	REASON_SRTP_LOST,      // deciphered or enciphered, and then no memory or other keys; dropped
	REASON_COPY,           // a copy that came too late to find its receiver; dropped
	REASON_COUNT,
};
