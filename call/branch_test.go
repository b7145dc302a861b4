package call_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

const video = "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000"

func refused(section string) string { return strings.Replace(section, "5000", "0", 1) }

func TestRefusalByOneBranchLeavesTheMediaToTheOthers(t *testing.T) {
	m, _ := newManager(t, nil)
	branch := func(name, to, text string) *call.Request {
		req := request(t, "c1", "a", to, text)
		req.ViaBranch = name
		return req
	}
	both := describe("127.0.0.1", 4000, video)
	must(t)(m.Offer(branch("1", "", both)))
	must(t)(m.Offer(branch("2", "", both)))
	if got := must(t)(m.Answer(branch("1", "b1", describe("127.0.0.1", 4002, refused(video))))).Media(); got[1].Port != 0 {
		t.Errorf("the refused video has port %d", got[1].Port)
	}
	if got := must(t)(m.Answer(branch("2", "b2", describe("127.0.0.1", 4004, video)))).Media(); got[1].Port == 0 {
		t.Error("the video that the second branch accepts is refused")
	}
}

func TestByeOfTheAnswererEndsAForkedCall(t *testing.T) {
	m, _ := newManager(t, nil)
	now := time.Duration(0)
	for i := range 3 {
		req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
		req.ViaBranch = fmt.Sprint(i)
		must(t)(m.Offer(req))
	}
	req := request(t, "c1", "a", "b", describe("127.0.0.1", 4002))
	req.ViaBranch = "1"
	must(t)(m.Answer(req))
	if _, err := m.Delete(&call.DeleteRequest{CallID: "c1", FromTag: "b", Delay: &now}); err != nil {
		t.Fatal(err)
	}
	// The other branches ring no more for a caller that has gone with its partner.
	if n := m.Stats().Live; n != 0 {
		snap, _ := m.Query("c1", "", "")
		t.Errorf("the call lives on as %v with %d parties", snap.State, len(snap.Parties))
	}
}

func TestDeleteOfARingingBranchLeavesTheOthers(t *testing.T) {
	m, _ := newManager(t, nil)
	for i := range 2 {
		req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
		req.ViaBranch = fmt.Sprint(i)
		must(t)(m.Offer(req))
	}
	if _, err := m.Delete(&call.DeleteRequest{CallID: "c1", FromTag: "a", ViaBranch: "0"}); err != nil {
		t.Fatal(err)
	}
	req := request(t, "c1", "a", "b", describe("127.0.0.1", 4002))
	req.ViaBranch = "1"
	must(t)(m.Answer(req))
}

func TestReofferWithoutToTagGoesToWhoHasAnswered(t *testing.T) {
	m, _ := newManager(t, nil)
	var ports []uint16
	for i := range 2 {
		req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
		req.ViaBranch = fmt.Sprint(i)
		ports = append(ports, must(t)(m.Offer(req)).Media()[0].Port)
	}
	req := request(t, "c1", "a", "b", describe("127.0.0.1", 4002))
	req.ViaBranch = "0"
	must(t)(m.Answer(req))
	if got := must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000)))).Media()[0].Port; got != ports[0] {
		t.Errorf("the re-offer shows port %d, want %d of the branch that answered", got, ports[0])
	}
}

func TestHoldOfAForkedCallIsSeen(t *testing.T) {
	m, _ := newManager(t, nil)
	for i := range 2 {
		req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
		req.ViaBranch = fmt.Sprint(i)
		must(t)(m.Offer(req))
		req = request(t, "c1", "a", fmt.Sprint("b", i), describe("127.0.0.1", 4002))
		req.ViaBranch = fmt.Sprint(i)
		must(t)(m.Answer(req))
	}
	must(t)(m.Offer(request(t, "c1", "a", "b1", describe("127.0.0.1", 4000, "a=sendonly"))))
	must(t)(m.Answer(request(t, "c1", "a", "b1", describe("127.0.0.1", 4002, "a=recvonly"))))
	if snap, err := m.Query("c1", "", ""); err != nil || snap.State != call.StateHeld {
		t.Errorf("state %v, %v; want held", snap.State, err)
	}
}

