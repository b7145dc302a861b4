package rtp

import "encoding/binary"

// MaxReports is how many report blocks a sender or receiver report holds.
const MaxReports = 31

// Append appends the report as a packet to dst: a sender report if Sender is set, else a receiver report. Of Reports, the
// first MaxReports are written.
func (r *Report) Append(dst []byte) []byte {
	reports := r.Reports[:min(len(r.Reports), MaxReports)]
	kind, size := byte(TypeReceiverReport), 4+len(reports)*reportSize
	if r.Sender {
		kind, size = TypeSenderReport, size+senderInfoSize
	}
	dst = append(dst, 0x80|byte(len(reports)), kind)
	dst = binary.BigEndian.AppendUint16(dst, uint16(size/4))
	dst = binary.BigEndian.AppendUint32(dst, r.SSRC)
	if r.Sender {
		dst = binary.BigEndian.AppendUint64(dst, r.Info.NTP)
		dst = binary.BigEndian.AppendUint32(dst, r.Info.Timestamp)
		dst = binary.BigEndian.AppendUint32(dst, r.Info.Packets)
		dst = binary.BigEndian.AppendUint32(dst, r.Info.Bytes)
	}
	for i := range reports {
		b := &reports[i]
		dst = binary.BigEndian.AppendUint32(dst, b.SSRC)
		dst = binary.BigEndian.AppendUint32(dst, uint32(b.FractionLost)<<24|uint32(b.Lost)&0xffffff)
		dst = binary.BigEndian.AppendUint32(dst, b.HighestSeq)
		dst = binary.BigEndian.AppendUint32(dst, b.Jitter)
		dst = binary.BigEndian.AppendUint32(dst, b.LastSR)
		dst = binary.BigEndian.AppendUint32(dst, b.Delay)
	}
	return dst
}

// AppendCanonicalName appends a source description packet with the CNAME of one source (RFC 3550, section 6.5) to dst.
// A name of more than 255 bytes is cut.
func AppendCanonicalName(dst []byte, ssrc uint32, name string) []byte {
	name = name[:min(len(name), 255)]
	chunk := 4 + 2 + len(name)
	chunk += 4 - chunk%4 // at least one byte of zero ends the list of items
	dst = append(dst, 0x81, TypeSourceDescription)
	dst = binary.BigEndian.AppendUint16(dst, uint16(chunk/4))
	dst = binary.BigEndian.AppendUint32(dst, ssrc)
	dst = append(dst, 1, byte(len(name)))
	dst = append(dst, name...)
	return append(dst, make([]byte, chunk-4-2-len(name))...)
}

// TypeSet is a set of RTCP packet types, 192 to 223.
type TypeSet uint32

// Types returns the set of the types given.
func Types(all ...uint8) (s TypeSet) {
	for _, t := range all {
		s |= 1 << (t - 192)
	}
	return s
}

// Has tells whether a type is in the set.
func (s TypeSet) Has(t uint8) bool { return t >= 192 && t <= 223 && s&(1<<(t-192)) != 0 }

// TypesIn returns the types of the packets in a compound datagram, as far as it can be read.
func TypesIn(datagram []byte) (s TypeSet) {
	var c Compound
	var p Packet
	for c.Reset(datagram); c.Next(&p); {
		if p.Type >= 192 && p.Type <= 223 {
			s |= 1 << (p.Type - 192)
		}
	}
	return s
}

// AppendWithout appends the packets of a compound datagram to dst whose types are not in drop. What cannot be read is left
// out. If that leaves packets behind that no report precedes, an empty receiver report does, as RFC 3550, section 6.1,
// demands of every compound.
func AppendWithout(dst, datagram []byte, drop TypeSet) []byte {
	var c Compound
	var p Packet
	c.Reset(datagram)
	for first := true; ; {
		rest := c.rest
		if !c.Next(&p) {
			return dst
		}
		if drop.Has(p.Type) || len(p.Body) < 4 {
			continue
		}
		if first && p.Type != TypeSenderReport && p.Type != TypeReceiverReport {
			empty := Report{SSRC: binary.BigEndian.Uint32(p.Body)}
			dst = empty.Append(dst)
		}
		first = false
		dst = append(dst, rest[:len(rest)-len(c.rest)]...)
	}
}
