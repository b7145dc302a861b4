package media

import (
	"bytes"
	"testing"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/srtp"
)

// securedPhone is a phone that speaks SRTP, if it has keys.
type securedPhone struct {
	*phone
	leg      *Leg
	keys     Keys
	sends    *srtp.Outbound
	receives *srtp.Inbound
}

func (p *securedPhone) say(rtp []byte) (sent []byte) {
	p.t.Helper()
	if sent = rtp; p.sends != nil {
		sent = sealed(p.t, p.sends, rtp)
	}
	p.send(p.leg, sent)
	return sent
}

func (p *securedPhone) hears(rtp []byte) {
	p.t.Helper()
	got, err := p.receive(), error(nil)
	if p.receives != nil {
		got, err = p.receives.UnprotectRTP(got)
	}
	if err != nil || !bytes.Equal(got, rtp) {
		p.t.Fatalf("%x, %v, want %x", got, err, rtp)
	}
}

// TestSecuredCallMovesToTheRealKernelAndBack places calls with SRTP on one or both sides over real links, through a rollover
// of the sequence numbers in the kernel. Every packet must arrive with what was said, whichever plane has turned it, and no
// forged or repeated one.
func TestSecuredCallMovesToTheRealKernelAndBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   fastpath.Mode
		family int
		suites [2]srtp.Suite // of caller and callee
	}{
		{"SRTP to RTP over IPv4 by XDP", fastpath.XDP, 4, [2]srtp.Suite{srtp.AES128CM80, srtp.NoSuite}},
		{"SRTP to SRTP over IPv6 by XDP", fastpath.XDP, 6, [2]srtp.Suite{srtp.AES128CM80, srtp.AES256CM32}},
		{"SRTP to SRTP by GCM over IPv4 by XDP", fastpath.XDP, 4, [2]srtp.Suite{srtp.AES128GCM, srtp.AES256GCM}},
		{"SRTP by GCM to RTP over IPv6 by tc", fastpath.TC, 6, [2]srtp.Suite{srtp.AES256GCM, srtp.NoSuite}},
		{"SRTP to RTP over IPv6 by tc", fastpath.TC, 6, [2]srtp.Suite{srtp.AES128CM32, srtp.NoSuite}},
		{"SRTP to SRTP over IPv4 by tc", fastpath.TC, 4, [2]srtp.Suite{srtp.AES192CM80, srtp.AES128CM80}},
		{"SRTP to RTP over IPv4 by generic XDP", fastpath.XDPGeneric, 4, [2]srtp.Suite{srtp.AES128CM80, srtp.NoSuite}},
		{"SRTP to SRTP over IPv4 by generic XDP", fastpath.XDPGeneric, 4, [2]srtp.Suite{srtp.AES128CM80, srtp.AES128CM80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.family)
			kernel, r := w.plane(t, c.mode, nil)
			if ok, why := kernel.Serves(w.proxyAddrs[0]); !ok {
				t.Skipf("this machine has no %s: %s", c.mode, why)
			}
			if ok, why := kernel.Secures(); !ok {
				t.Skip(why)
			}
			var ends [2]*securedPhone
			for i, iface := range []string{"caller", "callee"} {
				host := w.caller
				if i == 1 {
					host = w.callee
				}
				leg, _ := w.open(t, r, iface, c.family)
				ends[i] = &securedPhone{phone: w.phone(t, host, w.phoneAddrs[i]), leg: leg}
				if suite := c.suites[i]; suite.Valid() {
					ends[i].keys, ends[i].sends, ends[i].receives = keyed(t, suite)
				}
			}
			alice, bob := ends[0], ends[1]
			settings := func(why string) {
				var s [2]Settings
				for i, p := range ends {
					s[i] = Settings{Signalled: p.addr(), Secure: p.sends != nil, Keys: p.keys, UserspaceReason: why}
				}
				bridge(alice.leg, nil, s[0], bob.leg, nil, s[1])
			}
			settings("")
			seq := uint16(65300)
			talk := func(n int) {
				t.Helper()
				for range n {
					rtp := rtpPacket(seq)
					seq++
					alice.say(rtp)
					bob.hears(rtp)
					bob.say(rtp)
					alice.hears(rtp)
				}
				r.settle()
			}
			talk(confirmations)
			r.until("both flows are in the kernel", func() bool {
				return alice.leg.Stats().Plane == PlaneKernel && bob.leg.Stats().Plane == PlaneKernel
			})
			const n = 400
			talk(n)

			// One after the other: repeated, forged, late, and then the next.
			late, last := rtpPacket(seq), rtpPacket(seq+1)
			seq += 2
			held := sealed(t, alice.sends, late)
			again := alice.say(last)
			bob.hears(last)
			alice.send(alice.leg, again)
			forged := sealed(t, alice.sends, rtpPacket(seq))
			forged[20] ^= 1
			alice.send(alice.leg, forged)
			alice.send(alice.leg, held)
			bob.hears(late)
			talk(1)

			settings("test")
			if f := alice.leg.Stats().Plane; f != PlaneUserspace {
				t.Fatalf("the flow is in the %v", f)
			}
			alice.send(alice.leg, again)
			talk(20)
			settings("")
			r.until("both flows are in the kernel again", func() bool {
				return alice.leg.Stats().Plane == PlaneKernel && bob.leg.Stats().Plane == PlaneKernel
			})
			talk(20)
			settings("test")
			r.settle()
			const said = confirmations + n + 2 + 1 + 20 + 20
			for i, p := range ends {
				st := p.leg.Stats()
				want := uint64(said)
				if i == 1 {
					want -= 2
				}
				if got := st.In.Packets + st.Kernel.Packets; got != want || st.In.Bytes+st.Kernel.Bytes != want*172 {
					t.Errorf("%v: %d packets of %d bytes came, want %d of 172 each", p.leg.Local(), got, st.In.Bytes+st.Kernel.Bytes, want)
				}
				if st.Kernel.Packets < n/2 || st.Errors != 0 {
					t.Errorf("%v: %d packets in the kernel, %d errors", p.leg.Local(), st.Kernel.Packets, st.Errors)
				}
			}
			if d := alice.leg.Stats().Drops; d[DropAuth] != 1 || d[DropReplay] != 2 {
				t.Errorf("%d forged and %d repeated packets were dropped, want 1 and 2", d[DropAuth], d[DropReplay])
			}
		})
	}
}
