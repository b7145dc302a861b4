package media

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/rtp"
)

// The addresses of planes, of which phones have the first two as well. TestMain changes them for the second run.
var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.MustParseAddr("::1")
	second4   = netip.MustParseAddr("127.0.0.2")
)

// patience is how long a test waits for what must happen; no test waits for what must not.
const patience = 10 * time.Second

// rig is a plane on loopback.
type rig struct {
	*testing.T
	*Plane
}

func newRig(t *testing.T, change func(c *Config)) *rig {
	t.Helper()
	cfg := Config{Workers: 2, Interfaces: []Interface{
		{Name: "v4", Addresses: []Address{{IP: loopback4, PortMin: 41000, PortMax: 41999}}},
		{Name: "v6", Addresses: []Address{{IP: loopback6, PortMin: 41000, PortMax: 41999}}},
	}}
	if change != nil {
		change(&cfg)
	}
	if elsewhere != nil {
		cfg.Steering = newSteering(t, cfg.Interfaces)
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{t, p}
}

// pair opens a pair on loopback of the family.
func (r *rig) pair(family int, affinity string) (rtp, rtcp *Leg) {
	r.Helper()
	rtp, rtcp, err := r.OpenPair(map[int]string{4: "v4", 6: "v6"}[family], family, affinity)
	if err != nil {
		r.Fatal(err)
	}
	return rtp, rtcp
}

// settle waits until the workers have done what they were told.
func (r *rig) settle() {
	done := make(chan struct{})
	visit(r.workers, func() { close(done) })
	<-done
}

// until waits for a condition that must come true.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			for _, l := range r.openLegs() {
				r.Logf("%v: %+v", l.Local(), l.Stats())
			}
			r.Fatalf("did not happen: %s", what)
		}
	}
}

// phone is a peer with one socket.
type phone struct {
	t    *testing.T
	conn *net.UDPConn
	seq  uint16
}

func newPhone(t *testing.T, ip netip.Addr) *phone {
	t.Helper()
	conn, err := elsewhere.listen(ip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &phone{t: t, conn: conn}
}

func (p *phone) addr() netip.AddrPort {
	a := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (p *phone) send(to *Leg, data []byte) {
	p.t.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(data, to.Local()); err != nil {
		p.t.Fatal(err)
	}
}

// rtp sends the next RTP packet of the phone and returns it.
func (p *phone) rtp(to *Leg) []byte {
	p.t.Helper()
	p.seq++
	b := rtpPacket(p.seq)
	p.send(to, b)
	return b
}

// receive returns the next packet that comes.
func (p *phone) receive() []byte {
	p.t.Helper()
	buf := make([]byte, maxDatagram)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	n, err := p.conn.Read(buf)
	if err != nil {
		p.t.Fatalf("nothing came: %v", err)
	}
	return buf[:n]
}

func (p *phone) wants(from *Leg, data []byte) {
	p.t.Helper()
	buf := make([]byte, maxDatagram)
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	n, source, err := p.conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		p.t.Fatalf("nothing came: %v", err)
	}
	if got := netip.AddrPortFrom(source.Addr().Unmap(), source.Port()); got != from.Local() {
		p.t.Fatalf("from %v, want %v", got, from.Local())
	}
	if !bytes.Equal(buf[:n], data) {
		p.t.Fatalf("got  %x\nwant %x", buf[:n], data)
	}
}

func rtpPacket(seq uint16) []byte {
	h := rtp.Header{PayloadType: 8, Sequence: seq, Timestamp: 160 * uint32(seq), SSRC: 0x01020304}
	return append(h.Append(nil), bytes.Repeat([]byte{0xd5}, 160)...)
}

func receiverReport(ssrc uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, rtp.TypeReceiverReport, 0, 1}, ssrc)
}

// bridge connects two legs both ways.
func bridge(a, aRTCP *Leg, as Settings, b, bRTCP *Leg, bs Settings) {
	as.Sinks = []Sink{{RTP: b, RTCP: bRTCP}}
	bs.Sinks = []Sink{{RTP: a, RTCP: aRTCP}}
	a.Apply(as)
	b.Apply(bs)
}

