package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
)

// TestBothPlanesSendTheSameBytes sends random packets through random settings, first by userspace and then by the kernel, and
// compares all that the hearers get.
func TestBothPlanesSendTheSameBytes(t *testing.T) {
	rounds := 24
	if testing.Short() {
		rounds = 4
	}
	for _, c := range []struct {
		mode     fastpath.Mode
		families [2]int
	}{
		{fastpath.XDP, [2]int{4, 4}}, {fastpath.XDP, [2]int{4, 6}}, {fastpath.XDP, [2]int{6, 4}}, {fastpath.TC, [2]int{6, 6}},
		{fastpath.TC, [2]int{4, 6}}, {fastpath.TC, [2]int{6, 4}}, {fastpath.XDPGeneric, [2]int{4, 6}},
	} {
		t.Run(fmt.Sprintf("%s IPv%d to IPv%d", c.mode, c.families[0], c.families[1]), func(t *testing.T) {
			w := newWireBetween(t, c.families[0], c.families[1])
			kernel, r := w.plane(t, c.mode, nil)
			if ok, why := kernel.Serves(w.proxyAddrs[0]); !ok {
				t.Skipf("this machine has no %s: %s", c.mode, why)
			}
			s := &sameness{rig: r, kernel: kernel, strips: c.mode == fastpath.XDP}
			s.a, _ = w.open(t, r, "caller", c.families[0])
			s.alice = w.phone(t, w.caller, w.phoneAddrs[0])
			s.add(w.open2(t, r, "callee", c.families[1]), w.phone(t, w.callee, w.phoneAddrs[1]))
			if c.families[0] == c.families[1] && c.mode != fastpath.XDPGeneric {
				s.add(w.open2(t, r, "callee", c.families[1]), w.phone(t, w.callee, w.phoneAddrs[1]))
				s.add(w.open2(t, r, "caller", c.families[0]), w.phone(t, w.caller, w.phoneAddrs[0]))
			}
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			s.random = rand.New(rand.NewPCG(seed, 0))
			s.learn()
			for range rounds {
				s.round(t)
			}
		})
	}
}

// open2 is open for who has no use for the port of RTCP.
func (w *wire) open2(t *testing.T, r *rig, iface string, family int) *Leg {
	l, _ := w.open(t, r, iface, family)
	return l
}

// sameness is a party and those who hear it.
type sameness struct {
	*rig
	kernel *fastpath.Plane
	random *rand.Rand
	strips bool // header extensions can be taken out, of packets with checksums as these phones send them
	a      *Leg
	alice  *phone
	legs   []*Leg
	phones []*phone
	ears   []*ear // of what each of them is sent
}

func (s *sameness) add(l *Leg, p *phone) {
	s.legs, s.phones, s.ears = append(s.legs, l), append(s.phones, p), append(s.ears, new(ear))
}

// learn has all addresses final.
func (s *sameness) learn() {
	s.a.Apply(Settings{Signalled: s.alice.addr(), Muxed: true, UserspaceReason: "not yet"})
	for i, l := range s.legs {
		l.Apply(Settings{Signalled: s.phones[i].addr(), Muxed: true, Taps: Taps{Sent: []Tap{s.ears[i]}}})
		for range confirmations {
			s.phones[i].rtp(l)
		}
	}
	for range confirmations {
		s.alice.rtp(s.a)
	}
	s.until("all addresses are final", func() bool {
		for _, l := range append(slices.Clone(s.legs), s.a) {
			if _, closed := l.source(); !closed {
				return false
			}
		}
		return true
	})
}

// settings are random, but such as the kernel can carry out.
func (s *sameness) settings() Settings {
	n := 1 + s.random.IntN(len(s.legs))
	silences := [128]byte{0: 0xff, 8: 0xd5, 9: 0xff}
	set := Settings{Signalled: s.alice.addr(), Muxed: true}
	set.Treatment = Treatment{Events: PayloadTypes{1: 1 << (101 - 64)}, Silences: &silences}
	switch s.random.IntN(5) {
	case 0:
		set.Treatment.Media = Silence
	case 1:
		set.Treatment.OnEvents = EventBlock
	case 2:
		set.Treatment.Media = Block
	case 3:
		set.Treatment.Drop = s.random.IntN(3) == 0
	}
	for _, l := range s.legs[:n] {
		set.Sinks = append(set.Sinks, Sink{RTP: l, RTCP: l, Echo: set.Treatment.Media != Silence && s.random.IntN(3) == 0})
	}
	if n == 1 && s.strips && s.random.IntN(3) == 0 {
		set.Sinks[0].Extensions = new(rtp.ExtensionMap)
	}
	return set
}

