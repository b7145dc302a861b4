package srtp

import "fmt"

// ExporterLabel is the label under which DTLS exports the keying material (RFC 5764, section 4.2). There is no context
// value.
const ExporterLabel = "EXTRACTOR-dtls_srtp"

// KeyingLen returns how many bytes of keying material DTLS has to export for a suite; 0 for NoSuite.
func KeyingLen(s Suite) int { return 2 * (s.KeyLen() + s.SaltLen()) }

// FromDTLS takes apart exported keying material: both keys, then both salts, each the client's first (RFC 5764, section
// 4.2). Client tells the role of our side in the handshake, the active one. The error is ErrSuite or wraps ErrKey.
func FromDTLS(s Suite, material []byte, client bool) (send, receive Params, err error) {
	if !s.Valid() {
		return Params{}, Params{}, ErrSuite
	}
	if len(material) != KeyingLen(s) {
		return Params{}, Params{}, fmt.Errorf("%d bytes of keying material for %v, not %d: %w", len(material), s, KeyingLen(s), ErrKey)
	}
	key, salt := s.KeyLen(), s.SaltLen()
	side := func(i int) Params {
		p := Params{Suite: s}
		p.Key = append(p.Key, material[i*key:(i+1)*key]...)
		p.Salt = append(p.Salt, material[2*key+i*salt:2*key+(i+1)*salt]...)
		return p
	}
	send, receive = side(0), side(1)
	if !client {
		send, receive = receive, send
	}
	return send, receive, nil
}
