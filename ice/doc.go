// Package ice is STUN and the ICE agent, lite and full (RFC 8445, trickled candidates of RFC 8838, consent of RFC 7675), of one
// media section of one party. It has no sockets, goroutines or timers: packets go in by [Agent.Handle] and out by
// [Config.Send], and the caller calls [Agent.Tick] when it is due.
//
// One agent serves RTP (component 1) and RTCP (component 2) on any number of local addresses, each with its own socket:
// a [Base]. All are host candidates; reflexive and relayed addresses of our own are not gathered, since a media proxy
// has a public address or knows the one that stands for it ([Base.Advertised]).
//
// # What is simpler than in RFC 8445
//
//   - No pair is ever frozen: every pair starts in Waiting, and the pace alone (one check per 50 ms) limits what is sent.
//     Peers answer RTP and RTCP checks in any order, and a component that stays silent cannot hold up the other.
//   - A success response that shows an unknown address of ours makes no local peer-reflexive candidate: whatever the
//     address in front of it, the pair is the socket and the remote address.
//   - The second component counts only while some pair of it is alive; a peer whose RTCP port is unreachable still has
//     its call.
//
// # Security
//
// A packet that is not authenticated by the right password changes nothing but a counter. It is answered with an error
// at most [errorRate] times a second, and never with more bytes than it had.
package ice
