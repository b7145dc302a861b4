package ng_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ice"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/srtp"
)

// outcome is what a stranger who knows the ports reaches.
type outcome struct {
	heard bool // its packets were relayed to a party
	gets  bool // it was sent packets of a party
}

var (
	nothing = outcome{}
	heard   = outcome{heard: true}
	gets    = outcome{gets: true}
	both    = outcome{heard: true, gets: true}
)

// TestSprayOfEveryPort has a stranger send RTP and RTCP to every port of a call and look for what comes back, in the manner of
// RTP bleed and RTP inject, at four times of the call. The table is the matrix that docs/operating.md promises.
func TestSprayOfEveryPort(t *testing.T) {
	const (
		few  = 2  // packets to each port: a scan
		many = 12 // a stranger who stays
	)
	for _, c := range []struct {
		name  string
		spray int
		setup setup
		// Before the answer; before the first packet of a party; while learning; after it.
		want [4]outcome
	}{
		{"heuristic, signalling tells where it comes from", few, setup{received: true}, [4]outcome{}},
		{"heuristic, behind a NAT that signalling knows of", few, setup{nat: true, received: true}, [4]outcome{}},
		{"heuristic, signalling tells where it comes from, a stranger who stays", many, setup{received: true},
			[4]outcome{nothing, both, nothing, nothing}},
		{"heuristic, behind a NAT that signalling knows of, a stranger who stays", many, setup{nat: true, received: true},
			[4]outcome{nothing, gets, nothing, nothing}},
		{"heuristic, signalling says nothing more, the parties are faster", few, setup{early: true}, [4]outcome{}},
		{"heuristic, signalling says nothing more, a stranger is faster", few, setup{}, [4]outcome{nothing, both, nothing, nothing}},
		{"heuristic, behind a NAT, the parties are faster", few, setup{nat: true, early: true}, [4]outcome{}},
		{"heuristic, strict source", few, setup{received: true, flags: []string{"strict source"}}, [4]outcome{}},
		{"heuristic, media handover", few, setup{received: true, flags: []string{"media handover"}},
			[4]outcome{nothing, nothing, nothing, both}},
		{"heuristic, asymmetric", few, setup{flags: []string{"asymmetric"}}, [4]outcome{nothing, heard, heard, heard}},
		{"heuristic, asymmetric and strict source", few, setup{received: true, flags: []string{"asymmetric", "strict source"}},
			[4]outcome{}},

		{"delayed", many, setup{learning: "delayed"}, [4]outcome{}},
		{"delayed, strict source", many, setup{learning: "delayed", flags: []string{"strict source"}}, [4]outcome{}},
		{"delayed, media handover", many, setup{learning: "delayed", flags: []string{"media handover"}},
			[4]outcome{nothing, nothing, nothing, both}},
		{"delayed, asymmetric", many, setup{learning: "delayed", flags: []string{"asymmetric"}},
			[4]outcome{nothing, heard, heard, heard}},

		{"immediate", few, setup{learning: "immediate"}, [4]outcome{nothing, both, both, both}},
		{"immediate, the parties were faster", few, setup{learning: "immediate", early: true}, [4]outcome{}},
		{"immediate, media handover", few, setup{learning: "immediate", early: true, flags: []string{"media handover"}},
			[4]outcome{nothing, both, both, both}},
		{"immediate, asymmetric", few, setup{learning: "immediate", early: true, flags: []string{"asymmetric"}},
			[4]outcome{nothing, heard, heard, heard}},

		{"off", many, setup{learning: "off"}, [4]outcome{}},
		{"off, strict source", many, setup{learning: "off", flags: []string{"strict source"}}, [4]outcome{}},
		{"off, media handover", many, setup{learning: "off", flags: []string{"media handover"}}, [4]outcome{}},
		{"off, asymmetric", many, setup{learning: "off", flags: []string{"asymmetric"}}, [4]outcome{nothing, heard, heard, heard}},
		{"off, asymmetric and strict source", many, setup{learning: "off", flags: []string{"asymmetric", "strict source"}}, [4]outcome{}},

		{"foreign sources relayed", few, setup{foreign: true, received: true}, [4]outcome{heard, heard, heard, heard}},
		{"foreign sources relayed, strict source", few, setup{foreign: true, received: true, flags: []string{"strict source"}},
			[4]outcome{heard, nothing, nothing, nothing}}, // whose flag it is says nothing of the other party before it answers

		{"SDES, decrypted here", many, setup{sdes: true, flags: []string{"recrypt"}}, [4]outcome{}},
		{"SDES, decrypted here, behind a NAT", many, setup{sdes: true, nat: true, flags: []string{"recrypt"}}, [4]outcome{}},
		{"SDES, immediate", many, setup{sdes: true, learning: "immediate", flags: []string{"recrypt"}}, [4]outcome{}},
		{"SDES, delayed", many, setup{sdes: true, learning: "delayed", flags: []string{"recrypt"}}, [4]outcome{}},
		{"SDES, media handover", many, setup{sdes: true, flags: []string{"recrypt", "media handover"}}, [4]outcome{}},
		{"SDES, asymmetric", many, setup{sdes: true, flags: []string{"recrypt", "asymmetric"}}, [4]outcome{}},
		{"SDES, passed on as it is", many, setup{sdes: true}, [4]outcome{}},
		{"SDES, passed on as it is, behind a NAT", many, setup{sdes: true, nat: true}, [4]outcome{}},
		{"SDES, passed on as it is, immediate", many, setup{sdes: true, learning: "immediate"}, [4]outcome{}},

		{"ICE", few, setup{ice: true, received: true}, [4]outcome{}},
		{"ICE, behind a NAT", few, setup{ice: true, nat: true, received: true}, [4]outcome{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Who captures the ports of one party only gets what the other one sends.
			var got [4]outcome
			for _, aim := range []string{"", "a"} {
				s := newSprayed(t, c.setup)
				s.aim = aim
				for i, phase := range []func(){s.ring, s.answer, s.talk, s.settle} {
					o := s.strike(phase, c.spray)
					got[i] = outcome{got[i].heard || o.heard, got[i].gets || o.gets}
				}
				s.close()
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%s: %+v, want %+v", phases[i], got[i], c.want[i])
				}
			}
		})
	}
}

