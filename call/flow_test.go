package call_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/sdp"
)

// used returns how many ports are taken.
func used(m *call.Manager) int {
	n := 0
	for _, p := range m.Config().Plane.Pools() {
		n += p.Used
	}
	return n
}

// talk has two parties send to the ports they were told, and fails unless both hear.
func talk(t *testing.T, one, other phone, toOne, toOther uint16) {
	t.Helper()
	one.say(t, toOne, 1)
	other.say(t, toOther, 1)
	if one.hears(t, soon) == 0 || other.hears(t, soon) == 0 {
		t.Error("no sound")
	}
}

// A transfer by SIP: a new party offers to one that is in the call, which answers, or the other way round.
func TestANewPartyTalksToOneThatIsThere(t *testing.T) {
	m, _ := newManager(t, nil)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 5000))))
	carol, bob := newPhone(t), newPhone(t)
	toBob := must(t)(m.Offer(request(t, "c1", "c", "b", describe("127.0.0.1", carol.port)))).Media()[0].Port
	toCarol := must(t)(m.Answer(request(t, "c1", "c", "b", describe("127.0.0.1", bob.port)))).Media()[0].Port
	talk(t, bob, carol, toBob, toCarol)
	snap, err := m.Query("c1", "", "b")
	if err != nil || len(snap.Parties[0].Subscribers) != 1 || snap.Parties[0].Subscribers[0].Party.Tag != "c" {
		t.Errorf("%v; who was transferred away is heard by %+v", err, snap.Parties[0].Subscribers)
	}
	if _, err := m.Offer(request(t, "c1", "b", "c", describe("127.0.0.1", bob.port))); err != nil {
		t.Error(err)
	}
	if _, err := m.Answer(request(t, "c1", "b", "c", describe("127.0.0.1", carol.port))); err != nil {
		t.Error(err)
	}
}

// An offer in a 200 OK, answered in the ACK.
func TestLateOffer(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob := newPhone(t), newPhone(t)
	toAlice := must(t)(m.Offer(request(t, "c1", "b", "a", describe("127.0.0.1", bob.port)))).Media()[0].Port
	toBob := must(t)(m.Answer(request(t, "c1", "b", "a", describe("127.0.0.1", alice.port)))).Media()[0].Port
	talk(t, bob, alice, toBob, toAlice)
}

func TestPortsOfSectionsThatGoAreGivenBack(t *testing.T) {
	m, _ := newManager(t, nil)
	for _, port := range []int{4000, 4002, 4004, 0} {
		must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", port))))
		must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", port))))
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Errorf("%d ports are in use by a refused section", used(m))
	}
}

// What a bundle has goes on without the section that began it.
func TestBundleOutlivesItsFirstSection(t *testing.T) {
	const a, v, group, rest = "a=mid:a", "a=mid:v", "a=group:BUNDLE a v", "a=group:BUNDLE v"
	sound := func(t *testing.T, one, other phone, toOther, toOne uint16) {
		t.Helper()
		one.sends(t, toOne, packetOf(97, 1, 0, ""))
		other.gets(t, toOther, packetOf(97, 1, 0, ""))
		other.sends(t, toOther, packetOf(97, 2, 0, ""))
		one.gets(t, toOne, packetOf(97, 2, 0, ""))
	}
	both := call.Bundle{Accept: true, Require: true}
	for _, c := range []struct{ name, answer string }{
		{"refused by an answer with a group", rest},
		{"refused by an answer without", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			alice, bob := newPhone(t), newPhone(t)
			req := request(t, "c1", "a", "", pairOf(group, alice.port, alice.port, a, v))
			req.Bundle = both
			told := must(t)(m.Offer(req)).Media()
			toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", pairOf(c.answer, 0, bob.port, a, v)))).Media()
			sound(t, alice, bob, told[1].Port, toAlice[1].Port)
		})
	}
	t.Run("given up by the offerer", func(t *testing.T) {
		m, _ := newManager(t, nil)
		alice, bob := newPhone(t), newPhone(t)
		offer := func(group string, audio int) []*sdp.Media {
			req := request(t, "c1", "a", "", pairOf(group, audio, alice.port, a+"|"+ufrag("a"), v+"|"+ufrag("a")))
			req.Bundle = both
			return must(t)(m.Offer(req)).Media()
		}
		answer := func(group string, audio int) []*sdp.Media {
			return must(t)(m.Answer(request(t, "c1", "a", "b", pairOf(group, audio, bob.port, a+"|"+ufrag("b"), v+"|"+ufrag("b"))))).Media()
		}
		first := offer(group, alice.port)
		toAlice := answer(group, bob.port)
		again := offer(rest, 0)
		if again[1].Port != first[1].Port || again[1].ICE.Ufrag != first[1].ICE.Ufrag || again[0].Port != 0 {
			t.Errorf("bob was told port %d, %q, now %d, %q", first[1].Port, first[1].ICE.Ufrag, again[1].Port, again[1].ICE.Ufrag)
		}
		last := answer(rest, 0)
		if last[1].Port != toAlice[1].Port || last[1].ICE.Ufrag != toAlice[1].ICE.Ufrag {
			t.Errorf("alice was told port %d, %q, now %d, %q", toAlice[1].Port, toAlice[1].ICE.Ufrag, last[1].Port, last[1].ICE.Ufrag)
		}
	})
}

