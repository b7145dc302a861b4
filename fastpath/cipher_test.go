package fastpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weir-media/weir/srtp"
)

var kernelSuites = []srtp.Suite{
	srtp.AES128CM80, srtp.AES128CM32, srtp.AES192CM80, srtp.AES192CM32, srtp.AES256CM80, srtp.AES256CM32, srtp.AES128GCM, srtp.AES256GCM,
}

const testSSRC = 0xcafe0001

func keysOf(p srtp.Params) Keys {
	k := p.SessionKeys()
	return Keys{AES: k.Cipher, Salt: k.Salt, Auth: k.Auth, Tag: p.Suite.TagLen()}
}

// newSecureStage skips a test on kernels that offer no ciphers.
func newSecureStage(t testing.TB) stage {
	t.Helper()
	s := newStageOf(t, tweaks{noAttach: true})
	if _, why := s.Secures(); errors.Is(s.cipherErr, errNoKfunc) {
		t.Skip(why)
	}
	check(t, s.cipherErr)
	for of, err := range s.missing {
		if of.stage == relayStageSTAGE_SECURE {
			t.Fatalf("%s: %v", of.hook, err)
		}
	}
	return s
}

// cipherPair is a cipher in the kernel and its twins in userspace.
type cipherPair struct {
	Cipher
	out *srtp.Outbound
	in  *srtp.Inbound
}

func (s stage) cipherPair(t testing.TB, p srtp.Params, streams ...Stream) cipherPair {
	t.Helper()
	c := cipherPair{Cipher: must(s.AddCipher(keysOf(p)))(t), out: must(srtp.NewOutbound(p))(t), in: must(srtp.NewInbound(p))(t)}
	t.Cleanup(func() {
		if _, err := s.RemoveCipher(c.Cipher); err != nil && !errors.Is(err, ErrNoCipher) {
			t.Error(err)
		}
	})
	for _, stream := range streams {
		check(t, s.FollowStream(c.Cipher, stream))
		c.out.Advance(stream.SSRC, srtp.Progress{Highest: stream.Highest, Seen: stream.Seen})
		c.in.Advance(stream.SSRC, srtp.Progress{Highest: stream.Highest, Seen: stream.Seen})
	}
	return c
}

// rtpPacket has a payload of noise, and room for a tag.
func rtpPacket(seq uint16, ssrc uint32, size int, noise *rand.Rand) []byte {
	pkt := make([]byte, 12+size, 12+size+maxTag)
	pkt[0], pkt[1] = 0x80, byte(noise.Uint32())&0x3f
	binary.BigEndian.PutUint16(pkt[2:], seq)
	binary.BigEndian.PutUint32(pkt[8:], ssrc)
	for i := 12; i < len(pkt); i++ {
		pkt[i] = byte(noise.Uint32())
	}
	return pkt
}

func room(pkt []byte) []byte { return append(make([]byte, 0, len(pkt)+maxTag), pkt...) }

// try has the kernel open and seal a packet.
func (s stage) try(t testing.TB, open, seal Cipher, pkt []byte) (relayReason, []byte) {
	t.Helper()
	reason, out, err := s.tryCipher(open, seal, pkt)
	check(t, err)
	return reason, out
}

