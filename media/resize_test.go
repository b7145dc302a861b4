package media

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/weir-media/weir/rtp"
)

// sounds returns bytes that tell where they come from.
func sounds(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((from + i) * 7)
	}
	return b
}

func TestPacketsArePutTogetherAnew(t *testing.T) {
	type packet struct {
		pt        uint8
		timestamp uint32
		bytes     int
	}
	for name, c := range map[string]struct {
		want time.Duration
		in   []packet
		out  []packet
	}{
		"20 ms to 40":     {40 * time.Millisecond, []packet{{0, 0, 160}, {0, 160, 160}, {0, 320, 160}, {0, 480, 160}}, []packet{{0, 0, 320}, {0, 320, 320}}},
		"30 ms to 20":     {20 * time.Millisecond, []packet{{8, 0, 240}, {8, 240, 240}}, []packet{{8, 0, 160}, {8, 160, 160}, {8, 320, 160}}},
		"as they are":     {20 * time.Millisecond, []packet{{8, 0, 160}, {8, 160, 160}}, []packet{{8, 0, 160}, {8, 160, 160}}},
		"GSM":             {40 * time.Millisecond, []packet{{3, 0, 33}, {3, 160, 33}}, []packet{{3, 0, 66}}},
		"G.729":           {10 * time.Millisecond, []packet{{18, 0, 20}, {18, 160, 20}}, []packet{{18, 0, 10}, {18, 80, 10}, {18, 160, 10}, {18, 240, 10}}},
		"unknown codec":   {20 * time.Millisecond, []packet{{96, 0, 77}, {96, 160, 13}}, []packet{{96, 0, 77}, {96, 160, 13}}},
		"a gap":           {40 * time.Millisecond, []packet{{0, 0, 160}, {0, 480, 160}, {0, 640, 160}}, []packet{{0, 0, 160}, {0, 480, 320}}},
		"late":            {40 * time.Millisecond, []packet{{0, 320, 160}, {0, 160, 160}, {0, 480, 160}}, []packet{{0, 320, 320}}},
		"another codec":   {40 * time.Millisecond, []packet{{0, 0, 160}, {8, 160, 160}, {8, 320, 160}}, []packet{{0, 0, 160}, {8, 160, 320}}},
		"an event":        {40 * time.Millisecond, []packet{{0, 0, 160}, {101, 160, 4}, {101, 160, 4}, {0, 640, 160}, {0, 800, 160}}, []packet{{0, 0, 160}, {101, 160, 4}, {101, 160, 4}, {0, 640, 320}}},
		"part of a frame": {40 * time.Millisecond, []packet{{3, 0, 20}}, []packet{{3, 0, 20}}},
	} {
		t.Run(name, func(t *testing.T) {
			w, legs, _ := bench(t)
			a, b := legs[0], legs[1]
			heard := new(tape)
			b.sock = heard
			a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, PacketTime: c.want, Sinks: []Sink{{RTP: b}}})
			for i, p := range c.in {
				h := rtp.Header{PayloadType: p.pt, Sequence: 65534 + uint16(i), Timestamp: p.timestamp, SSRC: 5}
				w.relay(a, append(h.Append(nil), sounds(int(p.timestamp), p.bytes)...), peerOf(0))
				w.flush()
			}
			var got []packet
			for i, data := range heard.packets {
				var h rtp.Header
				if err := h.Parse(data); err != nil {
					t.Fatal(err)
				}
				if h.Sequence != 65534+uint16(i) || h.SSRC != 5 {
					t.Errorf("packet %d has sequence number %d and SSRC %d", i, h.Sequence, h.SSRC)
				}
				got = append(got, packet{h.PayloadType, h.Timestamp, h.PayloadSize})
				if h.PayloadType == 0 || h.PayloadType == 8 {
					if want := sounds(int(h.Timestamp), h.PayloadSize); !bytes.Equal(data[h.PayloadStart:], want) {
						t.Errorf("packet %d has other sounds than those of its time", i)
					}
				}
			}
			if !slices.Equal(got, c.out) {
				t.Errorf("got  %v\nwant %v", got, c.out)
			}
		})
	}
}

func TestStreamOfTheWantedPacketTimeMayGoToTheKernel(t *testing.T) {
	w, legs, _ := bench(t)
	a, b := legs[0], legs[1]
	settings := Settings{Signalled: peerOf(0), Learning: LearnOff, PacketTime: 20 * time.Millisecond, Sinks: []Sink{{RTP: b}}}
	a.Apply(settings)
	needs := func() string { return a.needs(a.plan.Load()) }
	for i := range uint16(fitting) {
		if why := needs(); why != needsPackets {
			t.Fatalf("after %d packets: %q", i, why)
		}
		w.relay(a, rtpPacket(i), peerOf(0))
		w.flush()
	}
	if why := needs(); why != "" {
		t.Errorf("after all packets: %q", why)
	}
	a.Apply(settings)
	if why := needs(); why != needsPackets {
		t.Errorf("after a re-offer: %q", why)
	}
}

func TestResizingAllocatesNothing(t *testing.T) {
	w, legs, _ := bench(t)
	a := legs[0]
	a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, PacketTime: 40 * time.Millisecond, Sinks: []Sink{{RTP: legs[1]}}})
	data := rtpPacket(0)
	timestamp := uint32(0)
	step := func() {
		h := rtp.Header{PayloadType: 8, Timestamp: timestamp, SSRC: 5}
		h.Append(data[:0])
		timestamp += 160
		w.relay(a, data, peerOf(0))
		w.flush()
	}
	for range 10 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}
