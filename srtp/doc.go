// Package srtp protects and unprotects the RTP and RTCP packets of one leg (RFC 3711, RFC 6188, RFC 7714) and holds the
// keying values that SDES (RFC 4568) and DTLS-SRTP (RFC 5764) agree on.
//
// [Params] is what the signalling settles for one direction: suite, master key and salt, and the session parameters. An
// [Outbound] or an [Inbound] is made from it and turns packets in place, without allocating. Neither takes locks: each
// belongs to one goroutine at a time. What a context knows of its streams (rollover counter, sequence number, SRTCP index)
// leaves and enters it as [State] values.
//
// The transforms are our own. On amd64 they use AES-NI and SHA-NI directly, where the standard library would allocate or
// copy for each packet; elsewhere, and with the build tag purego, they stand on crypto/aes and crypto/hmac. GCM is that of
// crypto/cipher everywhere.
package srtp
