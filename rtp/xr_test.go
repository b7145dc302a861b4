package rtp

import (
	"encoding/binary"
	"testing"
	"time"
)

// extendedReport returns an extended report with a reference time, two delay reports and VoIP metrics.
func extendedReport() []byte {
	var b []byte
	b = append(b, BlockReferenceTime, 0, 0, 2, 0, 0, 0, 5, 0x80, 0, 0, 0)
	b = append(b, BlockDelay, 0, 0, 6)
	for _, v := range []uint32{0x22222222, 0x00040000, 0x00018000, 0x33333333, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	b = append(b, BlockVoIPMetrics, 0, 0, 8, 0x22, 0x22, 0x22, 0x22, 13, 2, 0, 0, 0, 0, 0, 0, 0, 120, 0, 60, 0xe2, 0xba, 127, 16, 80, 127, 41, 38)
	b = append(b, 0x30, 0, 0, 40, 0, 40, 0, 80)
	head := []byte{0x80, TypeExtendedReport, 0, byte(1 + len(b)/4), 0x11, 0x11, 0x11, 0x11}
	return append(head, b...)
}

func TestExtendedReport(t *testing.T) {
	var c Compound
	var p Packet
	var x Blocks
	var b Block
	c.Reset(extendedReport())
	if !c.Next(&p) {
		t.Fatal(c.Err())
	}
	if ssrc, err := x.Reset(p); err != nil || ssrc != 0x11111111 {
		t.Fatalf("sender %#x, %v", ssrc, err)
	}
	if !x.Next(&b) {
		t.Fatal("no first block")
	}
	if ntp, ok := b.ReferenceTime(); !ok || ntp != 0x580000000 {
		t.Errorf("reference time %#x, %v", ntp, ok)
	}
	if _, ok := b.DelayReport(0); ok {
		t.Error("a reference time has a delay report")
	}
	if !x.Next(&b) {
		t.Fatal("no second block")
	}
	if r, ok := b.DelayReport(0); !ok || r != (DelayReport{SSRC: 0x22222222, LastRR: 4 << 16, Delay: 0x18000}) {
		t.Errorf("delay report %+v, %v", r, ok)
	}
	if r, ok := b.DelayReport(1); !ok || r.SSRC != 0x33333333 {
		t.Errorf("second delay report %+v, %v", r, ok)
	}
	if _, ok := b.DelayReport(2); ok {
		t.Error("a third delay report")
	}
	var m VoIPMetrics
	if !x.Next(&b) || m.Parse(b) != nil {
		t.Fatal("no metrics")
	}
	want := VoIPMetrics{
		SSRC: 0x22222222, LossRate: 13, DiscardRate: 2, RoundTrip: 120 * time.Millisecond, EndSystemDelay: 60 * time.Millisecond,
		RFactor: 80, MOSListening: 41, MOSConversation: 38,
	}
	if m != want {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if x.Next(&b) {
		t.Error("a fourth block")
	}
}

func FuzzExtendedReport(f *testing.F) {
	f.Add(extendedReport()[4:])
	f.Fuzz(func(t *testing.T, body []byte) {
		var x Blocks
		var b Block
		var m VoIPMetrics
		if _, err := x.Reset(Packet{Type: TypeExtendedReport, Body: body}); err != nil {
			return
		}
		sum := 4
		for x.Next(&b) {
			sum += 4 + len(b.Body)
			b.ReferenceTime()
			for i := 0; ; i++ {
				if _, ok := b.DelayReport(i); !ok {
					break
				}
			}
			if m.Parse(b) == nil && len(b.Body) < 32 {
				t.Fatal("metrics longer than their block")
			}
		}
		if sum > len(body) {
			t.Fatalf("blocks of %d bytes in %d", sum, len(body))
		}
	})
}
