package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	pionDTLS "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	pionICE "github.com/pion/ice/v4"

	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/internal/netrig"
	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/srtp"
)

// diagnosis is a call that goes wrong: of "a", who is on the left, and "b", a plain phone on the right.
type diagnosis struct {
	*testing.T
	scene *scene
	id    string
	a, b  *testPhone
}

var diagnosing sync.Mutex // one client for all

// ask carries out a command about the call.
func (d *diagnosis) ask(pairs ...any) ngproto.Dict {
	d.Helper()
	diagnosing.Lock()
	defer diagnosing.Unlock()
	return d.scene.do(append(pairs, "call-id", d.id, "from-tag", "a")...)
}

// lines are the description of a phone with further lines, of a protocol and payload types such as "RTP/AVP 0".
func (p *testPhone) lines(protocol string, more ...string) string {
	at := p.conn.LocalAddr().(*net.UDPAddr).AddrPort()
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %[1]v\r\ns=-\r\nc=IN IP4 %[1]v\r\nt=0 0\r\nm=audio %[2]d %[3]s\r\n", at.Addr(), at.Port(), protocol) +
		strings.Join(append(more, ""), "\r\n")
}

// offer has a offer, and returns what b is told.
func (d *diagnosis) offer(sdp string, more ...any) string {
	d.Helper()
	out := d.ask(append([]any{"command", "offer", "sdp", sdp, "direction", []string{"left", "right"}}, more...)...).Text("sdp")
	d.b.to = told(d.T, out)
	return out
}

// answer has b answer, and returns what a is told.
func (d *diagnosis) answer(sdp string, more ...any) string {
	d.Helper()
	out := d.ask(append([]any{"command", "answer", "to-tag", "b", "sdp", sdp}, more...)...).Text("sdp")
	d.a.to = told(d.T, out)
	return out
}

// plain is a call of two phones that is as it should be.
func (d *diagnosis) plain(more ...any) {
	d.Helper()
	d.offer(d.a.sdp(), more...)
	d.answer(d.b.sdp())
}

func (d *diagnosis) write(p *testPhone, pkt []byte, to netip.AddrPort) {
	d.Helper()
	if _, err := p.conn.WriteToUDPAddrPort(pkt, to); err != nil {
		d.Error(err)
	}
}

// speak has phones send a packet of PCMU each.
func (d *diagnosis) speak(all ...*testPhone) {
	d.Helper()
	for _, p := range all {
		if err := p.send(); err != nil {
			d.Error(err)
		}
	}
}

// until has step done until weir explain comes to a verdict whose words match, and returns the explanation. It is read from the
// program's own output, as JSON and as text.
func (d *diagnosis) until(code cli.Code, party, words string, step func()) *cli.Explanation {
	d.Helper()
	fits := regexp.MustCompile(words)
	var e cli.Explanation
	var said string
	deadline := time.Now().Add(patience) // ICE alone takes 40 s to give up
	for ; time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if step != nil {
			step()
		}
		out := value(runTool("explain", d.id, "--json", "--control-socket="+d.scene.socket()))(d.T)
		e = cli.Explanation{}
		if err := json.Unmarshal([]byte(out), &e); err != nil {
			d.Fatal(err)
		}
		said = e.Verdict.Text + " | " + e.Verdict.Advice
		if e.Verdict.Code == code && fits.MatchString(said) {
			break
		}
	}
	if e.Verdict.Code != code || !fits.MatchString(said) || e.Verdict.Party != party {
		d.Errorf("the verdict is %q of %q: %s\nwant %q of %q: %s\n%+v", e.Verdict.Code, e.Verdict.Party, said, code, party, words, e.Flows)
	}
	if e.Verdict.Advice == "" && code != cli.CodeFlows {
		d.Errorf("%s says nothing about what to do", code)
	}
	text := value(runTool("explain", d.id, "--control-socket="+d.scene.socket()))(d.T)
	if !strings.HasPrefix(text, string(code)+": ") {
		d.Errorf("in words it is\n%s", text)
	}
	d.Logf("%s: %s", e.Verdict.Code, said)
	return &e
}

