package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// f8 is AES in f8-mode (RFC 3711, section 4.1.2).
type f8 struct {
	block  cipher.Block // under the session key
	masked cipher.Block // under the session key with the salt mixed in
	iv     [aes.BlockSize]byte
	stream [aes.BlockSize]byte
}

func newF8(key, salt []byte) *f8 {
	mask := make([]byte, len(key))
	for i := range mask {
		mask[i] = 0x55
	}
	copy(mask, salt)
	subtle.XORBytes(mask, mask, key)
	return &f8{block: newAES(key), masked: newAES(mask)}
}

func newAES(key []byte) cipher.Block {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the caller has checked the length
	}
	return block
}

// xorRTP makes the vector of section 4.1.2.2.
func (f *f8) xorRTP(pkt []byte, start int, roc uint32) {
	copy(f.iv[:12], pkt)
	f.iv[0] = 0
	binary.BigEndian.PutUint32(f.iv[12:], roc)
	f.xor(pkt[start:])
}

// xorRTCP makes the vector of section 4.1.2.3.
func (f *f8) xorRTCP(pkt []byte, index uint32) {
	binary.BigEndian.PutUint32(f.iv[:], 0)
	binary.BigEndian.PutUint32(f.iv[4:], index|flagE)
	copy(f.iv[8:], pkt[:rtcpClear])
	f.xor(pkt[rtcpClear:])
}

func (f *f8) xor(b []byte) {
	f.masked.Encrypt(f.iv[:], f.iv[:])
	f.stream = [aes.BlockSize]byte{}
	for j := uint32(0); len(b) > 0; j++ {
		subtle.XORBytes(f.stream[:], f.stream[:], f.iv[:])
		binary.BigEndian.PutUint32(f.stream[12:], binary.BigEndian.Uint32(f.stream[12:])^j)
		f.block.Encrypt(f.stream[:], f.stream[:])
		b = b[subtle.XORBytes(b, b, f.stream[:]):]
	}
}
