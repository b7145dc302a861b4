package srtp

import (
	"bytes"
	"slices"
	"testing"

	pion "github.com/pion/srtp/v3"
)

// pionProfiles are the suites that both implementations have.
var pionProfiles = map[Suite]pion.ProtectionProfile{
	AES256GCM:  pion.ProtectionProfileAeadAes256Gcm,
	AES128GCM:  pion.ProtectionProfileAeadAes128Gcm,
	AES256CM80: pion.ProtectionProfileAes256CmHmacSha1_80,
	AES256CM32: pion.ProtectionProfileAes256CmHmacSha1_32,
	AES128CM80: pion.ProtectionProfileAes128CmHmacSha1_80,
	AES128CM32: pion.ProtectionProfileAes128CmHmacSha1_32,
	NullSHA80:  pion.ProtectionProfileNullHmacSha1_80,
	NullSHA32:  pion.ProtectionProfileNullHmacSha1_32,
}

// theirs makes the contexts of the other implementation.
func theirs(t testing.TB, p Params) (out, in *pion.Context) {
	t.Helper()
	var options []pion.ContextOption
	if len(p.MKI) > 0 {
		options = append(options, pion.MasterKeyIndicator(p.MKI))
	}
	if p.UnencryptedRTP {
		options = append(options, pion.SRTPNoEncryption())
	}
	if p.UnencryptedRTCP {
		options = append(options, pion.SRTCPNoEncryption())
	}
	make := func() *pion.Context {
		c, err := pion.CreateContext(p.Key, p.Salt, pionProfiles[p.Suite], options...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return make(), make()
}

// Both implementations send the same bytes and understand each other, past two rollovers.
func TestSameBytesAsAnotherImplementation(t *testing.T) {
	for suite := range pionProfiles {
		for _, c := range []struct {
			name   string
			change func(p *Params)
		}{
			{"plain", func(*Params) {}},
			{"MKI", func(p *Params) { p.MKI = []byte{0, 0, 0, 9} }},
			{"unencrypted", func(p *Params) { p.UnencryptedRTP, p.UnencryptedRTCP = true, true }},
		} {
			t.Run(suite.String()+"/"+c.name, func(t *testing.T) {
				p := Generate(suite)
				c.change(&p)
				out, in := pair(t, p)
				theirOut, theirIn := theirs(t, p)
				for i := range 40 {
					seq := uint16(i * 4001)
					for _, plain := range [][]byte{packet(7, seq), extended(8, seq)} {
						want := must(t)(theirOut.EncryptRTP(nil, plain, nil))
						clear := slices.Clone(plain)
						got := must(t)(out.ProtectRTP(plain))
						if !bytes.Equal(got, want) {
							t.Fatalf("packet %d: got  %x\nwant %x", i, got, want)
						}
						if back := must(t)(theirIn.DecryptRTP(nil, got, nil)); !bytes.Equal(back, clear) {
							t.Fatalf("packet %d: they read %x\nwant %x", i, back, clear)
						}
						if back := must(t)(in.UnprotectRTP(want)); !bytes.Equal(back, clear) {
							t.Fatalf("packet %d: we read %x\nwant %x", i, back, clear)
						}
					}
				}
				// They begin with index one.
				out.Import(State{SSRC: 7, NextRTCP: 1})
				for i := range 3 {
					want := must(t)(theirOut.EncryptRTCP(nil, report(7), nil))
					got := must(t)(out.ProtectRTCP(report(7)))
					if !bytes.Equal(got, want) {
						t.Fatalf("report %d: got  %x\nwant %x", i, got, want)
					}
					if back := must(t)(theirIn.DecryptRTCP(nil, got, nil)); !bytes.Equal(back, report(7)) {
						t.Fatalf("report %d: they read %x", i, back)
					}
					if back := must(t)(in.UnprotectRTCP(want)); !bytes.Equal(back, report(7)) {
						t.Fatalf("report %d: we read %x", i, back)
					}
				}
			})
		}
	}
}

// The figures to hold BenchmarkProtect against.
func BenchmarkProtectByAnotherImplementation(b *testing.B) {
	for _, suite := range Suites() {
		if _, both := pionProfiles[suite]; !both {
			continue
		}
		b.Run(suite.String(), func(b *testing.B) {
			out, _ := theirs(b, Generate(suite))
			pkt, buf, seq := packet(1, 0), packet(1, 0), uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				pkt[2], pkt[3] = byte(seq>>8), byte(seq)
				if _, err := out.EncryptRTP(buf[:0], pkt, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnprotectByAnotherImplementation(b *testing.B) {
	for _, suite := range Suites() {
		if _, both := pionProfiles[suite]; !both {
			continue
		}
		b.Run(suite.String(), func(b *testing.B) {
			out, in := theirs(b, Generate(suite))
			var protected [256][]byte
			for i := range protected {
				protected[i] = must(b)(out.EncryptRTP(nil, packet(1, uint16(i)), nil))
			}
			buf, i := packet(1, 0), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := in.DecryptRTP(buf[:0], protected[i%len(protected)], nil); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