// runTool runs a tool and returns what it prints.
func runTool(args ...string) (string, error) {
	var out output
	cmd := root("weir")
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

const ownKey, otherKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

// sealed has a send SRTP with a key.
func (d *diagnosis) sealed(key string) func() {
	params := value(srtp.ParseKeySalt(srtp.AES128CM80, value(base64.StdEncoding.DecodeString(key))(d.T)))(d.T)
	out := value(srtp.NewOutbound(params))(d.T)
	return func() {
		pkt := value(out.ProtectRTP(append(testpkt.RTP(0, uint16(d.a.sent), 160*d.a.sent, d.a.ssrc, 160), make([]byte, out.Overhead())...)[:172]))(d.T)
		d.a.sent++
		d.write(d.a, pkt, d.a.to)
		d.speak(d.b)
	}
}

// inlineKey is the key that a description tells.
func inlineKey(t *testing.T, sdp string) string {
	t.Helper()
	m := regexp.MustCompile(`inline:([A-Za-z0-9+/=]+)`).FindStringSubmatch(sdp)
	if m == nil {
		t.Fatalf("no key in\n%s", sdp)
	}
	return m[1]
}

// attribute returns the value of an attribute of a description.
func attribute(t *testing.T, sdp, name string) string {
	t.Helper()
	m := regexp.MustCompile(`a=` + name + `:(\S+)`).FindStringSubmatch(sdp)
	if m == nil {
		t.Fatalf("no %s in\n%s", name, sdp)
	}
	return m[1]
}

const (
	icePwd   = "abcdefghijklmnopqrstuvwx"
	iceLines = "a=ice-ufrag:abcd\r\na=ice-pwd:" + icePwd
)

// dtlsOffer is what a DTLS party of a fingerprint offers.
func (d *diagnosis) dtlsOffer(setup string, certificate []byte) string {
	sum := sha256.Sum256(certificate)
	print := strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
	return d.a.lines("UDP/TLS/RTP/SAVPF 0", "a=setup:"+setup, "a=fingerprint:sha-256 "+print, "a=rtcp-mux")
}

// quiet takes over the socket of a phone from its reader.
func (d *diagnosis) quiet(h *netrig.Host, ip string) *net.UDPConn {
	d.Helper()
	var conn *net.UDPConn
	must(d.T, h.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(ip)})
		return err
	}))
	d.Cleanup(func() { conn.Close() })
	return conn
}

