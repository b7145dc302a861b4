// Package dtls keys SRTP by DTLS handshakes (RFC 5764), one association at a time, on packets and sockets that belong to
// the caller.
package dtls
