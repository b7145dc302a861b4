package rtp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

type extElement struct {
	id   uint8
	data string
}

// extended returns a packet with the elements in the form asked for, and a payload of three bytes and a byte of padding.
func extended(twoByte bool, elements ...extElement) []byte {
	b := []byte{0xa0, 8, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}
	if len(elements) > 0 {
		b[0] |= 0x10
		var ext []byte
		for _, e := range elements {
			if twoByte {
				ext = append(ext, e.id, uint8(len(e.data)))
			} else {
				ext = append(ext, e.id<<4|uint8(len(e.data)-1))
			}
			ext = append(ext, e.data...)
		}
		for len(ext)%4 != 0 {
			ext = append(ext, 0)
		}
		profile := uint16(0xbede)
		if twoByte {
			profile = 0x1000
		}
		b = binary.BigEndian.AppendUint16(b, profile)
		b = binary.BigEndian.AppendUint16(b, uint16(len(ext)/4))
		b = append(b, ext...)
	}
	return append(b, 'a', 'b', 'c', 1)
}

func elementsOf(tb testing.TB, b []byte) (all []extElement) {
	tb.Helper()
	var h Header
	if err := h.Parse(b); err != nil {
		tb.Fatal(err)
	}
	var e Extensions
	e.Reset(b, &h)
	for id, data, ok := e.Next(); ok; id, data, ok = e.Next() {
		all = append(all, extElement{id, string(data)})
	}
	return all
}

func TestExtensions(t *testing.T) {
	level, mid := extElement{1, "\x7f"}, extElement{4, "audio"}
	for _, c := range []struct {
		name string
		b    []byte
		want []extElement
	}{
		{"no extension", extended(false), nil},
		{"the one-byte form", extended(false, level, mid), []extElement{level, mid}},
		{"the two-byte form, with an element of no length", extended(true, extElement{200, ""}, mid), []extElement{{200, ""}, mid}},
		{"padding in between", extended(false, level, extElement{0, "\x00"}, mid), []extElement{level, mid}},
		{"id 15 ends the one-byte form", extended(false, level, extElement{15, "x"}, mid), []extElement{level}},
		{"id 15 is like any other in the two-byte form", extended(true, extElement{15, "x"}, mid), []extElement{{15, "x"}, mid}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := elementsOf(t, c.b); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	for name, mutate := range map[string]func(b []byte){
		"an element longer than the extension": func(b []byte) { b[16] |= 0x0f },
		"another profile":                      func(b []byte) { b[12] = 0 },
	} {
		b := extended(false, level, mid)
		mutate(b)
		if got := elementsOf(t, b); got != nil {
			t.Errorf("%s: elements %q", name, got)
		}
	}
}

func TestExtensionFindsAnElement(t *testing.T) {
	b := extended(false, extElement{1, "x"}, extElement{4, "video"})
	var h Header
	if err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	if got := Extension(b, &h, 4); string(got) != "video" {
		t.Errorf("element 4 is %q", got)
	}
	if got := Extension(b, &h, 5); got != nil {
		t.Errorf("element 5 is %q", got)
	}
}

func TestExtensionMapRewrites(t *testing.T) {
	ids := func(pairs ...uint8) (m ExtensionMap) {
		for i := 0; i < len(pairs); i += 2 {
			m.IDs[pairs[i]] = pairs[i+1]
		}
		return m
	}
	long := strings.Repeat("z", 17)
	withMID := func(m ExtensionMap, id uint8, mid string) ExtensionMap {
		m.ID, m.Value = id, mid
		return m
	}
	twoByte := func(m ExtensionMap) ExtensionMap { m.TwoByte = true; return m }
	for _, c := range []struct {
		name string
		m    ExtensionMap
		in   []byte
		out  []byte
	}{
		{"a packet without extension stays as it is", ids(1, 1), extended(false), extended(false)},
		{"elements that are not mapped go", ids(2, 2),
			extended(false, extElement{1, "one"}, extElement{2, "two"}, extElement{3, "three"}), extended(false, extElement{2, "two"})},
		{"ids change", ids(1, 5, 2, 1), extended(false, extElement{1, "one"}, extElement{2, "two"}),
			extended(false, extElement{5, "one"}, extElement{1, "two"})},
		{"without any element left there is no extension", ids(), extended(false, extElement{1, "one"}), extended(false)},
		{"an element is added to a packet without extension", withMID(ids(), 3, "v"), extended(false), extended(false, extElement{3, "v"})},
		{"an element is added to the others", withMID(ids(1, 1), 3, "v"), extended(false, extElement{1, "one"}, extElement{3, "old"}),
			extended(false, extElement{1, "one"}, extElement{3, "v"})},
		{"the two-byte form becomes the one-byte form where that will do", ids(1, 1), extended(true, extElement{1, "one"}),
			extended(false, extElement{1, "one"})},
		{"an id above 14 takes the two-byte form", ids(1, 18), extended(false, extElement{1, "one"}), extended(true, extElement{18, "one"})},
		{"what is too long for the one-byte form goes", ids(1, 1, 2, 2), extended(true, extElement{1, "one"}, extElement{2, long}),
			extended(false, extElement{1, "one"})},
		{"what is too long for the one-byte form stays if the two-byte form may be used", twoByte(ids(1, 1, 2, 2)),
			extended(true, extElement{1, "one"}, extElement{2, long}), extended(true, extElement{1, "one"}, extElement{2, long})},
		{"an empty element goes where the one-byte form must be used", ids(1, 1, 2, 2), extended(true, extElement{1, ""}, extElement{2, "two"}),
			extended(false, extElement{2, "two"})},
		{"an element that goes does not ask for the two-byte form", twoByte(ids(1, 1)), extended(true, extElement{1, "one"}, extElement{2, long}),
			extended(false, extElement{1, "one"})},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h Header
			if err := h.Parse(c.in); err != nil {
				t.Fatal(err)
			}
			got, ok := c.m.Rewrite(make([]byte, 0, 1500), c.in, &h)
			if !ok || !bytes.Equal(got, c.out) {
				t.Errorf("\ngot  %x\nwant %x", got, c.out)
			}
		})
	}
}

