package call_test

import (
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
)

func TestAttributeLinesAreChanged(t *testing.T) {
	const said = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=tool:x\r\nm=audio 4000 RTP/AVP 8\r\nc=IN IP4 192.0.2.1\r\n" +
		"a=fmtp:8 x=1\r\na=keep\r\na=drop:this\r\na=ptime:20\r\nm=video 5000 RTP/AVP 99\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:99 H264/90000\r\na=drop:this\r\n"
	for _, c := range []struct {
		name    string
		change  call.AttributeChange
		has     []string
		missing []string
	}{
		{"add", call.AttributeChange{Scope: "audio", Add: []string{"new:1", "keep", "two\r\na=lines"}}, []string{"a=new:1\r\n"}, []string{"a=lines"}},
		{"remove by name", call.AttributeChange{Scope: "audio", Remove: []string{"ptime"}}, []string{"a=keep"}, []string{"a=ptime"}},
		{"remove what is generated", call.AttributeChange{Scope: "video", Remove: []string{"rtcp", "sendrecv"}}, []string{"a=keep"}, nil},
		{"remove by name and first word", call.AttributeChange{Scope: "audio", Remove: []string{"fmtp:8"}}, nil, []string{"a=fmtp:8"}},
		{"not half a word", call.AttributeChange{Scope: "audio", Remove: []string{"ptim", "fmtp:"}}, []string{"a=ptime:20", "a=fmtp:8"}, nil},
		{"substitute", call.AttributeChange{Scope: "audio", Substitute: [][2]string{{"drop", "instead"}}}, []string{"a=instead\r\n"}, nil},
		{"in the session part", call.AttributeChange{Scope: call.ScopeSession, Remove: []string{"tool"}, Add: []string{"ours"}}, []string{"a=ours\r\nm=audio"}, []string{"a=tool"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			req := request(t, "c1", "a", "", said)
			req.Attributes = []call.AttributeChange{c.change}
			got, err := m.Offer(req)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.has {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
			for _, no := range c.missing {
				if strings.Contains(got, no) {
					t.Errorf("%q is in\n%s", no, got)
				}
			}
			if n := strings.Count(got, "a=keep\r\n"); n != 1 {
				t.Errorf("a=keep stands %d times in\n%s", n, got)
			}
		})
	}
}

func TestRemovedMediaIsNotShownAndAnsweredRefused(t *testing.T) {
	const audio, video = "m=audio 4000 RTP/AVP 8", "m=video 5000 RTP/AVP 99\r\na=rtpmap:99 H264/90000"
	m, plane := newManager(t, nil)
	req := request(t, "c1", "a", "", describe("127.0.0.1", 3000, video, audio))
	req.RemoveMedia = []string{"video"}
	shown := must(t)(m.Offer(req)).Media()
	if len(shown) != 2 || shown[0].Type != "audio" || shown[1].Type != "audio" {
		t.Fatalf("the callee is shown %+v, want the two audio sections", shown)
	}
	used := plane.Pools()[0].Used
	if used != 4 {
		t.Errorf("%d port pairs are open, want two for each side", used)
	}
	got := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 6000, "m=audio 0 RTP/AVP 8")))).Media()
	if len(got) != 3 || got[0].Port == 0 || got[1].Type != "video" || got[1].Port != 0 || got[2].Port != 0 {
		t.Errorf("the caller is answered %+v, want audio, a refused video and a refused audio", got)
	}
	// Later messages of both sides find their sections again.
	back := must(t)(m.Offer(request(t, "c1", "b", "a", describe("127.0.0.1", 6000, audio)))).Media()
	if len(back) != 2 || back[0].Port != got[0].Port {
		t.Errorf("the callee's re-offer shows the caller %+v", back)
	}
}

func TestAskedPacketTimeIsAnswered(t *testing.T) {
	m, _ := newManager(t, nil)
	must(t)(m.Offer(request(t, "c1", "a", "", describe("127.0.0.1", 4000, "a=ptime:30"))))
	if got := must(t)(m.Answer(request(t, "c1", "a", "b", describe("127.0.0.1", 4002)))).Media()[0].PTime; got != 30 {
		t.Errorf("the caller is told ptime %d, want its own 30", got)
	}
}

func TestVersionCountsOurChanges(t *testing.T) {
	m, _ := newManager(t, nil)
	version := func(more ...string) string {
		req := request(t, "c1", "a", "", describe("127.0.0.1", 4000, more...))
		req.Replace = call.Replace{Version: true, Origin: true}
		return must(t)(m.Offer(req)).Sessions[0].Origin.Version
	}
	for i, c := range []struct{ got, want string }{
		{version(), "1"}, {version(), "1"}, {version("a=sendonly"), "2"}, {version("a=sendonly"), "2"}, {version(), "3"},
	} {
		if c.got != c.want {
			t.Errorf("message %d has version %s, want %s", i, c.got, c.want)
		}
	}
}
