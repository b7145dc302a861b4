package call_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// Keys of the parties, by the name that stands for them in the tests.
var partyKeys = map[string]string{
	"K1": "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0", "K2": "dHNycXBvbm1sa2ppaGdmZWRjYmE5ODc2NTQzMjEw",
	"L1": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNk", "L2": "ZGNiYVpZWFdWVVRTUlFQT05NTEtKSUhHRkVEQ0JB",
	"M1": "MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSg",
}

const (
	print1 = "sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"
	print2 = "SHA-1 20:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13"
)

// withKeys puts the parties' keys into text.
func withKeys(text string) string {
	for name, key := range partyKeys {
		text = strings.ReplaceAll(text, "inline:"+name, "inline:"+key)
	}
	return text
}

// protection tells what a description says about protocol and keys, one section after the other, with names for keys.
func protection(d *sdp.Description) []string {
	var lines []string
	for _, m := range d.Media() {
		lines = append(lines, string(m.Protocol))
		for _, c := range m.Crypto {
			key, rest, _ := strings.Cut(strings.TrimPrefix(c.KeyParams, "inline:"), "|")
			name := "own"
			for n, k := range partyKeys {
				if strings.TrimRight(key, "=") == k {
					name = n
				}
			}
			if rest != "" {
				name += "|" + rest
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s %s %s", c.Tag, c.Suite, name, c.SessionParams)))
		}
		if m.Setup != "" {
			lines = append(lines, "setup:"+string(m.Setup))
		}
		for _, f := range m.Fingerprints {
			lines = append(lines, "fingerprint:"+f.Hash)
		}
		if len(m.TLSID) == 32 {
			lines = append(lines, "tls-id")
		}
	}
	return lines
}

// message is one offer or answer of a dialogue between a and b.
type message struct {
	by      string // a or b; the first one of a dialogue offers, from then on offer and answer alternate
	options call.Options
	says    string // protocol, then attribute lines
	told    string // what the other side is told, as protection puts it
}

// dialogue plays messages and returns what the call then is like.
func dialogue(t *testing.T, messages ...message) *call.Snapshot {
	t.Helper()
	certificates, err := dtls.NewCertificates(dtls.CertificateConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m, _ := newManager(t, func(c *call.Config) { c.Certificates = certificates })
	offering, offerer := true, ""
	for i, msg := range messages {
		lines := strings.Split(withKeys(msg.says), "\n")
		text := strings.Replace(describe("127.0.0.1", 4000), "RTP/AVP 0 8", lines[0]+" 0 8", 1)
		for _, l := range lines[1:] {
			text += "a=" + strings.TrimSpace(l) + "\r\n"
		}
		step := m.Answer
		if offering {
			step, offerer = m.Offer, msg.by
		}
		other := map[string]string{"a": "b", "b": "a"}[offerer]
		if i == 0 {
			other = ""
		}
		req := request(t, "dialogue", offerer, other, text)
		if other == "" && !offering {
			req.ToTag = "b"
		}
		req.Options = msg.options
		req.FromInterface, req.ToInterface = "caller", "callee"
		got := protection(must(t)(step(req)))
		var want []string
		for _, l := range strings.Split(msg.told, "\n") {
			want = append(want, strings.TrimSpace(l))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("message %d: told\n\t%s\nwant\n\t%s", i+1, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
		}
		offering = !offering
	}
	snap, err := m.Query("dialogue", "", "")
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// all lists the suites that are not in the list, from a tag on.
func all(tag int, without ...srtp.Suite) string {
	var lines []string
	for _, s := range srtp.Suites() {
		if !slices.Contains(without, s) {
			lines = append(lines, fmt.Sprintf("%d %s own", tag, s))
			tag++
		}
	}
	return strings.Join(lines, "\n")
}

const (
	cm80 = "AES_CM_128_HMAC_SHA1_80"
	cm32 = "AES_CM_128_HMAC_SHA1_32"
	c256 = "AES_256_CM_HMAC_SHA1_80"
)

var noDTLS = call.Options{DTLS: call.DTLSControl{Off: true}}

func options(change func(*call.Options)) call.Options {
	o := noDTLS
	change(&o)
	return o
}

func TestSDES(t *testing.T) {
	savp := options(func(o *call.Options) { o.Protocol = sdp.ProtoSAVP })
	avp := options(func(o *call.Options) { o.Protocol = sdp.ProtoAVP })
	sdes := func(w call.SDES) call.Options { return options(func(o *call.Options) { o.SDES = w }) }
	offered := "RTP/SAVP\ncrypto:1 " + cm80 + " inline:K1\ncrypto:2 " + cm32 + " inline:K2\ncrypto:3 " + c256 + " inline:M1"
	passed := "RTP/SAVP\n1 " + cm80 + " K1\n2 " + cm32 + " K2\n3 " + c256 + " M1"
	rest := all(4, srtp.AES128CM80, srtp.AES128CM32, srtp.AES256CM80)
	for _, c := range []struct {
		name     string
		messages []message
	}{
		{"plain to SRTP: all suites, then the agreed one first", []message{
			{by: "a", options: savp, says: "RTP/AVP", told: "RTP/SAVP\n" + all(1)},
			{by: "b", says: "RTP/SAVP\ncrypto:7 " + cm80 + " inline:L1", told: "RTP/AVP"},
			{by: "a", options: noDTLS, says: "RTP/AVP", told: "RTP/SAVP\n7 " + cm80 + " own\n" + all(8, srtp.AES128CM80)},
		}},
		{"SRTP to plain: the best of the offer is taken", []message{
			{by: "a", options: avp, says: offered, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\n1 " + cm80 + " own"},
		}},
		{"both: keys pass, and a common suite is answered with the key of the answerer", []message{
			{by: "a", options: noDTLS, says: offered, told: passed + "\n" + rest},
			{by: "b", says: "RTP/SAVP\ncrypto:2 " + cm32 + " inline:L1", told: "RTP/SAVP\n2 " + cm32 + " L1"},
		}},
		{"both: a suite of ours towards one side has a key of ours towards the other", []message{
			{by: "a", options: noDTLS, says: offered, told: passed + "\n" + rest},
			{by: "b", says: "RTP/SAVP\ncrypto:9 F8_128_HMAC_SHA1_80 inline:L1", told: "RTP/SAVP\n1 " + cm80 + " own"},
		}},
		{"a wrong tag with an offered suite is understood", []message{
			{by: "a", options: noDTLS, says: offered, told: passed + "\n" + rest},
			{by: "b", says: "RTP/SAVP\ncrypto:1 " + cm32 + " inline:L1", told: "RTP/SAVP\n2 " + cm32 + " L1"},
		}},
		{"lines that nobody can use are dropped", []message{
			{by: "a", options: sdes(call.SDES{NoNew: true}), says: "RTP/SAVP\ncrypto:\ncrypto:1 UNKNOWN inline:K1\n" +
				"crypto:2 " + cm80 + " inline:short\ncrypto:3 " + cm80 + " inline:K1 KDR=3\ncrypto:4 " + cm32 + " inline:K2|1:4 -OPT WSH=64",
				told: "RTP/SAVP\n4 " + cm32 + " K2|1:4"},
		}},
		{"no new suites", []message{{by: "a", options: sdes(call.SDES{NoNew: true, Only: []srtp.Suite{srtp.AES128CM32}}), says: offered, told: passed}}},
		{"only beats no", []message{{by: "a", says: offered, told: "RTP/SAVP\n2 " + cm32 + " K2",
			options: sdes(call.SDES{Only: []srtp.Suite{srtp.AES128CM32}, No: []srtp.Suite{srtp.AES128CM32}})}}},
		{"a suite is not wanted: neither told nor taken", []message{
			{by: "a", options: options(func(o *call.Options) {
				o.Protocol, o.SDES.No = sdp.ProtoAVP, []srtp.Suite{srtp.AES128CM80}
			}), says: offered, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\n2 " + cm32 + " own"},
		}},
		{"what is wanted is not offered: told anew, and the best is taken", []message{
			{by: "a", options: sdes(call.SDES{Only: []srtp.Suite{srtp.AES256GCM}}), says: offered, told: "RTP/SAVP\n1 AEAD_AES_256_GCM own"},
			{by: "b", says: "RTP/SAVP", told: "RTP/SAVP\n1 " + cm80 + " own"},
		}},
		{"order and preference", []message{
			{by: "a", options: sdes(call.SDES{NoNew: true, Order: []srtp.Suite{srtp.AES256CM80, srtp.AES128CM32}, Pick: []srtp.Suite{srtp.AES192CM80, srtp.AES256CM80}}),
				says: offered, told: "RTP/SAVP\n3 " + c256 + " M1\n2 " + cm32 + " K2\n1 " + cm80 + " K1"},
			{by: "b", says: "RTP/SAVP\ncrypto:2 " + cm32 + " inline:L1", told: "RTP/SAVP\n3 " + c256 + " own"},
		}},
		{"static keeps what is agreed", []message{
			{by: "a", options: sdes(call.SDES{NoNew: true}), says: offered, told: passed},
			{by: "b", says: "RTP/SAVP\ncrypto:1 " + cm80 + " inline:L1", told: "RTP/SAVP\n1 " + cm80 + " L1"},
			{by: "a", options: sdes(call.SDES{NoNew: true}), says: offered, told: passed},
			{by: "b", options: call.Options{SDES: call.SDES{Static: true}}, says: "RTP/SAVP\ncrypto:2 " + cm32 + " inline:L2", told: "RTP/SAVP\n1 " + cm80 + " L1"},
		}},
		{"lifetime and session parameters", []message{
			{by: "a", options: sdes(call.SDES{NoNew: true, Lifetime: true, UnencryptedRTCP: true, AuthenticatedRTP: true}),
				says: "RTP/SAVP\ncrypto:1 " + cm80 + " inline:K1|2^20 UNAUTHENTICATED_SRTP UNENCRYPTED_SRTP",
				told: "RTP/SAVP\n1 " + cm80 + " K1|2^31 UNENCRYPTED_SRTP UNENCRYPTED_SRTCP"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { dialogue(t, c.messages...) })
	}
}

func TestKeysInThePlan(t *testing.T) {
	offered := "RTP/SAVP\ncrypto:1 " + cm80 + " inline:K1\ncrypto:2 " + cm32 + " inline:K2"
	passed := "RTP/SAVP\n1 " + cm80 + " K1\n2 " + cm32 + " K2"
	nonew := options(func(o *call.Options) { o.SDES.NoNew = true })
	answer := "RTP/SAVP\ncrypto:2 " + cm32 + " inline:L1"
	for _, c := range []struct {
		name    string
		options call.Options
		passes  bool
		told    string
	}{
		{"the same key on both sides passes", nonew, true, "2 " + cm32 + " L1"},
		{"unless it is to be encrypted anew", options(func(o *call.Options) { o.SDES.NoNew, o.Recrypt = true, true }), false, "2 " + cm32 + " L1"},
		{"another suite does not", options(func(o *call.Options) {
			o.SDES.NoNew, o.SDES.Pick = true, []srtp.Suite{srtp.AES128CM80}
		}), false, "1 " + cm80 + " own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			snap := dialogue(t, message{by: "a", options: c.options, says: offered, told: passed},
				message{by: "b", says: answer, told: "RTP/SAVP\n" + c.told})
			a, b := &snap.Parties[0].Media[0].Media.Security, &snap.Parties[1].Media[0].Media.Security
			if a.Keying != call.KeyedSDES || b.Keying != call.KeyedSDES {
				t.Errorf("keyed by %v and %v", a.Keying, b.Keying)
			}
			if a.Passes(b) != c.passes || b.Passes(a) != c.passes {
				t.Errorf("passes: %v and %v, want %v", a.Passes(b), b.Passes(a), c.passes)
			}
			if b.Receive.Suite != srtp.AES128CM32 || b.Send.Suite != srtp.AES128CM32 || a.Receive.Suite != a.Send.Suite {
				t.Errorf("suites %v, %v and %v, %v", a.Receive, a.Send, b.Receive, b.Send)
			}
		})
	}
}

func TestDTLSText(t *testing.T) {
	secure := call.Options{Protocol: sdp.ProtoSAVP, SDES: call.SDES{Off: true}}
	plain := call.Options{Protocol: sdp.ProtoAVP}
	with := func(o call.Options, change func(*call.Options)) call.Options { change(&o); return o }
	proposal := "RTP/SAVP\nsetup:actpass\nfingerprint:sha-256\ntls-id"
	for _, c := range []struct {
		name     string
		messages []message
	}{
		{"offered, and not SDES any more to one who took it", []message{
			{by: "a", options: secure, says: "RTP/AVP", told: proposal},
			{by: "b", says: "RTP/SAVP\nsetup:active\nfingerprint:" + print2, told: "RTP/AVP"},
			{by: "a", says: "RTP/AVP", told: proposal},
		}},
		{"offered beside SDES, and not any more to one who took that", []message{
			{by: "a", options: call.Options{Protocol: sdp.ProtoSAVP}, says: "RTP/AVP", told: "RTP/SAVP\n" + all(1) + "\nsetup:actpass\nfingerprint:sha-256\ntls-id"},
			{by: "b", says: "RTP/SAVP\ncrypto:1 AEAD_AES_256_GCM inline:" + strings.Repeat("A", 59), told: "RTP/AVP"},
			{by: "a", options: call.Options{SDES: call.SDES{NoNew: true}}, says: "RTP/AVP", told: "RTP/SAVP\n1 AEAD_AES_256_GCM own"},
		}},
		{"accepted as client", []message{
			{by: "a", options: plain, says: "UDP/TLS/RTP/SAVPF\nsetup:actpass\nfingerprint:" + print1, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "UDP/TLS/RTP/SAVPF\nsetup:active\nfingerprint:sha-256\ntls-id"},
		}},
		{"accepted as server, as the message wants, and it stays so", []message{
			{by: "a", options: with(plain, func(o *call.Options) { o.DTLS.Passive = true }), says: "RTP/SAVP\nsetup:actpass\nfingerprint:" + print2, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\nsetup:passive\nfingerprint:sha-1\ntls-id"},
			{by: "a", says: "RTP/SAVP\nsetup:actpass\nfingerprint:" + print2, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\nsetup:passive\nfingerprint:sha-1\ntls-id"},
		}},
		{"accepted as server of an active party, with the hash asked for and without tls-id", []message{
			{by: "a", options: plain, says: "RTP/SAVP\nsetup:active\nfingerprint:" + print1, told: "RTP/AVP"},
			{by: "b", options: call.Options{DTLS: call.DTLSControl{NoTLSID: true}}, says: "RTP/AVP", told: "RTP/SAVP\nsetup:passive\nfingerprint:sha-256"},
		}},
		{"the hash asked for", []message{{by: "a", options: with(secure, func(o *call.Options) { o.DTLS.Fingerprint = "SHA-512" }),
			says: "RTP/AVP", told: "RTP/SAVP\nsetup:actpass\nfingerprint:sha-512\ntls-id"}}},
		{"preferred to SDES", []message{
			{by: "a", options: plain, says: "RTP/SAVP\nsetup:actpass\ncrypto:1 " + cm80 + " inline:K1\nfingerprint:" + print1, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\nsetup:active\nfingerprint:sha-256\ntls-id"},
		}},
		{"unless the message prefers that", []message{
			{by: "a", options: with(plain, func(o *call.Options) { o.SDES.Prefer = true }), says: "RTP/SAVP\nsetup:actpass\ncrypto:1 " + cm80 + " inline:K1\nfingerprint:" + print1, told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/SAVP\n1 " + cm80 + " own"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { dialogue(t, c.messages...) })
	}
}

func TestDTLSAssociation(t *testing.T) {
	plain := call.Options{Protocol: sdp.ProtoAVP}
	says := func(print string, more ...string) string {
		return strings.Join(append([]string{"RTP/SAVP\nsetup:actpass\nfingerprint:" + print}, more...), "\n")
	}
	for _, c := range []struct {
		name          string
		first, second string
		associations  uint32
	}{
		{"stays over a refresh", says(print1), says(print1), 1},
		{"another certificate is another association", says(print1), says(print2), 2},
		{"another tls-id, too", says(print1, "tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"), says(print1, "tls-id:bbbbbbbbbbbbbbbbbbbbbbbb"), 2},
		{"stays over a restart of ICE", says(print1, "ice-ufrag:aaaa", "ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa"),
			says(print1, "ice-ufrag:cccc", "ice-pwd:cccccccccccccccccccccccc"), 1},
		{"one that is not said says nothing", says(print1, "tls-id:aaaaaaaaaaaaaaaaaaaaaaaa"), says(print1), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := "RTP/SAVP\nsetup:active\nfingerprint:sha-256\ntls-id"
			if strings.Contains(c.first, print2) {
				told = strings.Replace(told, "256", "1", 1)
			}
			snap := dialogue(t, message{by: "a", options: plain, says: c.first, told: "RTP/AVP"}, message{by: "b", says: "RTP/AVP", told: told},
				message{by: "a", says: c.second, told: "RTP/AVP"}, message{by: "b", says: "RTP/AVP", told: told})
			s := &snap.Parties[0].Media[0].Media.Security
			if s.Keying != call.KeyedDTLS || s.DTLS.Setup != sdp.SetupActive || len(s.DTLS.Peer) != 1 || s.DTLS.Certificate == nil {
				t.Errorf("the plan has %v, %+v", s.Keying, s.DTLS)
			}
			if s.DTLS.Association != c.associations {
				t.Errorf("it is association %d, want %d", s.DTLS.Association, c.associations)
			}
		})
	}
}

func TestOSRTP(t *testing.T) {
	offered := "RTP/AVP\ncrypto:1 " + cm80 + " inline:K1"
	passed := "RTP/AVP\n1 " + cm80 + " K1"
	nonew := options(func(o *call.Options) { o.SDES.NoNew = true })
	accept := options(func(o *call.Options) { o.OSRTP.Accept = true })
	offer := options(func(o *call.Options) { o.OSRTP.Offer, o.SDES.Only = true, []srtp.Suite{srtp.AES128CM80} })
	for _, c := range []struct {
		name     string
		messages []message
	}{
		{"passes and is accepted", []message{
			{by: "a", options: nonew, says: offered, told: passed},
			{by: "b", says: "RTP/AVP\ncrypto:1 " + cm80 + " inline:L1", told: "RTP/AVP\n1 " + cm80 + " L1"},
		}},
		{"passes and is declined", []message{
			{by: "a", options: nonew, says: offered, told: passed},
			{by: "b", says: "RTP/AVP", told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/AVP"},
			{by: "a", says: offered, told: "RTP/AVP"},
		}},
		{"is declined and accepted nevertheless", []message{
			{by: "a", options: nonew, says: offered, told: passed},
			{by: "b", options: accept, says: "RTP/AVP", told: "RTP/AVP\n1 " + cm80 + " own"},
			{by: "b", options: nonew, says: "RTP/AVP", told: "RTP/AVP\n1 " + cm80 + " own"},
			{by: "a", says: offered, told: "RTP/AVP"},
		}},
		{"is offered by us and accepted", []message{
			{by: "a", options: offer, says: "RTP/AVP", told: "RTP/AVP\n1 " + cm80 + " own"},
			{by: "b", says: "RTP/AVP\ncrypto:1 " + cm80 + " inline:L1", told: "RTP/AVP"},
		}},
		{"is offered by us, declined, and not offered again until that is forgotten", []message{
			{by: "a", options: offer, says: "RTP/AVP", told: "RTP/AVP\n1 " + cm80 + " own"},
			{by: "b", says: "RTP/AVP", told: "RTP/AVP"},
			{by: "a", options: offer, says: "RTP/AVP", told: "RTP/AVP"},
			{by: "b", says: "RTP/AVP", told: "RTP/AVP"},
			{by: "a", options: options(func(o *call.Options) { o.OSRTP, o.SDES, o.Reset = offer.OSRTP, offer.SDES, true }), says: "RTP/AVP", told: "RTP/AVP\n1 " + cm80 + " own"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) { dialogue(t, c.messages...) })
	}
}

func TestAnswerProtocol(t *testing.T) {
	savp := options(func(o *call.Options) { o.Protocol, o.SDES.Only = sdp.ProtoSAVP, []srtp.Suite{srtp.AES128CM80} })
	told := "RTP/SAVP\n1 " + cm80 + " own"
	answer := "RTP/SAVPF\ncrypto:1 " + cm80 + " inline:L1"
	for _, c := range []struct {
		name    string
		options call.Options
		told    string
	}{
		{"a stray change is not passed on", call.Options{}, "RTP/AVP"},
		{"unless it is to be", call.Options{AcceptProtocol: true}, "RTP/SAVPF"},
		{"or another one is asked for", call.Options{Protocol: sdp.ProtoAVPF}, "RTP/AVPF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dialogue(t, message{by: "a", options: savp, says: "RTP/AVP", told: told},
				message{by: "b", options: c.options, says: answer, told: c.told})
		})
	}
}

func TestStreamsListedTwice(t *testing.T) {
	const plain, secure, refused = "m=audio 4000 RTP/AVP 8", "m=audio 4002 RTP/SAVP 8\r\na=crypto:1 " + cm80 + " inline:K1", "m=audio 0 RTP/AVP 8"
	accept := options(func(o *call.Options) { o.OSRTP.AcceptLegacy, o.Protocol = true, sdp.ProtoAVP })
	offer := options(func(o *call.Options) { o.OSRTP.OfferLegacy, o.Protocol, o.SDES.NoNew = true, sdp.ProtoSAVP, true })
	offer.SDES.Only = []srtp.Suite{srtp.AES128CM80}
	type exchange struct {
		offer  []string
		option call.Options
		told   string
		answer []string
		back   string
	}
	for _, c := range []struct {
		name      string
		exchanges []exchange
	}{
		{"merged, and answered with the other section refused", []exchange{
			{[]string{plain, secure}, accept, "1 RTP/AVP", []string{plain}, "0 RTP/AVP, 1 RTP/SAVP"},
			{[]string{refused, secure}, accept, "1 RTP/AVP", []string{plain}, "0 RTP/AVP, 1 RTP/SAVP"},
		}},
		{"in the other order", []exchange{{[]string{secure, plain}, accept, "1 RTP/AVP", []string{plain}, "1 RTP/SAVP, 0 RTP/AVP"}}},
		{"two streams unless told otherwise", []exchange{{[]string{plain, secure}, noDTLS, "1 RTP/AVP, 1 RTP/SAVP", []string{plain}, "1 RTP/AVP, 0 RTP/SAVP"}}},
		{"listed twice by us, the plain one is taken", []exchange{{[]string{plain}, offer, "1 RTP/AVP, 1 RTP/SAVP", []string{plain, "m=audio 0 RTP/SAVP 8"}, "1 RTP/AVP"}}},
		{"listed twice by us, SRTP is taken", []exchange{{[]string{plain}, offer, "1 RTP/AVP, 1 RTP/SAVP",
			[]string{refused, strings.Replace(secure, "K1", "L1", 1)}, "1 RTP/AVP"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, plane := newManager(t, nil)
			head := strings.SplitAfter(describe("127.0.0.1", 1), "t=0 0\r\n")[0]
			sections := func(d *sdp.Description) string {
				var all []string
				ports := map[uint16]bool{}
				for _, m := range d.Media() {
					used := 1
					if m.Rejected() {
						used = 0
					} else if ports[m.Port] {
						t.Errorf("port %d is told twice", m.Port)
					}
					ports[m.Port] = true
					all = append(all, fmt.Sprint(used, " ", m.Protocol))
				}
				return strings.Join(all, ", ")
			}
			for i, e := range c.exchanges {
				to := ""
				if i > 0 {
					to = "b"
				}
				req := request(t, "twice", "a", to, withKeys(head+strings.Join(e.offer, "\r\n")+"\r\n"))
				req.Options = e.option
				if got := sections(must(t)(m.Offer(req))); got != e.told {
					t.Fatalf("offer %d: told %s, want %s", i+1, got, e.told)
				}
				req = request(t, "twice", "a", "b", withKeys(head+strings.Join(e.answer, "\r\n")+"\r\n"))
				if got := sections(must(t)(m.Answer(req))); got != e.back {
					t.Fatalf("answer %d: told %s, want %s", i+1, got, e.back)
				}
			}
			streams := 0
			snap, err := m.Query("twice", "", "")
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range snap.Parties {
				for _, m := range p.Media {
					streams += len(m.Streams)
				}
			}
			used := 0
			if !eventually(func() bool {
				used = 0
				for _, p := range plane.Pools() {
					used += p.Used
				}
				return 2*used == streams
			}) {
				t.Errorf("%d pairs of ports are in use for %d streams", used, streams)
			}
		})
	}
}