func TestExtensionMapLeavesOtherProfilesAlone(t *testing.T) {
	b := extended(false, extElement{1, "one"})
	b[12], b[13] = 0xab, 0xcd
	var h Header
	if err := h.Parse(b); err != nil {
		t.Fatal(err)
	}
	m := ExtensionMap{ID: 2, Value: "v"}
	if got, ok := m.Rewrite(make([]byte, 0, len(b)), b, &h); !ok || !bytes.Equal(got, b) {
		t.Errorf("got  %x\nwant %x", got, b)
	}
	if _, ok := m.Rewrite(make([]byte, 0, len(b)-1), b, &h); ok {
		t.Error("a packet fits into less room than it has")
	}
}

func TestRewritingAllocatesNothing(t *testing.T) {
	b := extended(false, extElement{1, "one"}, extElement{2, "two"})
	room := make([]byte, 0, 1500)
	m := ExtensionMap{ID: 3, Value: "video"}
	m.IDs[2] = 18
	var h Header
	if n := testing.AllocsPerRun(100, func() {
		_ = h.Parse(b)
		_ = Extension(b, &h, 2)
		_, _ = m.Rewrite(room, b, &h)
	}); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}

func BenchmarkRewrite(b *testing.B) {
	p := append(extended(false, extElement{1, "\x7f"}, extElement{3, "abc"}, extElement{4, "0"}), make([]byte, 160)...)
	room := make([]byte, 0, 1500)
	m := ExtensionMap{ID: 9, Value: "video"}
	m.IDs[1] = 2
	var h Header
	for b.Loop() {
		_ = h.Parse(p)
		m.Rewrite(room, p, &h)
	}
}

// FuzzExtensionMap demands that whatever comes in goes out within the room as a sound packet with the same payload, with no
// element that the map does not make.
func FuzzExtensionMap(f *testing.F) {
	f.Add(extended(false, extElement{1, "one"}, extElement{2, "two"}), uint8(5), "v", true, 1500)
	f.Add(extended(true, extElement{1, ""}, extElement{2, strings.Repeat("z", 40)}), uint8(0), "", true, 60)
	f.Add(extended(false), uint8(20), "video", false, 16)
	f.Fuzz(func(t *testing.T, b []byte, id uint8, value string, twoByte bool, room int) {
		var h Header
		if h.Parse(b) != nil || room < 0 || room > 1<<16 {
			return
		}
		m := ExtensionMap{ID: id, Value: value, TwoByte: twoByte}
		for i := range m.IDs[:100] {
			if i != 0 && uint8(i+1) != id {
				m.IDs[i] = uint8(i + 1)
			}
		}
		out, ok := m.Rewrite(make([]byte, 0, room), b, &h)
		if !ok {
			return
		}
		var g Header
		if err := g.Parse(out); err != nil || len(out) > room {
			t.Fatalf("%d bytes in room for %d, parsed with %v", len(out), room, err)
		}
		if !bytes.Equal(out[g.PayloadStart:], b[h.PayloadStart:]) {
			t.Fatalf("payload %x was %x", out[g.PayloadStart:], b[h.PayloadStart:])
		}
		if g.Extension && g.Profile != 0xbede && g.Profile != 0x1000 {
			return
		}
		for _, e := range elementsOf(t, out) {
			if e.id == id && e.data != value || e.id != id && (e.id < 2 || e.id > 100) {
				t.Fatalf("element %d %q", e.id, e.data)
			}
		}
	})
}
