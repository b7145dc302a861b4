// Package peers lets real SIP and WebRTC programs call each other through Kamailio and Weir, between network namespaces
// without a route: what one side hears, Weir has carried.
//
// A [Stage] is the network with the proxy host in its middle. Parties stand on either side of it: [Baresip], [Chromium] with
// its [Page]s, and [Trickler], a client of its own module in internal/webrtcpeer. The latter two only know descriptions; an
// [Agent] does the SIP for them. Every party sends a tone of its own, and tells which one it hears.
package peers