func TestAnswersThatFitNoOffer(t *testing.T) {
	m, _ := newManager(t, nil)
	two := describe("127.0.0.1", 4000, video)
	must(t)(m.Offer(request(t, "c1", "a", "", two)))
	if _, err := m.Answer(request(t, "c1", "b", "a", two)); !errors.Is(err, call.ErrDialogue) {
		t.Errorf("swapped tags: %v", err)
	}
	must(t)(m.Answer(request(t, "c1", "a", "b", two)))
	must(t)(m.Offer(request(t, "c1", "c", "", describe("127.0.0.1", 4000))))
	must(t)(m.Answer(request(t, "c1", "c", "d", describe("127.0.0.1", 4000))))
	if _, err := m.Answer(request(t, "c1", "a", "d", two)); !errors.Is(err, call.ErrDialogue) {
		t.Errorf("an answer by the party of another offer: %v", err)
	}
	must(t)(m.Offer(request(t, "c1", "a", "b", describe("127.0.0.1", 4000))))
	if got := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4000)))).Media(); len(got) != 1 {
		t.Errorf("the answer to one section has %d", len(got))
	}
}

func TestCaps(t *testing.T) {
	m, plane := newManager(t, nil)
	many := describe("127.0.0.1", 4000, strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", call.MaxSections))
	if _, err := m.Offer(request(t, "c1", "a", "", strings.TrimSuffix(many, "\r\n"))); !errors.Is(err, call.ErrRewrite) {
		t.Errorf("too many sections: %v", err)
	}
	var err error
	for i := 0; err == nil && i <= call.MaxParties; i++ {
		req := request(t, "c2", "a", "", describe("127.0.0.1", 4000))
		req.ViaBranch = fmt.Sprint(i)
		_, err = m.Offer(req)
	}
	if !errors.Is(err, call.ErrDialogue) {
		t.Errorf("too many parties: %v", err)
	}
	if used := plane.Pools()[0].Used; used > call.MaxParties {
		t.Errorf("%d port pairs are open", used)
	}
}

func TestSessionRefreshKeepsAPartyThatOnlyListens(t *testing.T) {
	m, _ := newManager(t, nil)
	alice, bob, eve := newPhone(t), newPhone(t), newPhone(t)
	const nat = 9 // what Alice's SDP says; she is seen elsewhere
	toBob := must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", nat)))).Media()[0]
	toAlice := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port)))).Media()[0]
	alice.say(t, toAlice.Port, 1)
	if bob.hears(t, soon) == 0 {
		t.Fatal("no audio from Alice")
	}
	must(t)(m.Offer(request(t, "c1", "a", "b", describe("127.0.0.1", nat))))
	must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", bob.port))))
	eve.say(t, toAlice.Port, 1)
	if bob.hears(t, 200*time.Millisecond) != 0 {
		t.Error("Eve is taken for Alice")
	}
	bob.say(t, toBob.Port, 1)
	if alice.hears(t, soon) == 0 {
		t.Error("Alice is cut off")
	}
}

func TestAgreedMuxOutlastsAReofferThatDoesNotAskForIt(t *testing.T) {
	m, _ := newManager(t, nil)
	req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
	req.RTCPMux.Offer = true
	if !must(t)(m.Offer(req)).Media()[0].RTCPMux {
		t.Fatal("rtcp-mux is not offered")
	}
	answer := describe("127.0.0.1", 4002, "a=rtcp-mux")
	must(t)(m.Answer(request(t, "c1", "a", "b", answer)))
	again := must(t)(m.Offer(request(t, "c1", "a", "b", describe("127.0.0.1", 4000)))).Media()[0]
	if !again.RTCPMux || again.RTCP.Port != again.Port {
		t.Errorf("the re-offer shows mux %v and RTCP port %v", again.RTCPMux, again.RTCP)
	}
	must(t)(m.Answer(request(t, "c1", "a", "b", answer)))
	snap, err := m.Query("c1", "", "b")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range snap.Parties {
		if p.Party.Tag == "b" && !p.Media[0].Media.Mux {
			t.Error("mux is not agreed any more")
		}
	}
}

func TestMediaAddressAndLoopProtection(t *testing.T) {
	m, _ := newManager(t, nil)
	req := request(t, "c1", "a", "", describe("127.0.0.1", 4000))
	req.MediaAddress = loopback.Next()
	req.LoopProtect = true
	got := must(t)(m.Offer(req))
	if got.Media()[0].Conn.Addr != loopback.Next() {
		t.Errorf("c= has %v, want the address that was asked for", got.Media()[0].Conn.Addr)
	}
	if !m.Looped(got) || m.Looped(req.SDP) {
		t.Error("the mark of this process is not told from none")
	}
}