// failures are what can be wrong with a call, with real packets, and what weir explain has to say.
var failures = []struct {
	name string
	play func(d *diagnosis)
}{
	{"nothing is wrong", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeFlows, "", "media flows in every direction", func() { d.speak(d.a, d.b) })
	}},
	{"no packets from a", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeNoPackets, "a", `no packet has come from a to 10\.0\.1\.1:\d+ in \S+; it was to send from 10\.0\.1\.2:\d+ \| .*firewall or NAT`, func() { d.speak(d.b) })
	}},
	{"only RTCP comes from a", func(d *diagnosis) {
		at := d.quiet(d.scene.left, "10.0.1.2").LocalAddr().(*net.UDPAddr)
		d.offer(d.a.lines("RTP/AVP 0", fmt.Sprintf("a=rtcp:%d", at.Port)))
		d.answer(d.b.sdp())
		conn := d.a.conn
		report := []byte{0x80, 201, 0, 1, 0, 0, 0, 7}
		d.until(cli.CodeNoPackets, "a", `\d+ packets of RTCP have come from 10\.0\.1\.2:\d+ \| The way is open and it sends no media`, func() {
			if _, err := conn.WriteToUDPAddrPort(report, netip.AddrPortFrom(d.a.to.Addr(), d.a.to.Port()+1)); err != nil {
				d.Error(err)
			}
			d.speak(d.b)
		})
	}},
	{"a falls silent", func(d *diagnosis) {
		d.plain()
		for range 10 {
			d.speak(d.a, d.b)
		}
		d.until(cli.CodeNoPackets, "a", `a has been silent for \S+, after \d+ packets from 10\.0\.1\.2:\d+ \| It is muted, gone`, func() { d.speak(d.b) })
	}},
	{"a sends from elsewhere and learning is off", func(d *diagnosis) {
		d.plain("flags", []string{"endpoint-learning-off"})
		elsewhere := d.scene.phone(d.scene.left, "10.0.1.2", 77)
		elsewhere.to = d.a.to
		d.until(cli.CodeWrongSource, "a", `\d+ packets came from `+elsewhere.conn.LocalAddr().String()+`, and none from `+d.a.conn.LocalAddr().String()+`, where a should be`,
			func() { d.speak(elsewhere, d.b) })
	}},
	{"a sends to the port for RTCP", func(d *diagnosis) {
		d.plain()
		to := netip.AddrPortFrom(d.a.to.Addr(), d.a.to.Port()+1)
		d.until(cli.CodeWrongPort, "a", `\d+ packets of RTP came from `+d.a.conn.LocalAddr().String()+` to `+to.String()+`, which is for RTCP`, func() {
			d.write(d.a, testpkt.RTP(0, uint16(d.a.sent), 160*d.a.sent, d.a.ssrc, 160), to)
			d.a.sent++
			d.speak(d.b)
		})
	}},
	{"a sends a payload type that is not agreed", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeCodec, "a", `a sends payload type 3, which is not agreed; agreed are 0 \(PCMU\)`, func() {
			d.write(d.a, testpkt.RTP(3, uint16(d.a.sent), 160*d.a.sent, d.a.ssrc, 33), d.a.to)
			d.a.sent++
			d.speak(d.b)
		})
	}},
	{"a sends another SSRC than it announces", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/AVP 0", "a=ssrc:4711 cname:x"))
		d.answer(d.b.sdp())
		d.until(cli.CodeOtherSSRC, "a", fmt.Sprintf(`a sends SSRC %d, and its SDP announces 4711`, d.a.ssrc), func() { d.speak(d.a, d.b) })
	}},
	{"a sends what is not RTP", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeNotRTP, "a", `\d+ packets came from 10\.0\.1\.2:\d+, and none of a is RTP \| .*capture|T\.38`, func() {
			d.write(d.a, []byte("\xffkeep alive"), d.a.to)
			d.speak(d.b)
		})
	}},
	{"a does ICE that nobody has agreed on", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeNotRTP, "a", `\| They are ICE checks`, func() {
			d.write(d.a, append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...), d.a.to)
			d.speak(d.b)
		})
	}},
	{"a does DTLS where plain RTP is agreed", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeNotRTP, "a", `\d+ packets have come from a at 10\.0\.1\.2:\d+, and none of them is RTP \| They may be DTLS`, func() {
			d.write(d.a, append([]byte{22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12}, make([]byte, 12)...), d.a.to)
			d.speak(d.b)
		})
	}},
	{"a encrypts with the key that it was given", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+ownKey), "transport-protocol", "RTP/AVP")
		given := inlineKey(d.T, d.answer(d.b.sdp()))
		d.until(cli.CodeCrypto, "a", `\d+ packets of a from 10\.0\.1\.2:\d+ do not fit the keys that were agreed \| .*encrypts with the key that it was given`, d.sealed(given))
	}},
	{"a encrypts with the key of another description", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+ownKey), "transport-protocol", "RTP/AVP")
		d.answer(d.b.sdp())
		d.until(cli.CodeCrypto, "a", `do not fit the keys that were agreed \| .*older description`, d.sealed(otherKey))
	}},
	{"a does not encrypt", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+ownKey), "transport-protocol", "RTP/AVP")
		d.answer(d.b.sdp())
		d.until(cli.CodeCrypto, "a", `\d+ packets of a`, func() { d.speak(d.a, d.b) })
	}},
	{"ICE: a has another password", func(d *diagnosis) {
		conn := d.quiet(d.scene.left, "10.0.1.2")
		mux := pionICE.NewUDPMuxDefault(pionICE.UDPMuxParams{UDPConn: conn})
		agent := value(pionICE.NewAgentWithOptions(pionICE.WithUDPMux(mux), pionICE.WithNetworkTypes([]pionICE.NetworkType{pionICE.NetworkTypeUDP4}),
			pionICE.WithCandidateTypes([]pionICE.CandidateType{pionICE.CandidateTypeHost}), pionICE.WithMulticastDNSMode(pionICE.MulticastDNSModeDisabled)))(d.T)
		d.Cleanup(func() {
			if err := agent.Close(); err != nil {
				d.Error(err)
			}
			mux.Close()
		})
		gathered := make(chan struct{})
		must(d.T, agent.OnCandidate(func(c pionICE.Candidate) {
			if c == nil {
				close(gathered)
			}
		}))
		must(d.T, agent.GatherCandidates())
		<-gathered
		ufrag, pwd, err := agent.GetLocalUserCredentials()
		must(d.T, err)
		at := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		d.offer(d.a.lines("RTP/AVP 0", "a=ice-ufrag:"+ufrag, "a=ice-pwd:"+pwd, "a=rtcp-mux", fmt.Sprintf("a=candidate:1 1 udp 2130706431 %v %d typ host", at.Addr(), at.Port())))
		answer := d.answer(d.b.sdp())
		to := told(d.T, answer)
		must(d.T, agent.AddRemoteCandidate(value(pionICE.UnmarshalCandidate(fmt.Sprintf("1 1 udp 2130706431 %v %d typ host", to.Addr(), to.Port())))(d.T)))
		_, err = agent.StartDial(attribute(d.T, answer, "ice-ufrag"), "not-the-password-of-weir")
		must(d.T, err)
		d.until(cli.CodeICEFailed, "a", `checks were sent to `+at.String()+`.* and \d+ from `+at.String()+` with a wrong user name or password \| It goes by another description`, func() { d.speak(d.b) })
	}},
	{"ICE: nobody answers at the candidates of a", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/AVP 0", iceLines, "a=rtcp-mux", "a=candidate:1 1 udp 2130706431 10.0.1.2 9 typ host", "a=candidate:2 1 udp 2130706175 10.0.1.9 9 typ host"))
		d.answer(d.b.sdp())
		d.until(cli.CodeUnderWay, "a", `ICE with a is checking since \S+\. \d+ checks were sent to 10\.0\.1\.2:9, 10\.0\.1\.9:9 and 0 answered; 0 came from it`, func() { d.speak(d.b) })
		d.until(cli.CodeICEFailed, "a", `ICE with a has failed: no pair of addresses works\. \d+ checks .* \| Packets of neither side reach the other`, func() { d.speak(d.b) })
	}},
	{"ICE: no candidate of a is of use", func(d *diagnosis) {
		d.offer(d.a.lines("RTP/AVP 0", iceLines, "a=rtcp-mux", "a=candidate:1 1 udp 2130706431 4b2cf0d4.local 9 typ host", "a=candidate:2 1 tcp 2105458943 10.0.1.2 9 typ host tcptype active"))
		d.answer(d.b.sdp())
		d.until(cli.CodeUnderWay, "a", `checks were sent to nowhere.* \| Its SDP has no candidate that is of use here`, func() { d.speak(d.b) })
	}},
	{"DTLS: the certificate of a is another", func(d *diagnosis) {
		shown, announced := value(selfsign.GenerateSelfSigned())(d.T), value(selfsign.GenerateSelfSigned())(d.T)
		conn := d.quiet(d.scene.left, "10.0.1.2")
		d.a.conn.Close()
		d.a.conn = conn
		d.offer(d.dtlsOffer("actpass", announced.Certificate[0]), "transport-protocol", "RTP/AVP", "DTLS", []string{"passive"})
		d.answer(d.b.sdp())
		client, err := pionDTLS.ClientWithOptions(conn, net.UDPAddrFromAddrPort(d.a.to), pionDTLS.WithCertificates(shown), pionDTLS.WithInsecureSkipVerify(true),
			pionDTLS.WithSRTPProtectionProfiles(pionDTLS.SRTP_AES128_CM_HMAC_SHA1_80))
		must(d.T, err)
		ctx, cancel := context.WithTimeout(d.Context(), patience)
		defer cancel()
		if err := client.HandshakeContext(ctx); err == nil {
			d.Error("the handshake is through")
		}
		sum := sha256.Sum256(shown.Certificate[0])
		found := strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
		d.until(cli.CodeDTLSFailed, "a", `the DTLS handshake with a at `+conn.LocalAddr().String()+` fails: .*`+found+`.* \| The certificate is not the one that its SDP announces`, func() { d.speak(d.b) })
	}},
	{"DTLS: a never begins", func(d *diagnosis) {
		certificate := value(selfsign.GenerateSelfSigned())(d.T)
		d.offer(d.dtlsOffer("active", certificate.Certificate[0]), "transport-protocol", "RTP/AVP")
		d.answer(d.b.sdp())
		d.until(cli.CodeUnderWay, "a", `the DTLS handshake with a is new since \S+; it was to begin`, func() { d.speak(d.b) })
		d.until(cli.CodeDTLSFailed, "a", `no DTLS packet has come from a in \S+; it was to begin \(a=setup:active\) \| Either it does not do DTLS`, func() { d.speak(d.b) })
	}},
	{"DTLS: a never answers", func(d *diagnosis) {
		certificate := value(selfsign.GenerateSelfSigned())(d.T)
		d.offer(d.dtlsOffer("passive", certificate.Certificate[0]), "transport-protocol", "RTP/AVP")
		d.answer(d.b.sdp())
		d.until(cli.CodeDTLSFailed, "a", `no DTLS packet has come from a in \S+; Weir says hello to `+d.a.conn.LocalAddr().String(), func() { d.speak(d.b) })
	}},
	{"the NAT of a moves", func(d *diagnosis) {
		d.plain()
		for range 10 {
			d.speak(d.a, d.b)
		}
		elsewhere := d.scene.phone(d.scene.left, "10.0.1.2", d.a.ssrc)
		elsewhere.to = d.a.to
		d.until(cli.CodeMoved, "a", `a sent from `+d.a.conn.LocalAddr().String()+` until \S+ ago; since then packets come from `+elsewhere.conn.LocalAddr().String()+` and are refused \| Its NAT binding has moved, or it has moved by a re-INVITE`,
			func() { d.speak(elsewhere, d.b) })
		// The re-INVITE comes to Weir after all.
		d.offer(elsewhere.sdp(), "to-tag", "b")
		d.answer(d.b.sdp())
		d.until(cli.CodeFlows, "", "", func() { d.speak(elsewhere, d.b) })
	}},
	{"b holds", func(d *diagnosis) {
		d.offer(d.a.sdp())
		d.answer(strings.Replace(d.b.sdp(), "a=sendrecv", "a=sendonly", 1))
		d.until(cli.CodeHold, "b", `b takes nothing, as agreed: its media is sendonly \| .*sendrecv`, func() { d.speak(d.a, d.b) })
	}},
	{"b is heard early and its answer never comes", func(d *diagnosis) {
		d.offer(d.a.sdp())
		d.until(cli.CodeUnanswered, "untagged 2", `has not answered yet, though \d+ packets have come from it.* \| .*that of 183 too`, func() { d.speak(d.b) })
	}},
	{"nobody knows where b is", func(d *diagnosis) {
		d.offer(d.a.sdp())
		d.answer(strings.Replace(d.b.sdp(), "c=IN IP4 10.0.2.2", "c=IN IP4 0.0.0.0", 1))
		e := d.until(cli.CodeNoPackets, "b", "no packet has come from b", func() { d.speak(d.a) })
		if len(e.Flows) == 0 {
			d.Error("no flow is explained")
		}
	}},
	{"what is for b cannot be sent", func(d *diagnosis) {
		d.offer(d.a.sdp())
		d.answer(strings.Replace(d.b.sdp(), "c=IN IP4 10.0.2.2", "c=IN IP4 203.0.113.7", 1), "flags", []string{"endpoint-learning-off"})
		d.until(cli.CodeNoPackets, "b", "no packet has come from b", func() { d.speak(d.a) })
		out := value(runTool("explain", d.id, "--control-socket="+d.scene.socket()))(d.T)
		if !strings.Contains(out, "cannot send: ") || !strings.Contains(out, "packets for b at 203.0.113.7") {
			d.Errorf("it does not say that nothing can be sent there:\n%s", out)
		}
	}},
	{"b has an address of the other family", func(d *diagnosis) {
		d.offer(d.a.sdp())
		d.answer(strings.ReplaceAll(d.b.sdp(), "IN IP4 10.0.2.2", "IN IP6 2001:db8::7"))
		d.until(cli.CodeNoPackets, "b", `2001:db8::7.* \| .*family`, func() { d.speak(d.a) })
	}},
	{"a third of what a sends is lost", func(d *diagnosis) {
		d.plain()
		d.until(cli.CodeLoss, "a", `33% of what a sends is lost before Weir|3[0-9]% of what a`, func() {
			d.speak(d.a, d.b)
			d.speak(d.a, d.b)
			d.a.sent++
		})
	}},
}

