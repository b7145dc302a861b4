// Package dtls keys SRTP by DTLS handshakes (RFC 5764), one association at a time, on packets and sockets that belong to
// the caller.
//
// A Session is one association. The caller hands it the DTLS datagrams that it received (Handle) and sends what the
// session wants sent (Config.Send); the session opens no socket and knows no address. Which sources may speak is for the
// caller to decide, by ICE or by the signalled address: a datagram from anybody else must not reach Handle.
//
// A session needs two things from signalling, its role and the fingerprints of the peer's certificate (SetRemote).
// Hellos that come before are kept and replayed. Keys are reported only after the peer has shown the private key of a
// certificate with one of these fingerprints (RFC 8122); both sides must show one.
//
// The handshake itself is that of github.com/pion/dtls, which is DTLS 1.2 and nothing else: peers that offer 1.3 as well
// are answered with 1.2, peers that know only 1.0 are refused with an alert. While it is under way a session has a few
// goroutines; a Pool limits how many are. Afterwards a session has no goroutine and no timer: what remains answers
// repeated Finished flights, understands alerts and notices the hello of a new association.
package dtls