// packet is a sound RTP packet, with contributing sources only if they are wanted.
func (s *sameness) packet(contributors bool) []byte {
	r := s.random
	types := [...]uint8{0, 8, 9, 18, 96, 101}
	b := []byte{0x80, types[r.IntN(len(types))] | uint8(r.IntN(2))<<7}
	b = binary.BigEndian.AppendUint16(b, uint16(r.Uint32()))
	b = binary.BigEndian.AppendUint32(b, r.Uint32())
	b = binary.BigEndian.AppendUint32(b, uint32(r.IntN(6)))
	if contributors && r.IntN(4) == 0 {
		n := r.IntN(16)
		b[0] |= uint8(n)
		for range n {
			b = binary.BigEndian.AppendUint32(b, r.Uint32())
		}
	}
	if r.IntN(3) == 0 {
		b[0] |= 0x10
		n := r.IntN(5)
		b = binary.BigEndian.AppendUint16(b, []uint16{0xbede, 0x1000, 0x1005, 0x4321}[r.IntN(4)])
		b = binary.BigEndian.AppendUint16(b, uint16(n))
		for range n {
			b = binary.BigEndian.AppendUint32(b, r.Uint32())
		}
	}
	for range r.IntN(200) {
		b = append(b, byte(r.Uint32()))
	}
	if r.IntN(4) == 0 {
		n := 1 + r.IntN(20)
		b = append(append(b, make([]byte, n-1)...), byte(n))
		b[0] |= 0x20
	}
	return b
}

// heard sends packets, and returns what each hearer got.
func (s *sameness) heard(set Settings, packets [][]byte) [][][]byte {
	s.Helper()
	last := []byte{0x80, 203, 0, 1, 0, 0, 0, 99} // RTCP passes whatever is done to RTP
	for _, p := range append(slices.Clone(packets), last) {
		s.alice.send(s.a, p)
	}
	all := make([][][]byte, len(set.Sinks))
	for i := range set.Sinks {
		for {
			p := s.phones[i].receive()
			if bytes.Equal(p, last) {
				break
			}
			all[i] = append(all[i], p)
		}
		s.tapped(i, append(slices.Clone(all[i]), last))
	}
	return all
}

// tapped expects copies of what a hearer got, by either plane. Those of the kernel may come later.
func (s *sameness) tapped(i int, want [][]byte) {
	s.Helper()
	s.until("there are copies of all that was sent", func() bool { return len(s.ears[i].heard()) >= len(want) })
	got := s.ears[i].take()
	slices.SortFunc(got, func(a, b TapPacket) int { return bytes.Compare(a.Data, b.Data) })
	slices.SortFunc(want, bytes.Compare)
	if !slices.EqualFunc(got, want, func(p TapPacket, data []byte) bool {
		return bytes.Equal(p.Data, data) && p.Sent && p.From == s.legs[i].Local() && p.To == s.phones[i].addr()
	}) {
		s.Errorf("copies of what hearer %d was sent:\n%+v\nwant\n%v", i, got, want)
	}
}

func (s *sameness) round(t *testing.T) {
	t.Helper()
	set := s.settings()
	var packets [][]byte
	for range 40 {
		// Those from whose middle an extension is to be taken out go by userspace, and come later than the next ones.
		packets = append(packets, s.packet(set.Sinks[0].Extensions == nil))
	}
	set.UserspaceReason = "the reference"
	s.a.Apply(set)
	want := s.heard(set, packets)

	set.UserspaceReason = ""
	s.a.Apply(set)
	s.until("the flow is in the kernel", func() bool { return s.a.Stats().Plane == PlaneKernel })
	got := s.heard(set, packets)
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Errorf("hearer %d of %d got %d packets from the kernel, %d from userspace; %+v", i, len(want), len(got[i]), len(want[i]), set.Treatment)
			continue
		}
		for k := range want[i] {
			if !bytes.Equal(got[i][k], want[i][k]) {
				t.Errorf("hearer %d of %d got from the kernel\n%x\nand from userspace\n%x\nwith %+v", i, len(want), got[i][k], want[i][k], set.Treatment)
			}
		}
	}
	if c, err := s.kernel.Counters(s.a.Local()); err != nil || c.Packets+c.RTCP == 0 {
		t.Errorf("the kernel has counted %+v of %+v, %v", c, set, err)
	}
}
