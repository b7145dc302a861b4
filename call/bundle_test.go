package call_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/sdp"
)

const (
	midExt   = "urn:ietf:params:rtp-hdrext:sdes:mid"
	levelExt = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
)

// pairOf writes SDP of an audio and a video section with what each has beside, and with more lines in the session part.
func pairOf(session string, audioPort, videoPort int, audio, video string) string {
	lines := []string{"v=0", "o=- 7 7 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"}
	add := func(more string) {
		if more != "" {
			lines = append(lines, strings.Split(more, "|")...)
		}
	}
	add(session)
	lines = append(lines, fmt.Sprintf("m=audio %d RTP/AVP 0", audioPort))
	add(audio)
	lines = append(lines, fmt.Sprintf("m=video %d RTP/AVP 97", videoPort), "a=rtpmap:97 VP8/90000")
	add(video)
	return strings.Join(lines, "\r\n") + "\r\n"
}

// outline says in short what a description tells of bundles. Ports are numbered as they come up; 0 stays 0.
func outline(d *sdp.Description) string {
	var b strings.Builder
	for _, g := range d.Sessions[0].Groups {
		fmt.Fprintf(&b, "%s %s; ", g.Semantics, strings.Join(g.Mids, " "))
	}
	var ports []uint16
	for i, m := range d.Media() {
		if i > 0 {
			b.WriteString(", ")
		}
		n := 0
		if m.Port != 0 {
			if n = slices.Index(ports, m.Port) + 1; n == 0 {
				ports = append(ports, m.Port)
				n = len(ports)
			}
		}
		fmt.Fprintf(&b, "%s@%d", m.Type, n)
		if m.Mid != "" {
			b.WriteString(" " + m.Mid)
		}
		if m.BundleOnly {
			b.WriteString(" only")
		}
		if m.ExtMapAllowMixed {
			b.WriteString(" mixed")
		}
		for _, e := range m.ExtMaps {
			fmt.Fprintf(&b, " %d=%s", e.ID, e.URI[strings.LastIndexByte(e.URI, ':')+1:])
		}
	}
	return b.String()
}