var phases = [4]string{"before the answer", "before the first packet", "while learning", "after learning"}

// setup is how a call is made.
type setup struct {
	learning string
	flags    []string
	foreign  bool // --foreign-sources=relay
	sdes     bool // both parties
	ice      bool // both parties
	nat      bool // the parties send from elsewhere than they say
	received bool // signalling tells from where
	early    bool // the parties send first after the answer
}

// sprayed is a call and a stranger.
type sprayed struct {
	*testing.T
	setup
	dispatcher *ng.Dispatcher
	plane      *media.Plane
	clock      atomic.Int64
	parties    [2]*sprayedParty
	stranger   *net.UDPConn
	aim        string           // tag of the party whose ports are sprayed; empty for both
	ports      []netip.AddrPort // of ours that are sprayed, as far as they are known
	close      func()
	sent       uint64 // datagrams to the plane
}

// sprayedParty is one end of the call, with a socket for RTP and one for RTCP.
type sprayedParty struct {
	tag    string
	conns  [2]*net.UDPConn
	told   netip.AddrPort // in its description
	to     netip.AddrPort
	keys   srtp.Params
	out    *srtp.Outbound
	seq    uint16
	agent  *ice.Agent
	own    ice.Credentials
	crypto string
}

func newSprayed(t *testing.T, how setup) *sprayed {
	t.Helper()
	s := &sprayed{T: t, setup: how}
	s.clock.Store(int64(time.Hour))
	local := netip.MustParseAddr("127.0.0.1")
	var err error
	s.plane, err = media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{{IP: local, PortMin: 43000, PortMax: 43999}}}},
		Workers:    1,
		Clock:      func() time.Duration { return time.Duration(s.clock.Load()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: s.plane, MaxSessions: -1, RelayForeign: how.foreign})
	s.dispatcher = ng.NewDispatcher(ng.Config{Calls: m})
	s.stranger = listenOn(t, netip.MustParseAddr("127.0.0.66"))
	for i := range s.parties {
		s.parties[i] = s.newParty(i)
	}
	s.close = func() {
		m.Close()
		if err := s.plane.Close(); err != nil {
			t.Error(err)
		}
	}
	return s
}

