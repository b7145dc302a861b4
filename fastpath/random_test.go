package fastpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/testpkt"
)

var randomPackets = flag.Int("packets", 20000, "how many random packets each program gets")

// randomRig has a flow of every kind, and makes packets that nearly fit them.
type randomRig struct {
	random *rand.Rand
	flows  []Flow
}

func newRandomRig(seed uint64) *randomRig {
	var flows []Flow
	for i, f := range []Flow{flow4, flow6} {
		add := func(change func(*Flow)) {
			g := with(f, change)
			g.Local = addrPortAt(f.Local, 30000+2*len(flows))
			flows = append(flows, g)
		}
		other := []Flow{flow6, flow4}[i].Target
		silent := func(g *Flow) { g.Silence, g.Silences = true, [MaxSilences]Silence{{0, 0xff}, {8, 0xd5}} }
		add(func(*Flow) {})
		add(func(g *Flow) { g.DropForeign = false })
		add(func(g *Flow) { g.Target = other })
		add(silent)
		add(func(g *Flow) { silent(g); g.Target = other })
		add(func(g *Flow) { g.Strip = true })
		add(func(g *Flow) { g.Strip, g.Target = true, other })
		add(func(g *Flow) { g.Shift = Shift{7, 9, 11} })
		add(func(g *Flow) { g.RTCP = true })
		add(func(g *Flow) { g.ToRTCP = other })
		add(func(g *Flow) { g.PayloadTypes = [2]uint64{1} })
		add(func(g *Flow) { g.BlockEvents, g.Events = true, [2]uint64{0, 1 << (101 - 64)} })
	}
	return &randomRig{random: rand.New(rand.NewPCG(seed, 0)), flows: flows}
}

// packet is one for a flow, with something wrong more often than not.
func (r *randomRig) packet() (frame []byte) {
	f := &r.flows[r.random.IntN(len(r.flows))]
	types := [...]uint8{0, 8, 18, 101, 72, 96}
	payload := testpkt.RTP(types[r.random.IntN(len(types))], uint16(r.random.Uint32()), r.random.Uint32(), uint32(r.random.IntN(6)),
		r.random.IntN(300))
	switch r.random.IntN(6) {
	case 0:
		payload = rtcp(uint8(192+r.random.IntN(32)), 2+r.random.IntN(20))
	case 1:
		payload = extended(payload, r.random.IntN(3), 0xbede, make([]uint32, r.random.IntN(6))...)
	case 2:
		payload = padded(payload, 1+r.random.IntN(9))
	}
	var opts []testpkt.Option
	switch r.random.IntN(8) {
	case 0:
		opts = append(opts, testpkt.NoChecksum())
	case 1:
		opts = append(opts, testpkt.PartialChecksum())
	case 2:
		opts = append(opts, testpkt.TOS(uint8(r.random.Uint32())), testpkt.TTL(uint8(r.random.Uint32())))
	}
	source := f.Source
	if r.random.IntN(16) == 0 {
		source = addrPortAt(source, 999)
	}
	frame = testpkt.UDP(source, f.Local, payload, opts...)
	switch r.random.IntN(8) {
	case 0:
		frame = frame[:r.random.IntN(len(frame)+1)]
	case 1:
		frame = append(frame, make([]byte, r.random.IntN(20))...)
	case 2:
		for range 1 + r.random.IntN(4) {
			frame[r.random.IntN(len(frame))] ^= byte(1 << r.random.IntN(8))
		}
		if frame[12] == 8 && r.random.IntN(2) == 0 {
			testpkt.FixIPv4(frame)
		}
	case 3:
		frame = testpkt.Tag(frame, uint16(5+r.random.IntN(2)))
	case 4:
		for i := range frame[14:] {
			if r.random.IntN(8) == 0 {
				frame[14+i] = byte(r.random.Uint32())
			}
		}
	}
	return frame
}

// check tells what is wrong with what has become of a packet.
func (r *randomRig) check(s stage, in []byte, v verdict, out []byte) error {
	var f *Flow
	switch {
	case v == up && !bytes.Equal(in, out):
		return fmt.Errorf("it went up as %x", out)
	case v != relayed:
		return nil
	}
	frame := in
	if binary.BigEndian.Uint16(in[12:]) == 0x8100 { // without its tag
		frame = append(bytes.Clone(in[:12]), in[16:]...)
	}
	if f = r.flowOf(frame); f == nil {
		return errors.New("it was relayed for no flow")
	}
	payload := bytes.Clone(testpkt.Payload(frame))
	target := f.Target
	switch isRTCP := payload[1] >= 192 && payload[1] <= 223; {
	case isRTCP && !f.RTCP:
		target = f.ToRTCP
	case !isRTCP:
		payload = f.expect(payload)
	}
	want := s.wanted(Flow{Target: target}, payload)
	udp := testpkt.UDP4
	if !target.To.Addr().Is4() {
		udp = testpkt.UDP6
	}
	if len(out) < len(want) {
		return fmt.Errorf("it was relayed as %x, want %x", out, want)
	}
	// Right checksums stay right, others are what they are.
	sound := testpkt.Sound(frame) == nil
	if err := testpkt.Sound(out); sound && err != nil {
		return fmt.Errorf("%w: it was relayed as %x", err, out)
	}
	copy(want[udp+6:udp+8], out[udp+6:udp+8])
	if got := out[:len(want)]; !bytes.Equal(got, want) {
		return fmt.Errorf("it was relayed as %x, want %x", got, want)
	}
	return nil
}