func TestBundles(t *testing.T) {
	const a, v, group = "a=mid:a", "a=mid:v", "a=group:BUNDLE a v"
	named := func(mid string) string { return mid + "|a=extmap:3 " + midExt }
	alike := func(text string) string { return strings.Replace(text, "RTP/AVP 97", "RTP/AVP 97 0", 1) }
	type step struct {
		answer  bool
		back    bool // of the party that was called first
		bundle  call.Bundle
		said    string
		outline string
	}
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"groups are ignored by default", []step{
			{said: pairOf(group, 4000, 4000, a, v), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "audio@1 a, video@2 v"},
		}},
		{"what is bundle-only is refused by default", []step{
			{said: pairOf(group, 4000, 0, a, v+"|a=bundle-only"), outline: "audio@1 a, video@0 v"},
		}},
		{"a group is accepted, and the other side gets ports for all", []step{
			{bundle: call.Bundle{Accept: true}, said: pairOf(group, 4000, 4002, a, v), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "BUNDLE a v; audio@1 a, video@1 v"},
			{back: true, said: pairOf("", 5000, 5002, a, v), outline: "BUNDLE a v; audio@1 a, video@1 v only"},
			{back: true, answer: true, said: pairOf(group, 4000, 4000, a, v), outline: "audio@1 a, video@2 v"},
			{bundle: call.Bundle{Reject: true}, said: pairOf(group, 4000, 4002, a, v), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "audio@1 a, video@2 v"},
		}},
		{"what is bundle-only is part of an accepted group", []step{
			{bundle: call.Bundle{Accept: true}, said: pairOf(group, 4000, 0, a, v+"|a=bundle-only"), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 5000, 5002, "", ""), outline: "BUNDLE a v; audio@1 a, video@1 v"},
		}},
		{"medias of one payload type without names are no bundle", []step{
			{bundle: call.Bundle{Accept: true}, said: alike(pairOf(group, 4000, 4000, a, v)), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "audio@1 a, video@2 v"},
		}},
		{"medias of one payload type with names are a bundle", []step{
			{bundle: call.Bundle{Accept: true}, said: alike(pairOf(group, 4000, 4000, named(a), named(v))),
				outline: "audio@1 a mixed 3=mid, video@2 v mixed 3=mid"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "BUNDLE a v; audio@1 a 3=mid, video@1 v 3=mid"},
		}},
		{"a refused section leaves the group", []step{
			{bundle: call.Bundle{Accept: true}, said: pairOf(group, 4000, 4002, a, v), outline: "audio@1 a, video@2 v"},
			{answer: true, said: pairOf("", 0, 5002, "", ""), outline: "BUNDLE v; audio@0 a, video@1 v"},
		}},
		{"the mid extension is accepted although the other side does not know it", []step{
			{bundle: call.Bundle{Accept: true}, said: pairOf(group, 4000, 4000, named(a), named(v)),
				outline: "audio@1 a mixed 3=mid, video@2 v mixed 3=mid"},
			{answer: true, said: pairOf("", 5000, 5002, a, v), outline: "BUNDLE a v; audio@1 a 3=mid, video@1 v 3=mid"},
		}},
		{"a group is offered and refused", []step{
			{bundle: call.Bundle{Offer: true}, said: pairOf("", 4000, 4002, "a=extmap:1 "+levelExt, ""),
				outline: "BUNDLE 1 2; audio@1 1 mixed 1=ssrc-audio-level 2=mid, video@2 2 mixed 2=mid"},
			{answer: true, said: pairOf("", 5000, 5002, "", ""), outline: "audio@1, video@2"},
		}},
		{"a group is offered and accepted", []step{
			{bundle: call.Bundle{Offer: true}, said: pairOf("", 4000, 4002, "", ""),
				outline: "BUNDLE 1 2; audio@1 1 mixed 1=mid, video@2 2 mixed 1=mid"},
			{answer: true, said: pairOf("a=group:BUNDLE 1 2", 5000, 5000, "a=mid:1|a=extmap:1 "+midExt, "a=mid:2|a=extmap:1 "+midExt),
				outline: "audio@1, video@2"},
			{said: pairOf("", 4000, 4002, "", ""), outline: "BUNDLE 1 2; audio@1 1 1=mid, video@1 2 only 1=mid"},
		}},
		{"a group is required, with one port for all", []step{
			{bundle: call.Bundle{Require: true}, said: pairOf("", 4000, 4002, a, v),
				outline: "BUNDLE a v; audio@1 a mixed 1=mid, video@1 v only mixed 1=mid"},
		}},
		{"a group is required as RFC 9143 wants it", []step{
			{bundle: call.Bundle{Strict: true}, said: pairOf("", 4000, 4002, "", ""),
				outline: "BUNDLE 1 2; audio@1 1 mixed 1=mid, video@0 2 only mixed 1=mid"},
		}},
		{"generated names avoid those there are", []step{
			{bundle: call.Bundle{Offer: true}, said: pairOf("", 4000, 4002, "", "a=mid:1"),
				outline: "BUNDLE 2 1; audio@1 2 mixed 1=mid, video@2 1 mixed 1=mid"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, plane := newManager(t, nil)
			for i, s := range c.steps {
				from, to := "a", "b"
				if s.back {
					from, to = to, from
				}
				if i == 0 {
					to = ""
				}
				req := request(t, "c1", from, to, s.said)
				req.Bundle = s.bundle
				say := m.Offer
				if s.answer {
					say = m.Answer
				}
				if got := outline(must(t)(say(req))); got != s.outline {
					t.Errorf("step %d:\ngot  %s\nwant %s", i+1, got, s.outline)
				}
			}
			if _, err := m.Delete(&call.DeleteRequest{CallID: "c1", Delay: new(time.Duration)}); err != nil {
				t.Fatal(err)
			}
			if !eventually(func() bool { return plane.Pools()[0].Used == 0 }) {
				t.Errorf("ports are in use after the call: %+v", plane.Pools())
			}
		})
	}
}

func TestNamesOfSectionsAreKeptForEachParty(t *testing.T) {
	m, _ := newManager(t, nil)
	must(t)(m.Offer(request(t, "c1", "a", "", pairOf("", 4000, 4002, "a=mid:x", "a=mid:y"))))
	must(t)(m.Answer(request(t, "c1", "a", "b", pairOf("", 5000, 5002, "a=mid:x", "a=mid:y"))))
	// The other side calls them something else from now on, and swaps names on top of it.
	got := must(t)(m.Offer(request(t, "c1", "b", "a", pairOf("", 5000, 5002, "a=mid:y", "a=mid:x")))).Media()
	if got[0].Mid != "x" || got[1].Mid != "y" {
		t.Errorf("told %q and %q, want the names it knows", got[0].Mid, got[1].Mid)
	}
	got = must(t)(m.Answer(request(t, "c1", "b", "a", pairOf("", 4000, 4002, "a=mid:x", "a=mid:y")))).Media()
	if got[0].Mid != "y" || got[1].Mid != "x" {
		t.Errorf("answered with %q and %q, want the names of the offer", got[0].Mid, got[1].Mid)
	}
}