// TestCiphers loads the programs once for all of them.
func TestCiphers(t *testing.T) {
	s := newSecureStage(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, stage)
	}{
		{"agree with userspace", testCipherAgreesWithUserspace},
		{"follow streams like userspace", testCipherFollowsStreamsLikeUserspace},
		{"leave what they cannot tell", testCipherLeavesWhatItCannotTell},
		{"take a packet once", testCipherTakesAPacketOnce},
		{"share streams with userspace", testStreamsMoveBetweenPlanes},
		{"are wiped", testRemovedCipherIsWiped},
		{"refuse keys that are none", testKeysThatAreNone},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// Every suite and every length: the kernel makes the bytes of the package srtp, and takes them back, and from one key to
// another.
func testCipherAgreesWithUserspace(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(1, 2))
	begin := Stream{SSRC: testSSRC, Highest: 65500}
	for i, suite := range kernelSuites {
		t.Run(suite.String(), func(t *testing.T) {
			p, q := srtp.Generate(suite), srtp.Generate(kernelSuites[len(kernelSuites)-1-i])
			send, receive, again := s.cipherPair(t, p, begin), s.cipherPair(t, p, begin), s.cipherPair(t, p, begin)
			other := s.cipherPair(t, q, begin)
			for size := range 1460 {
				if testing.Short() && size > 200 && size%16 > 1 {
					continue
				}
				pkt := rtpPacket(uint16(65501+size), testSSRC, size, noise)
				sealed, others := must(send.out.ProtectRTP(room(pkt)))(t), must(other.out.ProtectRTP(room(pkt)))(t)
				for _, c := range []struct {
					name       string
					open, seal Cipher
					in, out    []byte
				}{
					{"sealed", 0, send.Cipher, pkt, sealed},
					{"opened", receive.Cipher, 0, sealed, pkt},
					{"opened and sealed", again.Cipher, other.Cipher, sealed, others},
				} {
					if reason, got := s.try(t, c.open, c.seal, c.in); reason != relayReasonREASON_RELAYED || !bytes.Equal(got, c.out) {
						t.Fatalf("%d bytes %s, reason %d:\n%x, want\n%x", size, c.name, reason, got, c.out)
					}
				}
			}
		})
	}
}

// Packets that are late, lost, repeated, damaged, cut and from other streams, over the rollover: the kernel takes those that
// the package srtp takes, for the same reasons, and knows the same in the end.
func testCipherFollowsStreamsLikeUserspace(t *testing.T, s stage) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, suite := range []srtp.Suite{srtp.AES128CM80, srtp.AES256CM32, srtp.AES128GCM} {
		t.Run(suite.String(), func(t *testing.T) {
			p := srtp.Generate(suite)
			begin := []Stream{{SSRC: testSSRC, Highest: 3<<16 | 60000, Seen: [2]uint64{1}}, {SSRC: testSSRC + 1, Highest: 5, Seen: [2]uint64{1}}}
			c, sender := s.cipherPair(t, p, begin...), s.cipherPair(t, p, begin...)
			seals := s.cipherPair(t, p, begin...)
			seqs := [2]uint16{60001, 6}
			counts := map[relayReason]int{}
			var sent [][]byte
			for range 20000 {
				k := rng.IntN(2)
				switch r := rng.IntN(1000); {
				case r < 3:
					seqs[k] += uint16(rng.IntN(20000)) // a long silence
				case r < 100:
					seqs[k] += uint16(rng.IntN(5))
				}
				clear := rtpPacket(seqs[k], testSSRC+uint32(k), rng.IntN(40), rng)
				seqs[k]++
				sealed := must(sender.out.ProtectRTP(room(clear)))(t)
				if reason, got := s.try(t, 0, seals.Cipher, clear); reason != relayReasonREASON_RELAYED || !bytes.Equal(got, sealed) {
					t.Fatalf("sequence number %d is sealed for reason %d: %x, want %x", seqs[k], reason, got, sealed)
				}
				if sent = append(sent, sealed); rng.IntN(8) == 0 {
					continue // lost, or late
				}
				for _, i := range []int{len(sent) - 1, max(0, len(sent)-1-rng.IntN(400))} {
					pkt := room(sent[i])
					switch rng.IntN(20) {
					case 0:
						pkt[2+rng.IntN(len(pkt)-2)] ^= 1 << rng.IntN(8)
					case 1:
						pkt = pkt[:12+rng.IntN(len(pkt)-12)]
					case 2:
						binary.BigEndian.PutUint32(pkt[8:], rng.Uint32())
					}
					reason, got := s.try(t, c.Cipher, 0, pkt)
					counts[reason]++
					want, err := c.in.UnprotectRTP(room(pkt))
					switch {
					case err == nil && reason == relayReasonREASON_RELAYED && bytes.Equal(got, want):
					case errors.Is(err, srtp.ErrReplay) && reason == relayReasonREASON_SRTP_REPLAY && bytes.Equal(got, pkt):
					case errors.Is(err, srtp.ErrAuth) && reason == relayReasonREASON_SRTP_AUTH && bytes.Equal(got, pkt):
					case errors.Is(err, srtp.ErrTooShort) && reason == relayReasonREASON_SRTP_LENGTH && bytes.Equal(got, pkt):
					case err != nil && reason == relayReasonREASON_SRTP_STREAM && bytes.Equal(got, pkt): // another SSRC
					default:
						t.Fatalf("%x of %x: reason %d and %x, want %v and %x", pkt[:12], sent[i][:12], reason, got, err, want)
					}
				}
			}
			for _, r := range []relayReason{
				relayReasonREASON_RELAYED, relayReasonREASON_SRTP_REPLAY, relayReasonREASON_SRTP_AUTH,
				relayReasonREASON_SRTP_LENGTH, relayReasonREASON_SRTP_STREAM,
			} {
				if counts[r] < 100 {
					t.Errorf("%d packets ended for reason %d: the test shows too little", counts[r], r)
				}
			}
			state := must(s.CipherState(c.Cipher))(t)
			for k := range uint32(2) {
				got, _ := state.Stream(testSSRC + k)
				want, _ := c.in.Progress(testSSRC + k)
				if got.Highest != want.Highest || got.Seen != want.Seen {
					t.Errorf("the kernel has come to %x, want %x", got, want)
				}
			}
		})
	}
}

