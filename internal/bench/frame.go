package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
)

const (
	ethernetLen = 14
	ipv4Len     = 20
	udpLen      = 8
	rtpLen      = 12
	envelopeLen = ethernetLen + ipv4Len + udpLen
	headersLen  = envelopeLen + rtpLen
	payloadLen  = 160 // 20 ms of G.711
	frameLen    = headersLen + payloadLen
)

// stream is the RTP of one caller as the generator sends it.
type stream struct {
	srcMAC, dstMAC net.HardwareAddr
	src, dst       netip.AddrPort // IPv4
	ssrc           uint32
	sequence       uint16 // of the first packet
	stamp          uint32 // likewise, in samples
}

// headers gives the Ethernet, IPv4, UDP and RTP headers with a zero sequence number, time stamp and UDP checksum.
func (s stream) headers() []byte {
	return appendRTP(s.envelope(rtpLen+payloadLen), 0, 0, s.ssrc)
}

// envelope gives the Ethernet, IPv4 and UDP headers of a datagram of n bytes with a zero UDP checksum.
func (s stream) envelope(n int) []byte {
	b := make([]byte, 0, headersLen)
	b = append(append(b, s.dstMAC...), s.srcMAC...)
	b = append(b, 0x08, 0x00)
	b = s.appendIPv4(b, n)
	b = binary.BigEndian.AppendUint16(b, s.src.Port())
	b = binary.BigEndian.AppendUint16(b, s.dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpLen+n))
	return append(b, 0, 0)
}

func (s stream) appendIPv4(b []byte, n int) []byte {
	start := len(b)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Len+udpLen+n))
	b = append(b, 0, 0, 0x40, 0) // identification, do not fragment
	b = append(b, 64, 17, 0, 0)  // time to live, UDP, checksum
	b = append(append(b, s.src.Addr().AsSlice()...), s.dst.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(b[start+10:], ^fold(sum16(b[start:])))
	return b
}

// appendRTP appends an RTP header (RFC 3550, section 5.1) of payload type 0.
func appendRTP(b []byte, sequence uint16, stamp, ssrc uint32) []byte {
	b = append(b, 0x80, 0)
	b = binary.BigEndian.AppendUint16(b, sequence)
	b = binary.BigEndian.AppendUint32(b, stamp)
	return binary.BigEndian.AppendUint32(b, ssrc)
}

// frame gives a whole packet as the generator's first one would be, but for its sequence number and checksum.
func (s stream) frame() []byte {
	return append(s.headers(), payload()...)
}

// payload is noise, the same for every packet.
func payload() []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, payloadLen)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}

// flow gives the stream in the form of the generator's map.
func (s stream) flow() rigFlow {
	frame := s.frame()
	f := rigFlow{Sequence: s.sequence, Stamp: s.stamp}
	for i := range f.Head {
		f.Head[i] = binary.NativeEndian.Uint64(frame[8*i:])
	}
	// The checksum covers addresses, protocol and length besides the datagram (RFC 768). The program adds words as they
	// lie in memory, so the sum is turned round on a little-endian machine.
	datagram := frame[ethernetLen+ipv4Len:]
	sum := sum16(frame[ethernetLen+12:ethernetLen+ipv4Len]) + 17 + uint32(len(datagram)) + sum16(datagram)
	f.Sum = uint32(networkOrder(fold(sum)))
	return f
}

// sum16 adds the 16-bit words of b, which has an even length below 64 kB.
func sum16(b []byte) (sum uint32) {
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum
}

// fold brings a sum to 16 bits by end-around carry (RFC 1071).
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}

// networkOrder gives the number whose bytes in memory are those of v in network order.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
