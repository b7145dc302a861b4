package srtp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
)

const maxRounds = 14 // of AES-256

// cm is AES in counter mode (RFC 3711, section 4.1.1).
//
// It is not cipher.NewCTR because that needs an allocation and a copy of the key for each vector, which is each packet, and
// costs more than the encryption; and cipher.Block does one block at a time, where the processor does eight together.
type cm struct {
	salt [aes.BlockSize]byte // the last two bytes are zero
	iv   [aes.BlockSize]byte

	// With AES-NI, the key stream is made eight blocks at a time.
	fast   bool
	rounds int
	keys   [maxRounds + 1][aes.BlockSize]byte
	stream [8 * aes.BlockSize]byte

	block cipher.Block // without
}

func newCM(key, salt []byte) *cm {
	c := &cm{fast: hasAESNI(), block: newAES(key)}
	if c.fast {
		c.rounds = expandKey(key, &c.keys)
	}
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
	for n := uint16(0); len(b) > 0; {
		binary.BigEndian.PutUint16(c.iv[14:], n)
		stream := c.stream[:]
		if c.fast {
			stream8(&c.keys, c.rounds, &c.iv, &c.stream)
			n += 8
		} else {
			stream = stream[:aes.BlockSize]
			c.block.Encrypt(stream, c.iv[:])
			n++
		}
		b = b[subtle.XORBytes(b, b, stream):]
	}
}

// expandKey makes the round keys of AES (FIPS 197, section 5.2) and returns how many rounds there are. It needs subWord.
func expandKey(key []byte, keys *[maxRounds + 1][aes.BlockSize]byte) (rounds int) {
	var words [4 * (maxRounds + 1)]uint32
	n := len(key) / 4
	rounds = n + 6
	for i := range n {
		words[i] = binary.BigEndian.Uint32(key[4*i:])
	}
	constant := uint32(1)
	for i := n; i < 4*(rounds+1); i++ {
		w := words[i-1]
		switch {
		case i%n == 0:
			w = subWord(bits.RotateLeft32(w, 8)) ^ constant<<24
			constant = constant<<1 ^ constant>>7*0x11b
		case n > 6 && i%n == 4:
			w = subWord(w)
		}
		words[i] = words[i-n] ^ w
	}
	for i := range 4 * (rounds + 1) {
		binary.BigEndian.PutUint32(keys[i/4][i%4*4:], words[i])
	}
	return rounds
}
