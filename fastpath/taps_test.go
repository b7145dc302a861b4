package fastpath

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/srtp"
)

// tapper collects copies.
type tapper chan TappedPacket

func newTapper(t *testing.T, s stage) tapper {
	t.Helper()
	c := make(tapper, 64)
	check(t, s.Tap(func(p TappedPacket) {
		p.Data = bytes.Clone(p.Data)
		c <- p
	}))
	return c
}

func (c tapper) next(t *testing.T) TappedPacket {
	t.Helper()
	select {
	case p := <-c:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("no copy has come")
	}
	return TappedPacket{}
}

func TestTapsCopyWhatTheyAreToldTo(t *testing.T) {
	event := testpkt.RTP(101, 2, 160, 1, 4)
	cases := []struct {
		name string
		taps Taps
		want []int // of the packets below
	}{
		{"all packets", Taps{All: true}, []int{0, 1, 2, 3}},
		{"RTCP", Taps{RTCP: true}, []int{3}},
		{"events", Taps{Events: true}, []int{1}},
		{"events and RTCP", Taps{Events: true, RTCP: true}, []int{1, 3}},
	}
	packets := [][]byte{testpkt.RTP(0, 1, 160, 1, 160), event, testpkt.RTP(0, 3, 160, 1, 1200), rtcp(200, 7)}
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		copies := newTapper(t, s)
		for _, c := range cases {
			f := flow6
			f.Taps, f.ToRTCP, f.Events = c.taps, f.Target, [2]uint64{1: 1 << (101 - 64)}
			check(t, s.put(&f))
			before := monotonic(t)
			for _, p := range packets {
				out := s.decide(t, h, testpkt.UDP(f.Source, f.Local, p), relayed, relayReasonREASON_RELAYED)
				if !bytes.Equal(out, s.wanted(f, p)) {
					t.Errorf("%s: a tapped packet leaves as %x", c.name, out)
				}
			}
			for _, i := range c.want {
				got := copies.next(t)
				if got.Local != f.Local || got.Source != f.Source || got.When < before || got.When > monotonic(t) || !bytes.Equal(got.Data, packets[i]) {
					t.Errorf("%s: packet %d was copied as %v to %v at %v: %x", c.name, i, got.Source, got.Local, got.When, got.Data)
				}
			}
			if len(copies) > 0 {
				t.Errorf("%s: %d more copies than wanted", c.name, len(copies))
			}
			if counts := must(s.Remove(f.Local))(t); counts.Untapped != 0 {
				t.Errorf("%s: %d copies found no room", c.name, counts.Untapped)
			}
		}
	})
}

func TestCopiesAreOfPacketsAsTheyCame(t *testing.T) {
	audio := testpkt.RTP(0, 1, 160, 1, 160)
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		copies := newTapper(t, s)
		silenced := with(flow4, func(f *Flow) {
			f.Taps.All, f.Silence, f.Silences[0], f.Shift.SSRC = true, true, Silence{0, 0xff}, 1
		})
		blocked := with(flow4, func(f *Flow) { f.Taps.All, f.BlockMedia = true, true })
		for _, f := range []Flow{silenced, blocked} {
			check(t, s.put(&f))
			h.run(t, testpkt.UDP(f.Source, f.Local, audio))
			if got := copies.next(t); !bytes.Equal(got.Data, audio) {
				t.Errorf("copied as %x", got.Data)
			}
			check(t, drop(s.Remove(f.Local)))
		}
	})
}

func TestCopiesWithoutRoomAreCountedAndThePacketGoesItsWay(t *testing.T) {
	for i, mode := range []Mode{XDP, XDPGeneric, TC} { // each with a ring of its own
		s := newStage(t)
		runInside(t, s.host, string(mode), func(t *testing.T) { fillRing(t, s, s.testHooks()[i]) })
	}
}

