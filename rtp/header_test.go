package rtp

import (
	"bytes"
	"errors"
	"testing"
)

func packet(mutate func(b []byte) []byte) []byte {
	h := Header{PayloadType: 8, Marker: true, Sequence: 0x1234, Timestamp: 0xdeadbeef, SSRC: 0xcafebabe}
	b := append(h.Append(nil), "payload!"...)
	if mutate != nil {
		b = mutate(b)
	}
	return b
}

func TestHeaderParse(t *testing.T) {
	plain := Header{
		PayloadType: 8, Marker: true, Sequence: 0x1234, Timestamp: 0xdeadbeef, SSRC: 0xcafebabe, PayloadStart: 12, PayloadSize: 8,
	}
	with := func(f func(h *Header)) Header { h := plain; f(&h); return h }
	for _, c := range []struct {
		name   string
		mutate func(b []byte) []byte
		want   Header
		err    error
	}{
		{name: "a plain packet", want: plain},
		{name: "a header without payload", mutate: func(b []byte) []byte { return b[:12] },
			want: with(func(h *Header) { h.PayloadSize = 0 })},
		{name: "eleven bytes are too short", mutate: func(b []byte) []byte { return b[:11] }, err: ErrShort},
		{name: "version 1 is refused", mutate: func(b []byte) []byte { b[0] = 0x40; return b }, err: ErrVersion},
		{name: "two contributing sources move the payload", mutate: func(b []byte) []byte { b[0] |= 2; return b },
			want: with(func(h *Header) { h.Contributors, h.PayloadStart, h.PayloadSize = 2, 20, 0 })},
		{name: "more contributing sources than bytes", mutate: func(b []byte) []byte { b[0] |= 3; return b }, err: ErrShort},
		{name: "an extension of one word", mutate: func(b []byte) []byte {
			b[0] |= 0x10
			copy(b[12:], []byte{0xbe, 0xde, 0, 1})
			return b
		}, want: with(func(h *Header) {
			h.Extension, h.Profile, h.ExtensionStart, h.ExtensionSize = true, 0xbede, 16, 4
			h.PayloadStart, h.PayloadSize = 20, 0
		})},
		{name: "an extension longer than the packet", mutate: func(b []byte) []byte {
			b[0] |= 0x10
			copy(b[12:], []byte{0xbe, 0xde, 0, 2})
			return b
		}, err: ErrShort},
		{name: "an extension without room for its own header",
			mutate: func(b []byte) []byte { b[0] |= 0x10; return b[:15] }, err: ErrShort},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Header
			err := h.Parse(packet(c.mutate))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err == nil && h != c.want {
				t.Errorf("got  %+v\nwant %+v", h, c.want)
			}
		})
	}
}

func TestTrimPadding(t *testing.T) {
	for _, c := range []struct {
		name string
		last byte
		size int
		err  error
	}{
		{name: "four bytes of padding", last: 4, size: 4},
		{name: "padding may fill the payload", last: 8, size: 0},
		{name: "padding of zero bytes is refused", last: 0, err: ErrPadding},
		{name: "padding longer than the payload is refused", last: 9, err: ErrPadding},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := packet(func(b []byte) []byte { b[0] |= 0x20; b[len(b)-1] = c.last; return b })
			var h Header
			if err := h.Parse(b); err != nil {
				t.Fatal(err)
			}
			if err := h.TrimPadding(b); !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err == nil && h.PayloadSize != c.size {
				t.Errorf("payload of %d bytes, want %d", h.PayloadSize, c.size)
			}
		})
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	b := packet(nil)
	sr := senderReport()
	var h Header
	var c Compound
	var p Packet
	var r Report
	if n := testing.AllocsPerRun(100, func() {
		_ = h.Parse(b)
		c.Reset(sr)
		for c.Next(&p) {
			_ = r.Parse(p)
		}
	}); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(packet(nil))
	f.Add(packet(func(b []byte) []byte { b[0] |= 0x30; b[15] = 1; b[len(b)-1] = 2; return b }))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		if h.Parse(b) != nil {
			return
		}
		if h.PayloadStart+h.PayloadSize != len(b) || h.PayloadSize < 0 {
			t.Fatalf("payload %d+%d of a packet of %d", h.PayloadStart, h.PayloadSize, len(b))
		}
		if !h.Extension && h.Contributors == 0 && !bytes.Equal(h.Append(nil), b[:HeaderSize]) {
			t.Fatalf("printed %x, parsed %x", h.Append(nil), b[:HeaderSize])
		}
		if h.TrimPadding(b) == nil && (h.PayloadSize < 0 || h.PayloadStart+h.PayloadSize > len(b)) {
			t.Fatalf("trimmed payload %d+%d of a packet of %d", h.PayloadStart, h.PayloadSize, len(b))
		}
	})
}

func TestStaticClockRate(t *testing.T) {
	for pt, want := range map[uint8]uint32{0: 8000, 8: 8000, 9: 8000, 10: 44100, 26: 90000, 35: 0, 96: 0, 127: 0} {
		if got := StaticClockRate(pt); got != want {
			t.Errorf("payload type %d: %d Hz, want %d", pt, got, want)
		}
	}
}
