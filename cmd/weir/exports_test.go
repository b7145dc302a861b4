package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
)

// receiver takes datagrams on the host of the daemon.
func (s *scene) receiver(address string) *net.UDPConn {
	s.Helper()
	var conn *net.UDPConn
	must(s.T, s.host.Do(func() error {
		at, err := net.ResolveUDPAddr("udp", address)
		if err == nil {
			conn, err = net.ListenUDP("udp", at)
		}
		return err
	}))
	s.Cleanup(func() { conn.Close() })
	return conn
}

// next reads what comes next, and fails when nothing does.
func (s *scene) next(conn net.Conn) string {
	s.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	n := value(conn.Read(b))(s.T)
	return string(b[:n])
}

// agreeOnEvents is agree for phones that also take telephone events, and RTCP on the port of RTP.
func (s *scene) agreeOnEvents(c *testCall, more ...any) {
	s.Helper()
	able := func(sdp string) string {
		return strings.Replace(sdp, "RTP/AVP 0\r\n", "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=rtcp-mux\r\n", 1)
	}
	c.offer = s.do(append([]any{"command", "offer", "call-id", c.id, "from-tag", "caller", "sdp", able(c.caller.sdp()),
		"direction", []string{"left", "right"}}, more...)...).Text("sdp")
	c.reply = s.do("command", "answer", "call-id", c.id, "from-tag", "caller", "to-tag", "callee", "sdp", able(c.callee.sdp())).Text("sdp")
	c.callee.to, c.caller.to = told(s.T, c.offer), told(s.T, c.reply)
}

// press has a phone send a key, the end of it three times.
func (p *testPhone) press(t *testing.T, code byte) {
	t.Helper()
	stamp := 160 * p.sent
	for i := range 6 {
		b := testpkt.RTP(101, uint16(p.first+p.sent), stamp, p.ssrc, 4)
		p.sent++
		copy(b[12:], []byte{code, 10, 0, 0})
		if i >= 3 {
			b[13] |= 0x80
		}
		binary.BigEndian.PutUint16(b[14:], uint16(min(i+1, 4)*200))
		value(p.conn.WriteToUDPAddrPort(b, p.to))(t)
	}
}

