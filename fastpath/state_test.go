package fastpath

import (
	"bytes"
	"encoding/binary"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/internal/testpkt"
)

// forEachHook runs fn for every program but those of a mode to leave out, inside the host of one stage.
func forEachHook(t *testing.T, fn func(t *testing.T, s stage, h hook), without ...Mode) {
	t.Helper()
	s := newStage(t)
	for _, h := range s.testHooks() {
		if !slices.Contains(without, h.mode) {
			runInside(t, s.host, string(h.mode), func(t *testing.T) { fn(t, s, h) })
		}
	}
}

// decide runs a frame and fails unless it takes the exit, and no other.
func (s stage) decide(t testing.TB, h hook, frame []byte, want verdict, reason relayReason) []byte {
	t.Helper()
	before := h.exits(t, s.Plane)
	v, out := h.run(t, frame)
	if v != want {
		t.Errorf("verdict: got %s, want %s", v, want)
	}
	expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{reason: 1})
	return out
}

// edit changes the installed form of a flow.
func (s stage) edit(t testing.TB, f Flow, change func(*relayFlow)) {
	t.Helper()
	key, value := encodeEndpoint(f.Local), relayFlow{}
	check(t, s.maps.Flows.Lookup(&key, &value))
	change(&value)
	check(t, s.maps.Flows.Update(&key, &value, ebpf.UpdateExist))
}

func TestLossIsWhatIsMissingBetweenSequenceNumbers(t *testing.T) {
	cases := []struct {
		name string
		seed *Flow // Seq and SSRC
		seqs []uint16
		lost uint64
		last uint16
	}{
		{"nothing is lost in a row", nil, []uint16{1, 2, 3}, 0, 3},
		{"nothing is lost before the first packet", nil, []uint16{40000}, 0, 40000},
		{"a gap is lost", nil, []uint16{1, 5}, 3, 5},
		{"a late packet is taken back", nil, []uint16{1, 3, 2}, 0, 3},
		{"a late packet is taken back once per gap", nil, []uint16{1, 5, 2, 3}, 1, 5},
		{"a late packet without loss changes nothing", nil, []uint16{9, 7, 10}, 0, 10},
		{"a repeated packet changes nothing", nil, []uint16{1, 4, 4}, 2, 4},
		{"the number turns over", nil, []uint16{65534, 65535, 0, 2}, 1, 2},
		{"the longest gap forward", nil, []uint16{0, 2999}, 2998, 2999},
		{"the latest late packet", nil, []uint16{5000, 5002, 2003}, 0, 5002},
		{"a single packet from elsewhere is left out", nil, []uint16{0, 0x8000, 1, 3001, 2}, 0, 2},
		{"a jump begins anew with its second packet", nil, []uint16{10, 20000, 20001, 20003}, 1, 20003},
		{"a jump back does, too", nil, []uint16{20000, 10, 11, 13}, 1, 13},
		{"the seed of userspace counts", &Flow{Seq: 10, SSRC: 1, Seeded: true}, []uint16{13}, 2, 13},
		{"a seed of another SSRC does not", &Flow{Seq: 10, SSRC: 2, Seeded: true}, []uint16{13}, 0, 13},
		{"a seed of 0 and 0 is a seed", &Flow{Seeded: true, SSRC: 1}, []uint16{2}, 1, 2},
	}
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		for _, c := range cases {
			f := flow4
			if c.seed != nil {
				f.Seq, f.SSRC, f.Seeded = c.seed.Seq, c.seed.SSRC, c.seed.Seeded
			}
			check(t, s.Install(f))
			for _, seq := range c.seqs {
				s.decide(t, h, testpkt.UDP(f.Source, f.Local, testpkt.RTP(0, seq, 0, 1, 20)), relayed, relayReasonREASON_RELAYED)
			}
			got := must(s.Counters(f.Local))(t)
			if got.Lost != c.lost || got.Seq != c.last || got.SSRC != 1 || got.Packets != uint64(len(c.seqs)) {
				t.Errorf("%s: got %+v, want %d lost and %d last", c.name, got, c.lost, c.last)
			}
		}
	})
}

