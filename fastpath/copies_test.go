package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
)

func TestXDPLeavesToTcWhatItCannotCopy(t *testing.T) {
	s := newStage(t)
	inside(t, s.host, func() {
		check(t, s.listReceivers(uint32(s.link.Attrs().Index)))
		check(t, writeMTU(s, 3000))
		ready := relayPortFlagPORT_XMIT | relayPortFlagPORT_EGRESS | relayPortFlagPORT_FAN
		h := s.testHooks()[0]
		two := with(flow4, func(f *Flow) { f.More = []Target{f.Target} })
		audio := func(n int) []byte { return testpkt.UDP(two.Source, two.Local, testpkt.RTP(0, 7, 160, 0xabcd, n)) }
		for _, c := range []struct {
			name    string
			flow    Flow
			port    relayPortFlag
			in      []byte
			verdict verdict
			reason  relayReason
		}{
			{"it copies", two, ready, audio(160), relayed, relayReasonREASON_RELAYED},
			{"other frames may not take the same way yet", two, ready &^ relayPortFlagPORT_FAN, audio(160), up, relayReasonREASON_PORT},
			{"the device takes no frames", two, 0, audio(160), up, relayReasonREASON_PORT},
			{"the longest frame that is copied", two, ready, audio(2047 - 54), relayed, relayReasonREASON_RELAYED},
			{"a longer one", two, ready, audio(2048 - 54), up, relayReasonREASON_PORT},
			{"a receiver without a neighbour", with(flow4, func(f *Flow) { f.More = []Target{{From: f.From, To: addrPort("192.0.2.99:5000")}} }), ready,
				audio(160), up, relayReasonREASON_NO_NEIGHBOUR},
			{"media that is blocked needs no way", with(two, func(f *Flow) { f.BlockMedia = true }), 0, audio(160), dropped, relayReasonREASON_BLOCKED},
		} {
			s.port(t, c.port)
			check(t, s.put(&c.flow))
			before := h.exits(t, s.Plane)
			v, _ := h.run(t, c.in)
			if v != c.verdict {
				t.Errorf("%s: got %s, want %s", c.name, v, c.verdict)
			}
			expectExits(t, before, h.exits(t, s.Plane), map[relayReason]uint64{c.reason: 1})
			check(t, drop(s.Remove(c.flow.Local)))
		}
	})
}

// TestNoCopyGoesAstray has two senders on two devices, and so on two CPUs, send through the same device: flows to several
// receivers that stay, some that come and go, and some to one receiver. What arrives must be for the one who gets it, once;
// of the flows that stay nothing may be missing.
func TestNoCopyGoesAstray(t *testing.T) {
	const rounds, stay, pass, single, receivers = 300, 3, 2, 2, 5
	p := newPath(t, true)
	plane := p.open(t, XDP, tweaks{})
	defer func() { check(t, plane.Close()) }()
	by := p.fans(t, plane)

	var wg, churning sync.WaitGroup
	done := make(chan struct{})
	var sides [2][]*crowd
	for side, sender := range []*netrig.Host{p.a, p.b} {
		base := across4
		if side == 1 {
			base.Local, base.Source = addrPort("10.0.2.1:31000"), addrPort("10.0.2.2:4000")
		}
		for i := range stay + pass + single {
			n := receivers
			if i >= stay+pass {
				n = 1
			}
			c := newCrowd(t, p, sender, base, side*100+i, n)
			defer c.close()
			check(t, plane.Install(c.flow))
			sides[side] = append(sides[side], c)
		}
	}
	for _, flows := range sides {
		churning.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				c := flows[stay+i%pass]
				if _, err := plane.Remove(c.flow.Local); err != nil {
					t.Error(err)
				}
				if err := plane.Install(c.flow); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for round := range uint16(rounds) {
				for _, c := range flows {
					if _, err := c.send(round); err != nil {
						t.Error(err)
					}
				}
				for i, c := range flows {
					wait := 10 * time.Second
					if i >= stay && i < stay+pass {
						wait = 0
					}
					for j, in := range c.in {
						if err := c.read(j, round, time.Now().Add(wait)); errors.Is(err, os.ErrDeadlineExceeded) && wait == 0 {
							continue
						} else if err != nil {
							t.Errorf("%v: %v", in.LocalAddr(), err)
							return
						}
					}
				}
			}
		})
	}
	wg.Wait()
	close(done)
	churning.Wait()
	if got, want := count(plane, by), uint64(2*rounds*(stay+single)); got < want {
		t.Errorf("%s relayed %d packets, want at least %d", by, got, want)
	}
}

// mixed sends frames by a device whose source and destination ports are raised by the same random number from 0 to 7, as many
// as a device hands over at once. They have to be Ethernet, IPv4 and UDP without a checksum.
func mixed(t *testing.T, device int) (send func(frame []byte)) {
	const ports, mask = 34, 7
	spec := &ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual MIT/GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R8, asm.R6),
		asm.Add.Imm(asm.R8, ports+4),
		asm.JGT.Reg(asm.R8, asm.R7, "drop"),
		asm.FnGetPrandomU32.Call(),
		asm.And.Imm(asm.R0, mask),
		asm.LoadMem(asm.R1, asm.R6, ports+1, asm.Byte),
		asm.Or.Reg(asm.R1, asm.R0),
		asm.StoreMem(asm.R6, ports+1, asm.R1, asm.Byte),
		asm.LoadMem(asm.R1, asm.R6, ports+3, asm.Byte),
		asm.Or.Reg(asm.R1, asm.R0),
		asm.StoreMem(asm.R6, ports+3, asm.R1, asm.Byte),
		asm.Mov.Imm(asm.R1, int32(device)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return(),
	}}
	prog := must(ebpf.NewProgram(spec))(t)
	t.Cleanup(func() { check(t, prog.Close()) })
	return func(frame []byte) {
		const liveFrames = 1 << 1 // BPF_F_TEST_XDP_LIVE_FRAMES
		// A frame that comes back is used again with the ports it has then, so there are no two rounds.
		must(prog.Run(&ebpf.RunOptions{Data: frame, Repeat: 64, Flags: liveFrames}))(t)
	}
}