// ufrag writes the credentials of an ICE agent.
func ufrag(of string) string {
	return "a=ice-ufrag:" + strings.Repeat(of, 4) + "|a=ice-pwd:" + strings.Repeat(of, 22)
}

// An ICE session with a party goes on, restarted, where ports change because the other side has moved.
func TestAMoveRestartsICEAndDoesNotEndIt(t *testing.T) {
	m, _ := newManager(t, nil)
	o := call.Options{NoPortLatching: true}
	say := func(answer bool, port int, more string) *sdp.Media {
		req := request(t, "ice", "a", "b", describe("127.0.0.1", port)+more)
		req.Options = o
		if answer {
			return must(t)(m.Answer(req)).Media()[0]
		}
		return must(t)(m.Offer(req)).Media()[0]
	}
	toB := say(false, 4000, iceOffer)
	toA := say(true, 5000, iceAnswer)
	if again := say(false, 4002, iceRestart); again.Port == toB.Port || again.ICE.Ufrag == "" || again.ICE.Ufrag == toB.ICE.Ufrag {
		t.Errorf("the answerer was told %d, %v, now %d, %v", toB.Port, toB.ICE, again.Port, again.ICE)
	}
	if again := say(true, 5002, iceAnswer); again.Port == toA.Port || again.ICE.Ufrag == "" || again.ICE.Ufrag == toA.ICE.Ufrag {
		t.Errorf("the offerer was told %d, %v, now %d, %v", toA.Port, toA.ICE, again.Port, again.ICE)
	}
	if got := media0(t, m, "a").ICE.Remote.Credentials.Ufrag; got != "cccc" {
		t.Errorf("the offerer's name is %q, want cccc", got)
	}
}

// A call that cannot be connected to another one stays apart from it.
func TestFailedConnectMergesNothing(t *testing.T) {
	m, _ := newManager(t, nil)
	fax := strings.Replace(describe("127.0.0.1", 4000), "audio 4000 RTP/AVP 0 8", "image 4000 udptl t38", 1)
	must(t)(m.Offer(request(t, "one", "a", "", describe("127.0.0.1", 4000))))
	must(t)(m.Offer(request(t, "other", "b", "", fax)))
	err := m.Connect(&call.ConnectRequest{CallID: "one", Sources: call.Selection{FromTag: "a"}, ToTag: "b", ToCallID: "other"})
	if !errors.Is(err, call.ErrNoMedia) {
		t.Errorf("connect: %v", err)
	}
	for _, id := range []string{"one", "other"} {
		if snap, err := m.Query(id, "", ""); err != nil || snap.CallID != id || len(snap.Parties) != 2 {
			t.Errorf("%s is now %+v, %v", id, snap, err)
		}
	}
}

