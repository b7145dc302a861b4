package dtls

import (
	"encoding/binary"
	"slices"

	"github.com/pion/dtls/v3/pkg/crypto/elliptic"
	"github.com/pion/dtls/v3/pkg/protocol/extension"
	"github.com/pion/dtls/v3/pkg/protocol/handshake"
)

// The wire form of DTLS 1.2 records and handshake messages (RFC 6347, sections 4.1 and 4.2.2), as far as it can be read
// without keys.
const (
	recordHeaderSize    = 13
	handshakeHeaderSize = 12

	alertRecord     = 21
	handshakeRecord = 22

	clientHello        = 1
	serverHello        = 2
	helloVerifyRequest = 3
	helloRandomSize    = 32
)

// A record is one record of a datagram.
type record struct {
	kind  byte
	epoch uint16
	seq   uint64
	// raw is the record with its header.
	raw []byte
}

// nextRecord cuts the first record off a datagram. It is false at the end and when the rest makes no sense.
func nextRecord(datagram []byte) (r record, rest []byte, ok bool) {
	if len(datagram) < recordHeaderSize {
		return record{}, nil, false
	}
	size := recordHeaderSize + int(binary.BigEndian.Uint16(datagram[11:]))
	if size > len(datagram) {
		return record{}, nil, false
	}
	number := binary.BigEndian.Uint64(datagram[3:])
	return record{
		kind: datagram[0], epoch: uint16(number >> 48), seq: number & (1<<48 - 1), raw: datagram[:size],
	}, datagram[size:], true
}

// message is the type of the plain handshake message that a datagram begins with, -1 when it begins with anything else.
func message(datagram []byte) int {
	r, _, ok := nextRecord(datagram)
	if !ok || r.kind != handshakeRecord || r.epoch != 0 || len(r.raw) < recordHeaderSize+handshakeHeaderSize {
		return -1
	}
	return int(r.raw[recordHeaderSize])
}

// IsClientHello tells whether a datagram begins with a ClientHello in clear, with which a client opens a handshake.
func IsClientHello(datagram []byte) bool { return message(datagram) == clientHello }

// helloRandom is what tells the first hello of one association from that of another: the random of a ClientHello. It is
// false for everything else, which includes the second hello, the one that returns the cookie.
func helloRandom(datagram []byte) (random [helloRandomSize]byte, ok bool) {
	if message(datagram) != clientHello {
		return random, false
	}
	r, _, _ := nextRecord(datagram)
	header, body := r.raw[recordHeaderSize:][:handshakeHeaderSize], r.raw[recordHeaderSize+handshakeHeaderSize:]
	number, offset := binary.BigEndian.Uint16(header[4:]), uint32(header[6])<<16|uint32(header[7])<<8|uint32(header[8])
	// The version comes first.
	if number != 0 || offset != 0 || len(body) < 2+helloRandomSize {
		return random, false
	}
	copy(random[:], body[2:])
	return random, true
}

// offersP256 tells whether a datagram is a whole ClientHello whose sender can exchange keys on the curve P-256.
func offersP256(datagram []byte) bool {
	if message(datagram) != clientHello {
		return false
	}
	r, _, _ := nextRecord(datagram)
	var hello handshake.MessageClientHello
	if hello.Unmarshal(r.raw[recordHeaderSize+handshakeHeaderSize:]) != nil {
		return false // in fragments, perhaps
	}
	for _, e := range hello.Extensions {
		if curves, ok := e.(*extension.SupportedEllipticCurves); ok {
			return slices.Contains(curves.EllipticCurves, elliptic.P256)
		}
	}
	return false
}