// Packets of before the first one, and those behind the last index, are userspace's to judge.
func testCipherLeavesWhatItCannotTell(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(7, 8))
	p := srtp.Generate(srtp.AES128CM80)
	c := s.cipherPair(t, p, Stream{SSRC: 1, Highest: 5}, Stream{SSRC: 2, Highest: 1<<48 - 1})
	for _, test := range []struct {
		name string
		ssrc uint32
		seq  uint16
		want relayReason
	}{
		{"before the first", 1, 65534, relayReasonREASON_SRTP_STREAM},
		{"far before the first is ahead", 1, 65000, relayReasonREASON_RELAYED},
		{"behind the last index", 2, 0, relayReasonREASON_SRTP_STREAM},
		{"another SSRC", 3, 0, relayReasonREASON_SRTP_STREAM},
	} {
		if reason, _ := s.try(t, 0, c.Cipher, rtpPacket(test.seq, test.ssrc, 20, noise)); reason != test.want {
			t.Errorf("%s: reason %d, want %d", test.name, reason, test.want)
		}
	}
	if reason, _ := s.try(t, 0, c.Cipher+1000, rtpPacket(6, 1, 20, noise)); reason != relayReasonREASON_SRTP_KEYS {
		t.Errorf("no cipher: reason %d", reason)
	}
}

// One packet that comes on several CPUs at the same time passes once.
func testCipherTakesAPacketOnce(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(9, 10))
	c := s.cipherPair(t, srtp.Generate(srtp.AES128CM80), Stream{SSRC: 1, Highest: 100})
	var sent [][]byte
	for seq := range 500 {
		sent = append(sent, must(c.out.ProtectRTP(rtpPacket(uint16(101+seq), 1, 20, noise)))(t))
	}
	const workers = 4
	taken := make([]atomic.Uint32, len(sent))
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i, pkt := range sent {
				if reason, _, err := s.tryCipher(c.Cipher, 0, pkt); err == nil && reason == relayReasonREASON_RELAYED {
					taken[i].Add(1)
				}
			}
		})
	}
	group.Wait()
	for i := range taken {
		// A worker that is far behind finds packets too old to tell.
		if n := taken[i].Load(); n != 1 {
			t.Fatalf("packet %d passed %d times", i, n)
		}
	}
}

