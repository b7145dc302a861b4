package call_test

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// paramsOf returns the keys of a party by their name.
func paramsOf(t *testing.T, name string) srtp.Params {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(partyKeys[name])
	if err != nil {
		t.Fatal(err)
	}
	return srtp.Params{Suite: srtp.AES128CM80, Key: b[:16], Salt: b[16:]}
}

// next returns the next packet that comes to a phone.
func (p phone) next(t *testing.T) []byte {
	t.Helper()
	buf := make([]byte, 2000)
	if err := p.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := p.Read(buf)
	if err != nil {
		t.Fatalf("nothing came: %v", err)
	}
	return buf[:n]
}

func TestRTCPIsGeneratedForBothSides(t *testing.T) {
	for _, c := range []struct {
		name        string
		secure, mux bool
	}{
		{"plain", false, false},
		{"on one port", false, true},
		{"SRTP that passes", true, false},
		{"SRTP on one port", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, _ := newManager(t, nil)
			alice, aliceRTCP, bob, bobRTCP := newPhone(t), newPhone(t), newPhone(t), newPhone(t)
			told := func(p, rtcp phone, key string) string {
				lines := []string{fmt.Sprintf("a=rtcp:%d", rtcp.port)}
				if c.mux {
					lines = []string{"a=rtcp-mux"}
				}
				text := describe("127.0.0.1", p.port)
				if c.secure {
					text = strings.Replace(text, "RTP/AVP", "RTP/SAVP", 1)
					lines = append(lines, "a=crypto:1 "+cm80+" inline:"+partyKeys[key])
				}
				return text + strings.Join(lines, "\r\n") + "\r\n"
			}
			if c.mux {
				aliceRTCP, bobRTCP = alice, bob
			}
			generate := true
			offer := request(t, "x", "a", "", told(alice, aliceRTCP, "K1"))
			offer.GenerateRTCP = &generate
			toBob := must(t)(m.Offer(offer)).Media()[0]
			toAlice := must(t)(m.Answer(request(t, "x", "a", "b", told(bob, bobRTCP, "K2")))).Media()[0]
			if c.secure && toBob.Crypto[0].KeyParams != "inline:"+partyKeys["K1"] {
				t.Fatalf("bob is told another key: %+v", toBob.Crypto[0])
			}

			talk := func(from, to phone, port uint16, ssrc uint32, key string) {
				h := rtp.Header{PayloadType: 0, Sequence: 1, Timestamp: 160, SSRC: ssrc}
				packet := append(h.Append(make([]byte, 0, 172+srtp.MaxOverhead)), make([]byte, 160)...)
				if c.secure {
					out, err := srtp.NewOutbound(paramsOf(t, key))
					if err != nil {
						t.Fatal(err)
					}
					if packet, err = out.ProtectRTP(packet); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := from.WriteToUDPAddrPort(packet, netip.AddrPortFrom(loopback, port)); err != nil {
					t.Fatal(err)
				}
				to.next(t)
			}
			talk(alice, bob, toAlice.Port, 0xa, "K1")
			talk(bob, alice, toBob.Port, 0xb, "K2")

			for _, side := range []struct {
				phone
				sent, own uint32
				key       string
			}{{bobRTCP, 0xa, 0xb, "K1"}, {aliceRTCP, 0xb, 0xa, "K2"}} {
				var r rtp.Report
				// The first report may have been made before the packets were there.
				for len(r.Reports) == 0 || !r.Sender {
					datagram := side.next(t)
					if rtp.Classify(datagram) != rtp.RTCP {
						continue
					}
					if c.secure {
						in, err := srtp.NewInbound(paramsOf(t, side.key))
						if err != nil {
							t.Fatal(err)
						}
						if datagram, err = in.UnprotectRTCP(datagram); err != nil {
							t.Fatal(err)
						}
					}
					var walk rtp.Compound
					var p rtp.Packet
					if walk.Reset(datagram); !walk.Next(&p) || r.Parse(p) != nil {
						t.Fatalf("no report: %x", datagram)
					}
				}
				if r.SSRC != side.sent || r.Reports[0].SSRC != side.own || r.Info.Packets != 1 {
					t.Errorf("got %+v, want a report of %#x on %#x", r, side.sent, side.own)
				}
			}

			snap, err := m.Query("x", "", "")
			if err != nil {
				t.Fatal(err)
			}
			a := snap.Parties[0].Media[0]
			if !snap.GenerateRTCP || len(a.Ingress) != 1 || len(a.Egress) != 1 || a.Ingress[0].SSRC != 0xa || a.Egress[0].SSRC != 0xb {
				t.Errorf("generated %v, from alice %+v, to alice %+v", snap.GenerateRTCP, a.Ingress, a.Egress)
			}
		})
	}
}

