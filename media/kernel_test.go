package media

import (
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

func newWire(t *testing.T, family int) *wire {
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
			if family == 4 {
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

// plane opens both planes in the proxy, and returns what opens legs by interface. It skips a test that the machine has no
// engine for.
func (w *wire) plane(t *testing.T, mode fastpath.Mode, family int) (kernel *fastpath.Plane, r *rig, open func(iface string) *Leg) {
	t.Helper()
	inside := func(fn func() error) {
		t.Helper()
		if err := w.proxy.Do(fn); err != nil {
			t.Fatal(err)
		}
	}
	inside(func() (err error) {
		kernel, err = fastpath.Open(fastpath.Config{Mode: mode, Addrs: w.proxyAddrs})
		return err
	})
	t.Cleanup(func() { kernel.Close() })
	if ok, why := kernel.Serves(w.proxyAddrs[0]); !ok {
		t.Skipf("this machine has no %s: %s", mode, why)
	}
	inside(func() error {
		r = newRig(t, func(cfg *Config) {
			cfg.FastPath, cfg.RTCPInterval = kernel, 10*time.Millisecond
			cfg.Interfaces = []Interface{
				{Name: "caller", Addresses: []Address{{IP: w.proxyAddrs[0]}}},
				{Name: "callee", Addresses: []Address{{IP: w.proxyAddrs[1]}}},
			}
		})
		return nil
	})
	return kernel, r, func(iface string) (l *Leg) {
		t.Helper()
		inside(func() (err error) {
			l, _, err = r.OpenPair(iface, family, "call")
			return err
		})
		return l
	}
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
			_, r, open := w.plane(t, c.mode, c.family)
			a, b := open("caller"), open("callee")
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
