package srtp

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"testing"
)

// Both ways to make a key stream are those of the standard library, for all lengths around the eight blocks at a time.
func TestCounterModeAgainstTheStandardLibrary(t *testing.T) {
	if !hasAESNI() {
		t.Log("no AES-NI: only the portable way is tested")
	}
	for _, size := range []int{16, 24, 32} {
		key, salt, data := make([]byte, size), make([]byte, cmSalt), make([]byte, 2000)
		for range 20 {
			rand.Read(key)
			rand.Read(salt)
			iv := append(bytes.Clone(salt), 0, 0)
			for i, b := range []byte{0xde, 0xca, 0xfb, 0xad, 1, 2, 3, 4, 5, 6} {
				iv[4+i] ^= b
			}
			want := make([]byte, len(data))
			cipher.NewCTR(newAES(key), iv).XORKeyStream(want, data)
			for _, fast := range []bool{false, hasAESNI()} {
				c := newCM(key, salt)
				c.fast = fast
				for n := range 300 {
					pkt := append([]byte{0x80, 0, 5, 6, 0, 0, 0, 0, 0xde, 0xca, 0xfb, 0xad}, data[:n]...)
					if c.xorRTP(pkt, 12, 0x01020304); !bytes.Equal(pkt[12:], want[:n]) {
						t.Fatalf("key of %d, %d bytes, fast %t: got  %x\nwant %x", size, n, fast, pkt[12:], want[:n])
					}
				}
			}
		}
	}
}

func TestTagAgainstTheStandardLibrary(t *testing.T) {
	if !hasSHANI() {
		t.Log("no SHA-NI: only the portable way is tested")
	}
	key, data := make([]byte, authKeyLen), make([]byte, 1500)
	for n := range data {
		rand.Read(key)
		rand.Read(data[:n])
		roc := uint32(n) * 0x01020305
		h := hmac.New(sha1.New, key)
		h.Write(data[:n])
		wantRTCP := h.Sum(nil)
		h.Write(binary.BigEndian.AppendUint32(nil, roc))
		wantRTP := h.Sum(nil)
		for _, fast := range []bool{false, hasSHANI()} {
			m := newMAC(key)
			m.fast = fast
			if got := m.rtp(data[:n], roc); !bytes.Equal(got, wantRTP) {
				t.Fatalf("%d bytes and a rollover counter, fast %t: got %x, want %x", n, fast, got, wantRTP)
			}
			if got := m.rtcp(data[:n]); !bytes.Equal(got, wantRTCP) {
				t.Fatalf("%d bytes, fast %t: got %x, want %x", n, fast, got, wantRTCP)
			}
		}
	}
}

// What the portable ways cost, on processors without AES-NI or SHA-NI.
func BenchmarkPortable(b *testing.B) {
	c, m := newCM(make([]byte, 16), make([]byte, cmSalt)), newMAC(make([]byte, authKeyLen))
	c.fast, m.fast = false, false
	pkt := packet(1, 1)
	b.Run("counter mode", func(b *testing.B) {
		for b.Loop() {
			c.xorRTP(pkt, 12, 0)
		}
	})
	b.Run("tag", func(b *testing.B) {
		for b.Loop() {
			m.rtp(pkt, 0)
		}
	})
}