func fillRing(t *testing.T, s stage, h hook) {
	f := with(flow4, func(f *Flow) { f.Taps.All = true })
	check(t, s.put(&f))
	check(t, writeMTU(s, 3000))
	long := testpkt.UDP(f.Source, f.Local, testpkt.RTP(0, 0, 0, 1, 2000))
	s.decide(t, h, long, relayed, relayReasonREASON_RELAYED)
	if c := must(s.Counters(f.Local))(t); c.Untapped != 1 {
		t.Errorf("%d copies found no room, want that of a packet that is too long for any", c.Untapped)
	}
	check(t, writeMTU(s, 1500))
	// Nobody reads: the ring fills.
	frame := testpkt.UDP(f.Source, f.Local, testpkt.RTP(0, 1, 0, 1, 1400))
	const fill = tapRing/2048 + 10
	for range fill {
		if v, _ := h.run(t, frame); v != relayed {
			t.Fatalf("a packet whose copy found no room was %s", v)
		}
	}
	if c := must(s.Counters(f.Local))(t); c.Packets != fill+1 || c.Untapped < 10 || c.Untapped > fill {
		t.Errorf("%d packets, %d without copy", c.Packets, c.Untapped)
	}
}

// Copies of packets that are turned are clear, and as they came. What goes up is not copied: userspace sees it anyway.
func testSecuredFlowsCopy(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(33, 34))
	copies := newTapper(t, s)
	for _, h := range s.testHooks() {
		for _, w := range ways {
			runInside(t, s.host, string(h.mode)+"/"+w.name, func(t *testing.T) {
				for _, taps := range []Taps{{All: true}, {Events: true}} {
					f := with(flow46, func(f *Flow) {
						f.Taps, f.Events, f.Shift = taps, [2]uint64{^uint64(0), ^uint64(0)}, Shift{Timestamp: 7}
					})
					sf := s.secured(t, f, w, srtp.AES128CM80, srtp.AES256CM32)
					stranger, _ := sf.packets(t, rtpPacket(65001, testSSRC, 160, noise))
					stranger[8] ^= 1
					h.run(t, testpkt.UDP(sf.Source, sf.Local, stranger))
					for i, size := range []int{0, 1, 160, 188, 189, 500, 1400} {
						rtp := rtpPacket(uint16(65002+i), testSSRC, size, noise)
						in, _ := sf.packets(t, rtp)
						before := monotonic(t)
						if v, _ := h.run(t, testpkt.UDP(sf.Source, sf.Local, in)); v != relayed {
							t.Fatalf("a tapped packet of %d bytes was %s", size, v)
						}
						got := copies.next(t)
						if got.Local != sf.Local || got.Source != sf.Source || got.When < before || got.When > monotonic(t) || !bytes.Equal(got.Data, rtp) {
							t.Fatalf("copied as %v to %v at %v: %x, want %x", got.Source, got.Local, got.When, got.Data, rtp)
						}
					}
					if c := must(s.Remove(sf.Local))(t); len(copies) > 0 || c.Untapped != 0 || c.Packets != 7 {
						t.Errorf("%d copies too many, %+v", len(copies), c)
					}
				}
			})
		}
	}
}

func testSecuredFlowsWithoutRoom(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(35, 36))
	done := make(chan struct{})
	defer close(done)
	check(t, s.Tap(func(TappedPacket) { <-done }))
	for i, h := range s.testHooks() {
		runInside(t, s.host, string(h.mode), func(t *testing.T) {
			sf := s.secured(t, with(flow4, func(f *Flow) { f.Taps.All = true }), ways[2], srtp.AES128CM80, srtp.AES128CM80)
			fill := uint64(10)
			if i == 0 {
				fill += tapRing / 2048 // the hooks have one ring
			}
			for n := range fill {
				in, _ := sf.packets(t, rtpPacket(uint16(65001+n), testSSRC, 1300, noise))
				if v, _ := h.run(t, testpkt.UDP(sf.Source, sf.Local, in)); v != relayed {
					t.Fatalf("a packet whose copy found no room was %s", v)
				}
			}
			if c := must(s.Counters(sf.Local))(t); c.Packets != fill || c.Untapped < 10 || c.Untapped > fill {
				t.Errorf("%d packets, %d without copy", c.Packets, c.Untapped)
			}
		})
	}
}

func TestBrokenRecordsOfTheRingAreSkipped(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 10), slices.Concat(make([]byte, 48), []byte{9, 0, 0, 0, 0, 0, 0, 0})} {
		if p, ok := decodeTap(b); ok {
			t.Errorf("%x was read as %+v", b, p)
		}
	}
}
