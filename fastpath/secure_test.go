package fastpath

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/srtp"
)

// way is from which packets to which a flow goes.
type way struct {
	name       string
	open, seal bool
}

var ways = []way{{"RTP to SRTP", false, true}, {"SRTP to RTP", true, false}, {"SRTP to SRTP", true, true}}

// securedFlow is a flow with fresh ciphers, and who sends and receives its packets.
type securedFlow struct {
	Flow
	sender   *srtp.Outbound // nil: it sends clear packets
	receiver *srtp.Outbound // makes what the receiver must get; nil: it gets clear packets
}

func (s stage) secured(t testing.TB, f Flow, w way, receiver, sender srtp.Suite) *securedFlow {
	t.Helper()
	sf := &securedFlow{Flow: f}
	begin := Stream{SSRC: testSSRC, Highest: 1<<16 | 65000, Seen: [2]uint64{1}}
	if w.open {
		c := s.cipherPair(t, srtp.Generate(sender), begin)
		sf.Open, sf.sender = c.Cipher, c.out
	}
	if w.seal {
		c := s.cipherPair(t, srtp.Generate(receiver), begin)
		sf.Seal, sf.receiver = c.Cipher, c.out
	}
	check(t, s.Install(sf.Flow))
	return sf
}

// packets gives what the sender sends for an RTP packet, and what the receiver must get.
func (sf *securedFlow) packets(t testing.TB, rtp []byte) (in, out []byte) {
	t.Helper()
	in, out = rtp, rtp
	if sf.sender != nil {
		in = must(sf.sender.ProtectRTP(room(rtp)))(t)
	}
	if sf.receiver != nil {
		out = must(sf.receiver.ProtectRTP(room(rtp)))(t)
	}
	return in, out
}

var (
	flow46 = Flow{Local: flow4.Local, Source: flow4.Source, Target: flow6.Target, DropForeign: true}
	flow64 = Flow{Local: flow6.Local, Source: flow6.Source, Target: flow4.Target, DropForeign: true}
)

// odd makes an RTP packet of an unusual shape: contributing sources and a header extension.
func odd(rtp []byte, sources, words int) []byte {
	head := bytes.Clone(rtp[:12])
	head[0] |= byte(sources)
	head = append(head, bytes.Repeat([]byte{0xcc}, 4*sources)...)
	if words >= 0 {
		head[0] |= 0x10
		head = binary.BigEndian.AppendUint16(append(head, 0xbe, 0xde), uint16(words))
		head = append(head, make([]byte, 4*words)...)
	}
	return append(head, rtp[12:]...)
}

// TestSecuredFlows loads the programs once for all of them.
func TestSecuredFlows(t *testing.T) {
	s := newSecureStage(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, stage)
	}{
		{"send what userspace would", testSecuredFlowsRelay},
		{"leave alone what they do not relay", testSecuredFlowsLeaveAlone},
		{"keep checksums", testSecuredFlowsKeepChecksums},
		{"shift", testSecuredFlowsShift},
		{"pass packets up without keys", testSecuredFlowsWithoutKeys},
		{"copy what is clear", testSecuredFlowsCopy},
		{"count copies without room", testSecuredFlowsWithoutRoom},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// On every hook, between every two IP versions, on every way, packets of every shape are those that
// userspace would send, in a sound frame.
func testSecuredFlowsRelay(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(21, 22))
	for _, h := range s.testHooks() {
		for _, path := range []struct {
			name   string
			flow   Flow
			suites [2]srtp.Suite // of receiver and sender
		}{
			{"IPv4", flow4, [2]srtp.Suite{srtp.AES128CM80, srtp.AES256CM32}}, {"IPv6", flow6, [2]srtp.Suite{srtp.AES128GCM, srtp.AES256GCM}},
			{"IPv4 to IPv6", flow46, [2]srtp.Suite{srtp.AES128CM80, srtp.AES256GCM}},
			{"IPv6 to IPv4", flow64, [2]srtp.Suite{srtp.AES128GCM, srtp.AES256CM32}},
		} {
			for _, w := range ways {
				runInside(t, s.host, string(h.mode)+"/"+path.name+"/"+w.name, func(t *testing.T) {
					sf := s.secured(t, path.flow, w, path.suites[0], path.suites[1])
					var want Counters
					seq := uint16(65000)
					relay := func(name string, rtp []byte, tail []byte, opts ...testpkt.Option) {
						t.Helper()
						in, out := sf.packets(t, rtp)
						before := h.exits(t, s.Plane)
						v, got := h.run(t, append(testpkt.UDP(sf.Source, sf.Local, in, opts...), tail...))
						wanted := s.wanted(sf.Flow, out)
						if v != relayed || !bytes.Equal(got, wanted) {
							t.Fatalf("%s: %s\n%x, want\n%x", name, v, got, wanted)
						}
						expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{relayReasonREASON_RELAYED: 1})
						want.Packets++
						want.Bytes += uint64(len(rtp))
						want.Out++
						want.OutBytes += uint64(len(out))
					}
					next := func(size int) []byte {
						seq++ // over the rollover
						return rtpPacket(seq, testSSRC, size, noise)
					}
					for size := range 70 {
						relay("a short payload", next(size), nil)
					}
					for range 600 {
						relay("speech", next(160), nil)
					}
					for _, size := range []int{500, 1000, 1001, 1400} {
						relay("a long payload", next(size), nil)
					}
					for sources := range 16 {
						relay("contributing sources", odd(next(160), sources, -1), nil)
						relay("contributing sources and an extension", odd(next(160), sources, sources), nil)
					}
					relay("an empty extension", odd(next(33), 0, 0), nil)
					relay("padding behind the packet", next(2), []byte{0, 0, 0, 0, 0})
					got := must(s.Counters(sf.Local))(t)
					got.LastSeen, got.SSRC, got.Seq, got.Sources = 0, 0, 0, [MaxSources]SourceCounters{}
					if got != want {
						t.Errorf("counters: got %+v, want %+v", got, want)
					}
				})
			}
		}
	}
}

