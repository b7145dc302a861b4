package recording

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/weir-media/weir/media"
)

// The parts of a pcap file (draft-ietf-opsawg-pcap), in the byte order that the magic number tells.
const (
	pcapMagic    = 0xa1b2c3d4 // time stamps have microseconds
	pcapMajor    = 2
	pcapMinor    = 4
	pcapSnapshot = 1 << 16 // no packet is longer
	linkTypeRaw  = 101     // packets begin with the header of IPv4 or IPv6
)

// AppendHeader appends the header of a pcap file.
func AppendHeader(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, pcapMagic)
	b = binary.LittleEndian.AppendUint16(b, pcapMajor)
	b = binary.LittleEndian.AppendUint16(b, pcapMinor)
	b = append(b, make([]byte, 8)...) // time zone and accuracy, which nobody has ever used
	b = binary.LittleEndian.AppendUint32(b, pcapSnapshot)
	return binary.LittleEndian.AppendUint32(b, linkTypeRaw)
}

const (
	ip4Size, ip6Size, udpSize = 20, 40, 8
	protocolUDP               = 17
	ttl                       = 64
)

// AppendPacket appends a packet with the headers it had on the wire, as far as they are known. At is when it came.
func AppendPacket(b []byte, p *media.TapPacket, at time.Time) []byte {
	from, to := p.From.Addr().Unmap(), p.To.Addr().Unmap()
	ip := ip4Size
	if !from.Is4() || !to.Is4() {
		ip = ip6Size
	}
	data := p.Data
	if most := 0xffff - ip4Size - udpSize; len(data) > most {
		data = data[:most]
	}
	length := ip + udpSize + len(data)
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Unix()))
	b = binary.LittleEndian.AppendUint32(b, uint32(at.Nanosecond()/1000))
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	if ip == ip4Size {
		b = appendIP4(b, from, to, length)
	} else {
		b = appendIP6(b, from, to, length)
	}
	udp := len(b)
	b = binary.BigEndian.AppendUint16(b, p.From.Port())
	b = binary.BigEndian.AppendUint16(b, p.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpSize+len(data)))
	b = append(b, 0, 0)
	b = append(b, data...)
	if ip == ip6Size {
		// There must be one (RFC 8200, section 8.1).
		pseudo := add(0, b[udp-2*16:udp])
		pseudo = add(pseudo, []byte{byte((udpSize + len(data)) >> 8), byte(udpSize + len(data)), 0, protocolUDP})
		sum := finish(add(pseudo, b[udp:]))
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(b[udp+6:], sum)
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