func listenOn(t *testing.T, addr netip.Addr) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *sprayed) newParty(i int) *sprayedParty {
	s.Helper()
	p := &sprayedParty{tag: string(rune('a' + i)), keys: srtp.Generate(srtp.AES128CM80), own: ice.NewCredentials()}
	addr := netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)})
	// RTP has an even port and RTCP the next one.
	for p.conns[1] == nil {
		p.conns[0] = listenOn(s.T, addr)
		at := p.conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
		if at.Port()%2 != 0 {
			continue
		}
		if conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, at.Port()+1))); err == nil {
			p.conns[1] = conn
			s.Cleanup(func() { conn.Close() })
		}
	}
	p.told = p.conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	if s.nat {
		p.told = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 1, byte(i + 1)}), p.told.Port()+100)
	}
	var err error
	if p.out, err = srtp.NewOutbound(p.keys); err != nil {
		s.Fatal(err)
	}
	return p
}

// ask sends an offer or an answer of a party and takes in what the other one is told.
func (s *sprayed) ask(command string, p, other *sprayedParty) {
	s.Helper()
	protocol := "RTP/AVP"
	var more string
	if s.sdes {
		protocol = "RTP/SAVP"
		if p.crypto == "" {
			p.crypto = "1"
		}
		more = "a=crypto:" + p.crypto + " AES_CM_128_HMAC_SHA1_80 inline:" + base64.StdEncoding.EncodeToString(p.keys.KeySalt()) + "\r\n"
	}
	if s.ice {
		at := p.conns[0].LocalAddr().(*net.UDPAddr)
		more += "a=ice-ufrag:" + p.own.Ufrag + "\r\na=ice-pwd:" + p.own.Pwd + "\r\na=rtcp-mux\r\n" +
			fmt.Sprintf("a=candidate:1 1 UDP 2130706431 %s %d typ host\r\n", at.IP, at.Port)
	}
	entries := []any{"command", command, "call-id", "x", "from-tag", "a", "flags", append([]string{"trust-address"}, s.flags...),
		"sdp", fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]v\r\ns=-\r\nc=IN IP4 %[1]v\r\nt=0 0\r\nm=audio %d %s 0\r\n%s",
			p.told.Addr(), p.told.Port(), protocol, more)}
	if command == "answer" {
		entries = append(entries, "to-tag", "b")
	}
	if s.learning != "" {
		entries = append(entries, "endpoint-learning", s.learning)
	}
	if s.received {
		entries = append(entries, "received-from", []string{"IP4", p.conns[0].LocalAddr().(*net.UDPAddr).IP.String()})
	}
	if s.ice {
		entries = append(entries, "ICE", "force")
	} else {
		entries = append(entries, "ICE", "remove")
	}
	if s.sdes {
		entries = append(entries, "DTLS", "off")
	}
	reply := ask(s, s.dispatcher, ngproto.Bencode, entries...)
	if reply.Text("result") != "ok" {
		s.Fatalf("%s: %v", command, reply)
	}
	text := reply.Text("sdp")
	port, err := strconv.ParseUint(find(s, text, `m=audio (\d+) `), 10, 16)
	if err != nil {
		s.Fatal(err)
	}
	other.to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port))
	if s.aim == "" || s.aim == other.tag {
		s.ports = append(s.ports, other.to, netip.AddrPortFrom(other.to.Addr(), other.to.Port()+1))
	}
	if s.sdes {
		other.crypto = find(s, text, `a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 `)
	}
	if s.ice {
		other.agent = s.agent(other, text, command == "answer")
	}
}

func find(t testing.TB, text, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return m[1]
}