// What userspace has seen meanwhile counts in the kernel, and the other way round.
func testStreamsMoveBetweenPlanes(t *testing.T, s stage) {
	noise := rand.New(rand.NewPCG(11, 12))
	p := srtp.Generate(srtp.AES128CM80)
	c, sender := s.cipherPair(t, p, Stream{SSRC: 1, Highest: 65400, Seen: [2]uint64{1}}), s.cipherPair(t, p, Stream{SSRC: 1, Highest: 65400})
	passed := map[string]int{}
	var sent [][]byte
	for seq := 65401; seq < 65401+600; seq++ {
		sent = append(sent, must(sender.out.ProtectRTP(rtpPacket(uint16(seq), 1, 20, noise)))(t))
	}
	for at := range sent {
		for _, i := range []int{at, max(0, at-noise.IntN(200))} {
			pkt := sent[i]
			if noise.IntN(2) == 0 {
				state := must(s.CipherState(c.Cipher))(t)
				stream, _ := state.Stream(1)
				c.in.Advance(1, srtp.Progress{Highest: stream.Highest, Seen: stream.Seen})
				if _, err := c.in.UnprotectRTP(room(pkt)); err == nil {
					passed[string(pkt)]++
				}
				progress, _ := c.in.Progress(1)
				check(t, s.FollowStream(c.Cipher, Stream{SSRC: 1, Highest: progress.Highest, Seen: progress.Seen}))
			} else if reason, _ := s.try(t, c.Cipher, 0, pkt); reason == relayReasonREASON_RELAYED {
				passed[string(pkt)]++
			}
		}
	}
	for i, pkt := range sent {
		if passed[string(pkt)] != 1 {
			t.Errorf("packet %d passed %d times", i, passed[string(pkt)])
		}
	}
}

func testRemovedCipherIsWiped(t *testing.T, s stage) {
	for _, suite := range []srtp.Suite{srtp.AES256CM80, srtp.AES256GCM} {
		t.Run(suite.String(), func(t *testing.T) { removedCipherIsWiped(t, s, suite) })
	}
}

func removedCipherIsWiped(t *testing.T, s stage, suite srtp.Suite) {
	noise := rand.New(rand.NewPCG(13, 14))
	c := s.cipherPair(t, srtp.Generate(suite), Stream{SSRC: 1, Highest: 9, Seen: [2]uint64{1}})
	for ssrc := range uint32(CipherStreams - 1) {
		check(t, s.FollowStream(c.Cipher, Stream{SSRC: 50 + ssrc}))
	}
	if err := s.FollowStream(c.Cipher, Stream{SSRC: 99}); !errors.Is(err, ErrCiphers) {
		t.Errorf("one stream too many: %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { s.CipherState(c.Cipher) }); n != 0 {
		t.Errorf("reading the state: %v allocations", n)
	}
	pkt := rtpPacket(10, 1, 20, noise)
	if reason, _ := s.try(t, 0, c.Cipher, pkt); reason != relayReasonREASON_RELAYED {
		t.Fatalf("reason %d", reason)
	}

	// The first half of a removal: the keys are gone, and what the streams have come to is still there.
	request, value := srtpCipherRequest{Id: uint32(c.Cipher)}, cipherValue{}
	check(t, s.ask(s.ciphers.CipherWipe, &request))
	check(t, s.ciphers.Ciphers.Lookup(uint32(c.Cipher), &value))
	if value.Keys != (srtpCipherKeys{}) || value.Tag != 0 {
		t.Errorf("left of the keys: %+v", value.Keys)
	}
	var table srtpGhashTable
	if err := s.ciphers.GhashTables.Lookup(uint32(c.Cipher), &table); (err == nil) != (suite == srtp.AES256GCM) || table != (srtpGhashTable{}) {
		t.Errorf("left of the table: %+v, %v", table, err)
	}
	if reason, got := s.try(t, 0, c.Cipher, pkt); reason != relayReasonREASON_SRTP_KEYS || !bytes.Equal(got, pkt) {
		t.Errorf("a wiped cipher: reason %d, %x", reason, got)
	}

	state := must(s.RemoveCipher(c.Cipher))(t)
	if stream, ok := state.Stream(1); !ok || stream != (Stream{SSRC: 1, Highest: 10, Seen: [2]uint64{3}}) {
		t.Errorf("in the end %+v", state)
	}
	if reason, _ := s.try(t, 0, c.Cipher, pkt); reason != relayReasonREASON_SRTP_KEYS {
		t.Errorf("a removed cipher: reason %d", reason)
	}
	if err := s.ciphers.GhashTables.Lookup(uint32(c.Cipher), &table); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Errorf("the table of a removed cipher: %v", err)
	}
	for name, err := range map[string]error{
		"state": func() error { _, err := s.CipherState(c.Cipher); return err }(), "follow": s.FollowStream(c.Cipher, Stream{}),
		"remove": func() error { _, err := s.RemoveCipher(c.Cipher); return err }(),
	} {
		if !errors.Is(err, ErrNoCipher) {
			t.Errorf("%s of a removed cipher: %v", name, err)
		}
	}
}