// flowOf finds the flow that an untagged packet is for. A changed bit may have made it another's.
func (r *randomRig) flowOf(frame []byte) *Flow {
	ip, udp := frame[30:34], testpkt.UDP4
	if binary.BigEndian.Uint16(frame[12:]) == 0x86dd {
		ip, udp = frame[38:54], testpkt.UDP6
	}
	addr, _ := netip.AddrFromSlice(ip)
	local := netip.AddrPortFrom(addr, binary.BigEndian.Uint16(frame[udp+2:]))
	if i := slices.IndexFunc(r.flows, func(f Flow) bool { return f.Local == local }); i >= 0 {
		return &r.flows[i]
	}
	return nil
}

// expect is what a flow makes of an RTP packet.
func (f *Flow) expect(p []byte) []byte {
	head := 12 + 4*int(p[0]&15)
	if p[0]&0x10 != 0 {
		size := 4 + 4*int(binary.BigEndian.Uint16(p[head+2:]))
		if profile := binary.BigEndian.Uint16(p[head:]); f.Strip && (profile == 0xbede || profile>>4 == 0x100) {
			p = append(p[:head], p[head+size:]...)
			p[0] &^= 0x10
		} else {
			head += size
		}
	}
	binary.BigEndian.PutUint16(p[2:], binary.BigEndian.Uint16(p[2:])+f.Shift.Sequence)
	binary.BigEndian.PutUint32(p[4:], binary.BigEndian.Uint32(p[4:])+f.Shift.Timestamp)
	binary.BigEndian.PutUint32(p[8:], binary.BigEndian.Uint32(p[8:])^f.Shift.SSRC)
	if f.Silence {
		keep := 0
		if p[0]&0x20 != 0 {
			keep = int(p[len(p)-1])
		}
		octet := map[uint8]byte{0: 0xff, 8: 0xd5}[p[1]&0x7f]
		p = filled(p, head, octet, keep)
	}
	return p
}

// TestRandomPacketsAreRelayedRightOrLeftAlone sends sound, broken and random packets through the programs: nothing wrong may
// come out, what goes up is as it came, and each packet takes one exit that has a name.
func TestRandomPacketsAreRelayedRightOrLeftAlone(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		r := newRandomRig(seed)
		for _, f := range r.flows {
			check(t, s.put(&f))
		}
		tag := relayVlan{Ifindex: 1, Tag: vlanTag | 5}
		check(t, s.maps.Vlans.Put(&tag, uint32(9)))
		before := h.exits(t, s.Plane)
		verdicts := map[verdict]int{}
		n, shortest := 0, 14+1
		for range *randomPackets {
			frame := r.packet()
			if len(frame) < shortest || h.mode == TC && tooShortForTC(frame) {
				continue // the kernel does not run it
			}
			n++
			v, out := h.run(t, frame)
			verdicts[v]++
			if h.mode == XDPGeneric && bytes.Equal(frame, partial(frame)) {
				continue // its checksum stays for a device to complete
			}
			if err := r.check(s, frame, v, out); err != nil {
				t.Fatalf("packet %d of seed %d, %x: %v", n, seed, frame, err)
			}
		}
		after := h.exits(t, s.Plane)
		var sum uint64
		for i := range after {
			sum += after[i] - before[i]
		}
		if sum != uint64(n) {
			t.Errorf("%d packets took %d exits", n, sum)
		}
		if verdicts[relayed] < n/20 || verdicts[up] < n/20 || verdicts[dropped] == 0 {
			t.Errorf("a lopsided mixture: %v", verdicts)
		}
	})
}

// tooShortForTC tells whether a frame ends before its IP header does, which the kernel refuses to run.
func tooShortForTC(frame []byte) bool {
	switch binary.BigEndian.Uint16(frame[12:]) {
	case 0x0800:
		return len(frame) < testpkt.UDP4
	case 0x86dd:
		return len(frame) < testpkt.UDP6
	}
	return false
}

func TestPacketsCutAtEveryByteGoUp(t *testing.T) {
	forEachHook(t, func(t *testing.T, s stage, h hook) {
		r := newRandomRig(1)
		for _, f := range r.flows {
			check(t, s.put(&f))
			payload := extended(testpkt.RTP(0, 1, 1, 1, 20), 0, 0xbede, 1)
			if f.RTCP {
				payload = rtcp(200, 7)
			}
			frame := testpkt.UDP(f.Source, f.Local, payload)
			for n := 15; n < len(frame); n++ {
				if h.mode == TC && tooShortForTC(frame[:n]) {
					continue
				}
				if v, out := h.run(t, frame[:n]); v != up || !bytes.Equal(out, frame[:n]) {
					t.Errorf("%+v: %d of %d bytes were %s", f, n, len(frame), v)
				}
			}
		}
	})
}

// partial is the frame with the checksum that a sender leaves to its device.
func partial(frame []byte) []byte {
	if len(frame) < testpkt.UDP6+8 {
		return nil
	}
	tag := 0
	if binary.BigEndian.Uint16(frame[12:]) == 0x8100 {
		tag = 4
	}
	plain := append(bytes.Clone(frame[:12]), frame[12+tag:]...)
	var local, remote []byte
	switch binary.BigEndian.Uint16(plain[12:]) {
	case 0x0800:
		local, remote = plain[26:30], plain[30:34]
	case 0x86dd:
		local, remote = plain[22:38], plain[38:54]
	default:
		return nil
	}
	udp := 14 + 20
	if len(local) == 16 {
		udp += 20
	}
	var pseudo [4]byte
	copy(pseudo[:2], plain[udp+4:udp+6])
	pseudo[3] = 17
	sum := sum16(local, remote, pseudo[:])
	binary.NativeEndian.PutUint16(plain[udp+6:], sum)
	return append(append(bytes.Clone(frame[:12]), frame[12:12+tag]...), plain[12:]...)
}