func TestANewSSRCStartsWithoutLoss(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		check(t, s.Install(flow4))
		for _, p := range [][]byte{testpkt.RTP(0, 1, 0, 1, 20), testpkt.RTP(0, 3, 0, 1, 20), testpkt.RTP(0, 100, 0, 2, 20)} {
			s.decide(t, h, testpkt.UDP(flow4.Source, flow4.Local, p), relayed, relayReasonREASON_RELAYED)
		}
		if got := must(s.Counters(flow4.Local))(t); got.Lost != 1 || got.SSRC != 2 || got.Seq != 100 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestChecksumsThatALocalSenderLeftToItsDeviceAreMade(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		for _, f := range []Flow{flow4, flow6} {
			for _, size := range []int{0, 1, 2, 3, 160, 161, 1440} {
				check(t, s.Install(f))
				rtp := testpkt.RTP(0, uint16(size), 0, 1, size)
				out := s.decide(t, h, testpkt.UDP(f.Source, f.Local, rtp, testpkt.PartialChecksum()), relayed, relayReasonREASON_RELAYED)
				want := s.wanted(f, rtp)
				if h.mode == XDPGeneric { // the metadata survives, so the device will still complete it
					want = s.wanted(f, rtp, testpkt.PartialChecksum())
				}
				if !bytes.Equal(out, want) {
					t.Errorf("%v, %d bytes:\ngot  %x\nwant %x", f.Local, size, out, want)
				}
			}
		}
	}, TC) // tc knows such packets by their metadata, which a test run cannot give: see the tests on devices
}

func TestAWholeChecksumThatLooksLikeOneLeftOverIsKeptRight(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		for _, f := range []Flow{flow4, flow6} {
			check(t, s.Install(f))
			rtp := testpkt.RTP(0, 1, 0, 1, 20)
			left := testpkt.UDP(f.Source, f.Local, rtp, testpkt.PartialChecksum())
			at := len(left) - len(rtp) - 2
			frame := left
			for n := 0; ; n++ {
				if n > 0xffff {
					t.Fatal("no payload has this checksum")
				}
				binary.BigEndian.PutUint16(rtp[12:], uint16(n))
				frame = testpkt.UDP(f.Source, f.Local, rtp)
				if bytes.Equal(frame[at:at+2], left[at:at+2]) {
					break
				}
			}
			out := s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
			if want := s.wanted(f, rtp); !bytes.Equal(out, want) {
				t.Errorf("%v:\ngot  %x\nwant %x", f.Local, out, want)
			}
		}
	})
}

func TestAChecksumTooLongToMakeGoesUpUntouched(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		check(t, s.Install(flow4))
		check(t, writeMTU(s, 3000))
		frame := testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 2100), testpkt.PartialChecksum())
		if out := s.decide(t, h, frame, up, relayReasonREASON_CHECKSUM); !bytes.Equal(out, frame) {
			t.Error("the frame has changed")
		}
	}, TC) // tc leaves the sum to the kernel
}

func writeMTU(s stage, mtu int) error { return s.netlink.LinkSetMTU(s.link, mtu) }

func TestNextHop(t *testing.T) {
	old := [6]uint8{2, 9, 9, 9, 9, 9}
	rtp := testpkt.RTP(0, 1, 0, 1, 160)
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		for _, f := range []Flow{flow4, flow6} {
			frame := testpkt.UDP(f.Source, f.Local, rtp)
			install := func(to string) {
				g := f
				if to != "" {
					g.To = addrPort(to)
				}
				check(t, s.Install(g))
			}
			v4 := f.Local.Addr().Is4()
			pick := func(a, b string) string {
				if v4 {
					return a
				}
				return b
			}

			install("")
			s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
			s.edit(t, f, func(v *relayFlow) {
				if v.Target.Hop.When == 0 || v.Target.Hop.Mtu != 1500 || v.Target.Hop.Dst != [6]uint8(peerMAC) || int(v.Target.Hop.Ifindex) != s.link.Attrs().Index {
					t.Errorf("%v: the answer was not kept: %+v", f.Local, v.Target.Hop)
				}
				v.Target.Hop.When, v.Target.Hop.Dst = 1, old
			})
			if out := s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED); !bytes.Equal(out, s.wanted(f, rtp)) {
				t.Errorf("%v: an old answer is still used: %x", f.Local, out[:12])
			}

			// A young answer is used as it is. Young is less than a second, so this machine has to be quick once.
			for {
				start := time.Now()
				install("")
				s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
				s.edit(t, f, func(v *relayFlow) { v.Target.Hop.Dst = old })
				_, out := h.run(t, frame)
				if time.Since(start) > time.Second/2 {
					continue
				}
				if [6]byte(out) != old {
					t.Errorf("%v: a young answer is not used: %x", f.Local, out[:12])
				}
				break
			}

			install("")
			big := testpkt.UDP(f.Source, f.Local, testpkt.RTP(0, 1, 0, 1, 1500))
			s.decide(t, h, big, up, relayReasonREASON_TOO_BIG) // by look-up
			s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
			s.decide(t, h, big, up, relayReasonREASON_TOO_BIG) // by the kept MTU

			install(pick("192.0.2.99:5000", "[2001:db8::99]:5000"))
			s.decide(t, h, frame, up, relayReasonREASON_NO_NEIGHBOUR)
			install(pick("203.0.113.9:5000", "[2001:db9::9]:5000"))
			s.decide(t, h, frame, up, relayReasonREASON_NO_ROUTE)
			install(pick("192.0.2.1:5000", "[2001:db8::1]:5000")) // this host
			s.decide(t, h, frame, up, relayReasonREASON_NO_ROUTE)

			install("")
			sysctl := pick(forwarding4, forwarding6)
			check(t, os.WriteFile(sysctl, []byte("0"), 0))
			s.decide(t, h, frame, up, relayReasonREASON_FORWARDING_OFF)
			check(t, os.WriteFile(sysctl, []byte("1"), 0))
			s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
		}
	})
}

