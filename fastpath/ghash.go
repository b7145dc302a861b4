package fastpath

import (
	"crypto/aes"
	"encoding/binary"
)

// ghash makes the tables that the kernel multiplies with in GHASH (see bpf/ghash.h); nil when the suite has no use for them. The
// keys must be sound.
func (k *Keys) ghash() *srtpGhashTable {
	if k.Tag != gcmTag {
		return nil
	}
	block, err := aes.NewCipher(k.AES)
	if err != nil {
		return nil // a bad length
	}
	var key [aes.BlockSize]byte
	block.Encrypt(key[:], key[:]) // the hash key (NIST SP 800-38D, section 7.1)
	high, low := binary.BigEndian.Uint64(key[:]), binary.BigEndian.Uint64(key[8:])
	clear(key[:])
	t := new(srtpGhashTable)
	for place := range t.Products {
		products := &t.Products[place]
		for bit := 8; bit > 0; bit /= 2 {
			products[bit].High, products[bit].Low = high, low
			high, low = timesX(high, low)
		}
		for n := range products {
			if bit := n & -n; n != bit { // the sum of that and the rest
				products[n].High = products[bit].High ^ products[n-bit].High
				products[n].Low = products[bit].Low ^ products[n-bit].Low
			}
		}
	}
	return t
}

// timesX multiplies by x. The highest bit is the lowest power.
func timesX(high, low uint64) (uint64, uint64) {
	const reduction = 0xe1 << 56 // x^128 is 1 + x + x^2 + x^7
	out := low & 1
	return high>>1 ^ -out&reduction, low>>1 | high<<63
}