// What the kernel does not relay ends for its own reason, goes up as it came, or is dropped where
// userspace would drop it; and it says nothing about the stream.
func testSecuredFlowsLeaveAlone(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(23, 24))
	rtp := rtpPacket(65001, testSSRC, 160, noise)
	for _, c := range []struct {
		name    string
		way     way
		change  func(in []byte) []byte // of the UDP payload
		flow    func(f *Flow)          // after installation
		opts    []testpkt.Option
		verdict verdict
		reason  relayReason
		counts  Counters
	}{
		{name: "a wrong tag", way: ways[1], change: func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			verdict: dropped, reason: relayReasonREASON_SRTP_AUTH, counts: Counters{Unauthenticated: 1}},
		{name: "a changed payload", way: ways[2], change: func(b []byte) []byte { b[40] ^= 1; return b },
			verdict: dropped, reason: relayReasonREASON_SRTP_AUTH, counts: Counters{Unauthenticated: 1}},
		{name: "a changed header", way: ways[1], change: func(b []byte) []byte { b[1] ^= 0x80; return b },
			verdict: dropped, reason: relayReasonREASON_SRTP_AUTH, counts: Counters{Unauthenticated: 1}},
		{name: "clear RTP where SRTP is due", way: ways[1], change: func([]byte) []byte { return bytes.Clone(rtp) },
			verdict: dropped, reason: relayReasonREASON_SRTP_AUTH, counts: Counters{Unauthenticated: 1}},
		{name: "a packet received before", way: ways[1], change: func(b []byte) []byte { binary.BigEndian.PutUint16(b[2:], 65000); return b },
			verdict: dropped, reason: relayReasonREASON_SRTP_REPLAY, counts: Counters{Replayed: 1}},
		{name: "a packet too old to tell", way: ways[1], change: func(b []byte) []byte { binary.BigEndian.PutUint16(b[2:], 64000); return b },
			verdict: dropped, reason: relayReasonREASON_SRTP_REPLAY, counts: Counters{Replayed: 1}},
		{name: "another SSRC, from SRTP", way: ways[1], change: func(b []byte) []byte { b[8] ^= 1; return b },
			verdict: up, reason: relayReasonREASON_SRTP_STREAM},
		{name: "another SSRC, to SRTP", way: ways[0], change: func(b []byte) []byte { b[8] ^= 1; return b },
			verdict: up, reason: relayReasonREASON_SRTP_STREAM},
		{name: "no room for a tag", way: ways[1], change: func(b []byte) []byte { return b[:15] },
			verdict: up, reason: relayReasonREASON_SRTP_LENGTH},
		{name: "a header longer than the packet", way: ways[1], change: func(b []byte) []byte { b[0] |= 15; return b[:30] },
			verdict: up, reason: relayReasonREASON_BAD_RTP},
		{name: "a very long header", way: ways[0], change: func([]byte) []byte { return odd(rtp, 0, 100) },
			verdict: up, reason: relayReasonREASON_SRTP_LENGTH},
		{name: "RTCP", way: ways[0], change: func(b []byte) []byte { b[1] = 200; binary.BigEndian.PutUint16(b[2:], 6); return b[:28] },
			verdict: up, reason: relayReasonREASON_RTCP},
		{name: "DTLS", way: ways[1], change: func(b []byte) []byte { b[0], b[1] = 22, 254; return b },
			verdict: up, reason: relayReasonREASON_NOT_RTP},
		{name: "longer than the MTU with its tag", way: ways[0], change: func([]byte) []byte { return rtpPacket(65001, testSSRC, 1460, noise) },
			verdict: up, reason: relayReasonREASON_TOO_BIG},
		{name: "a foreign source", way: ways[1], flow: func(f *Flow) { f.Source = addrPort("192.0.2.10:4002") },
			verdict: dropped, reason: relayReasonREASON_FOREIGN_DROP, counts: Counters{Refused: 1}},
	} {
		for _, h := range s.testHooks() {
			runInside(t, s.host, string(h.mode)+"/"+c.name, func(t *testing.T) {
				sf := s.secured(t, flow4, c.way, srtp.AES128CM80, srtp.AES128CM80)
				in, _ := sf.packets(t, rtp)
				if c.change != nil {
					in = c.change(bytes.Clone(in))
				}
				source := sf.Source
				if c.flow != nil {
					c.flow(&sf.Flow)
					source = sf.Source
				}
				frame := testpkt.UDP(source, sf.Local, in, c.opts...)
				before := h.exits(t, s.Plane)
				v, got := h.run(t, frame)
				if v != c.verdict || !bytes.Equal(got, frame) {
					t.Errorf("%s\n%x, want %s\n%x", v, got, c.verdict, frame)
				}
				expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{c.reason: 1})
				counts := must(s.Counters(sf.Local))(t)
				if counts != c.counts {
					t.Errorf("counters: got %+v, want %+v", counts, c.counts)
				}
				for _, cipher := range []Cipher{sf.Open, sf.Seal} {
					if cipher == 0 {
						continue
					}
					state := must(s.CipherState(cipher))(t)
					if stream, _ := state.Stream(testSSRC); stream.Highest != 1<<16|65000 || stream.Seen != [2]uint64{1} {
						t.Errorf("the packet has moved the stream to %+v", stream)
					}
				}
			})
		}
	}
}

