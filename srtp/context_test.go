package srtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/weir-media/weir/rtp"
)

// packet is an RTP packet of twenty milliseconds of PCM with room for what protection adds.
func packet(ssrc uint32, seq uint16) []byte {
	h := rtp.Header{PayloadType: 8, Sequence: seq, Timestamp: 160 * uint32(seq), SSRC: ssrc}
	b := h.Append(make([]byte, 0, 12+160+MaxOverhead))
	for i := range 160 {
		b = append(b, byte(i)^byte(seq))
	}
	return b
}

// extended is an RTP packet with two contributing sources and a header extension of one word.
func extended(ssrc uint32, seq uint16) []byte {
	b := packet(ssrc, seq)
	b[0] |= 0x12
	copy(b[20:], []byte{0xbe, 0xde, 0, 1, 0x12, 1, 2, 3})
	return b
}

// report is an RTCP receiver report.
func report(ssrc uint32) []byte {
	b := make([]byte, 32, 32+MaxOverhead)
	copy(b, []byte{0x81, rtp.TypeReceiverReport, 0, 7})
	binary.BigEndian.PutUint32(b[4:], ssrc)
	for i := 8; i < 32; i++ {
		b[i] = byte(i)
	}
	return b
}

func pair(t testing.TB, p Params) (*Outbound, *Inbound) {
	t.Helper()
	out, err := NewOutbound(p)
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewInbound(p)
	if err != nil {
		t.Fatal(err)
	}
	return out, in
}

