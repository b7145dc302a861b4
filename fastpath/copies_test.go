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
