package media

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/ice"
)

// succeed ends the plane of a rig as the death of its process would, but for the flows in the kernel, and opens the legs again on
// another one. The legs come in the order of those given.
func (r *rig) succeed(legs []*Leg, change func(c *Config)) (*rig, []*Leg) {
	r.Helper()
	states := r.States(legs)
	kernel, ok := r.offload.fast.(*fakeKernel)
	if ok {
		kernel.deafen(true) // it dies and does not clean up
	}
	if err := r.Plane.Close(); err != nil {
		r.Fatal(err)
	}
	if ok {
		kernel.deafen(false)
	}
	next := newRig(r.T, change)
	opened := make(map[netip.AddrPort]*Leg)
	for i := range states {
		rtp, rtcp, err := next.Reopen(&states[i], "call")
		if err != nil {
			r.Fatal(err)
		}
		opened[rtp.Local()], opened[rtcp.Local()] = rtp, rtcp
	}
	next.Reroute(states, next.leg)
	var again []*Leg
	for _, l := range legs {
		again = append(again, opened[l.Local()])
	}
	return next, again
}

func TestAFlowGoesOnInTheKernelWithItsCounts(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.count(r.a, 100, 105)
	r.poll()
	before := r.a.Stats()
	states := r.States([]*Leg{r.a, r.b})
	r.kernel.count(r.a, 50, 155) // after the state was taken, and while nobody lives
	installed := r.kernel.installed
	orphan := netip.MustParseAddrPort("127.0.0.1:9")
	r.kernel.flows[orphan], r.kernel.counts[orphan] = fastpath.Flow{}, fastpath.Counters{}

	r.kernel.deafen(true) // a process that dies takes no flows with it
	if err := r.Plane.Close(); err != nil {
		t.Fatal(err)
	}
	r.kernel.deafen(false)
	ticks := make(chan time.Time)
	next := &offloadRig{kernel: r.kernel, ticks: ticks, alice: r.alice, bob: r.bob, as: r.as, bs: r.bs}
	next.rig = newRig(t, func(c *Config) { c.FastPath, c.poll = r.kernel, ticks })
	var told []string
	next.Watch(func(affinity string) { told = append(told, affinity) })
	for i, leg := range []**Leg{&next.a, &next.b} {
		var err error
		if *leg, _, err = next.Reopen(&states[i], "call"); err != nil {
			t.Fatal(err)
		}
	}
	next.as.Sinks, next.bs.Sinks = []Sink{{RTP: next.b, RTCP: next.b}}, []Sink{{RTP: next.a, RTCP: next.a}}
	next.a.Apply(next.as)
	next.b.Apply(next.bs)
	kept, removed, err := next.Claim()
	if kept != 2 || removed != 1 || err != nil {
		t.Errorf("%d flows kept, %d removed, %v", kept, removed, err)
	}
	next.inKernel(next.a, next.b)
	if n := r.kernel.installed - installed; n != 0 {
		t.Errorf("%d flows are installed anew", n)
	}
	next.poll()
	after := next.a.Stats()
	if got, want := after.Kernel.Packets, before.Kernel.Packets+50; got != want {
		t.Errorf("%d packets by the kernel, want %d", got, want)
	}
	if got, want := next.b.Stats().Out.Packets, uint64(confirmations+150); got != want {
		t.Errorf("%d packets sent to the hearer, want %d", got, want)
	}
	if s := next.a.Streams(); len(s) != 1 || s[0].Packets != confirmations+150 || s[0].Lost != 0 {
		t.Errorf("streams %+v", s)
	}
	next.b.Close()
	next.until("the flow is withdrawn", func() bool { _, ok := r.kernel.flow(next.a); return !ok })
	if got := next.a.Stats().Kernel.Packets; got != after.Kernel.Packets {
		t.Errorf("%d packets by the kernel after the end, want %d", got, after.Kernel.Packets)
	}
	if len(told) == 0 {
		t.Error("nobody is told of the change")
	}
}