func must(t testing.TB) func([]byte, error) []byte {
	return func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

func TestRoundTrip(t *testing.T) {
	for _, suite := range Suites() {
		for _, c := range []struct {
			name                          string
			change                        func(p *Params)
			rtpClear, rtcpClear, untagged bool
		}{
			{name: "plain", change: func(*Params) {}},
			{name: "MKI", change: func(p *Params) { p.MKI = []byte{0, 0, 7} }},
			{name: "longest MKI", change: func(p *Params) { p.MKI = bytes.Repeat([]byte{9}, MaxMKI) }},
			{name: "unencrypted RTP", change: func(p *Params) { p.UnencryptedRTP = true }, rtpClear: true},
			{name: "unencrypted RTCP", change: func(p *Params) { p.UnencryptedRTCP = true }, rtcpClear: true},
			{name: "unauthenticated RTP", change: func(p *Params) { p.UnauthenticatedRTP, p.MKI = true, []byte{7} }, untagged: true},
		} {
			t.Run(suite.String()+"/"+c.name, func(t *testing.T) {
				p := Generate(suite)
				c.change(&p)
				if c.untagged && suite.aead() {
					if _, err := NewOutbound(p); !errors.Is(err, ErrParam) {
						t.Fatalf("error %v, want %v", err, ErrParam)
					}
					return
				}
				out, in := pair(t, p)
				null := suites[suite].mode == modeNull
				for seq, plain := range [][]byte{packet(1, 0), extended(1, 1), packet(1, 2)[:12], packet(1, 3)[:13]} {
					start := 12
					if plain[0]&0x0f != 0 {
						start = 28
					}
					want := slices.Clone(plain)
					got := must(t)(out.ProtectRTP(plain))
					if &got[0] != &plain[0] {
						t.Fatal("the packet moved")
					}
					tag := suite.TagLen()
					if c.untagged {
						tag = 0
					}
					if len(got) != len(want)+tag+len(p.MKI) || len(got) > len(want)+out.Overhead() {
						t.Errorf("packet %d: %d bytes more, want tag of %d and MKI of %d", seq, len(got)-len(want), tag, len(p.MKI))
					}
					if !bytes.Equal(got[:start], want[:start]) {
						t.Errorf("packet %d: the header changed", seq)
					}
					if open := bytes.Equal(got[start:len(want)], want[start:]); len(want) > start+2 && open != (c.rtpClear || null) {
						t.Errorf("packet %d: payload in the clear: %t", seq, open)
					}
					if back := must(t)(in.UnprotectRTP(got)); !bytes.Equal(back, want) {
						t.Errorf("packet %d: got  %x\nwant %x", seq, back, want)
					}
				}
				for i := range 3 {
					plain := report(1)
					want := slices.Clone(plain)
					got := must(t)(out.ProtectRTCP(plain))
					if len(got) != len(want)+4+suite.RTCPTagLen()+len(p.MKI) || len(got) > len(want)+out.Overhead() {
						t.Errorf("report %d: %d bytes more", i, len(got)-len(want))
					}
					if open := bytes.Equal(got[8:len(want)], want[8:]); open != (c.rtcpClear || null) {
						t.Errorf("report %d: in the clear: %t", i, open)
					}
					if back := must(t)(in.UnprotectRTCP(got)); !bytes.Equal(back, want) {
						t.Errorf("report %d: got  %x\nwant %x", i, back, want)
					}
				}
			})
		}
	}
}

// Nothing that was changed on its way gets through, nothing is learnt from it, and its bytes stay as they came.
func TestRefusedPacketsLeaveNoTrace(t *testing.T) {
	for _, suite := range Suites() {
		p := Generate(suite)
		p.MKI = []byte{1, 2}
		out, in := pair(t, p)
		for _, c := range []struct {
			name      string
			protected []byte
			unprotect func([]byte) ([]byte, error)
			tag       int
		}{
			{"RTP", must(t)(out.ProtectRTP(packet(1, 100))), in.UnprotectRTP, suite.TagLen()},
			{"RTCP", must(t)(out.ProtectRTCP(report(1))), in.UnprotectRTCP, suite.RTCPTagLen()},
		} {
			t.Run(suite.String()+"/"+c.name, func(t *testing.T) {
				known := len(in.Export())
				mki := len(c.protected) - len(p.MKI)
				if !suite.aead() {
					mki -= c.tag
				}
				for i := range c.protected {
					if i == mki || i == mki+1 {
						continue // the one part that is not authenticated
					}
					bad := slices.Clone(c.protected)
					bad[i] ^= 0x40
					before := slices.Clone(bad)
					if _, err := c.unprotect(bad); err == nil {
						t.Fatalf("with byte %d changed it got through", i)
					}
					if !bytes.Equal(bad, before) {
						t.Fatalf("with byte %d changed it was written to", i)
					}
					if len(in.Export()) != known {
						t.Fatalf("with byte %d changed it left %+v", i, in.Export())
					}
				}
				if _, err := c.unprotect(c.protected); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The MKI is not authenticated and there is only one key: a packet that has it is good under any name.
func TestAnotherNameForTheSameKey(t *testing.T) {
	p := Generate(AES128CM80)
	p.MKI = []byte{1, 2}
	q := p
	q.MKI = []byte{2, 1}
	out, _ := pair(t, p)
	_, in := pair(t, q)
	must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 1)))))
	must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(1)))))
}

