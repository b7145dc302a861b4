// Package recording keeps what taps of the media plane hear: in pcap files, as a stream of pcapng, or by passing it on to
// another host.
//
// What it is told to write to goes through a queue with a limit, so that neither a slow disk nor a peer that does not listen holds up a
// call. What the queue has no room for is counted.
package recording
