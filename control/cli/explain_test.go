package cli_test

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// stage is a call of two phones on loopback.
type stage struct {
	t     *testing.T
	calls *call.Manager
	phone map[string]*net.UDPConn // by tag
	to    map[string]netip.AddrPort
	seq   map[string]uint16
}

func newStage(t *testing.T, fast media.FastPath) *stage {
	t.Helper()
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{
			{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 43000, PortMax: 43999},
		}}},
		Workers: 1, FastPath: fast,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, calls: call.NewManager(call.Config{Plane: plane, MaxSessions: -1}), phone: make(map[string]*net.UDPConn), to: make(map[string]netip.AddrPort), seq: make(map[string]uint16)}
	t.Cleanup(func() {
		s.calls.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, tag := range []string{"a", "b"} {
		s.phone[tag] = s.socket()
	}
	return s
}

func (s *stage) socket() *net.UDPConn {
	s.t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

func port(conn *net.UDPConn) int { return conn.LocalAddr().(*net.UDPAddr).Port }

// describe is the description of a phone, with further attributes of its section.
func (s *stage) describe(tag, protocol string, attributes ...string) *sdp.Description {
	s.t.Helper()
	d, err := sdp.Parse(strings.ReplaceAll("v=0\no=- 1 1 IN IP4 127.0.0.2\ns=-\nc=IN IP4 127.0.0.2\nt=0 0\nm=audio "+strconv.Itoa(port(s.phone[tag]))+" "+protocol+" 0\n"+
		strings.Join(append(attributes, ""), "\n"), "\n", "\r\n"))
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// call has a offer and b answer.
func (s *stage) call(protocol string, options call.Options, a, b []string) {
	s.t.Helper()
	s.offer(protocol, options, a)
	if _, err := s.calls.Answer(&call.Request{CallID: "c", FromTag: "a", ToTag: "b", SDP: s.describe("b", "RTP/AVP", b...), Options: options}); err != nil {
		s.t.Fatal(err)
	}
	s.where()
}

func (s *stage) offer(protocol string, options call.Options, a []string) {
	s.t.Helper()
	if protocol != "RTP/AVP" {
		options.Protocol = "RTP/AVP"
	}
	if _, err := s.calls.Offer(&call.Request{CallID: "c", FromTag: "a", SDP: s.describe("a", protocol, a...), Options: options}); err != nil {
		s.t.Fatal(err)
	}
	s.where()
}

// where notes the ports that the phones send to.
func (s *stage) where() {
	s.t.Helper()
	snap, err := s.calls.Look("c")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range snap.Parties {
		s.to[p.Party.Tag] = p.Media[0].Streams[0].Local
	}
}

// send sends RTP of a payload type as one of the phones, from any socket.
func (s *stage) send(from *net.UDPConn, tag string, payloadType byte, n int) {
	s.t.Helper()
	for range n {
		s.seq[tag]++
		seq := s.seq[tag]
		pkt := append([]byte{0x80, payloadType, byte(seq >> 8), byte(seq), 0, 0, 0, 1, 0, 0, 0, 7}, make([]byte, 160)...)
		if _, err := from.WriteToUDPAddrPort(pkt, s.to[tag]); err != nil {
			s.t.Fatal(err)
		}
	}
}

// until has step done until the verdict is of a kind, and returns it.
func (s *stage) until(code cli.Code, step func()) *cli.Explanation {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		step()
		e, err := cli.Explain(s.calls, "c")
		if err != nil {
			s.t.Fatal(err)
		}
		if e.Verdict.Code == code {
			return e
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the verdict is %+v, want %s; flows %+v", e.Verdict, code, e.Flows)
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// TestVerdictsAreDocumented looks for every code in the pages for operators.
func TestVerdictsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range cli.Codes() {
		if !strings.Contains(string(page), "`"+string(code)+"`") {
			t.Errorf("docs/operating.md does not have %q", code)
		}
	}
}

func TestVerdicts(t *testing.T) {
	off := media.LearnOff
	const key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, c := range []struct {
		name string
		code cli.Code
		play func(*stage) *cli.Explanation
		want string // in the text
	}{
		{"both send", cli.CodeFlows, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{}, nil, nil)
			return s.until(cli.CodeFlows, func() { s.send(s.phone["a"], "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "media flows in every direction"},
		{"nobody has answered", cli.CodeUnanswered, func(s *stage) *cli.Explanation {
			s.offer("RTP/AVP", call.Options{}, nil)
			return s.until(cli.CodeUnanswered, func() { s.send(s.phone["a"], "a", 0, 1) })
		}, "has not answered"},
		{"no packets from a", cli.CodeNoPackets, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{}, nil, nil)
			return s.until(cli.CodeNoPackets, func() { s.send(s.phone["b"], "b", 0, 1) })
		}, "no packet has come from a to 127.0.0.1:43"},
		{"a sends from elsewhere, and learning is off", cli.CodeWrongSource, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{Learning: &off}, nil, nil)
			elsewhere := s.socket()
			return s.until(cli.CodeWrongSource, func() { s.send(elsewhere, "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "and none from 127.0.0.2:"},
		{"a payload type that is not agreed", cli.CodeCodec, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{}, nil, nil)
			return s.until(cli.CodeCodec, func() { s.send(s.phone["a"], "a", 96, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "a sends payload type 96, which is not agreed; agreed are 0 (PCMU)"},
		{"plain RTP where SRTP is agreed", cli.CodeCrypto, func(s *stage) *cli.Explanation {
			s.call("RTP/SAVP", call.Options{}, []string{key}, nil)
			return s.until(cli.CodeCrypto, func() { s.send(s.phone["a"], "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "do not fit the keys"},
		{"a moves to another port", cli.CodeMoved, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{}, nil, nil)
			s.until(cli.CodeFlows, func() { s.send(s.phone["a"], "a", 0, 5); s.send(s.phone["b"], "b", 0, 5) })
			elsewhere := s.socket()
			return s.until(cli.CodeMoved, func() { s.send(elsewhere, "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "Its NAT binding has moved"},
		{"b is on hold", cli.CodeHold, func(s *stage) *cli.Explanation {
			s.call("RTP/AVP", call.Options{}, nil, []string{"a=sendonly"})
			return s.until(cli.CodeHold, func() { s.send(s.phone["a"], "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
		}, "b takes nothing, as agreed: its media is sendonly"},
		{"ICE is under way", cli.CodeUnderWay, func(s *stage) *cli.Explanation {
			s.offer("RTP/AVP", call.Options{}, []string{"a=ice-ufrag:abcd", "a=ice-pwd:abcdefghijklmnopqrstuv",
				"a=candidate:1 1 udp 2130706431 127.0.0.2 9 typ host"})
			if _, err := s.calls.Answer(&call.Request{CallID: "c", FromTag: "a", ToTag: "b", SDP: s.describe("b", "RTP/AVP")}); err != nil {
				s.t.Fatal(err)
			}
			s.where()
			return s.until(cli.CodeUnderWay, func() { s.send(s.phone["b"], "b", 0, 1) })
		}, "ICE with a is "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := c.play(newStage(t, nil))
			if said := e.Verdict.Text + " " + e.Verdict.Advice; !strings.Contains(said, c.want) {
				t.Errorf("the verdict says %q, want %q in it", said, c.want)
			}
		})
	}
}

// forgetful is a kernel that takes flows and relays nothing. What flows of plain RTP do not need is left out.
type forgetful struct{ media.FastPath }

func (forgetful) Serves(netip.Addr) (bool, string)                       { return true, "" }
func (forgetful) Install(fastpath.Flow) error                            { return nil }
func (forgetful) Remove(netip.AddrPort) (c fastpath.Counters, err error) { return c, nil }
func (forgetful) Walk(func(netip.AddrPort, fastpath.Counters)) error     { return nil }
func (forgetful) Tap(func(fastpath.TappedPacket)) error                  { return nil }
func (forgetful) Adopt(fastpath.Flow) (c fastpath.Counters, adopted bool, err error) {
	return c, false, nil
}

func TestFlowThatTheKernelLosesIsExplained(t *testing.T) {
	s := newStage(t, forgetful{})
	s.call("RTP/AVP", call.Options{}, nil, nil)
	e := s.until(cli.CodeWithdrawn, func() { s.send(s.phone["a"], "a", 0, 1); s.send(s.phone["b"], "b", 0, 1) })
	if !strings.Contains(e.Verdict.Text, "go through userspace since the kernel did not relay them: flow vanished") {
		t.Errorf("the verdict says %q", e.Verdict.Text)
	}
}