func TestRelayBothWays(t *testing.T) {
	for _, c := range []struct {
		name           string
		caller, callee int
		otherWorker    bool
	}{
		{name: "IPv4", caller: 4, callee: 4},
		{name: "IPv6", caller: 6, callee: 6},
		{name: "IPv4 to IPv6", caller: 4, callee: 6},
		{name: "between two workers", caller: 4, callee: 4, otherWorker: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			loop := map[int]netip.Addr{4: loopback4, 6: loopback6}
			alice, bob := newPhone(t, loop[c.caller]), newPhone(t, loop[c.callee])
			a, aRTCP := r.pair(c.caller, "call")
			b, bRTCP := r.pair(c.callee, "call")
			if c.otherWorker {
				for b.worker == a.worker {
					b, bRTCP = r.pair(c.callee, "")
				}
			}
			bridge(a, aRTCP, Settings{Signalled: alice.addr(), Epoch: 1}, b, bRTCP, Settings{Signalled: bob.addr(), Epoch: 1})
			for range 5 {
				bob.wants(b, alice.rtp(a))
				alice.wants(a, bob.rtp(b))
			}
			r.settle() // what is sent is counted after it was sent
			st := a.Stats()
			if want := (Counts{5, 5 * 172}); st.In != want || st.Out != want {
				t.Errorf("in %+v, out %+v, want %+v", st.In, st.Out, want)
			}
			if st.Source != alice.addr() || st.Destination != alice.addr() || !st.Confirmed || st.SSRC != 0x01020304 {
				t.Errorf("source %v, destination %v, confirmed %v, SSRC %x", st.Source, st.Destination, st.Confirmed, st.SSRC)
			}
			if st.Plane != PlaneUserspace || st.Why != whyNoFastPath {
				t.Errorf("plane %v because %q", st.Plane, st.Why)
			}
			if st.Errors != 0 || st.Refused != 0 || st.Lost != 0 || st.LastUser == 0 || st.LastUser > Now() {
				t.Errorf("unexpected: %+v", st)
			}
		})
	}
}

func TestRTCPLeavesByTheLegForRTCP(t *testing.T) {
	for _, c := range []struct {
		name         string
		aMux, bMux   bool
		sendOnRTPLeg bool
	}{
		{name: "neither muxes"},
		{name: "the sender muxes", aMux: true},
		{name: "the receiver muxes", bMux: true},
		{name: "both mux", aMux: true, bMux: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
			aliceRTCP, bobRTCP := newPhone(t, loopback4), newPhone(t, loopback4)
			a, aRTCP := r.pair(4, "call")
			b, bRTCP := r.pair(4, "call")
			toB, toBob := bRTCP, bobRTCP
			if c.bMux {
				toB, toBob = b, bob
			}
			from, on := aliceRTCP, aRTCP
			if c.aMux {
				from, on = alice, a
			}
			sinks := []Sink{{RTP: b, RTCP: toB}}
			a.Apply(Settings{Signalled: alice.addr(), Sinks: sinks})
			aRTCP.Apply(Settings{Kind: RTCP, Signalled: aliceRTCP.addr(), Sinks: sinks})
			b.Apply(Settings{Signalled: bob.addr()})
			bRTCP.Apply(Settings{Kind: RTCP, Signalled: bobRTCP.addr()})

			report := receiverReport(7)
			from.send(on, report)
			toBob.wants(toB, report)
			bob.wants(b, alice.rtp(a))
		})
	}
}

