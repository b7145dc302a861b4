// Package golden reads conversations of a signalling client with the media proxy, descriptions in and out beside each other,
// and plays them to a proxy.
//
// A file is one call. Lines in front of the first step say which rule it shows. A step begins with "== ", the command and
// the other keys of the request as one JSON object, then come the description sent, a line "--" and what comes back: a
// description, "error: " with a reason, or nothing for a reply that has none:
//
//	SDP-002 A rule in a sentence.
//	== offer {"from-tag": "alice", "flags": ["port-latching"]}
//	v=0
//	...
//	--
//	v=0
//	...
//
// Lines end with LF in the file and with CRLF in what is sent and compared. What differs from run to run stands in braces as
// a kind and, unless there is only one of it, a name: {port rtp}, {key 1}. The same words mean the same text
// throughout the call, on the way in as well; ports of different names differ; {port rtp+1} is one more than {port rtp}. {port6 a}
// is one of an IPv6 address, which may have the number of an IPv4 address's port.
package golden