// Checksums that are wrong stay wrong, those that are missing stay missing, and those left to a network device become whole
// where none will come.
func testSecuredFlowsKeepChecksums(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(25, 26))
	for _, h := range s.testHooks() {
		for _, w := range ways {
			runInside(t, s.host, string(h.mode)+"/"+w.name, func(t *testing.T) {
				sf := s.secured(t, flow4, w, srtp.AES128CM80, srtp.AES128CM80)
				in, out := sf.packets(t, rtpPacket(65001, testSSRC, 160, noise))
				v, got := h.run(t, testpkt.UDP(sf.Source, sf.Local, in, testpkt.NoChecksum()))
				if want := s.wanted(sf.Flow, out, testpkt.NoChecksum()); v != relayed || !bytes.Equal(got, want) {
					t.Errorf("without checksum: %s\n%x, want\n%x", v, got, want)
				}
				in, out = sf.packets(t, rtpPacket(65002, testSSRC, 160, noise))
				frame := testpkt.UDP(sf.Source, sf.Local, in)
				binary.BigEndian.PutUint16(frame[testpkt.UDP4+6:], binary.BigEndian.Uint16(frame[testpkt.UDP4+6:])^0x0100)
				v, got = h.run(t, frame)
				if v != relayed || testpkt.Sound(got) == nil || !bytes.Equal(testpkt.Payload(got), out) {
					t.Errorf("a wrong checksum: %s, sound: %v, %x", v, testpkt.Sound(got), got)
				}
				if h.mode != XDP {
					return // the kernel knows, and test runs cannot tell it
				}
				in, out = sf.packets(t, rtpPacket(65003, testSSRC, 160, noise))
				v, got = h.run(t, testpkt.UDP(sf.Source, sf.Local, in, testpkt.PartialChecksum()))
				if want := s.wanted(sf.Flow, out); v != relayed || !bytes.Equal(got, want) {
					t.Errorf("a checksum left to the device: %s\n%x, want\n%x", v, got, want)
				}
			})
		}
	}
}

