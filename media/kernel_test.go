package media

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/rtp"
)

// wire is a proxy between two hosts, each on its own link.
type wire struct {
	caller, proxy, callee *netrig.Host
	proxyAddrs            []netip.Addr // of the two links, IPv4 or IPv6
	phoneAddrs            []netip.Addr
}

func newWire(t *testing.T, family int) *wire { return newWireBetween(t, family, family) }

// newWireBetween has the two links in address families of their own.
func newWireBetween(t *testing.T, families ...int) *wire {
	r := netrig.Start(t)
	host := func(name string) *netrig.Host {
		h, err := r.Host(name)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	w := &wire{caller: host("caller"), proxy: host("proxy"), callee: host("callee")}
	for i, h := range []*netrig.Host{w.caller, w.callee} {
		prefix := func(last byte) netip.Prefix {
			if families[i] == 4 {
				return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, byte(i), last}), 24)
			}
			return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 7: byte(i), 15: last}), 64)
		}
		near, far := prefix(1), prefix(2)
		if err := r.Link(
			netrig.End{
				Host: w.proxy, Device: []string{"caller", "callee"}[i], Addrs: []netip.Prefix{near}, Neighbours: true, GRO: true,
			},
			netrig.End{Host: h, Device: "phone", Addrs: []netip.Prefix{far}, Neighbours: true, GRO: true},
		); err != nil {
			t.Fatal(err)
		}
		w.proxyAddrs, w.phoneAddrs = append(w.proxyAddrs, near.Addr()), append(w.phoneAddrs, far.Addr())
	}
	return w
}

func (w *wire) phone(t *testing.T, h *netrig.Host, ip netip.Addr) (p *phone) {
	t.Helper()
	if err := h.Do(func() error {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, 0)))
		p = &phone{t: t, conn: conn}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	return p
}