// Descriptions that ask for odd combinations are answered, not fatal.
func TestOddCombinations(t *testing.T) {
	t.Run("a refused section that is not over UDP is accepted", func(t *testing.T) {
		m, _ := newManager(t, nil)
		chat := func(port string) string {
			return strings.Replace(describe("127.0.0.1", 4000), "audio 4000 RTP/AVP 0 8", "message "+port+" TCP/MSRP *", 1)
		}
		must(t)(m.Offer(request(t, "c1", "a", "", chat("0"))))
		if got := must(t)(m.Answer(request(t, "c1", "a", "b", chat("2855")))).Media()[0]; got.Port != 0 {
			t.Errorf("the answer has port %d", got.Port)
		}
	})
	t.Run("streams listed twice and a bundle", func(t *testing.T) {
		m, _ := newManager(t, nil)
		req := request(t, "c1", "a", "", pairOf("", 4000, 4002, "", ""))
		req.Bundle.Require, req.OSRTP.OfferLegacy, req.Protocol = true, true, sdp.ProtoSAVP
		if got := must(t)(m.Offer(req)).Media(); len(got) != 2 {
			t.Errorf("%d sections are offered", len(got))
		}
	})
	t.Run("names for the sections of an offer that is made here", func(t *testing.T) {
		m, _ := newManager(t, nil)
		made, err := m.Create(&call.CreateRequest{Request: call.Request{Options: call.Options{GenerateMID: true}}})
		if err != nil || !strings.Contains(made.SDP, "a=mid:1\r\n") {
			t.Errorf("%v, %+v", err, made)
		}
	})
}

// A call with SRTP on one side turns to fax: what is not RTP passes as it is, and back again.
func TestFaxInACallWithSRTP(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob := newPhone(t), newPhone(t)
	secure := func(port int) string {
		return strings.Replace(describe("127.0.0.1", port), "RTP/AVP", "RTP/SAVP", 1) + withKeys("a=crypto:1 "+cm80+" inline:K1\r\n")
	}
	fax := func(port int) string {
		return strings.Replace(describe("127.0.0.1", port), fmt.Sprintf("audio %d RTP/AVP 0 8", port), fmt.Sprintf("image %d udptl t38", port), 1)
	}
	offer := func(text string, protocol sdp.Protocol) *sdp.Media {
		req := request(t, "c1", "a", "", text)
		req.Protocol = protocol
		return must(t)(m.Offer(req)).Media()[0]
	}
	offer(secure(alice.port), sdp.ProtoAVP)
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port))))
	toBob := offer(fax(alice.port), sdp.ProtoAVP)
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", fax(bob.port)))).Media()[0]
	datagram := []byte{0, 1, 1, 6, 0, 0}
	alice.sends(t, toAlice.Port, datagram)
	bob.gets(t, toBob.Port, datagram)
	bob.sends(t, toBob.Port, datagram)
	alice.gets(t, toAlice.Port, datagram)
	if back := offer(secure(alice.port), sdp.ProtoAVP); back.Protocol != sdp.ProtoAVP || len(back.Crypto) != 0 {
		t.Errorf("after the fax the answerer is offered %s with %d keys", back.Protocol, len(back.Crypto))
	}
	if back := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]; back.Protocol != sdp.ProtoSAVP || len(back.Crypto) != 1 {
		t.Errorf("after the fax the offerer is answered %s with %d keys", back.Protocol, len(back.Crypto))
	}
}

// terse writes a description of sections that are given as type, port and direction, or "zero" for a hold by address.
func terse(sections string) string {
	text := strings.SplitAfter(describe("127.0.0.1", 1), "t=0 0\r\n")[0]
	for _, s := range strings.Split(sections, ", ") {
		f := strings.Fields(s)
		text += fmt.Sprintf("m=%s %s RTP/AVP 0\r\n", f[0], f[1])
		if f[2] == "zero" {
			text += "c=IN IP4 0.0.0.0\r\n"
		} else {
			text += "a=" + f[2] + "\r\n"
		}
	}
	return text
}

