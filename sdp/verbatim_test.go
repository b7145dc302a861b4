package sdp

import (
	"strings"
	"testing"
)

func TestSectionAsReceived(t *testing.T) {
	const session = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\na=sendonly\r\n"
	const audio = "m=audio 4000 RTP/AVP 8 0\r\ni=speech\r\nb=AS:64\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=fmtp:0 x\r\na=rtpmap:0 PCMU/8000\r\na=own\r\na=rtpmap:8 PCMA/8000\r\na=own\r\n"
	const video = "m=video 4002 RTP/AVP 99\r\na=recvonly\r\na=rtpmap:99 H264/90000\r\n"
	d := mustParse(t, session+audio+video)
	s := d.Sessions[0]
	out := &Description{Sessions: []*Session{{Origin: s.Origin, Name: s.Name}}}
	for _, m := range s.Media {
		out.Sessions[0].Media = append(out.Sessions[0].Media, m.AsReceived(s))
	}
	const inherited = "a=ice-ufrag:abcd\r\na=ice-pwd:efgh\r\n"
	want := strings.Replace(audio, "b=AS", "c=IN IP4 192.0.2.1\r\nb=AS", 1) + "a=sendonly\r\n" + inherited +
		strings.Replace(video, "a=recvonly", "c=IN IP4 192.0.2.1\r\na=recvonly", 1) + inherited
	if got := out.String(); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant it to end with\n%s", got, want)
	}
	if again := s.Media[0].AsReceived(s); again.Clone().AsReceived(s).Other[0] != again.Other[0] {
		t.Error("a copy has other lines")
	}
}
