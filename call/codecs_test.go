package call_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weir-media/weir/call"
)

func named(names ...string) []call.CodecSpec {
	var list []call.CodecSpec
	for _, n := range names {
		list = append(list, call.CodecSpec{Name: n, PayloadType: -1})
	}
	return list
}

func TestCodecListsAreChanged(t *testing.T) {
	const said = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 9 96 97 101\r\n" +
		"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\n"
	for _, c := range []struct {
		name   string
		codecs call.Codecs
		offer  string // payload types shown to the callee
		answer string // and, when it answers with all, to the caller
	}{
		{"nothing", call.Codecs{}, "8 0 9 96 97 101", "8 0 9 96 97 101"},
		{"strip by name, and what went along", call.Codecs{Strip: named("PCMA", "opus")}, "0 9 101", "0 9 101"},
		{"strip by payload type", call.Codecs{Strip: []call.CodecSpec{{PayloadType: 9}}}, "8 0 96 97 101", "8 0 96 97 101"},
		{"strip by clock rate", call.Codecs{Strip: []call.CodecSpec{{Name: "telephone-event", PayloadType: -1, ClockRate: 48000}}}, "8 0 9 96 101", "8 0 9 96 101"},
		{"names are case-sensitive", call.Codecs{Strip: named("pcma")}, "8 0 9 96 97 101", "8 0 9 96 97 101"},
		{"all but", call.Codecs{Strip: named("all"), Except: named("PCMU")}, "0", "0"},
		{"all but, in order", call.Codecs{Strip: named("all"), Offer: named("G722", "PCMA")}, "9 8", "9 8"},
		{"order alone", call.Codecs{Offer: named("opus", "PCMU")}, "96 0 8 9 97 101", "96 0 8 9 97 101"},
		{"all of them leaves all", call.Codecs{Strip: named("all")}, "8 0 9 96 97 101", "8 0 9 96 97 101"},
		{"a single one in the answer", call.Codecs{Single: true}, "8 0 9 96 97 101", "8 101"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			shown := func(step func(*call.Request) (string, error), to string) string {
				req := request(t, "c1", "a", to, said)
				req.Codecs = c.codecs
				var types []string
				for _, codec := range must(t)(step(req)).Media()[0].Codecs {
					types = append(types, fmt.Sprint(codec.PayloadType))
				}
				return strings.Join(types, " ")
			}
			if got := shown(m.Offer, ""); got != c.offer {
				t.Errorf("offer: %s, want %s", got, c.offer)
			}
			if got := shown(m.Answer, "b"); got != c.answer {
				t.Errorf("answer: %s, want %s", got, c.answer)
			}
		})
	}
}