// plane is both planes of the proxy.
func (w *wire) plane(t *testing.T, mode fastpath.Mode, change func(*Config)) (kernel *fastpath.Plane, r *rig) {
	t.Helper()
	if err := w.proxy.Do(func() (err error) {
		kernel, err = fastpath.Open(fastpath.Config{Mode: mode, Addrs: w.proxyAddrs})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kernel.Close() })
	if err := w.proxy.Do(func() error {
		r = newRig(t, func(cfg *Config) {
			cfg.FastPath = kernel
			cfg.Interfaces = []Interface{
				{Name: "caller", Addresses: []Address{{IP: w.proxyAddrs[0]}}},
				{Name: "callee", Addresses: []Address{{IP: w.proxyAddrs[1]}}},
			}
			if change != nil {
				change(cfg)
			}
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return kernel, r
}

// open opens a pair of ports of the proxy.
func (w *wire) open(t *testing.T, r *rig, iface string, family int) (rtp, rtcp *Leg) {
	t.Helper()
	if err := w.proxy.Do(func() (err error) {
		rtp, rtcp, err = r.OpenPair(iface, family, "call")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return rtp, rtcp
}

// TestCallMovesToTheRealKernelAndBack places a call over real links: every packet must arrive as it was sent and be
// counted once, whichever plane relayed it.
func TestCallMovesToTheRealKernelAndBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		mode   fastpath.Mode
		family int
	}{
		{"IPv4 by XDP", fastpath.XDP, 4},
		{"IPv6 by XDP", fastpath.XDP, 6},
		{"IPv4 by tc", fastpath.TC, 4},
		{"IPv6 by tc", fastpath.TC, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.family)
			kernel, r := w.plane(t, c.mode, func(cfg *Config) { cfg.RTCPInterval = 10 * time.Millisecond })
			if ok, why := kernel.Serves(w.proxyAddrs[0]); !ok {
				t.Skipf("this machine has no %s: %s", c.mode, why)
			}
			a, _ := w.open(t, r, "caller", c.family)
			b, _ := w.open(t, r, "callee", c.family)
			alice, bob := w.phone(t, w.caller, w.phoneAddrs[0]), w.phone(t, w.callee, w.phoneAddrs[1])
			as, bs := Settings{Signalled: alice.addr()}, Settings{Signalled: bob.addr()}
			bridge(a, nil, as, b, nil, bs)
			talk := func(n int) {
				for range n {
					bob.wants(b, alice.rtp(a))
					alice.wants(a, bob.rtp(b))
				}
			}
			talk(confirmations)
			r.until("both flows are in the kernel", func() bool {
				return a.Stats().Plane == PlaneKernel && b.Stats().Plane == PlaneKernel
			})
			const n = 300
			talk(n)
			eve := w.phone(t, w.caller, w.phoneAddrs[0])
			for range 20 {
				eve.rtp(a)
			}
			talk(1)
			as.UserspaceReason, bs.UserspaceReason = "test", "test"
			as.Sinks, bs.Sinks = []Sink{{RTP: b}}, []Sink{{RTP: a}}
			a.Apply(as)
			b.Apply(bs)
			talk(1)
			r.settle()

			const sent = confirmations + n + 2
			for _, l := range []*Leg{a, b} {
				st := l.Stats()
				if got := st.In.Packets + st.Kernel.Packets; got != sent || st.Out.Packets != sent {
					t.Errorf("%v: received %d (kernel %d), sent %d, want %d", l.Local(), got, st.Kernel.Packets, st.Out.Packets, sent)
				}
				if got := st.In.Bytes + st.Kernel.Bytes; got != sent*172 || st.Out.Bytes != sent*172 {
					t.Errorf("%v: received %d bytes, sent %d, want %d", l.Local(), got, st.Out.Bytes, sent*172)
				}
				if st.Kernel.Packets < n/2 || st.Lost != 0 || st.Errors != 0 || st.LearningPackets > confirmations {
					t.Errorf("%v: kernel %d of %d; lost %d, errors %d, learning %d",
						l.Local(), st.Kernel.Packets, n, st.Lost, st.Errors, st.LearningPackets)
				}
				if st.LastKernel == 0 || st.LastKernel > st.LastUser || st.LastUser > Now() {
					t.Errorf("%v: last packets at %v and %v, now is %v", l.Local(), st.LastKernel, st.LastUser, Now())
				}
			}
			for _, l := range []*Leg{a, b} {
				s := l.Streams()
				if len(s) != 1 || s[0].Packets != sent || s[0].Bytes != sent*172 || s[0].Lost != 0 || s[0].Sequence != sent {
					t.Errorf("%v: streams %+v, want one of %d packets", l.Local(), s, sent)
				}
			}
			if st := a.Stats(); st.Refused != 20 {
				t.Errorf("refused %d foreign packets, want 20", st.Refused)
			}
			if tot := r.Totals(); tot.Kernel.Packets+tot.Userspace.Packets != 2*sent || tot.Refused != 20 {
				t.Errorf("totals: %+v", tot)
			}

			bs.ReportBy = b
			b.Apply(bs)
			var walk rtp.Compound
			var p rtp.Packet
			var report rtp.Report
			if walk.Reset(bob.receive()); !walk.Next(&p) || report.Parse(p) != nil {
				t.Fatalf("bob has no report but %+v", p)
			}
			if !report.Sender || report.Info.Packets != sent || len(report.Reports) != 1 || report.Reports[0].HighestSeq != sent {
				t.Errorf("bob has %+v", report)
			}
		})
	}
}

// TestReportsThatPassByTheKernelAreRead has RTCP relayed by the kernel, on its own port and on that of RTP.
func TestReportsThatPassByTheKernelAreRead(t *testing.T) {
	for _, muxed := range []bool{false, true} {
		t.Run(map[bool]string{false: "on its own port", true: "on the port of RTP"}[muxed], func(t *testing.T) {
			w := newWire(t, 4)
			kernel, r := w.plane(t, fastpath.Auto, nil)
			a, aRTCP := w.open(t, r, "caller", 4)
			b, bRTCP := w.open(t, r, "callee", 4)
			alice, bob := w.phone(t, w.caller, w.phoneAddrs[0]), w.phone(t, w.callee, w.phoneAddrs[1])
			aliceRTCP, bobRTCP := alice, bob
			if muxed {
				aRTCP, bRTCP = a, b
			} else {
				aliceRTCP, bobRTCP = w.phone(t, w.caller, w.phoneAddrs[0]), w.phone(t, w.callee, w.phoneAddrs[1])
			}
			as := Settings{Signalled: alice.addr(), Muxed: muxed, Sinks: []Sink{{RTP: b, RTCP: bRTCP}}}
			bs := Settings{Signalled: bob.addr(), Muxed: muxed, Sinks: []Sink{{RTP: a, RTCP: aRTCP}}}
			a.Apply(as)
			b.Apply(bs)
			if !muxed {
				as.Kind, as.Signalled, bs.Kind, bs.Signalled = RTCP, aliceRTCP.addr(), RTCP, bobRTCP.addr()
				aRTCP.Apply(as)
				bRTCP.Apply(bs)
			}
			report := func(ssrc, of uint32) []byte {
				b := []byte{0x81, 201, 0, 7}
				for _, word := range []uint32{ssrc, of, 64<<24 | 5, 1000, 80, 0, 0} {
					b = binary.BigEndian.AppendUint32(b, word)
				}
				return b
			}
			for range confirmations {
				bob.wants(b, alice.rtp(a))
				alice.wants(a, bob.rtp(b))
				aliceRTCP.send(aRTCP, report(1, 2))
				bobRTCP.wants(bRTCP, report(1, 2))
				bobRTCP.send(bRTCP, report(2, 1))
				aliceRTCP.wants(aRTCP, report(2, 1))
			}
			r.until("all flows are in the kernel", func() bool {
				for _, l := range []*Leg{a, aRTCP, b, bRTCP} {
					if l.Stats().Plane != PlaneKernel {
						return false
					}
				}
				return true
			})
			if muxed {
				r.until("there is a way for RTCP", func() bool {
					bob.send(b, report(2, 1))
					alice.wants(a, report(2, 1))
					c, err := kernel.Counters(b.Local())
					return err == nil && c.RTCP > 0
				})
			}
			ssrc := a.Streams()[0].SSRC
			bobRTCP.send(bRTCP, report(77, ssrc))
			aliceRTCP.wants(aRTCP, report(77, ssrc))
			r.until("the report is read", func() bool { return r.Totals().Quality.Loss.Samples > 0 })
			if c, err := kernel.Counters(bRTCP.Local()); err != nil || c.RTCP == 0 || c.Untapped != 0 {
				t.Errorf("the kernel has %+v of RTCP, %v", c, err)
			}
		})
	}
}