func TestWhatIsNotRelayedIsCountedByReason(t *testing.T) {
	const dtls = "\x16\xfe\xfd handshake"
	for _, c := range []struct {
		name     string
		settings func(s *Settings)
		data     []byte
		rtcpLeg  bool
		want     Drop
	}{
		{name: "garbage", data: []byte("hello"), want: DropGarbage},
		{name: "an empty datagram", data: []byte{}, want: DropGarbage},
		{name: "an RTP header cut short", data: rtpPacket(1)[:11], want: DropBadRTP},
		{name: "RTCP longer than the datagram", data: []byte{0x80, 201, 0, 9, 1, 2, 3, 4}, want: DropBadRTCP},
		{name: "STUN", data: []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, want: DropSTUN},
		{name: "a muted leg", data: rtpPacket(1), settings: func(s *Settings) { s.Muted = true }, want: DropMuted},
		{name: "nobody hears", data: rtpPacket(1), settings: func(s *Settings) { s.Sinks = nil }, want: DropNoSink},
		{name: "nobody hears RTCP", data: receiverReport(1), want: DropNoSink},
		{name: "RTP on the port for RTCP", data: rtpPacket(1), rtcpLeg: true,
			settings: func(s *Settings) { s.Kind = RTCP }, want: DropRTPOnRTCP},
		{name: "the signalled source only", data: rtpPacket(1),
			settings: func(s *Settings) {
				s.Learning, s.Signalled = LearnOff, netip.MustParseAddrPort("127.0.0.9:9")
			}, want: DropForeign},
		{name: "the hearer's address is unknown", data: []byte(dtls), want: DropNoDestination},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			alice := newPhone(t, loopback4)
			a, aRTCP := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			b.Apply(Settings{})
			s := Settings{Signalled: alice.addr(), Sinks: []Sink{{RTP: b}}}
			if c.settings != nil {
				c.settings(&s)
			}
			on := a
			if c.rtcpLeg {
				on = aRTCP
			}
			on.Apply(s)
			alice.send(on, c.data)
			r.until("a drop", func() bool { st := on.Stats(); return st.Drops.Sum() > 0 })
			var want Drops
			want[c.want] = 1
			if got := on.Stats().Drops; got != want {
				t.Errorf("drops %v, want only %v", got, c.want)
			}
			if out := b.Stats().Out; out != (Counts{}) {
				t.Errorf("relayed %+v", out)
			}
		})
	}
}

func TestUnknownMediaIsRelayedUnlookedAt(t *testing.T) {
	r := newRig(t, nil)
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Kind: Opaque, Signalled: alice.addr()}, b, nil, Settings{Kind: Opaque, Signalled: bob.addr()})
	for _, data := range [][]byte{[]byte("UDPTL"), {0, 1}, {0x80, 201}, bytes.Repeat([]byte("x"), 40000)} {
		alice.send(a, data)
		bob.wants(b, data)
	}
}

func TestDTLSPassesFromEndToEnd(t *testing.T) {
	r := newRig(t, nil)
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, a, Settings{Signalled: alice.addr()}, b, b, Settings{Signalled: bob.addr()})
	hello := []byte("\x16\xfe\xfd client hello")
	alice.send(a, hello)
	bob.wants(b, hello)
}

func TestSeveralHearers(t *testing.T) {
	r := newRig(t, nil)
	alice := newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	s := Settings{Signalled: alice.addr()}
	phones, legs := make([]*phone, 3), make([]*Leg, 3)
	for i := range phones {
		phones[i] = newPhone(t, loopback4)
		legs[i], _ = r.pair(4, "call")
		legs[i].Apply(Settings{Signalled: phones[i].addr()})
		s.Sinks = append(s.Sinks, Sink{RTP: legs[i]})
	}
	a.Apply(s)
	data := alice.rtp(a)
	for i := range phones {
		phones[i].wants(legs[i], data)
	}
}