func testKeysThatAreNone(t *testing.T, s stage) {
	good := keysOf(srtp.Generate(srtp.AES128CM80))
	for name, spoil := range map[string]func(*Keys){
		"AES key": func(k *Keys) { k.AES = k.AES[:15] }, "salt": func(k *Keys) { k.Salt = nil },
		"authentication key": func(k *Keys) { k.Auth = k.Auth[1:] }, "tag": func(k *Keys) { k.Tag = 16 },
	} {
		k := good
		spoil(&k)
		if _, err := s.AddCipher(k); err == nil {
			t.Errorf("another %s was taken", name)
		}
	}
	gcm := keysOf(srtp.Generate(srtp.AES128GCM))
	for name, spoil := range map[string]func(*Keys){
		"AES key": func(k *Keys) { k.AES = make([]byte, 24) }, "salt": func(k *Keys) { k.Salt = make([]byte, 14) },
		"authentication key": func(k *Keys) { k.Auth = make([]byte, 20) }, "tag": func(k *Keys) { k.Tag = 8 },
	} {
		k := gcm
		spoil(&k)
		if _, err := s.AddCipher(k); err == nil {
			t.Errorf("another %s was taken for GCM", name)
		}
	}
	for range s.maxFlows {
		c := must(s.AddCipher(good))(t)
		defer s.RemoveCipher(c)
	}
	if _, err := s.AddCipher(good); !errors.Is(err, ErrCiphers) {
		t.Errorf("one cipher too many: %v", err)
	}
}

func TestNoSRTPWithoutKfuncs(t *testing.T) {
	newRig(t)
	p := must(open(Config{}, tweaks{noAttach: true, noCrypto: true}))(t)
	defer p.Close()
	if ok, why := p.Secures(); ok || !strings.Contains(why, "Linux 6.10") {
		t.Errorf("secures %t: %s", ok, why)
	}
	if _, err := p.AddCipher(keysOf(srtp.Generate(srtp.AES128CM80))); !errors.Is(err, ErrNoSRTP) {
		t.Errorf("a cipher: %v", err)
	}
}

// BenchmarkCipher is the time of sealing the packet of the benchmark, program and all. It counts single runs, because the
// packet grows.
func BenchmarkCipher(b *testing.B) {
	s := newSecureStage(b)
	noise := rand.New(rand.NewPCG(15, 16))
	for _, suite := range kernelSuites {
		c := s.cipherPair(b, srtp.Generate(suite), Stream{SSRC: 1, Highest: 9})
		frame := binary.NativeEndian.AppendUint32(make([]byte, 4), uint32(c.Cipher))
		frame = append(frame, rtpPacket(10, 1, 160, noise)...)
		b.Run(suite.String(), func(b *testing.B) {
			least := time.Hour
			for range b.N {
				code, took, err := s.ciphers.CipherTry.Benchmark(frame, 1, nil)
				if check(b, err); relayReason(code) != relayReasonREASON_RELAYED {
					b.Fatalf("reason %d", code)
				}
				least = min(least, took)
			}
			b.ReportMetric(float64(least.Nanoseconds()), "least-kernel-ns/op")
		})
	}
}