// agent is the ICE of a party, which has got a description from us.
func (s *sprayed) agent(p *sprayedParty, text string, controlling bool) *ice.Agent {
	s.Helper()
	at := p.conns[0].LocalAddr().(*net.UDPAddr).AddrPort()
	a, err := ice.NewAgent(ice.Config{
		Local: []ice.Base{{Component: ice.RTP, Addr: at, Foundation: "1"}}, Credentials: p.own, Controlling: controlling,
		Send: func(_ int, pkt []byte, to netip.AddrPort) {
			_, _ = p.conns[0].WriteToUDPAddrPort(pkt, to) // what is lost is sent again
		},
		Selected: func(ice.Pair) {}, Authenticated: func(int, int, netip.AddrPort) {}, Wake: func(time.Time) {},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(a.Close)
	err = a.SetRemote(ice.Remote{
		Credentials: ice.Credentials{Ufrag: find(s, text, `a=ice-ufrag:(\S+)`), Pwd: find(s, text, `a=ice-pwd:(\S+)`)},
		Candidates:  []ice.Candidate{{Foundation: "1", Component: ice.RTP, Priority: 1, Addr: p.to}},
	})
	if err != nil {
		s.Fatal(err)
	}
	return a
}

// The times at which the stranger strikes.

func (s *sprayed) ring() { s.ask("offer", s.parties[0], s.parties[1]) }

func (s *sprayed) answer() {
	s.ask("answer", s.parties[1], s.parties[0])
	if s.early {
		s.speak(1)
	}
}

func (s *sprayed) talk() {
	if s.ice {
		s.connect()
	}
	s.speak(1)
}

func (s *sprayed) settle() {
	s.speak(6)
	s.clock.Add(int64(4 * time.Second))
	s.speak(1)
}

// strike has the stranger spray after something has happened, and tells what it reached when both parties have spoken.
func (s *sprayed) strike(happens func(), packets int) outcome {
	s.Helper()
	happens()
	s.await()
	s.hear()
	for range packets {
		for _, to := range s.ports {
			s.send(s.stranger, to, strange(to.Port()%2 == 1))
		}
	}
	s.await()
	if s.parties[0].to.IsValid() && s.parties[1].to.IsValid() {
		s.speak(1)
		s.await()
	}
	return s.hear()
}

const strangeSSRC = 0xbadbad00

// strange is a packet of the stranger.
func strange(rtcp bool) []byte {
	if rtcp {
		return binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, strangeSSRC)
	}
	b := binary.BigEndian.AppendUint32([]byte{0x80, 0, 0, 1, 0, 0, 0, 1}, strangeSSRC)
	return append(b, make([]byte, 160)...)
}

func isStrange(b []byte) bool {
	return bytes.Contains(b, binary.BigEndian.AppendUint32(nil, strangeSSRC))
}

// speak has both parties send RTP packets.
func (s *sprayed) speak(packets int) {
	s.Helper()
	for range packets {
		for i, p := range s.parties {
			b := binary.BigEndian.AppendUint16([]byte{0x80, 0}, p.seq)
			b = binary.BigEndian.AppendUint32(b, 160*uint32(p.seq))
			b = append(binary.BigEndian.AppendUint32(b, uint32(i+1)), make([]byte, 160)...)
			p.seq++
			if s.sdes {
				var err error
				if b, err = p.out.ProtectRTP(append(make([]byte, 0, 256), b...)); err != nil {
					s.Fatal(err)
				}
			}
			s.send(p.conns[0], p.to, b)
		}
	}
	s.await()
}

func (s *sprayed) send(conn *net.UDPConn, to netip.AddrPort, b []byte) {
	s.Helper()
	if _, err := conn.WriteToUDPAddrPort(b, to); err != nil {
		s.Fatal(err)
	}
	s.sent++
}

// await waits until every datagram was relayed or dropped.
func (s *sprayed) await() {
	s.Helper()
	var done uint64
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		total := s.plane.Totals()
		done = total.Userspace.Packets
		for _, n := range total.Drops {
			done += n
		}
		if done >= s.sent {
			return
		}
	}
	s.Fatalf("%d of %d datagrams were handled", done, s.sent)
}

// hear reads what has come and tells what of it is the stranger's doing.
func (s *sprayed) hear() (o outcome) {
	s.Helper()
	for _, p := range s.parties {
		for _, conn := range p.conns {
			for _, b := range drain(conn) {
				o.heard = o.heard || isStrange(b)
			}
		}
	}
	for _, b := range drain(s.stranger) {
		// Its own packets are nothing that it did not have.
		o.gets = o.gets || !isStrange(b)
	}
	return o
}

// drain reads what is there.
func drain(conn *net.UDPConn) (all [][]byte) {
	b := make([]byte, 2048)
	for {
		conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := conn.Read(b)
		if err != nil {
			return all
		}
		all = append(all, bytes.Clone(b[:n]))
	}
}

// connect runs the parties' ICE agents until both have selected a pair.
func (s *sprayed) connect() {
	s.Helper()
	b := make([]byte, 2048)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		selected := 0
		for _, p := range s.parties {
			p.agent.Tick(time.Now())
			p.conns[0].SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			if n, from, err := p.conns[0].ReadFromUDPAddrPort(b); err == nil && ice.IsMessage(b[:n]) {
				p.agent.Handle(0, b[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
			}
			if strings.HasPrefix(p.agent.State().String(), "comp") {
				selected++
			}
		}
		if selected == len(s.parties) {
			return
		}
	}
	s.Fatal("ICE found no way")
}