func TestForeignSourceObtainsNothingAndCannotInject(t *testing.T) {
	for _, mode := range []Learning{LearnHeuristic, LearnOff, LearnImmediate} {
		t.Run(mode.String(), func(t *testing.T) {
			r := newRig(t, nil)
			alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
			eve := newPhone(t, netip.MustParseAddr("127.0.0.66"))
			a, _ := r.pair(4, "call")
			b, _ := r.pair(4, "call")
			bridge(a, nil, Settings{Signalled: alice.addr(), Learning: mode}, b, nil, Settings{Signalled: bob.addr(), Learning: mode})
			for range confirmations {
				bob.wants(b, alice.rtp(a))
				alice.wants(a, bob.rtp(b))
			}
			const sprayed = 50
			for range sprayed {
				eve.rtp(a)
				eve.rtp(b)
			}
			// What eve sent is handled before what is sent later on the same leg.
			bob.wants(b, alice.rtp(a))
			alice.wants(a, bob.rtp(b))
			r.settle()
			for _, l := range []*Leg{a, b} {
				if st := l.Stats(); st.Refused != sprayed || st.Out.Packets != confirmations+1 {
					t.Errorf("refused %d of %d, sent %d to the peer, want %d", st.Refused, sprayed, st.Out.Packets, confirmations+1)
				}
			}
			if err := eve.conn.SetReadDeadline(time.Now()); err != nil {
				t.Fatal(err)
			}
			if n, _, err := eve.conn.ReadFromUDPAddrPort(make([]byte, 2000)); err == nil {
				t.Errorf("eve obtained %d bytes", n)
			}
		})
	}
}

func TestHandoverMovesThePeer(t *testing.T) {
	r := newRig(t, nil)
	alice, moved, bob := newPhone(t, loopback4), newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Signalled: alice.addr(), Handover: true}, b, nil, Settings{Signalled: bob.addr()})
	for range confirmations {
		bob.wants(b, alice.rtp(a))
	}
	bob.wants(b, moved.rtp(a))
	moved.wants(a, bob.rtp(b))
	if st := a.Stats(); st.Source != moved.addr() || st.Refused != 0 {
		t.Errorf("source %v, want %v; refused %d", st.Source, moved.addr(), st.Refused)
	}
}

func TestTOSOfRelayedPackets(t *testing.T) {
	for _, c := range []struct {
		family, level, option int
		ip                    netip.Addr
	}{{4, unix.IPPROTO_IP, unix.IP_RECVTOS, loopback4}, {6, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, loopback6}} {
		r := newRig(t, nil)
		alice, bob := newPhone(t, c.ip), newPhone(t, c.ip)
		raw, err := bob.conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), c.level, c.option, 1) }); err != nil {
			t.Fatal(err)
		}
		a, _ := r.pair(c.family, "call")
		b, _ := r.pair(c.family, "call")
		for i, tos := range []uint8{0, 0xb8, 0xff, 0} {
			bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr(), TOS: tos})
			r.settle()
			// More than one packet, so that the way of the later ones is known.
			for range 3 * confirmations {
				alice.rtp(a)
				if got := bob.tos(); got != tos {
					t.Fatalf("IPv%d, settings %d: TOS %#x, want %#x", c.family, i, got, tos)
				}
			}
		}
	}
}

// tos receives a packet and returns its TOS or traffic class.
func (p *phone) tos() uint8 {
	p.t.Helper()
	if err := p.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	control := make([]byte, 100)
	_, n, _, _, err := p.conn.ReadMsgUDP(make([]byte, maxDatagram), control)
	if err != nil {
		p.t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) != 1 || len(messages[0].Data) == 0 {
		p.t.Fatalf("control messages %v, %v", messages, err)
	}
	return messages[0].Data[0]
}

func TestBurstOnOneLegArrivesWhole(t *testing.T) {
	r := newRig(t, nil)
	alice, bob := newPhone(t, loopback4), newPhone(t, loopback4)
	a, _ := r.pair(4, "call")
	b, _ := r.pair(4, "call")
	bridge(a, nil, Settings{Signalled: alice.addr()}, b, nil, Settings{Signalled: bob.addr()})
	const burst = 40
	for range 20 {
		var sent [burst][]byte
		for i := range sent {
			sent[i] = alice.rtp(a)
		}
		for i := range sent {
			bob.wants(b, sent[i])
		}
	}
	if st := a.Stats(); st.Lost != 0 || st.Errors != 0 || st.In.Packets != 20*burst {
		t.Errorf("in %d, lost %d, errors %d", st.In.Packets, st.Lost, st.Errors)
	}
}