func TestFeedbackIsForWhoAsksForIt(t *testing.T) {
	for _, c := range []struct {
		name, protocol, line string
		want                 bool
	}{
		{"the plain profile", "RTP/AVP", "a=sendrecv", false},
		{"the profile with feedback", "RTP/AVPF", "a=sendrecv", true},
		{"a codec with feedback", "RTP/AVP", "a=rtcp-fb:0 nack", true},
		{"all codecs with feedback", "RTP/AVP", "a=rtcp-fb:* nack", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			alice, aliceRTCP, bob, bobRTCP := newPhone(t), newPhone(t), newPhone(t), newPhone(t)
			// Profiles may differ.
			offer := request(t, "x", "a", "", strings.Replace(describe("127.0.0.1", alice.port, fmt.Sprintf("a=rtcp:%d", aliceRTCP.port)), "RTP/AVP", "RTP/AVPF", 1))
			offer.Protocol = "RTP/AVP"
			if strings.HasSuffix(c.protocol, "F") {
				offer.Protocol = "RTP/AVPF"
			}
			must(t)(m.Offer(offer))
			text := strings.Replace(describe("127.0.0.1", bob.port, fmt.Sprintf("a=rtcp:%d", bobRTCP.port), c.line), "RTP/AVP", c.protocol, 1)
			toAlice := must(t)(m.Answer(request(t, "x", "a", "b", text))).Media()[0]

			report := (&rtp.Report{SSRC: 0xa}).Append(nil)
			picture := []byte{0x81, rtp.TypePayloadFeedback, 0, 2, 0, 0, 0, 0xa, 0, 0, 0, 0xb}
			if _, err := aliceRTCP.WriteToUDPAddrPort(append(report, picture...), netip.AddrPortFrom(loopback, toAlice.Port+1)); err != nil {
				t.Fatal(err)
			}
			if got := rtp.TypesIn(bobRTCP.next(t)).Has(rtp.TypePayloadFeedback); got != c.want {
				t.Errorf("feedback reaches bob: %v, want %v", got, c.want)
			}
		})
	}
}

func TestFiguresOfABundleAreThoseOfItsMedias(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob, bobVideo := newPhone(t), newPhone(t), newPhone(t)
	session := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	offer := request(t, "x", "a", "", session+"a=group:BUNDLE v s\r\n"+fmt.Sprintf(
		"m=audio %d RTP/AVP 0\r\na=mid:v\r\na=rtcp-mux\r\nm=video %d RTP/AVP 100\r\na=mid:s\r\na=rtpmap:100 VP8/90000\r\na=rtcp-mux\r\n",
		alice.port, alice.port))
	offer.Bundle = call.Bundle{Accept: true}
	must(t)(m.Offer(offer))
	toAlice := must(t)(m.Answer(request(t, "x", "a", "b", session+fmt.Sprintf(
		"m=audio %d RTP/AVP 0\r\nm=video %d RTP/AVP 100\r\na=rtpmap:100 VP8/90000\r\n", bob.port, bobVideo.port)))).Media()
	for _, s := range []struct {
		pt   uint8
		ssrc uint32
		to   phone
	}{{100, 0xf, bobVideo}, {0, 0xa, bob}} {
		h := rtp.Header{PayloadType: s.pt, Sequence: 1, SSRC: s.ssrc}
		if _, err := alice.WriteToUDPAddrPort(append(h.Append(nil), 1, 2, 3, 4), netip.AddrPortFrom(loopback, toAlice[0].Port)); err != nil {
			t.Fatal(err)
		}
		s.to.next(t)
	}
	snap, err := m.Query("x", "", "")
	if err != nil {
		t.Fatal(err)
	}
	a, b := snap.Parties[0].Media, snap.Parties[1].Media
	for i, want := range []uint32{0xa, 0xf} {
		if len(a[i].Ingress) != 1 || a[i].Ingress[0].SSRC != want || len(b[i].Egress) != 1 || b[i].Egress[0].SSRC != want {
			t.Errorf("media %d: from alice %+v, to bob %+v, want %#x", i, a[i].Ingress, b[i].Egress, want)
		}
	}
}