func TestHeaderExtensions(t *testing.T) {
	for _, c := range []struct {
		name                           string
		offer, answer                  call.ExtMaps
		offered, told, answered, heard string
	}{
		{name: "pass", offered: "1=p:u 2=p:v", told: "mixed 1=p:u 2=p:v", answered: "2=p:v", heard: "2=p:v"},
		{name: "not accepted unless offered", offered: "1=p:u", told: "mixed 1=p:u", answered: "1=p:u 2=p:w", heard: "1=p:u"},
		{name: "the offerer's ids", offered: "1=p:u", told: "mixed 1=p:u", answered: "4=p:u", heard: "1=p:u"},
		{name: "stripped from the offer", offer: call.ExtMaps{Strip: []string{"p:u"}}, offered: "1=p:u 2=p:v", told: "mixed 2=p:v",
			answered: "2=p:v", heard: "2=p:v"},
		{name: "all stripped", offer: call.ExtMaps{Strip: []string{"all"}}, offered: "1=p:u 2=p:v"},
		{name: "stripped from the answer", answer: call.ExtMaps{Strip: []string{"p:v"}}, offered: "1=p:u 2=p:v", told: "mixed 1=p:u 2=p:v",
			answered: "1=p:u 2=p:v", heard: "1=p:u"},
		{name: "masked, and accepted", offer: call.ExtMaps{Mask: []string{"p:v"}}, offered: "1=p:u 2=p:v", told: "mixed 1=p:u",
			answered: "1=p:u", heard: "2=p:v 1=p:u"},
		{name: "all masked", offer: call.ExtMaps{Mask: []string{"all"}}, offered: "1=p:u 2=p:v", heard: "1=p:u 2=p:v"},
		{name: "both forms, if both say so", offered: "mixed 1=p:u", told: "mixed 1=p:u", answered: "mixed 1=p:u", heard: "mixed 1=p:u"},
		{name: "one form, if the offerer says no more", offered: "1=p:u", told: "mixed 1=p:u", answered: "mixed 1=p:u", heard: "1=p:u"},
		{name: "one form, if the answerer says no more", offered: "mixed 1=p:u", told: "mixed 1=p:u", answered: "1=p:u", heard: "1=p:u"},
		{name: "ids beyond 14", offered: "16=p:u 255=p:v", told: "mixed 16=p:u 255=p:v", answered: "255=p:v", heard: "255=p:v"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			lines := func(list string) string {
				var b strings.Builder
				for _, w := range strings.Fields(list) {
					if id, uri, ok := strings.Cut(w, "="); ok {
						fmt.Fprintf(&b, "\r\na=extmap:%s %s", id, uri)
					} else {
						b.WriteString("\r\na=extmap-allow-mixed")
					}
				}
				return b.String()
			}
			short := func(m *sdp.Media) string {
				var words []string
				if m.ExtMapAllowMixed {
					words = append(words, "mixed")
				}
				for _, e := range m.ExtMaps {
					words = append(words, fmt.Sprintf("%d=%s", e.ID, e.URI))
				}
				return strings.Join(words, " ")
			}
			req := request(t, "c1", "a", "", strings.TrimSuffix(describe("127.0.0.1", 4000), "\r\n")+lines(c.offered)+"\r\n")
			req.ExtMaps = c.offer
			if got := short(must(t)(m.Offer(req)).Media()[0]); got != c.told {
				t.Errorf("offered %q, told %q", got, c.told)
			}
			req = request(t, "c1", "a", "b", strings.TrimSuffix(describe("127.0.0.1", 5000), "\r\n")+lines(c.answered)+"\r\n")
			req.ExtMaps = c.answer
			if got := short(must(t)(m.Answer(req)).Media()[0]); got != c.heard {
				t.Errorf("answered %q, want %q", got, c.heard)
			}
		})
	}
}