func TestAFlowThatEndedMeanwhileIsInstalledAnew(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.count(r.a, 100, 105)
	r.poll()
	kernel := r.kernel
	next, legs := r.succeed([]*Leg{r.a, r.b}, func(c *Config) { c.FastPath = kernel })
	kernel.forget(r.a)
	r.as.Sinks, r.bs.Sinks = []Sink{{RTP: legs[1], RTCP: legs[1]}}, []Sink{{RTP: legs[0], RTCP: legs[0]}}
	legs[0].Apply(r.as)
	legs[1].Apply(r.bs)
	if _, _, err := next.Claim(); err != nil {
		t.Fatal(err)
	}
	if st := legs[0].Stats(); st.Plane != PlaneKernel || st.Kernel.Packets != 100 {
		t.Errorf("%s with %d packets by the kernel", st.Plane, st.Kernel.Packets)
	}
}

func TestChangesOfWhatTheKernelServesAreFollowed(t *testing.T) {
	r := newOffloadRig(t, nil)
	r.talk(confirmations)
	r.inKernel(r.a, r.b)
	r.kernel.unserved = "the network device is down"
	r.Reconsider()
	if st := r.a.Stats(); st.Plane != PlaneUserspace || st.Why != whyUnserved+": the network device is down" {
		t.Errorf("%s: %s", st.Plane, st.Why)
	}
	r.kernel.unserved, r.kernel.fail = "", fastpath.ErrFull
	r.Reconsider() // a failure is remembered until the next change
	if st := r.a.Stats(); st.Plane != PlaneUserspace {
		t.Errorf("%s: %s", st.Plane, st.Why)
	}
	r.kernel.fail = nil
	r.Reconsider()
	r.inKernel(r.a, r.b)
}

func TestKeysOfAHandshakeOutliveTheProcess(t *testing.T) {
	for _, c := range []struct {
		name        string
		party, ours dtls.Role
	}{
		{"the party was the client", dtls.Active, dtls.Passive},
		{"the party was the server", dtls.Passive, dtls.Active},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			bob, ours := newPhone(t, loopback4), newCertificate(t)
			alice := newSecureParty(t, a, c.party, ours)
			agree := func(p *Plane, a, b *Leg, association uint32) *Link {
				link := p.NewLink()
				a.Apply(Settings{Signalled: alice.addr(), Link: link, Secure: true, Sinks: []Sink{{RTP: b}}})
				b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
				if err := link.Apply(LinkConfig{RTP: []*Leg{a}, DTLS: &DTLS{
					Certificate: ours, Role: c.ours, Remote: alice.fingerprints(), Association: association,
				}}); err != nil {
					t.Fatal(err)
				}
				return link
			}
			link := agree(r.Plane, a, b, 1)
			alice.key()
			r.until("the leg has keys", func() bool { return a.cipher.Load() != nil })
			link.Close()
			seq := uint16(0)
			talk := func(a, b *Leg) {
				t.Helper()
				seq++
				packet := []byte{0x80, 0, 0, byte(seq), 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4}
				sealed, err := alice.sends.ProtectRTP(append(make([]byte, 0, 200), packet...))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := alice.conn.WriteToUDPAddrPort(sealed, a.Local()); err != nil {
					t.Fatal(err)
				}
				bob.wants(b, packet)
				packet[11] = 8
				if _, err := bob.conn.WriteToUDPAddrPort(packet, b.Local()); err != nil {
					t.Fatal(err)
				}
				select {
				case got := <-alice.media:
					if got, err := alice.receives.UnprotectRTP(got); err != nil || !bytes.Equal(got, packet) {
						t.Errorf("got %x, %v", got, err)
					}
				case <-time.After(patience):
					t.Fatal("nothing comes")
				}
			}
			talk(a, b)
			next, legs := r.succeed([]*Leg{a, b}, nil)
			a, b = legs[0], legs[1]
			link = agree(next.Plane, a, b, 1)
			defer link.Close()
			talk(a, b)
			if h := link.handshakes[0].Load(); h.running.Load() != nil || h.next.Load() != nil {
				t.Error("there is another handshake")
			}
			if c.party != dtls.Active {
				return
			}
			// The party may begin another one.
			alice.associate(a, c.party, alice.certificate, ours)
			alice.key()
			next.until("the leg has other keys", func() bool {
				return a.Stats().Drops[DropNoKeys] == 0 && link.handshakes[0].Load().running.Load() != nil
			})
			next.settle()
			talk(a, b)
		})
	}
}