func TestErrors(t *testing.T) {
	p := Generate(AES128CM80)
	p.MKI = []byte{5}
	other := Generate(AES128CM80)
	other.MKI = []byte{6}
	tight := func(b []byte) []byte { return slices.Clip(b) }

	for _, c := range []struct {
		name string
		do   func(out, strange *Outbound, in *Inbound) error
		want error
	}{
		{"RTP cut to its header", func(out, _ *Outbound, in *Inbound) error {
			_, err := in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 1)))[:12])
			return err
		}, ErrTooShort},
		{"RTP of eleven bytes", func(_, _ *Outbound, in *Inbound) error {
			_, err := in.UnprotectRTP(packet(1, 1)[:11])
			return err
		}, rtp.ErrShort},
		{"RTP to send of eleven bytes", func(out, _ *Outbound, _ *Inbound) error {
			_, err := out.ProtectRTP(packet(1, 1)[:11])
			return err
		}, rtp.ErrShort},
		{"RTP of version 1", func(out, _ *Outbound, _ *Inbound) error {
			b := packet(1, 1)
			b[0] = 0x40
			_, err := out.ProtectRTP(b)
			return err
		}, rtp.ErrVersion},
		{"RTP without room", func(out, _ *Outbound, _ *Inbound) error {
			_, err := out.ProtectRTP(tight(packet(1, 1)))
			return err
		}, ErrNoRoom},
		{"RTCP without room", func(out, _ *Outbound, _ *Inbound) error {
			_, err := out.ProtectRTCP(tight(report(1)))
			return err
		}, ErrNoRoom},
		{"RTCP without index", func(_, _ *Outbound, in *Inbound) error {
			b := report(1)[:12]
			b[3] = 1
			_, err := in.UnprotectRTCP(b)
			return err
		}, ErrTooShort},
		{"RTCP of no RTCP type", func(_, _ *Outbound, in *Inbound) error {
			b := report(1)
			b[1] = 8
			_, err := in.UnprotectRTCP(b)
			return err
		}, rtp.ErrType},
		{"RTCP to send longer than it is", func(out, _ *Outbound, _ *Inbound) error {
			_, err := out.ProtectRTCP(report(1)[:28])
			return err
		}, rtp.ErrShort},
		{"RTP of another key", func(_, strange *Outbound, in *Inbound) error {
			b := must(t)(strange.ProtectRTP(packet(1, 1)))
			b[len(b)-longTag-1] = 5
			_, err := in.UnprotectRTP(b)
			return err
		}, ErrAuth},
		{"RTP of another key that says so", func(_, strange *Outbound, in *Inbound) error {
			_, err := in.UnprotectRTP(must(t)(strange.ProtectRTP(packet(1, 1))))
			return err
		}, ErrMKI},
		{"RTCP of another key that says so", func(_, strange *Outbound, in *Inbound) error {
			_, err := in.UnprotectRTCP(must(t)(strange.ProtectRTCP(report(1))))
			return err
		}, ErrMKI},
		{"RTP twice", func(out, _ *Outbound, in *Inbound) error {
			b := must(t)(out.ProtectRTP(packet(1, 1)))
			must(t)(in.UnprotectRTP(slices.Clone(b)))
			_, err := in.UnprotectRTP(b)
			return err
		}, ErrReplay},
		{"RTCP twice", func(out, _ *Outbound, in *Inbound) error {
			b := must(t)(out.ProtectRTCP(report(1)))
			must(t)(in.UnprotectRTCP(slices.Clone(b)))
			_, err := in.UnprotectRTCP(b)
			return err
		}, ErrReplay},
		{"RTP older than the window", func(out, _ *Outbound, in *Inbound) error {
			old := must(t)(out.ProtectRTP(packet(1, 1)))
			must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 1+DefaultWindow)))))
			_, err := in.UnprotectRTP(old)
			return err
		}, ErrReplay},
		{"RTP at the end of the window", func(out, _ *Outbound, in *Inbound) error {
			old := must(t)(out.ProtectRTP(packet(1, 1)))
			must(t)(in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, DefaultWindow)))))
			_, err := in.UnprotectRTP(old)
			return err
		}, nil},
		{"RTP from before the first of its stream", func(out, _ *Outbound, _ *Inbound) error {
			must(t)(out.ProtectRTP(packet(1, 3)))
			_, err := out.ProtectRTP(packet(1, 65534))
			return err
		}, ErrEarly},
		{"RTP after the last index", func(out, _ *Outbound, _ *Inbound) error {
			out.Import(State{SSRC: 1, Started: true, Seq: 65535, ROC: 1<<32 - 1})
			_, err := out.ProtectRTP(packet(1, 0))
			return err
		}, ErrExhausted},
		{"RTP received after the last index", func(_, _ *Outbound, in *Inbound) error {
			in.Import(State{SSRC: 1, Started: true, Seq: 65535, ROC: 1<<32 - 1})
			_, err := in.UnprotectRTP(packet(1, 0))
			return err
		}, ErrExhausted},
		{"RTCP after the last index", func(out, _ *Outbound, _ *Inbound) error {
			out.Import(State{SSRC: 1, NextRTCP: maxRTCPIndex})
			must(t)(out.ProtectRTCP(report(1)))
			_, err := out.ProtectRTCP(report(1))
			return err
		}, ErrExhausted},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, in := pair(t, p)
			strange, _ := pair(t, other)
			if err := c.do(out, strange, in); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// Whether SRTCP is encrypted is for its sender to say.
