package rtp

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"
)

// senderReport returns a sender report with one block and a source description.
func senderReport() []byte {
	b := []byte{0x81, TypeSenderReport, 0, 12}
	b = binary.BigEndian.AppendUint32(b, 0x11111111)
	b = binary.BigEndian.AppendUint64(b, 0x0000000500000000)
	for _, v := range []uint32{160, 7, 1120, 0x22222222, 0x40fffffe, 70000, 33, 0x00040000, 0x00008000} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, 0x81, TypeSourceDescription, 0, 3, 0x11, 0x11, 0x11, 0x11, 1, 3, 'a', '@', 'b', 0, 0, 0)
}

func TestCompoundWalksASenderReportAndItsSourceDescription(t *testing.T) {
	var c Compound
	var p Packet
	var r Report
	c.Reset(senderReport())
	if !c.Next(&p) {
		t.Fatalf("no first packet: %v", c.Err())
	}
	if err := r.Parse(p); err != nil {
		t.Fatal(err)
	}
	want := Report{SSRC: 0x11111111, Sender: true,
		Info: SenderInfo{NTP: 5 << 32, Timestamp: 160, Packets: 7, Bytes: 1120},
		Reports: []ReceptionReport{{
			SSRC: 0x22222222, FractionLost: 0x40, Lost: -2, HighestSeq: 70000, Jitter: 33, LastSR: 4 << 16, Delay: 1 << 15,
		}}}
	if r.SSRC != want.SSRC || r.Sender != want.Sender || r.Info != want.Info || !slices.Equal(r.Reports, want.Reports) {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
	if rtt := r.Reports[0].RoundTrip(5 << 32); rtt != 500*time.Millisecond {
		t.Errorf("round trip %v, want 500ms", rtt)
	}
	if rtt := r.Reports[0].RoundTrip(4 << 32); rtt != 0 {
		t.Errorf("round trip %v of clocks that contradict each other, want 0", rtt)
	}
	if !c.Next(&p) || string(CanonicalName(p)) != "a@b" {
		t.Errorf("no source description with a CNAME: %+v, %v", p, c.Err())
	}
	if c.Next(&p) || c.Err() != nil {
		t.Errorf("a third packet, or the error %v", c.Err())
	}
}

func TestCompoundRefusesBrokenDatagrams(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutate func(b []byte) []byte
		err    error
	}{
		{"the last packet is cut", func(b []byte) []byte { return b[:len(b)-4] }, ErrShort},
		{"the length is no multiple of four", func(b []byte) []byte { return b[:len(b)-1] }, ErrAlignment},
		{"three bytes follow", func(b []byte) []byte { return append(b, 0, 0, 0) }, ErrAlignment},
		{"the second packet is of version 1", func(b []byte) []byte { b[52] = 0x41; return b }, ErrVersion},
		{"the first packet is padded", func(b []byte) []byte { b[0] |= 0x20; b[51] = 4; return b }, ErrPadding},
		{"padding of zero bytes", func(b []byte) []byte { b[52] |= 0x20; return b }, ErrPadding},
		{"padding beyond the packet", func(b []byte) []byte { b[52] |= 0x20; b[len(b)-1] = 16; return b }, ErrPadding},
		{"padding of three bytes", func(b []byte) []byte { b[52] |= 0x20; b[len(b)-1] = 3; return b }, ErrPadding},
	} {
		t.Run(c.name, func(t *testing.T) {
			var walk Compound
			var p Packet
			walk.Reset(c.mutate(senderReport()))
			for walk.Next(&p) {
			}
			if !errors.Is(walk.Err(), c.err) {
				t.Errorf("error %v, want %v", walk.Err(), c.err)
			}
		})
	}
}

func TestReportRefusesWhatItCannotHold(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Packet
		err  error
	}{
		{"no SSRC", Packet{Type: TypeReceiverReport, Body: []byte{1, 2, 3}}, ErrShort},
		{"no sender info", Packet{Type: TypeSenderReport, Body: make([]byte, 20)}, ErrShort},
		{"fewer blocks than counted", Packet{Type: TypeReceiverReport, Count: 2, Body: make([]byte, 4+24)}, ErrShort},
		{"not a report", Packet{Type: TypeGoodbye, Body: make([]byte, 4)}, ErrType},
	} {
		var r Report
		if err := r.Parse(c.p); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
	}
}

func TestCheckRTCP(t *testing.T) {
	for _, c := range []struct {
		name   string
		mutate func(b []byte) []byte
		err    error
	}{
		{"a compound datagram", func(b []byte) []byte { return b }, nil},
		{"an SRTCP datagram, unreadable after the first eight bytes", func(b []byte) []byte {
			for i := 8; i < len(b); i++ {
				b[i] ^= 0xa5
			}
			return append(b, 0x80, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
		}, nil},
		{"seven bytes", func(b []byte) []byte { return b[:7] }, ErrShort},
		{"a first packet longer than the datagram", func(b []byte) []byte { b[3] = 200; return b }, ErrShort},
		{"version 0", func(b []byte) []byte { b[0] = 1; return b }, ErrVersion},
		{"an RTP packet", func(b []byte) []byte { b[1] = 8; return b }, ErrType},
	} {
		if err := CheckRTCP(c.mutate(senderReport())); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
	}
}

func FuzzCompound(f *testing.F) {
	f.Add(senderReport())
	f.Add([]byte{0x80, TypeReceiverReport, 0, 1, 1, 2, 3, 4})
	f.Add([]byte{0xa1, TypeSourceDescription, 0, 2, 1, 2, 3, 4, 0, 0, 0, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Compound
		var p Packet
		var r Report
		read := 0
		c.Reset(b)
		for c.Next(&p) {
			read += 4 + len(p.Body)
			if err := r.Parse(p); err == nil && len(r.Reports) != int(p.Count) {
				t.Fatalf("%d report blocks, counted %d", len(r.Reports), p.Count)
			}
			if name := CanonicalName(p); len(name) > 255 {
				t.Fatalf("CNAME of %d bytes", len(name))
			}
		}
		if read > len(b) {
			t.Fatalf("read %d bytes of %d", read, len(b))
		}
		if c.Err() == nil && len(b) > 7 && Classify(b) == RTCP && CheckRTCP(b) != nil && b[3] != 0 {
			t.Fatalf("a whole datagram fails the check: %v", CheckRTCP(b))
		}
	})
}