func TestTheWayThatICEHadSelectedOutlivesTheProcess(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	other, _ := r.pair(4, "call") // another address of ours for the same media
	b, _ := r.pair(4, "call")
	alice, bob, stranger := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	agree := func(p *Plane, a, other, b *Leg) *Link {
		link := p.NewLink()
		a.Apply(Settings{Signalled: stranger.addr(), Link: link, Sinks: []Sink{{RTP: b}}})
		other.Apply(Settings{Link: link, Primary: a})
		b.Apply(Settings{Signalled: bob.addr(), Sinks: []Sink{{RTP: a}}})
		if err := link.Apply(LinkConfig{RTP: []*Leg{a, other}, ICE: &ICE{
			Local: ice.Credentials{Ufrag: "ours", Pwd: "a password of 22 letters"}, Lite: true,
			Remote: ice.Remote{Credentials: ice.Credentials{Ufrag: "hers", Pwd: "a password of 22 letters"}},
		}}); err != nil {
			t.Fatal(err)
		}
		return link
	}
	link := agree(r.Plane, a, other, b)
	a.allow(alice.addr())
	a.setRoute(&route{via: other, to: newEndpoint(alice.addr())})
	alice.wants(other, bob.rtp(b))
	bob.wants(b, alice.rtp(other))
	states := r.States([]*Leg{a, other, b})
	link.Close()
	if err := r.Plane.Close(); err != nil {
		t.Fatal(err)
	}

	next := newRig(t, nil)
	var legs []*Leg
	for i := range states {
		leg, _, err := next.Reopen(&states[i], "call")
		if err != nil {
			t.Fatal(err)
		}
		legs = append(legs, leg)
	}
	next.Reroute(states, next.leg)
	defer agree(next.Plane, legs[0], legs[1], legs[2]).Close()
	alice.wants(legs[1], bob.rtp(legs[2]))
	bob.wants(legs[2], alice.rtp(legs[1]))
	stranger.rtp(legs[1])
	next.until("a stranger is refused", func() bool { return legs[0].Stats().Refused == 1 })
}

func TestReopenRefusesWhatCannotBeHad(t *testing.T) {
	r := newRig(t, nil)
	a, _ := r.pair(4, "call")
	for _, c := range []struct {
		name  string
		local netip.AddrPort
	}{
		{"a pair that is open", a.Local()},
		{"an odd port", netip.AddrPortFrom(loopback4, a.Local().Port()+1)},
		{"a port out of range", netip.MustParseAddrPort("127.0.0.1:9")},
		{"an address of nobody", netip.MustParseAddrPort("192.0.2.1:41000")},
		{"no address", netip.AddrPort{}},
	} {
		if _, _, err := r.Reopen(&PairState{Local: c.local}, ""); err == nil {
			t.Errorf("%s is opened", c.name)
		}
	}
	used := r.Pools()[0].Used
	taken, err := listenUDP(netip.AddrPortFrom(loopback4, 41998))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Reopen(&PairState{Local: netip.AddrPortFrom(loopback4, 41998)}, ""); err == nil {
		t.Error("a port that somebody else has is opened")
	}
	if err := taken.close(); err != nil {
		t.Fatal(err)
	}
	if now := r.Pools()[0].Used; now != used {
		t.Errorf("%d pairs are in use, before it were %d", now, used)
	}
	if _, _, err := r.Reopen(&PairState{Local: netip.AddrPortFrom(loopback4, 41998), RTCP: LegState{Closed: true}}, ""); err != nil {
		t.Error(err)
	}
}
