package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
)

// cm is AES in counter mode (RFC 3711, section 4.1.1).
type cm struct {
	block  cipher.Block
	salt   [aes.BlockSize]byte // the last two bytes are zero
	iv     [aes.BlockSize]byte
	stream [aes.BlockSize]byte
}

func newCM(key, salt []byte) *cm {
	c := &cm{block: newAES(key)}
	copy(c.salt[:cmSalt], salt)
	return c
}

func (c *cm) xorRTP(pkt []byte, start int, roc uint32) {
	c.setIV(binary.BigEndian.Uint32(pkt[8:]), uint64(roc)<<16|uint64(binary.BigEndian.Uint16(pkt[2:])))
	c.xor(pkt[start:])
}

func (c *cm) xorRTCP(pkt []byte, index uint32) {
	c.setIV(binary.BigEndian.Uint32(pkt[4:]), uint64(index))
	c.xor(pkt[rtcpClear:])
}

func (c *cm) setIV(ssrc uint32, index uint64) {
	binary.BigEndian.PutUint64(c.iv[:], binary.BigEndian.Uint64(c.salt[:])^uint64(ssrc))
	binary.BigEndian.PutUint64(c.iv[8:], binary.BigEndian.Uint64(c.salt[8:])^index<<16)
}

// xor leaves its key stream and counter behind. The last two bytes of the vector count the blocks; a packet cannot have
// more than they hold.
func (c *cm) xor(b []byte) {
	for len(b) > 0 {
		c.block.Encrypt(c.stream[:], c.iv[:])
		b = b[subtle.XORBytes(b, b, c.stream[:]):]
		binary.BigEndian.PutUint16(c.iv[14:], binary.BigEndian.Uint16(c.iv[14:])+1)
	}
}