// What arrives shifted leaves under the number of the other stream, and is counted as it came.
func testSecuredFlowsShift(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(27, 28))
	for _, h := range s.testHooks() {
		runInside(t, s.host, string(h.mode), func(t *testing.T) {
			shifted := flow4
			shifted.Shift = Shift{SSRC: 0xf0, Sequence: 10, Timestamp: 1000}
			sf := s.secured(t, shifted, ways[2], srtp.AES128CM80, srtp.AES128CM80)
			begin := Stream{SSRC: testSSRC ^ 0xf0, Highest: 1<<16 | 65010}
			check(t, s.FollowStream(sf.Seal, begin))
			sf.receiver.Advance(begin.SSRC, srtp.Progress{Highest: begin.Highest})
			rtp := rtpPacket(65001, testSSRC, 160, noise)
			in, _ := sf.packets(t, rtp)
			binary.BigEndian.PutUint16(rtp[2:], 65011)
			binary.BigEndian.PutUint32(rtp[4:], binary.BigEndian.Uint32(rtp[4:])+1000)
			binary.BigEndian.PutUint32(rtp[8:], begin.SSRC)
			_, out := sf.packets(t, rtp)
			v, got := h.run(t, testpkt.UDP(sf.Source, sf.Local, in))
			if want := s.wanted(sf.Flow, out); v != relayed || !bytes.Equal(got, want) {
				t.Errorf("%s\n%x, want\n%x", v, got, want)
			}
			if c := must(s.Counters(sf.Local))(t); c.SSRC != testSSRC || c.Seq != 65001 {
				t.Errorf("counted for %x, %d", c.SSRC, c.Seq)
			}
		})
	}
}

// Without its cipher, or with a wiped one, a flow passes packets up as they came.
func testSecuredFlowsWithoutKeys(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(29, 30))
	for _, h := range s.testHooks() {
		for _, w := range ways {
			runInside(t, s.host, string(h.mode)+"/"+w.name, func(t *testing.T) {
				sf := s.secured(t, flow4, w, srtp.AES128CM80, srtp.AES128CM80)
				in, _ := sf.packets(t, rtpPacket(65001, testSSRC, 160, noise))
				frame := testpkt.UDP(sf.Source, sf.Local, in)
				id := max(sf.Open, sf.Seal)
				check(t, s.ask(s.ciphers.CipherWipe, &srtpCipherRequest{Id: uint32(id)}))
				if v, got := h.run(t, frame); v != up || !bytes.Equal(got, frame) {
					t.Errorf("a wiped cipher: %s %x", v, got)
				}
				must(s.RemoveCipher(id))(t)
				before := h.exits(t, s.Plane)
				if v, got := h.run(t, frame); v != up || !bytes.Equal(got, frame) {
					t.Errorf("no cipher: %s %x", v, got)
				}
				expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{relayReasonREASON_SRTP_KEYS: 1})
			})
		}
	}
}

// Whatever arrives, nothing leaves but what userspace would send.
func FuzzSecuredFlow(f *testing.F) {
	s := newSecureStage(f)
	noise := rand.New(rand.NewPCG(31, 32))
	for _, w := range []byte{0, 1, 2} {
		f.Add(w, uint8(0), uint16(65001), []byte(nil), uint16(0), uint8(0))
		f.Add(w, uint8(1), uint16(65001), rtpPacket(1, testSSRC, 20, noise), uint16(2), uint8(0x80))
		f.Add(w, uint8(2), uint16(3), odd(rtpPacket(1, testSSRC, 20, noise), 3, 2), uint16(200), uint8(1))
	}
	f.Fuzz(func(t *testing.T, which, hooked uint8, seq uint16, rtp []byte, at uint16, flip uint8) {
		if len(rtp) < 12 || len(rtp) > 1400 {
			rtp = rtpPacket(seq, testSSRC, 100, noise)
		}
		rtp = bytes.Clone(rtp)
		rtp[0] = rtp[0]&0x3f | 0x80
		binary.BigEndian.PutUint16(rtp[2:], seq)
		binary.BigEndian.PutUint32(rtp[8:], testSSRC)
		h := s.testHooks()[hooked%3]
		inside(t, s.host, func() {
			sf := s.secured(t, flow4, ways[which%3], srtp.AES128CM80, srtp.AES256CM32)
			in, out := rtp, rtp
			var err error
			if sf.sender != nil {
				if in, err = sf.sender.ProtectRTP(room(rtp)); err != nil {
					return
				}
			}
			if sf.receiver != nil {
				if out, err = sf.receiver.ProtectRTP(room(rtp)); err != nil {
					return
				}
			}
			frame := testpkt.UDP(sf.Source, sf.Local, in)
			frame[int(at)%len(frame)] ^= flip
			v, got := h.run(t, frame)
			switch {
			case v != relayed:
				if !bytes.Equal(got, frame) {
					t.Errorf("%s, and changed to\n%x from\n%x", v, got, frame)
				}
			case flip == 0:
				if want := s.wanted(sf.Flow, out); !bytes.Equal(got, want) {
					t.Errorf("%x, want\n%x", got, want)
				}
			case testpkt.Sound(frame) == nil && sf.Open != 0 && !bytes.Equal(testpkt.Payload(got), out):
				t.Errorf("a forged packet was relayed: %x", frame)
			}
		})
	})
}
