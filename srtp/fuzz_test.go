package srtp

import (
	"bytes"
	"slices"
	"testing"
)

// fixed is a key that stays the same between runs.
func fixed(suite Suite) Params {
	p, err := ParseKeySalt(suite, bytes.Repeat([]byte{0x5a}, suite.KeyLen()+suite.SaltLen()))
	if err != nil {
		panic(err)
	}
	return p
}

// variant makes parameters of a number, so that all combinations come up.
func variant(n byte) Params {
	p := fixed(Suite(n%12) + 1)
	n /= 12
	p.MKI = bytes.Repeat([]byte{3}, int(n&3))
	p.UnencryptedRTP, p.UnencryptedRTCP = n&4 != 0, n&4 != 0
	p.UnauthenticatedRTP = n&8 != 0 && !p.Suite.aead()
	return p
}

// refused checks that a packet that was not taken is as before and has left nothing.
func refused(t *testing.T, in *Inbound, got, before []byte) {
	t.Helper()
	if !bytes.Equal(got, before) {
		t.Fatalf("a refused packet became %x, was %x", got, before)
	}
	if len(in.Export()) != 0 {
		t.Fatalf("a refused packet left %+v", in.Export())
	}
}

func FuzzUnprotectRTP(f *testing.F) {
	for n := range byte(192) {
		out, _ := pair(f, variant(n))
		f.Add(n, must(f)(out.ProtectRTP(extended(1, 1))))
	}
	f.Add(byte(6), []byte{})
	f.Fuzz(func(t *testing.T, n byte, pkt []byte) {
		out, in := pair(t, variant(n))
		before := slices.Clone(pkt)
		plain, err := in.UnprotectRTP(pkt)
		if err != nil {
			refused(t, in, pkt, before)
			return
		}
		again, err := out.ProtectRTP(slices.Grow(plain, MaxOverhead))
		if err != nil || len(again) != len(before) {
			t.Fatalf("%x was taken from %x and cannot go back: %v", plain, before, err)
		}
	})
}

func FuzzUnprotectRTCP(f *testing.F) {
	for n := range byte(192) {
		out, _ := pair(f, variant(n))
		f.Add(n, must(f)(out.ProtectRTCP(report(1))))
	}
	f.Add(byte(6), []byte{})
	f.Fuzz(func(t *testing.T, n byte, pkt []byte) {
		out, in := pair(t, variant(n))
		before := slices.Clone(pkt)
		plain, err := in.UnprotectRTCP(pkt)
		if err != nil {
			refused(t, in, pkt, before)
			return
		}
		if again, err := out.ProtectRTCP(slices.Grow(plain, MaxOverhead)); err != nil || len(again) != len(before) {
			t.Fatalf("%x was taken from %x and cannot go back: %v", plain, before, err)
		}
	})
}