// TestFlows plays what proxies send every day. Ports told are numbered as they come up on either side; 0 stays 0.
func TestFlows(t *testing.T) {
	type step struct{ who, says, told string } // who: offerer, then answerer for an answer, with the branch of an offer after a slash
	for _, c := range []struct {
		name  string
		steps []step
	}{
		{"early media, then the answer", []step{
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
		}},
		{"hold and resume by either side", []step{
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
			{"a", "audio 4000 sendonly", "audio 1 sendonly"}, {"a b", "audio 5000 recvonly", "audio 2 recvonly"},
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
			{"b", "audio 5000 inactive", "audio 2 inactive"}, {"b a", "audio 4000 inactive", "audio 1 inactive"},
			{"b", "audio 5000 sendrecv", "audio 2 sendrecv"}, {"b a", "audio 4000 sendrecv", "audio 1 sendrecv"},
			{"a", "audio 4000 zero", "audio 1 sendonly"}, {"a b", "audio 5000 recvonly", "audio 2 recvonly"},
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
		}},
		{"media is added, removed and comes back", []step{
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
			{"b", "audio 5000 sendrecv, video 5002 sendrecv", "audio 2 sendrecv, video 3 sendrecv"},
			{"b a", "audio 4000 sendrecv, video 4002 sendrecv", "audio 1 sendrecv, video 4 sendrecv"},
			{"a", "audio 4000 sendrecv, video 0 sendrecv", "audio 1 sendrecv, video 0"}, {"a b", "audio 5000 sendrecv, video 0 sendrecv", "audio 2 sendrecv, video 0"},
			{"a", "audio 4000 sendrecv, video 4002 sendrecv", "audio 1 sendrecv, video 5 sendrecv"},
			{"a b", "audio 5000 sendrecv, video 5002 sendrecv", "audio 2 sendrecv, video 6 sendrecv"},
		}},
		{"an answer says less than was offered", []step{
			{"a", "audio 4000 sendrecv, video 4002 sendrecv", "audio 1 sendrecv, video 2 sendrecv"},
			{"a b", "audio 5000 sendrecv, video 0 sendrecv", "audio 3 sendrecv, video 0"},
			{"b", "audio 5000 sendrecv, video 0 sendrecv", "audio 3 sendrecv, video 0"}, {"b a", "audio 4000 sendrecv, video 0 sendrecv", "audio 1 sendrecv, video 0"},
		}},
		{"branches, of which the later one answers", []step{
			{"a/x", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a/y", "audio 4000 sendrecv", "audio 2 sendrecv"},
			{"a b/x", "audio 5000 sendrecv", "audio 3 sendrecv"}, {"a c/y", "audio 6000 sendrecv", "audio 3 sendrecv"},
			{"a/-c", "audio 4000 sendonly", "audio 2 sendonly"}, {"a c", "audio 6000 recvonly", "audio 3 recvonly"},
			{"c", "audio 6000 sendrecv", "audio 3 sendrecv"}, {"c a", "audio 4000 sendrecv", "audio 2 sendrecv"},
		}},
		{"the re-offer that is turned down is followed by another one", []step{
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
			{"a", "audio 4000 sendrecv, video 4002 sendrecv", "audio 1 sendrecv, video 3 sendrecv"},
			{"a", "audio 4000 sendrecv", "audio 1 sendrecv"}, {"a b", "audio 5000 sendrecv", "audio 2 sendrecv"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			var ports []uint16
			for i, s := range c.steps {
				who, branch, _ := strings.Cut(s.who, "/")
				from, to, answer := strings.Cut(who, " ")
				if strings.HasPrefix(branch, "-") {
					to, branch = branch[1:], "" // an offer with a to-tag
				}
				req := request(t, "c1", from, to, terse(s.says))
				req.ViaBranch = branch
				say := m.Offer
				if answer {
					say = m.Answer
				}
				var told []string
				for _, d := range must(t)(say(req)).Media() {
					n := slices.Index(ports, d.Port) + 1
					if d.Port == 0 {
						told = append(told, d.Type+" 0")
						continue
					}
					if n == 0 {
						ports = append(ports, d.Port)
						n = len(ports)
					}
					told = append(told, fmt.Sprintf("%s %d %v", d.Type, n, d.Direction))
				}
				if got := strings.Join(told, ", "); got != s.told {
					t.Fatalf("step %d, %s: got %s, want %s", i+1, s.who, got, s.told)
				}
			}
		})
	}
}