func TestUnencryptedRTCPFromASenderThatAgreedOtherwise(t *testing.T) {
	for _, suite := range Suites() {
		encrypted := Generate(suite)
		clear := encrypted
		clear.UnencryptedRTCP = true
		for _, c := range []struct{ from, to Params }{{encrypted, clear}, {clear, encrypted}} {
			out, _ := pair(t, c.from)
			_, in := pair(t, c.to)
			if got := must(t)(in.UnprotectRTCP(must(t)(out.ProtectRTCP(report(1))))); !bytes.Equal(got, report(1)) {
				t.Errorf("%v: got %x", suite, got)
			}
		}
	}
}

func TestUnauthenticatedWithAnotherMKI(t *testing.T) {
	p := Generate(AES128CM32)
	p.UnauthenticatedRTP, p.MKI = true, []byte{5}
	q := p
	q.MKI = []byte{6}
	out, _ := pair(t, p)
	_, in := pair(t, q)
	if _, err := in.UnprotectRTP(must(t)(out.ProtectRTP(packet(1, 1)))); !errors.Is(err, ErrMKI) {
		t.Errorf("error %v, want %v", err, ErrMKI)
	}
}

func TestPacketsAllocateNothing(t *testing.T) {
	for _, suite := range Suites() {
		p := Generate(suite)
		p.MKI = []byte{1}
		out, in := pair(t, p)
		buf, seq := packet(1, 0), uint16(0)
		plain, plainRTCP := packet(1, 0), report(1)
		if n := testing.AllocsPerRun(100, func() {
			seq++
			b := append(buf[:0], plain...)
			binary.BigEndian.PutUint16(b[2:], seq)
			b, err := out.ProtectRTP(b)
			if err != nil {
				t.Fatal(err)
			}
			bad := append(buf[:0], b...)
			bad[20] ^= 1
			if _, err := in.UnprotectRTP(bad); err == nil {
				t.Fatal("a changed packet got through")
			}
			bad[20] ^= 1
			if _, err := in.UnprotectRTP(bad); err != nil {
				t.Fatal(err)
			}
			b, err = out.ProtectRTCP(append(buf[:0], plainRTCP...))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.UnprotectRTCP(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations per packet, want none", suite, n)
		}
	}
}

func BenchmarkProtect(b *testing.B) {
	for _, suite := range Suites() {
		b.Run(suite.String(), func(b *testing.B) {
			out, _ := pair(b, Generate(suite))
			pkt, seq := packet(1, 0), uint16(0)
			b.ReportAllocs()
			for b.Loop() {
				seq++
				binary.BigEndian.PutUint16(pkt[2:], seq)
				if _, err := out.ProtectRTP(pkt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkUnprotect(b *testing.B) {
	for _, suite := range Suites() {
		b.Run(suite.String(), func(b *testing.B) {
			out, in := pair(b, Generate(suite))
			var protected [256][]byte
			for i := range protected {
				protected[i] = must(b)(out.ProtectRTP(packet(1, uint16(i))))
			}
			buf, i := packet(1, 0), 0
			b.ReportAllocs()
			for b.Loop() {
				if i%len(protected) == 0 {
					in.Import(State{SSRC: 1})
				}
				if _, err := in.UnprotectRTP(append(buf[:0], protected[i%len(protected)]...)); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func ExampleOutbound() {
	send, err := NewOutbound(Generate(AES128GCM))
	if err != nil {
		fmt.Println(err)
		return
	}
	pkt, err := send.ProtectRTP(packet(0x5eed, 1))
	fmt.Println(len(pkt), err)
	// Output: 188 <nil>
}