func TestLastSeenIsOnTheMonotonicClock(t *testing.T) {
	frame := testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 160))
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		check(t, s.Install(flow4))
		const tick = 10 * time.Millisecond // of the slowest kernels
		before := monotonic(t)
		s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
		after := monotonic(t)
		got := must(s.Counters(flow4.Local))(t).LastSeen
		if got < before-tick || got > after {
			t.Errorf("last seen at %v, want %v to %v", got, before, after)
		}
	})
}

// monotonic is the clock of Counters.LastSeen.
func monotonic(t testing.TB) time.Duration {
	t.Helper()
	var ts unix.Timespec
	check(t, unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts))
	return time.Duration(ts.Nano())
}

func TestOnlyNativeXDPNeedsADeviceThatTakesItsFrames(t *testing.T) {
	frame := testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 160))
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		s.port(t, 0)
		defer s.port(t, relayPortFlagPORT_XMIT)
		check(t, s.Install(flow4))
		if h.mode != XDP {
			s.decide(t, h, frame, relayed, relayReasonREASON_RELAYED)
			return
		}
		if out := s.decide(t, h, frame, up, relayReasonREASON_PORT); !bytes.Equal(out, frame) {
			t.Error("the frame has changed")
		}
		s.port(t, relayPortFlagPORT_TX) // but the frame came in elsewhere
		check(t, s.Install(flow4))
		s.decide(t, h, frame, up, relayReasonREASON_PORT)
	})
}

func TestFlowsOfAnotherVersionOrActionGoUp(t *testing.T) {
	frame := testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 160))
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		check(t, s.Install(flow4))
		s.edit(t, flow4, func(v *relayFlow) { v.Version++ })
		s.decide(t, h, frame, up, relayReasonREASON_ACTION)
		s.edit(t, flow4, func(v *relayFlow) { v.Version--; v.Action = 99 })
		s.decide(t, h, frame, up, relayReasonREASON_ACTION)
	})
}

// skb is struct __sk_buff of the kernel's interface, as far as tests use it.
type skb struct {
	Len, PktType, Mark, QueueMapping uint32
	_                                [34]uint32
	Tstamp                           uint64
	WireLen, GSOSegs                 uint32
	_                                uint64
	GSOSize, _                       uint32
	_                                uint64
}

func TestTcLooksAtTheMetadataOfThePacket(t *testing.T) {
	s := newStage(t)
	inside(t, s.host, func() {
		h := s.testHooks()[2]
		frame := testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 160))
		check(t, s.Install(flow4))
		s.decide(t, h, testpkt.UDP(flow4.Source, flow4.Local, testpkt.RTP(0, 1, 0, 1, 160), testpkt.MAC([6]byte{2, 1}, [6]byte{})),
			up, relayReasonREASON_OTHER_HOST)

		out := skb{}
		code, err := h.program.Run(&ebpf.RunOptions{
			Data: frame, DataOut: make([]byte, 512), Context: skb{Mark: 7, Tstamp: 99}, ContextOut: &out,
		})
		check(t, err)
		if h.verdicts[code] != relayed || out.Mark != 0 || out.Tstamp != 0 {
			t.Errorf("verdict %d, mark %d, time %d: want a relayed packet without mark and time", code, out.Mark, out.Tstamp)
		}

		before := h.exits(t, s.Plane)
		code, err = h.program.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, 512), Context: skb{GSOSize: 20, GSOSegs: 8}})
		check(t, err)
		if h.verdicts[code] != up {
			t.Errorf("several datagrams in one buffer: %s", h.verdicts[code])
		}
		expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{relayReasonREASON_GSO: 1})
	})
}
