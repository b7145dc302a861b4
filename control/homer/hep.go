// Package homer sends RTCP, and what is said by the ng protocol, to a Homer server, in HEP version 3.
package homer

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Chunks of HEP version 3, of vendor 0: https://github.com/sipcapture/HEP, section 3.2 of the draft.
const (
	chunkFamily        = 1
	chunkProtocol      = 2
	chunkSource4       = 3
	chunkDestination4  = 4
	chunkSource6       = 5
	chunkDestination6  = 6
	chunkSourcePort    = 7
	chunkDestPort      = 8
	chunkSeconds       = 9
	chunkMicroseconds  = 10
	chunkType          = 11
	chunkAgent         = 12
	chunkPayload       = 15
	chunkCorrelationID = 17

	familyIPv4, familyIPv6 = 2, 10
	protocolUDP            = 17

	hepHeader, chunkHeader = 6, 6
	hepMost                = 0xffff // bytes of a packet
)

// typeRTCP is the protocol type of RTCP as JSON.
const typeRTCP = 5

var errTooLong = errors.New("too long for a HEP packet")

// packet is what a HEP packet says.
type packet struct {
	from, to    netip.AddrPort // of one address family; invalid: not known
	at          time.Time
	kind        uint8
	agent       uint32
	correlation string
	payload     []byte
}

// append appends the packet to dst. It fails with errTooLong.
func (p *packet) append(dst []byte) ([]byte, error) {
	from, to := p.from.Addr().Unmap(), p.to.Addr().Unmap()
	start := len(dst)
	dst = append(dst, "HEP3\x00\x00"...)
	family, source, destination := byte(familyIPv4), uint16(chunkSource4), uint16(chunkDestination4)
	if from.Is6() || to.Is6() {
		family, source, destination = familyIPv6, chunkSource6, chunkDestination6
	}
	number := func(id uint16, n uint64, size int) {
		dst = appendChunk(dst, id, size)
		for size--; size >= 0; size-- {
			dst = append(dst, byte(n>>(8*size)))
		}
	}
	number(chunkFamily, uint64(family), 1)
	number(chunkProtocol, protocolUDP, 1)
	number(chunkSourcePort, uint64(p.from.Port()), 2)
	number(chunkDestPort, uint64(p.to.Port()), 2)
	number(chunkSeconds, uint64(p.at.Unix()), 4)
	number(chunkMicroseconds, uint64(p.at.Nanosecond()/1000), 4)
	number(chunkType, uint64(p.kind), 1)
	number(chunkAgent, uint64(p.agent), 4)
	for _, a := range []struct {
		id   uint16
		addr netip.Addr
	}{{source, from}, {destination, to}} {
		bytes := make([]byte, 4)
		if family == familyIPv6 {
			bytes = make([]byte, 16)
		}
		if a.addr.IsValid() && a.addr.BitLen() == 8*len(bytes) {
			bytes = a.addr.AsSlice()
		}
		dst = append(appendChunk(dst, a.id, len(bytes)), bytes...)
	}
	if len(dst)-start+2*chunkHeader+len(p.correlation)+len(p.payload) > hepMost {
		return dst[:start], errTooLong
	}
	dst = append(appendChunk(dst, chunkCorrelationID, len(p.correlation)), p.correlation...)
	dst = append(appendChunk(dst, chunkPayload, len(p.payload)), p.payload...)
	binary.BigEndian.PutUint16(dst[start+4:], uint16(len(dst)-start))
	return dst, nil
}

// appendChunk appends the head of a chunk of vendor 0 with size bytes of data.
func appendChunk(dst []byte, id uint16, size int) []byte {
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, id)
	return binary.BigEndian.AppendUint16(dst, uint16(chunkHeader+size))
}