// TestCopiesAndOtherFramesLeaveTogether has frames for one receiver and for several wait for the same device side by side: the
// kernel runs the program of the first one on all of them.
func TestCopiesAndOtherFramesLeaveTogether(t *testing.T) {
	const flows, rounds, receivers = 8, 50, 4
	p := newPath(t, true)
	plane := p.open(t, XDP, tweaks{})
	defer func() { check(t, plane.Close()) }()
	p.fans(t, plane)
	near := must(p.a.Device("eth0"))(t)
	far := must(p.host.Device("left"))(t)
	base := across4
	base.Source, base.Local = addrPortAt(base.Source, 4000), addrPortAt(base.Local, 32000)
	var all []*crowd
	for i := range flows {
		n := receivers
		if i%2 == 0 {
			n = 1
		}
		c := newCrowd(t, p, p.a, across4, i, n)
		defer c.close()
		check(t, plane.Install(c.flow))
		c.ssrc = 0 // of all frames
		all = append(all, c)
	}
	frame := testpkt.UDP(base.Source, base.Local, testpkt.RTP(0, 1, 1, 0, 100), testpkt.NoChecksum(),
		testpkt.MAC([6]byte(far.HardwareAddr), [6]byte(near.HardwareAddr)))
	var send func([]byte)
	inside(t, p.a, func() { send = mixed(t, near.Index) })
	got := make([]uint64, flows)
	for range rounds {
		inside(t, p.a, func() { send(frame) })
		sum := uint64(0)
		for end := time.Now().Add(10 * time.Second); sum%64 != 0 || sum == 0; time.Sleep(time.Millisecond) {
			sum = 0
			for _, c := range all {
				sum += must(plane.Counters(c.flow.Local))(t).Packets
			}
			if time.Now().After(end) {
				t.Fatalf("only %d packets have come", sum)
			}
		}
		for i, c := range all {
			now := must(plane.Counters(c.flow.Local))(t).Packets
			for j := range c.in {
				for n := range now - got[i] {
					c.last[j] = 0
					if err := c.read(j, 1, time.Now().Add(10*time.Second)); err != nil {
						t.Fatalf("flow %d, receiver %d, packet %d: %v", i, j, n, err)
					}
				}
			}
			got[i] = now
		}
	}
	for _, c := range all {
		for j := range c.in {
			if err := c.read(j, 1, time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("one packet too many, or %v", err)
			}
		}
	}
}

// A crowd is a flow with its sender and its receivers, at the far peer.
type crowd struct {
	flow Flow
	ssrc uint32
	out  *net.UDPConn
	in   []*net.UDPConn
	last []int // sequence number that each receiver got
}

func newCrowd(t *testing.T, p path, sender *netrig.Host, base Flow, id, n int) *crowd {
	c := &crowd{flow: base, ssrc: uint32(id) << 16, last: make([]int, n)}
	c.flow.Local, c.flow.Source = addrPortAt(base.Local, 32000+id), addrPortAt(base.Source, 4000+id)
	for i := range n {
		to := addrPortAt(base.To, 6000+40*id+i)
		inside(t, p.b, func() { c.in = append(c.in, must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(to)))(t)) })
		target := Target{From: addrPortAt(base.From, 33000+40*id+i), To: to, Shift: Shift{SSRC: uint32(i)}}
		c.last[i] = -1
		if i == 0 {
			c.flow.Target = target
		} else {
			c.flow.More = append(c.flow.More, target)
		}
	}
	inside(t, sender, func() { c.out = must(net.ListenUDP("udp", net.UDPAddrFromAddrPort(c.flow.Source)))(t) })
	return c
}

func (c *crowd) send(seq uint16) (int, error) {
	return c.out.WriteToUDPAddrPort(testpkt.RTP(0, seq, uint32(seq), c.ssrc, 100), c.flow.Local)
}

// read takes what the i-th receiver gets, up to the packet of a round.
func (c *crowd) read(i int, round uint16, deadline time.Time) error {
	buf := make([]byte, 256)
	if err := c.in[i].SetReadDeadline(deadline); err != nil {
		return err
	}
	for {
		n, from, err := c.in[i].ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		target := c.flow.Target
		if i > 0 {
			target = c.flow.More[i-1]
		}
		seq, ssrc := int(binary.BigEndian.Uint16(buf[2:])), binary.BigEndian.Uint32(buf[8:])
		if n != 112 || ssrc != c.ssrc^uint32(i) || netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != target.From {
			return fmt.Errorf("got %d bytes of %x from %v, want those of %x from %v", n, ssrc, from, c.ssrc^uint32(i), target.From)
		}
		if seq <= c.last[i] {
			return fmt.Errorf("got packet %d after %d", seq, c.last[i])
		}
		c.last[i] = seq
		if seq == int(round) {
			return nil
		}
	}
}

func (c *crowd) close() {
	c.out.Close()
	for _, in := range c.in {
		in.Close()
	}
}