// TestWhatIsWrongIsExplained has calls go wrong in all the ways there are, with real packets through a real daemon.
func TestWhatIsWrongIsExplained(t *testing.T) {
	s := newScene(t, "--fast-path=none", "--timeout=600")
	s.start()
	t.Run("failures", func(t *testing.T) {
		for i, c := range failures {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				mine := *s // with the test's own T, for what its helpers fail
				mine.T = t
				c.play(&diagnosis{
					T: t, scene: &mine, id: fmt.Sprintf("wrong-%d", i), a: mine.phone(s.left, "10.0.1.2", uint32(1000+i)), b: mine.phone(s.right, "10.0.2.2", uint32(2000+i)),
				})
			})
		}
	})
	s.signal(15)
}

// TestAFlowThatTheKernelLostIsExplained takes a flow out of the real kernel behind the daemon's back.
func TestAFlowThatTheKernelLostIsExplained(t *testing.T) {
	s := newScene(t)
	s.start()
	calls := s.connect(1)
	traffic := s.talk(calls)
	defer traffic.end()
	s.inKernel(calls)
	maps := value(exec.Command("find", s.bpffs, "-name", "flows").Output())(t)
	path := strings.TrimSpace(string(maps))
	if path == "" || strings.Contains(path, "\n") {
		t.Fatalf("the map of flows is not to be found: %q", path)
	}
	flows := value(ebpf.LoadPinnedMap(path, nil))(t)
	defer flows.Close()
	var key, val []byte
	var all [][]byte
	for it := flows.Iterate(); it.Next(&key, &val); {
		all = append(all, append([]byte(nil), key...))
	}
	for _, k := range all {
		must(t, flows.Delete(k))
	}
	s.eventually("the verdict is that the kernel has lost it", func() bool {
		e := value(cli.NewClient(s.socket()).Explain(t.Context(), calls[0].id))(t)
		return e.Verdict.Code == cli.CodeWithdrawn && strings.Contains(e.Verdict.Text, "flow vanished from the kernel") && e.Verdict.Advice != ""
	})
	s.signal(15)
}
