package testpkt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"testing"
)

var (
	a4 = netip.MustParseAddrPort("192.0.2.1:1000")
	b4 = netip.MustParseAddrPort("198.51.100.2:2000")
	a6 = netip.MustParseAddrPort("[2001:db8::1]:1000")
	b6 = netip.MustParseAddrPort("[2001:db8:1::2]:2000")
)

func TestAFrameByteForByte(t *testing.T) {
	// The checksums were worked out apart from this package.
	got := UDP(a4, b4, []byte("hi"), ID(1, 0), TTL(17))
	want := "000000000000000000000000" + "0800" + "4500001e00010000" + "1111" + "bd97" + "c0000201c6336402" +
		"03e807d0000a" + "9f81" + "6869"
	if hex.EncodeToString(got) != want {
		t.Fatalf("got  %x\nwant %s", got, want)
	}
}

func TestFramesAreSoundUntilAByteChanges(t *testing.T) {
	for name, frame := range map[string][]byte{
		"IPv4":             UDP(a4, b4, RTP(8, 1, 2, 3, 160), TOS(0xb8)),
		"IPv4, odd length": UDP(a4, b4, RTP(8, 1, 2, 3, 161)),
		"IPv6":             UDP(a6, b6, RTP(8, 1, 2, 3, 160), FlowLabel(0x12345)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := Sound(frame); err != nil {
				t.Fatal(err)
			}
			last := len(frame) - 1
			if Sound(Mutate(frame, Set8(last, frame[last]+1))) == nil {
				t.Error("a changed payload passes for sound")
			}
			if name != "IPv6" && Sound(Mutate(frame, Set8(IP+8, frame[IP+8]+1))) == nil {
				t.Error("a changed TTL passes for sound")
			}
		})
	}
}

func TestChecksumOptions(t *testing.T) {
	if f := UDP(a4, b4, nil, NoChecksum()); Sound(f) != nil || binary.BigEndian.Uint16(f[UDP4+6:]) != 0 {
		t.Error("NoChecksum must leave 0, which is sound in IPv4")
	}
	if Sound(UDP(a6, b6, nil, NoChecksum())) == nil {
		t.Error("0 must not be sound in IPv6")
	}
	f := UDP(a6, b6, []byte{1, 2, 3}, PartialChecksum())
	// Completing it, as a device does: the complement of the sum over header and payload.
	check := ^fold(sum(f[UDP6:]))
	binary.BigEndian.PutUint16(f[UDP6+6:], check)
	if err := Sound(f); err != nil {
		t.Errorf("a completed partial checksum: %v", err)
	}
}

func TestPartsOfAFrame(t *testing.T) {
	rtp := RTP(101, 0xfffe, 7, 9, 4)
	if want := []byte{0x80, 101, 0xff, 0xfe, 0, 0, 0, 7, 0, 0, 0, 9, 0xfe, 0xff, 0, 1}; !bytes.Equal(rtp, want) {
		t.Errorf("RTP: got %x, want %x", rtp, want)
	}
	for _, f := range [][]byte{UDP(a4, b4, rtp), UDP(a6, b6, rtp)} {
		if got := Payload(f); !bytes.Equal(got, rtp) {
			t.Errorf("payload: got %x, want %x", got, rtp)
		}
		before := bytes.Clone(f)
		Mutate(f, Set16(12, 1))
		if tagged := Tag(f, 5); len(tagged) != len(f)+4 || tagged[12] != 0x81 || tagged[15] != 5 {
			t.Errorf("tagged: %x", tagged[:20])
		}
		if !bytes.Equal(f, before) {
			t.Error("the original has changed")
		}
	}
}