// packetOf is an RTP packet; with an id there is a header extension of one element.
func packetOf(pt byte, ssrc byte, id byte, element string) []byte {
	b := []byte{0x80, pt, 0, 1, 0, 0, 0, 1, 0, 0, 0, ssrc}
	if id != 0 {
		b[0] |= 0x10
		b = append(b, 0xbe, 0xde, 0, byte(len(element)+4)/4, id<<4|byte(len(element)-1))
		b = append(b, element...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return append(b, 1, 2, 3, 4)
}

// gets waits for a packet and fails if it is not the one wanted.
func (p phone) gets(t *testing.T, from uint16, want []byte) {
	t.Helper()
	buf := make([]byte, 1500)
	if err := p.SetReadDeadline(time.Now().Add(soon)); err != nil {
		t.Fatal(err)
	}
	n, source, err := p.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("nothing came: %v", err)
	}
	if source.Port() != from || !bytes.Equal(buf[:n], want) {
		t.Fatalf("from port %d came %x\nwant port %d       %x", source.Port(), buf[:n], from, want)
	}
}

func (p phone) sends(t *testing.T, to uint16, packet []byte) {
	t.Helper()
	if _, err := p.WriteToUDPAddrPort(packet, netip.AddrPortFrom(loopback, to)); err != nil {
		t.Fatal(err)
	}
}

func TestABundleOnOneSideIsNoneOnTheOther(t *testing.T) {
	m, _ := newManager(t, nil)
	browser, audio, video := newPhone(t), newPhone(t), newPhone(t)
	named := func(mid string) string { return "a=mid:" + mid + "|a=extmap:3 " + midExt + "|a=extmap:4 p:level" }
	req := request(t, "c1", "a", "", pairOf("a=group:BUNDLE a v", browser.port, browser.port, named("a"), named("v")))
	req.Bundle.Accept = true
	phones := must(t)(m.Offer(req)).Media()
	toBrowser := must(t)(m.Answer(request(t, "c1", "a", "b", pairOf("", audio.port, video.port, "a=extmap:4 p:level", "")))).Media()
	port := toBrowser[0].Port
	if toBrowser[1].Port != port || phones[0].Port == phones[1].Port {
		t.Fatalf("ports %d and %d in the bundle, %d and %d without", port, toBrowser[1].Port, phones[0].Port, phones[1].Port)
	}
	// The name of the media comes and goes; what the other side knows passes.
	browser.sends(t, port, packetOf(0, 1, 3, "a"))
	audio.gets(t, phones[0].Port, packetOf(0, 1, 0, ""))
	browser.sends(t, port, packetOf(97, 1, 3, "v"))
	video.gets(t, phones[1].Port, packetOf(97, 1, 0, ""))
	browser.sends(t, port, packetOf(0, 2, 4, "x"))
	audio.gets(t, phones[0].Port, packetOf(0, 2, 4, "x"))
	audio.sends(t, phones[0].Port, packetOf(0, 8, 0, ""))
	browser.gets(t, port, packetOf(0, 8, 3, "a"))
	video.sends(t, phones[1].Port, packetOf(97, 9, 4, "x"))
	browser.gets(t, port, packetOf(97, 9, 3, "v"))
}

func TestABundleThatIsAnsweredApartReachesBothPorts(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, audio, video := newPhone(t), newPhone(t), newPhone(t)
	req := request(t, "c1", "a", "", pairOf("", alice.port, alice.port, "", ""))
	req.Bundle.Require = true
	told := must(t)(m.Offer(req)).Media()
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", pairOf("", audio.port, video.port, "", "")))).Media()
	audio.sends(t, told[0].Port, packetOf(0, 1, 0, ""))
	alice.gets(t, toAlice[0].Port, packetOf(0, 1, 0, ""))
	video.sends(t, told[1].Port, packetOf(97, 2, 0, ""))
	alice.gets(t, toAlice[1].Port, packetOf(97, 2, 0, ""))
	alice.sends(t, toAlice[0].Port, packetOf(0, 3, 0, ""))
	audio.gets(t, told[0].Port, packetOf(0, 3, 0, ""))
	alice.sends(t, toAlice[1].Port, packetOf(97, 4, 0, ""))
	if video.hears(t, soon) == 0 {
		t.Error("the video does not reach its port")
	}
}
