// Package testpkt builds the packets of tests: sound ones from addresses and payload, broken ones by changing a field.
package testpkt

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Where the headers of a frame without VLAN tag, IP options or extension headers begin.
const (
	IP      = 14      // in every frame
	UDP4    = IP + 20 // in an IPv4 frame
	UDP6    = IP + 40 // in an IPv6 frame
	UDPSize = 8
)

const (
	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	protocolUDP   = 17
)

// Option changes a frame while it is built, before the checksums are made.
type Option func(*header)

type header struct {
	dstMAC, srcMAC [6]byte
	tos, ttl       uint8
	id, fragment   uint16
	flowLabel      uint32
	checksum       checksum
}

type checksum int

const (
	checksumFull checksum = iota
	checksumNone
	checksumPartial
)

// MAC sets the Ethernet addresses; both are zero otherwise.
func MAC(dst, src [6]byte) Option { return func(h *header) { h.dstMAC, h.srcMAC = dst, src } }

// TOS sets the IPv4 TOS byte or the IPv6 traffic class; 0 otherwise.
func TOS(tos uint8) Option { return func(h *header) { h.tos = tos } }

// TTL sets TTL or hop limit; 64 otherwise.
func TTL(ttl uint8) Option { return func(h *header) { h.ttl = ttl } }

// ID sets identification and flags with fragment offset of IPv4; 0 and "don't fragment" otherwise.
func ID(id, fragment uint16) Option { return func(h *header) { h.id, h.fragment = id, fragment } }

// FlowLabel sets the 20 bits of IPv6; 0 otherwise.
func FlowLabel(label uint32) Option { return func(h *header) { h.flowLabel = label & 0xfffff } }

// NoChecksum leaves the UDP checksum 0.
func NoChecksum() Option { return func(h *header) { h.checksum = checksumNone } }

// PartialChecksum leaves in the UDP checksum field the folded sum of the pseudo header, as a sender does that expects
// its network device to complete it.
func PartialChecksum() Option { return func(h *header) { h.checksum = checksumPartial } }

// UDP builds an Ethernet frame; the family is that of the addresses, which must be the same. It panics on other
// addresses, since tests choose them.
func UDP(src, dst netip.AddrPort, payload []byte, opts ...Option) []byte {
	if src.Addr().Is4() != dst.Addr().Is4() || !src.IsValid() || !dst.IsValid() {
		panic(fmt.Sprintf("testpkt: %v and %v are not of one family", src, dst))
	}
	h := header{ttl: 64, fragment: 0x4000}
	for _, o := range opts {
		o(&h)
	}
	length := UDPSize + len(payload)
	frame := append(h.dstMAC[:], h.srcMAC[:]...)
	if src.Addr().Is4() {
		frame = binary.BigEndian.AppendUint16(frame, etherTypeIPv4)
		frame = append(frame, 0x45, h.tos)
		frame = binary.BigEndian.AppendUint16(frame, uint16(20+length))
		frame = binary.BigEndian.AppendUint16(frame, h.id)
		frame = binary.BigEndian.AppendUint16(frame, h.fragment)
		frame = append(frame, h.ttl, protocolUDP, 0, 0)
	} else {
		frame = binary.BigEndian.AppendUint16(frame, etherTypeIPv6)
		frame = binary.BigEndian.AppendUint32(frame, 6<<28|uint32(h.tos)<<20|h.flowLabel)
		frame = binary.BigEndian.AppendUint16(frame, uint16(length))
		frame = append(frame, protocolUDP, h.ttl)
	}
	frame = append(frame, src.Addr().AsSlice()...)
	frame = append(frame, dst.Addr().AsSlice()...)
	udp := len(frame)
	frame = binary.BigEndian.AppendUint16(frame, src.Port())
	frame = binary.BigEndian.AppendUint16(frame, dst.Port())
	frame = binary.BigEndian.AppendUint16(frame, uint16(length))
	frame = append(frame, 0, 0)
	frame = append(frame, payload...)
	if src.Addr().Is4() {
		FixIPv4(frame)
	}
	switch h.checksum {
	case checksumFull:
		FixUDP(frame)
	case checksumPartial:
		binary.BigEndian.PutUint16(frame[udp+6:], fold(pseudo(frame)))
	}
	return frame
}

