package recording

import (
	"encoding/binary"
	"net/netip"

	"github.com/weir-media/weir/media"
)

const (
	ip4Size, ip6Size, udpSize = 20, 40, 8
	protocolUDP               = 17
	ttl                       = 64
)

// AppendFrame appends the IP packet that a datagram was, with what is known of its headers.
func AppendFrame(b []byte, p *media.TapPacket) []byte {
	start := len(b)
	from, to := p.From.Addr().Unmap(), p.To.Addr().Unmap()
	ip := ip4Size
	if !from.Is4() || !to.Is4() {
		ip = ip6Size
	}
	data := p.Data
	if most := 0xffff - ip4Size - udpSize; len(data) > most {
		data = data[:most]
	}
	if length := ip + udpSize + len(data); ip == ip4Size {
		b = appendIP4(b, from, to, length)
	} else {
		b = appendIP6(b, from, to, length)
	}
	b = binary.BigEndian.AppendUint16(b, p.From.Port())
	b = binary.BigEndian.AppendUint16(b, p.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpSize+len(data)))
	b = append(b, 0, 0)
	b = append(b, data...)
	if ip == ip6Size {
		// There must be one (RFC 8200, section 8.1).
		frame := b[start:]
		pseudo := add(0, frame[8:ip6Size])
		pseudo = add(pseudo, []byte{byte((udpSize + len(data)) >> 8), byte(udpSize + len(data)), 0, protocolUDP})
		sum := finish(add(pseudo, frame[ip6Size:]))
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(frame[ip6Size+6:], sum)
	}
	return b
}

func appendIP4(b []byte, from, to netip.Addr, length int) []byte {
	at := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, 0, 0, 0x40, 0, ttl, protocolUDP, 0, 0) // "do not fragment"
	source, destination := from.As4(), to.As4()
	b = append(append(b, source[:]...), destination[:]...)
	binary.BigEndian.PutUint16(b[at+10:], finish(add(0, b[at:])))
	return b
}

func appendIP6(b []byte, from, to netip.Addr, length int) []byte {
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length-ip6Size))
	b = append(b, protocolUDP, ttl)
	source, destination := from.As16(), to.As16()
	return append(append(b, source[:]...), destination[:]...)
}

// add sums up 16-bit words (RFC 1071).
func add(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// finish makes a checksum of a sum.
func finish(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
