package rtp

import (
	"slices"
	"testing"
)

// described is the body of a source description of two sources, the first with two items, the second with none.
var described = []byte{
	0, 0, 0, 1, 1, 3, 'a', '@', 'b', 2, 2, 'x', 'y', 0, 0, 0,
	0, 0, 0, 2, 0, 0, 0, 0,
	0, 0, 0, 3, 6, 1, 'z', 0,
}

func TestItemsOfSourceDescriptions(t *testing.T) {
	read := func(p Packet) (got []string) {
		for item := range p.SourceItems {
			got = append(got, string(rune('0'+item.SSRC))+string(rune('0'+item.Type))+string(item.Text))
		}
		return got
	}
	p := Packet{Type: TypeSourceDescription, Count: 3, Body: described}
	if got, want := read(p), []string{"11a@b", "12xy", "36z"}; !slices.Equal(got, want) {
		t.Errorf("read %q, want %q", got, want)
	}
	for n := range len(described) - 1 {
		p.Body = described[:n]
		if got := read(p); len(got) > 2 {
			t.Errorf("%d bytes have %q", n, got)
		}
	}
	p.Type = TypeGoodbye
	if got := read(p); got != nil {
		t.Errorf("a goodbye has %q", got)
	}
}

func FuzzSourceItems(f *testing.F) {
	f.Add(uint8(3), described)
	f.Add(uint8(31), []byte{0, 0, 0, 1, 1, 255})
	f.Fuzz(func(t *testing.T, count uint8, body []byte) {
		size := 0
		for item := range (Packet{Type: TypeSourceDescription, Count: count & 0x1f, Body: body}).SourceItems {
			size += 2 + len(item.Text)
		}
		if size > len(body) {
			t.Errorf("items of %d bytes in %d", size, len(body))
		}
	})
}