// RTP builds a packet of RFC 3550, section 5.1, with n bytes of payload that depend on the sequence number.
func RTP(payloadType uint8, seq uint16, timestamp, ssrc uint32, n int) []byte {
	p := []byte{0x80, payloadType & 0x7f}
	p = binary.BigEndian.AppendUint16(p, seq)
	p = binary.BigEndian.AppendUint32(p, timestamp)
	p = binary.BigEndian.AppendUint32(p, ssrc)
	for i := range n {
		p = append(p, byte(int(seq)+i))
	}
	return p
}

// Mutate returns a copy of frame that change has worked on. Checksums stay as they are; see FixIPv4 and FixUDP.
func Mutate(frame []byte, change func(frame []byte)) []byte {
	c := slices.Clone(frame)
	change(c)
	return c
}

// Set8 is a change for Mutate that sets the byte at offset.
func Set8(offset int, v uint8) func([]byte) { return func(f []byte) { f[offset] = v } }

// Set16 is a change for Mutate that sets two bytes at offset, in network order.
func Set16(offset int, v uint16) func([]byte) {
	return func(f []byte) { binary.BigEndian.PutUint16(f[offset:], v) }
}

// Tag returns a copy of frame with a VLAN tag (IEEE 802.1Q).
func Tag(frame []byte, vlan uint16) []byte {
	return slices.Insert(slices.Clone(frame), 12, 0x81, 0x00, byte(vlan>>8), byte(vlan))
}

// Payload is what the UDP header of frame is followed by, as far as its length says.
func Payload(frame []byte) []byte {
	udp := udpOffset(frame)
	return frame[udp+UDPSize : udp+int(binary.BigEndian.Uint16(frame[udp+4:]))]
}

// FixIPv4 makes the header checksum anew.
func FixIPv4(frame []byte) {
	frame[IP+10], frame[IP+11] = 0, 0
	binary.BigEndian.PutUint16(frame[IP+10:], ^fold(sum(frame[IP:UDP4])))
}

// FixUDP makes the UDP checksum anew.
func FixUDP(frame []byte) {
	udp := udpOffset(frame)
	frame[udp+6], frame[udp+7] = 0, 0
	check := ^fold(pseudo(frame) + sum(frame[udp:]))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(frame[udp+6:], check)
}

// Sound says what is wrong with the checksums of frame. A UDP checksum of 0 is sound in IPv4.
func Sound(frame []byte) error {
	udp := udpOffset(frame)
	if udp == UDP4 && fold(sum(frame[IP:UDP4])) != 0xffff {
		return fmt.Errorf("ip header checksum %#04x is wrong", binary.BigEndian.Uint16(frame[IP+10:]))
	}
	check := binary.BigEndian.Uint16(frame[udp+6:])
	if udp == UDP4 && check == 0 {
		return nil
	}
	end := udp + int(binary.BigEndian.Uint16(frame[udp+4:]))
	if end > len(frame) {
		return fmt.Errorf("udp length ends %d bytes behind the frame", end-len(frame))
	}
	if check == 0 || fold(pseudo(frame)+sum(frame[udp:end])) != 0xffff {
		return fmt.Errorf("udp checksum %#04x is wrong", check)
	}
	return nil
}

func udpOffset(frame []byte) int {
	if binary.BigEndian.Uint16(frame[12:]) == etherTypeIPv6 {
		return UDP6
	}
	return UDP4
}

// pseudo sums the pseudo header (RFC 768; RFC 8200, section 8.1).
func pseudo(frame []byte) uint64 {
	udp := udpOffset(frame)
	addrs := frame[IP+12 : UDP4]
	if udp == UDP6 {
		addrs = frame[IP+8 : UDP6]
	}
	return sum(addrs) + protocolUDP + uint64(binary.BigEndian.Uint16(frame[udp+4:]))
}

// sum and fold make the one's complement sum of RFC 1071.
func sum(b []byte) (s uint64) {
	for ; len(b) > 1; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
