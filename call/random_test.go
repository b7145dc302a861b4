package call_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// chance draws what real parties and proxies would hardly put together.
type chance struct{ *rand.Rand }

func (c chance) of(p float64) bool { return c.Float64() < p }

func (c chance) pick(from ...string) string { return from[c.IntN(len(from))] }

// description draws up to three sections, each with some of the lines about addresses, keys and ICE.
func (c chance) description() string {
	text := strings.SplitAfter(describe("127.0.0.1", 1), "t=0 0\r\n")[0]
	if c.of(.1) {
		text += "a=ice-lite\r\n"
	}
	for range c.IntN(4) {
		port := c.pick("0", "4000", "4000", "4002", "4004", "4006", "9")
		text += fmt.Sprintf("m=audio %s %s\r\n", port, c.pick("RTP/AVP 8 0", "RTP/AVP 8 0", "RTP/AVPF 0", "RTP/SAVP 8 0", "RTP/SAVPF 8 0",
			"UDP/TLS/RTP/SAVPF 8 0", "udptl t38", "UDP/DTLS/SCTP webrtc-datachannel"))
		for _, l := range []struct {
			p    float64
			text string
		}{
			{.4, withKeys("a=crypto:1 " + cm80 + " inline:K1\r\na=crypto:7 F8_128_HMAC_SHA1_80 inline:K2\r\n")},
			{.3, "a=fingerprint:" + c.pick(print1, print2) + "\r\na=setup:" + c.pick("active", "passive", "actpass", "holdconn") + "\r\n"},
			{.4, c.pick(iceOffer, iceAnswer, iceRestart)},
			{.2, trickle}, {.2, "a=rtcp-mux\r\n"}, {.1, "c=IN IP4 0.0.0.0\r\n"}, {.1, "a=inactive\r\n"},
		} {
			if c.of(l.p) {
				text += l.text
			}
		}
	}
	return text
}

func (c chance) options() call.Options {
	o := call.Options{FromInterface: "caller", ToInterface: "caller"}
	o.ICE = call.ICEControl{Mode: call.ICEMode(c.IntN(5)), Reject: c.of(.1), Trickle: c.of(.2)}
	maybe := func() *bool {
		if c.of(.1) {
			v := c.of(.5)
			return &v
		}
		return nil
	}
	o.ICE.LiteForward, o.ICE.LiteBackward, o.Passthrough = maybe(), maybe(), maybe()
	o.OSRTP = call.OSRTP{Offer: c.of(.1), OfferLegacy: c.of(.2), Accept: c.of(.2), AcceptLegacy: c.of(.3)}
	o.SDES = call.SDES{Off: c.of(.1), Static: c.of(.2), Prefer: c.of(.1), NoNew: c.of(.2)}
	for _, list := range []*[]srtp.Suite{&o.SDES.Only, &o.SDES.No, &o.SDES.Pick, &o.SDES.Order} {
		if c.of(.1) {
			*list = []srtp.Suite{srtp.F8128SHA80}
		}
	}
	o.DTLS = call.DTLSControl{Off: c.of(.2), Passive: c.of(.2)}
	o.Reset, o.Recrypt, o.AcceptProtocol, o.NoPortLatching = c.of(.1), c.of(.1), c.of(.1), c.of(.2)
	o.Protocol = sdp.Protocol(c.pick("", "", "", "RTP/AVP", "RTP/SAVP", "UDP/TLS/RTP/SAVPF"))
	o.RTCPMux = call.RTCPMux{Require: c.of(.1), Demux: c.of(.1)}
	if c.of(.1) {
		o.Family = 4 + 2*c.IntN(2)
	}
	return o
}

// newRandomManager returns a manager with DTLS and one interface of both families, with a thousand ports from first on.
func newRandomManager(t *testing.T, first uint16) (*call.Manager, *media.Plane) {
	t.Helper()
	certificates, err := dtls.NewCertificates(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	plane, err := media.New(media.Config{Quarantine: -1, Workers: 1, Interfaces: []media.Interface{{Name: "caller", Addresses: []media.Address{
		{IP: loopback, PortMin: first, PortMax: first + 999}, {IP: netip.IPv6Loopback(), PortMin: first, PortMax: first + 999},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	m := call.NewManager(call.Config{Plane: plane, MaxSessions: -1, Certificates: certificates})
	t.Cleanup(func() {
		m.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return m, plane
}

// TestRandomDialogues plays offers, answers and fragments of three parties in any order. Whatever they say, what comes out can
// be parsed, and no port is lost.
func TestRandomDialogues(t *testing.T) {
	m, plane := newRandomManager(t, 39000)
	c := chance{rand.New(rand.NewPCG(3, 4))}
	for n := range 300 {
		id, offerer := fmt.Sprint("random ", n), "a"
		for range 8 {
			text := c.description()
			req := &call.Request{CallID: id, FromTag: c.pick("a", "b"), ToTag: c.pick("", "a", "b", "c"), SDP: parse(t, text), Options: c.options()}
			step := m.Offer
			if c.of(.5) {
				step, req.FromTag = m.Answer, offerer
			}
			offerer = req.FromTag
			// Many of these make no sense and are refused.
			if out, err := step(req); err == nil {
				parse(t, out)
			}
			if c.of(.2) {
				if err := m.Fragment(&call.Request{CallID: id, FromTag: "a", ToTag: "b", SDP: parse(t, text)}, c.of(.5)); err != nil {
					t.Fatal(err)
				}
			}
		}
		now := time.Duration(0)
		_, _ = m.Delete(&call.DeleteRequest{CallID: id, Delay: &now}) // it may never have come to life
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Errorf("ports are lost: %+v", plane.Pools())
	}
}
