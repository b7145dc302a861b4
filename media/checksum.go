package media

import (
	"encoding/binary"
	"math/bits"
)

// sum adds the words of data (RFC 1071, section 1).
func sum(data []byte) uint32 {
	var total, carry uint64
	for len(data) >= 32 {
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[8:]), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[16:]), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[24:]), carry)
		data = data[32:]
	}
	for len(data) >= 8 {
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data), carry)
		data = data[8:]
	}
	var rest [8]byte
	copy(rest[:], data)
	total, carry = bits.Add64(total, binary.BigEndian.Uint64(rest[:]), carry)
	total, carry = bits.Add64(total, 0, carry)
	return uint32(fold(total)) + uint32(carry)
}

// fold brings a sum of words down to 16 bits.
func fold(total uint64) uint16 {
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