func TestKeysAndReportsReachTheirReceiversFromBothPlanes(t *testing.T) {
	for _, engine := range []string{"xdp", "none"} {
		t.Run(engine, func(t *testing.T) {
			s := newScene(t, "--fast-path="+engine)
			events, homer, apart := s.receiver("127.0.0.1:7001"), s.receiver("127.0.0.1:7002"), s.receiver("127.0.0.1:7003")
			s.start("--dtmf-log-dest=127.0.0.1:7001", "--dtmf-log-ng-tcp", "--listen-tcp-ng=127.0.0.1:2223", "--homer=127.0.0.1:7002", "--homer-id=77")
			client := s.dial(s.host, "127.0.0.1:2223")
			calls := []*testCall{s.newCall(0), s.newCall(1)}
			s.agreeOnEvents(calls[0])
			s.agreeOnEvents(calls[1], "DTMF-log-dest", "127.0.0.1:7003")
			traffic := s.talk(calls)
			flows := 0
			if engine == "none" {
				s.eventually("packets arrive", func() bool { return calls[0].callee.got.Load() > 20 && calls[1].callee.got.Load() > 20 })
			} else {
				s.inKernel(calls)
				flows = 2 * len(calls)
			}
			traffic.end()

			const text = `\{"callid":"%s","source_tag":"caller","tags":\["caller","callee"\],"type":"DTMF","timestamp":\d{10},"source_ip":"10.0.1.2",` +
				`"event":%d,"duration":100,"volume":10\}`
			expect := func(conn net.Conn, pattern string, args ...any) {
				t.Helper()
				if got := s.next(conn); !regexp.MustCompile("^" + fmt.Sprintf(pattern, args...) + "$").MatchString(got) {
					t.Errorf("got %q, want %s", got, fmt.Sprintf(pattern, args...))
				}
			}
			const notice = `[0-9a-f]{16} d6:notify6:onDTMF4:datad4:tagsl6:caller6:calleee6:callid6:%s10:source_tag6:caller4:type4:DTMF` +
				`9:source_ip8:10.0.1.29:timestampi\d{10}e5:eventi%de8:durationi100e6:volumei10eee`
			calls[0].caller.press(t, 5)
			expect(events, text, "call-0", 5)
			expect(client, notice, "call-0", 5)
			calls[1].caller.press(t, 6)
			expect(apart, text, "call-1", 6)
			expect(client, notice, "call-1", 6)
			s.do("command", "block DTMF", "call-id", "call-0")
			s.eventually("the flows are where they were", func() bool { return s.status().Flows.Kernel == flows })
			calls[0].caller.press(t, 11)
			expect(events, text, "call-0", 11) // and no other of before

			// A digit that keeps those after it from the callee.
			s.do("command", "block DTMF", "call-id", "call-1", "from-tag", "caller", "flags", []string{"directional"}, "trigger", "1", "trigger-end", "##")
			s.eventually("the flows are where they were", func() bool { return s.status().Flows.Kernel == flows })
			passed := calls[1].callee.wrong.Load() // what the phone does not know: events
			calls[1].caller.press(t, 1)
			expect(apart, text, "call-1", 1)
			// The end of it comes three times, and may have its effect after the first.
			s.eventually("the digit arrives", func() bool { return calls[1].callee.wrong.Load() >= passed+4 })
			s.eventually("it has its effect", func() bool {
				vsc := s.do("command", "query", "call-id", "call-1").Dict("tags").Dict("caller").List("VSC")
				n, _ := vsc[0].Dict().Int("active")
				return n == 0 && s.status().Flows.Kernel == flows
			})
			calls[1].caller.press(t, 7)
			expect(apart, text, "call-1", 7)
			if got := calls[1].callee.wrong.Load(); got > passed+6 {
				t.Errorf("%d packets of events have arrived, want 6 at most", got-passed)
			}

			report := make([]byte, 32)
			copy(report, []byte{0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 3, 128})
			value(calls[1].caller.conn.WriteToUDPAddrPort(report, calls[1].caller.to))(t)
			const hep = `HEP3.*call-1.*\{"ssrc":9,"type":201,"report_count":1,"report_blocks":\[\{"source_ssrc":3,"highest_seq_no":0,"fraction_lost":128,` +
				`"ia_jitter":0,"packets_lost":0,"lsr":0,"dlsr":0\}\]\}`
			expect(homer, "(?s)"+hep)
			if got := s.status().Flows.Kernel; got != flows {
				t.Errorf("%d flows are in the kernel, want %d", got, flows)
			}
		})
	}
}

func (s *scene) dial(h *netrig.Host, address string) net.Conn {
	s.Helper()
	var conn net.Conn
	must(s.T, h.Do(func() (err error) {
		conn, err = net.Dial("tcp", address)
		return err
	}))
	s.Cleanup(func() { conn.Close() })
	return conn
}

func TestWhatIsSaidIsMirroredOverTCP(t *testing.T) {
	s := newScene(t, "--fast-path=none")
	var l net.Listener
	must(t, s.host.Do(func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:7002")
		return err
	}))
	t.Cleanup(func() { l.Close() })
	s.start("--homer=127.0.0.1:7002", "--homer-protocol=tcp", "--homer-enable-ng", "--homer-ng-capture-proto=60", "--homer-disable-rtcp-stats")
	s.agree(s.newCall(0))
	conn := value(l.Accept())(t)
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	// Request and reply of the offer, then those of the answer; no pings.
	for i, want := range []string{"7:command5:offer", "6:result2:ok", "7:command6:answer", "6:result2:ok"} {
		head := make([]byte, 6)
		value(io.ReadFull(conn, head))(t)
		body := make([]byte, int(binary.BigEndian.Uint16(head[4:]))-len(head))
		value(io.ReadFull(conn, body))(t)
		text := string(body)
		if !strings.Contains(text, want) || !strings.Contains(text, "\x00\x11\x00\x0ccall-0") || !strings.Contains(text, "\x00\x0b\x00\x07\x3c") {
			t.Errorf("message %d is %q, want %s", i, text, want)
		}
	}
}
