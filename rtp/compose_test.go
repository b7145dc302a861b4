package rtp

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"testing"
)

func report(sender bool, ssrcs ...uint32) *Report {
	r := &Report{SSRC: 0x11111111, Sender: sender}
	if sender {
		r.Info = SenderInfo{NTP: 5 << 32, Timestamp: 160, Packets: 7, Bytes: 1120}
	}
	for _, ssrc := range ssrcs {
		r.Reports = append(r.Reports, ReceptionReport{
			SSRC: ssrc, FractionLost: 0x40, Lost: -2, HighestSeq: 70000, Jitter: 33, LastSR: 4 << 16, Delay: 1 << 15,
		})
	}
	return r
}

func TestAReportIsReadAsItWasWritten(t *testing.T) {
	for name, want := range map[string]*Report{
		"a sender report": report(true, 1, 2), "a receiver report": report(false, 3), "an empty one": report(false),
	} {
		t.Run(name, func(t *testing.T) {
			var c Compound
			var p Packet
			var got Report
			c.Reset(want.Append(nil))
			if !c.Next(&p) || got.Parse(p) != nil || c.Next(&p) || c.Err() != nil {
				t.Fatalf("cannot be read: %v", c.Err())
			}
			if !reflect.DeepEqual(&got, want) {
				t.Errorf("got  %+v\nwant %+v", got, *want)
			}
		})
	}
	if b := report(true, 0x22222222).Append(nil); !bytes.Equal(b, senderReport()[:len(b)]) {
		t.Errorf("got  %x\nwant %x", b, senderReport()[:len(b)])
	}
	var many Report
	many.Reports = make([]ReceptionReport, MaxReports+1)
	if b := many.Append(nil); b[0]&0x1f != MaxReports || CheckRTCP(b) != nil || len(b) != 8+MaxReports*24 {
		t.Errorf("%d blocks in %d bytes", b[0]&0x1f, len(b))
	}
}

func TestCanonicalNameIsReadAsItWasWritten(t *testing.T) {
	for _, name := range []string{"", "a", "ab", "abc", "abcd", "twelve bytes"} {
		var c Compound
		var p Packet
		b := AppendCanonicalName(nil, 0x01020304, name)
		c.Reset(b)
		if !c.Next(&p) || c.Err() != nil || string(CanonicalName(p)) != name || binary.BigEndian.Uint32(p.Body) != 0x01020304 {
			t.Errorf("%q: %x, %v", name, b, c.Err())
		}
		if b[len(b)-1] != 0 {
			t.Errorf("%q: the list of items has no end: %x", name, b)
		}
	}
}

func TestPacketsAreTakenOutOfACompound(t *testing.T) {
	sr := report(true, 5).Append(nil)
	name := AppendCanonicalName(nil, 0x11111111, "x")
	picture := []byte{0x81, TypePayloadFeedback, 0, 2, 0x11, 0x11, 0x11, 0x11, 0, 0, 0, 9}
	padded := []byte{0xa1, TypePayloadFeedback, 0, 3, 0x11, 0x11, 0x11, 0x11, 0, 0, 0, 9, 0, 0, 0, 4}
	empty := (&Report{SSRC: 0x11111111}).Append(nil)
	join := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	for _, c := range []struct {
		name string
		in   []byte
		drop TypeSet
		want []byte
	}{
		{"nothing to take out", join(sr, name, picture), 0, join(sr, name, picture)},
		{"feedback", join(sr, name, picture), Types(TypePayloadFeedback, TypeTransportFeedback), join(sr, name)},
		{"reports: what is left gets an empty one", join(sr, name, picture), Types(TypeSenderReport, TypeReceiverReport, TypeSourceDescription),
			join(empty, picture)},
		{"padding stays with its packet", join(sr, padded), Types(TypeSenderReport), join(empty, padded)},
		{"all of it", join(picture), Types(TypePayloadFeedback), nil},
		{"a broken end is lost", join(sr, picture[:8]), 0, sr},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := AppendWithout(nil, c.in, c.drop); !bytes.Equal(got, c.want) {
				t.Errorf("\ngot  %x\nwant %x", got, c.want)
			}
		})
	}
	if got, want := TypesIn(join(sr, name, picture)), Types(TypeSenderReport, TypeSourceDescription, TypePayloadFeedback); got != want {
		t.Errorf("types %b, want %b", got, want)
	}
}

func TestComposingAllocatesNothing(t *testing.T) {
	r, room := report(true, 1, 2, 3), make([]byte, 0, 1500)
	in := AppendCanonicalName(r.Append(nil), r.SSRC, "somebody")
	var metrics VoIPMetrics
	xr := extendedReport()
	if n := testing.AllocsPerRun(100, func() {
		out := AppendCanonicalName(r.Append(room), r.SSRC, "somebody")
		_ = AppendWithout(out[:0], in, Types(TypeSenderReport))
		_ = TypesIn(in)
		var c Compound
		var p Packet
		var x Blocks
		var b Block
		c.Reset(xr)
		c.Next(&p)
		_, _ = x.Reset(p)
		for x.Next(&b) {
			_ = metrics.Parse(b)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzAppendWithout demands that what is left of a datagram is a sound compound without the packets taken out.
func FuzzAppendWithout(f *testing.F) {
	f.Add(senderReport(), uint32(Types(TypeSenderReport)))
	f.Add(extendedReport(), uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, drop uint32) {
		out := AppendWithout(nil, b, TypeSet(drop))
		var c Compound
		var p Packet
		for c.Reset(out); c.Next(&p); {
			if TypeSet(drop).Has(p.Type) && !(p.Type == TypeReceiverReport && p.Count == 0) {
				t.Fatalf("type %d is still there", p.Type)
			}
		}
		if c.Err() != nil || len(out) > len(b)+8 {
			t.Fatalf("%d bytes of %d, %v", len(out), len(b), c.Err())
		}
	})
}
