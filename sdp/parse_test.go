package sdp

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// head is the session part most cases start from; its media lines begin at line 6.
const head = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name   string
		text   string
		kind   error
		line   int
		reason string
	}{
		{"an empty text", "", ErrSyntax, 0, "starts with v=0"},
		{"a blank line alone", "\r\n" + head, ErrSyntax, 1, "starts with v=0"},
		{
			"a text that does not start with a session", "o=- 1 2 IN IP4 192.0.2.1\r\n", ErrSyntax, 1,
			"does not start with v=0",
		},
		{"a version that does not exist", "v=1\r\n", ErrSyntax, 1, "version 0"},
		{"a version without number", "v=\r\n" + head, ErrSyntax, 1, "version 0"},
		{"a session without origin", "v=0\r\ns=-\r\nt=0 0\r\n", ErrSyntax, 3, "without o= line"},
		{"a first session without origin", "v=0\r\ns=-\r\n" + head, ErrSyntax, 3, "without o= line"},
		{"an origin with a field missing", "v=0\r\no=- 1 IN IP4 192.0.2.1\r\n", ErrSyntax, 2, "bad o= line"},
		{"an empty origin", "v=0\r\no=\r\n", ErrSyntax, 2, "bad o= line"},
		{"a line without equals sign", head + "audio\r\n", ErrSyntax, 6, "missing '='"},
		{"a line of a single letter", head + "a\r\n", ErrSyntax, 6, "missing '='"},
		{"an unknown line type", head + "q=1\r\n", ErrSyntax, 6, "unknown line type"},
		{"an upper-case line type", head + "A=sendrecv\r\n", ErrSyntax, 6, "unknown line type"},
		{
			"an origin within a media section", head + "m=audio 1 RTP/AVP 0\r\no=- 1 2 IN IP4 192.0.2.1\r\n",
			ErrSyntax, 7, "o= line within a media section",
		},
		{
			"a session name within a media section", head + "m=audio 1 RTP/AVP 0\r\ns=x\r\n", ErrSyntax, 7,
			"s= line within a media section",
		},
		{
			"a timing within a media section", head + "m=audio 1 RTP/AVP 0\r\nt=0 0\r\n", ErrSyntax, 7,
			"t= line within a media section",
		},
		{
			"a link within a media section", head + "m=audio 1 RTP/AVP 0\r\nu=x\r\n", ErrSyntax, 7,
			"u= line within a media section",
		},
		{
			"an e-mail within a media section", head + "m=audio 1 RTP/AVP 0\r\ne=x\r\n", ErrSyntax, 7,
			"e= line within a media section",
		},
		{
			"a phone within a media section", head + "m=audio 1 RTP/AVP 0\r\np=x\r\n", ErrSyntax, 7,
			"p= line within a media section",
		},
		{"an empty m= line", head + "m=\r\n", ErrSyntax, 6, "bad m= line"},
		{"an m= line without protocol", head + "m=audio 5000\r\n", ErrSyntax, 6, "bad m= line"},
		{"a port that is no number", head + "m=audio x RTP/AVP 0\r\n", ErrSyntax, 6, "port from 0 to 65535"},
		{"a port out of range", head + "m=audio 65536 RTP/AVP 0\r\n", ErrSyntax, 6, "port from 0 to 65535"},
		{"a negative port", head + "m=audio -1 RTP/AVP 0\r\n", ErrSyntax, 6, "port from 0 to 65535"},
		{"a port count that is no number", head + "m=audio 5000/ RTP/AVP 0\r\n", ErrSyntax, 6, "port from 0 to 65535"},
		{
			"a payload type that is no number", head + "m=audio 5000 RTP/AVP 0 opus\r\n", ErrIncomplete, 6,
			"payload types",
		},
		{"a payload type out of range", head + "m=audio 5000 RTP/AVP 128\r\n", ErrIncomplete, 6, "payload types"},
		{"an empty connection", head + "c=\r\n", ErrSyntax, 6, "want \"IN IP4 address\""},
		{"a connection of another network", head + "c=ATM NSAP 1\r\n", ErrSyntax, 6, "want \"IN IP4 address\""},
		{"a connection of another family", head + "c=IN IP5 192.0.2.1\r\n", ErrSyntax, 6, "IP4 or IP6"},
		{"a connection without address", head + "c=IN IP4\r\n", ErrSyntax, 6, "numeric address"},
		{"a connection with a host name", head + "c=IN IP4 media.example.com\r\n", ErrSyntax, 6, "host names"},
		{
			"a connection whose address is of the other family", head + "c=IN IP4 2001:db8::1\r\n", ErrSyntax, 6,
			"does not belong",
		},
		{"an address with a zone", head + "c=IN IP6 fe80::1%eth0\r\n", ErrSyntax, 6, "numeric address"},
		{
			"text after the connection address", head + "c=IN IP4 192.0.2.1 x\r\n", ErrSyntax, 6,
			"want \"IN IP4 address\"",
		},
		{
			"an RTCP port that is no number", head + "m=audio 1 RTP/AVP 0\r\na=rtcp:x\r\n", ErrIncomplete, 7,
			"bad a=rtcp",
		},
		{
			"an RTCP address that is none", head + "m=audio 1 RTP/AVP 0\r\na=rtcp:5 IN IP4 x\r\n", ErrIncomplete, 7,
			"bad a=rtcp",
		},
		{"an RTCP attribute without value", head + "m=audio 1 RTP/AVP 0\r\na=rtcp\r\n", ErrIncomplete, 7, "bad a=rtcp"},
		{"a null within a line", head + "a=x\x00y\r\n", ErrSyntax, 6, "null within a line"},
		{"a carriage return within a line", head + "a=x\ra=y\r\n", ErrSyntax, 6, "carriage return"},
		{
			"LF line endings count lines the same way", strings.ReplaceAll(head, "\r", "") + "q=1\n", ErrSyntax, 6,
			"unknown line type",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d, err := Parse(test.text)
			checkParseError(t, d, err, test.kind, test.line, test.reason)
		})
	}
}

func checkParseError(t *testing.T, d *Description, err, kind error, line int, reason string) {
	t.Helper()
	var parseError *ParseError
	if !errors.As(err, &parseError) || d != nil {
		t.Fatalf("got %v and %v, want a *ParseError", d, err)
	}
	other := ErrIncomplete
	if kind == ErrIncomplete {
		other = ErrSyntax
	}
	if !errors.Is(err, kind) || errors.Is(err, other) {
		t.Errorf("%v is not just %v", err, kind)
	}
	if parseError.Line != line {
		t.Errorf("line %d, want %d: %v", parseError.Line, line, err)
	}
	if !strings.Contains(err.Error(), reason) {
		t.Errorf("%q does not say %q", err, reason)
	}
	if len(parseError.Text) > 100 {
		t.Errorf("shows %d bytes of the text", len(parseError.Text))
	}
}

func TestErrorTextSaysEverything(t *testing.T) {
	_, err := Parse(head + "m=audio 5000 RTP/AVP x\r\n")
	want := `incomplete SDP specification: line 6: RTP payload types are not numbers from 0 to 127: ` +
		`"m=audio 5000 RTP/AVP x"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLimits(t *testing.T) {
	audio := head + "m=audio 5000 RTP/AVP 0\r\n"
	repeat := strings.Repeat
	candidate := "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\n"
	remote := " 1 192.0.2.1 1"
	crypto := "a=crypto:1 s inline:x\r\n"
	tests := []struct {
		name   string
		within string
		over   string
	}{
		{"bytes of a line", head + "a=" + repeat("x", MaxLine-2), head + "a=" + repeat("x", MaxLine-1)},
		{"lines", head + repeat("i=x\r\n", MaxLines-5), head + repeat("i=x\r\n", MaxLines-4)},
		{"sessions", repeat(head, MaxSessions), repeat(head, MaxSessions+1)},
		{
			"media sections", head + repeat("m=audio 5000 RTP/AVP 0\r\n", MaxMedia),
			head + repeat("m=audio 5000 RTP/AVP 0\r\n", MaxMedia+1),
		},
		{"formats", head + "m=x 1 y" + repeat(" z", MaxFormats), head + "m=x 1 y" + repeat(" z", MaxFormats+1)},
		{
			"payload types", head + "m=audio 1 RTP/AVP" + repeat(" 0", MaxFormats),
			head + "m=audio 1 RTP/AVP" + repeat(" 0", MaxFormats+1),
		},
		{"session attributes", head + repeat("a=x\r\n", MaxAttributes), head + repeat("a=x\r\n", MaxAttributes+1)},
		{"media attributes", audio + repeat("a=x\r\n", MaxAttributes), audio + repeat("a=x\r\n", MaxAttributes+1)},
		{
			"e= and p= lines", head + repeat("e=x\r\np=x\r\n", MaxContacts/2),
			head + repeat("e=x\r\np=x\r\n", MaxContacts/2+1),
		},
		{"candidates", audio + repeat(candidate, MaxCandidates), audio + repeat(candidate, MaxCandidates+1)},
		{
			"remote candidates", audio + "a=remote-candidates:" + repeat(remote, MaxCandidates),
			audio + "a=remote-candidates:" + repeat(remote, MaxCandidates+1),
		},
		{"crypto lines", audio + repeat(crypto, MaxCrypto), audio + repeat(crypto, MaxCrypto+1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Parse(test.within); err != nil {
				t.Errorf("within the limit: %v", err)
			}
			d, err := Parse(test.over)
			if d != nil || !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), "over the limit of ") {
				t.Errorf("over the limit: got %v", err)
			}
		})
	}
	t.Run("bytes of a description", func(t *testing.T) {
		if _, err := Parse(head + repeat("i=1234567890\r\n", MaxText/14+1)); !errors.Is(err, ErrSyntax) {
			t.Errorf("got %v", err)
		}
	})
}

func TestParseFields(t *testing.T) {
	audio := "m=audio 5000 RTP/SAVPF 96 0 101\r\n"
	media := func(d *Description) *Media { return d.Sessions[0].Media[0] }
	tests := []struct {
		name string
		text string
		get  func(d *Description) any
		want any
	}{
		{
			"origin fields are text", "", func(d *Description) any { return d.Sessions[0].Origin },
			Origin{"-", "1", "2", "IN", "IP4", "192.0.2.1"},
		},
		{
			"codecs keep the order of the m= line", audio, func(d *Description) any { return payloadTypes(media(d)) },
			[]uint8{96, 0, 101},
		},
		{
			"a payload type listed twice counts once", "m=audio 1 RTP/AVP 8 0 8\r\n",
			func(d *Description) any { return payloadTypes(media(d)) }, []uint8{8, 0},
		},
		{
			"a static payload type needs no rtpmap", audio, func(d *Description) any { return *media(d).Codec(0) },
			Codec{PayloadType: 0, Name: "PCMU", ClockRate: 8000, Channels: 1},
		},
		{
			"a dynamic payload type without rtpmap has no name", audio,
			func(d *Description) any { return *media(d).Codec(96) }, Codec{PayloadType: 96},
		},
		{
			"channels are one when not given", audio + "a=rtpmap:96 opus/48000\r\n",
			func(d *Description) any { return media(d).Codec(96).Channels }, uint8(1),
		},
		{
			"channels are read", audio + "a=rtpmap:96 opus/48000/2\r\n",
			func(d *Description) any { return media(d).Codec(96).String() }, "opus/48000/2",
		},
		{
			"an rtpmap of odd form is a name", audio + "a=rtpmap:96 what/ever\r\n",
			func(d *Description) any { return media(d).Codec(96).String() }, "what/ever",
		},
		{
			"format parameters are verbatim", audio + "a=fmtp:101 0-15,  66 \r\n",
			func(d *Description) any { return media(d).Codec(101).Params }, "0-15,  66 ",
		},
		{
			"feedback goes with its codec", audio + "a=rtcp-fb:96 nack pli\r\na=rtcp-fb:96 nack\r\n",
			func(d *Description) any { return media(d).Codec(96).RTCPFeedback }, []string{"nack pli", "nack"},
		},
		{
			"feedback for all codecs is apart", audio + "a=rtcp-fb:* trr-int 100\r\n",
			func(d *Description) any { return media(d).RTCPFeedback }, []string{"trr-int 100"},
		},
		{
			"the short rtcp attribute has no address", audio + "a=rtcp:5001\r\n",
			func(d *Description) any { return *media(d).RTCP }, RTCP{Port: 5001},
		},
		{
			"the full rtcp attribute has one", audio + "a=rtcp:5001 IN IP6 2001:db8::1\r\n",
			func(d *Description) any { return *media(d).RTCP }, RTCP{Port: 5001, Addr: mustAddr("2001:db8::1")},
		},
		{
			"a bandwidth of zero is given", "b=AS:0\r\n",
			func(d *Description) any { v, ok := d.Sessions[0].Bandwidth.Get(BandwidthAS); return fmt.Sprint(v, ok) },
			"0 true",
		},
		{
			"other bandwidths are not", "b=AS:0\r\nb=CT:x\r\n",
			func(d *Description) any { v, ok := d.Sessions[0].Bandwidth.Get(BandwidthCT); return fmt.Sprint(v, ok) },
			"0 false",
		},
		{
			"a multicast scope is kept", "c=IN IP4 233.252.0.1/127/3\r\n",
			func(d *Description) any { return *d.Sessions[0].Conn }, Connection{mustAddr("233.252.0.1"), "/127/3"},
		},
		{
			"the setup role is read", audio + "a=setup:active \r\n",
			func(d *Description) any { return media(d).Setup }, SetupActive,
		},
		{
			"several fingerprints are kept", audio + "a=fingerprint:sha-1 AA\r\na=fingerprint:sha-256 BB\r\n",
			func(d *Description) any { return media(d).Fingerprints },
			[]Fingerprint{{"sha-1", "AA"}, {"sha-256", "BB"}},
		},
		{
			"extension ids out of range are dropped",
			audio + "a=extmap:0 u\r\na=extmap:15 u\r\na=extmap:256 u\r\na=extmap:16/recvonly v w x\r\n",
			func(d *Description) any { return media(d).ExtMaps }, []ExtMap{{16, RecvOnly, "v", "w x"}},
		},
		{
			"packet times are read", audio + "a=ptime:20\r\na=maxptime:150\r\n",
			func(d *Description) any { return []int{media(d).PTime, media(d).MaxPTime} }, []int{20, 150},
		},
		{
			"a packet time that is no number is none", audio + "a=ptime:20.5\r\n",
			func(d *Description) any { return media(d).PTime }, 0,
		},
		{
			"ICE is read", audio + "a=ice-ufrag:u\r\na=ice-pwd:p\r\na=ice-options:ice2 trickle\r\n",
			func(d *Description) any { return media(d).ICE }, ICE{"u", "p", "ice2 trickle"},
		},
		{
			"a=ice-lite within media counts for the session", audio + "a=ice-lite\r\n",
			func(d *Description) any { return d.Sessions[0].ICELite }, true,
		},
		{
			"remote candidates are read up to a malformed one", audio + "a=remote-candidates:1 192.0.2.9 7 x\r\n",
			func(d *Description) any { return media(d).RemoteCandidates },
			[]RemoteCandidate{{1, mustAddr("192.0.2.9"), 7}},
		},
		{
			"formats of other protocols are text", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
			func(d *Description) any { return media(d).Formats }, []string{"webrtc-datachannel"},
		},
		{
			"doubled blanks of the m= line count once", "m=audio  5000   RTP/AVP  0  8 \r\n",
			func(d *Description) any { return payloadTypes(media(d)) }, []uint8{0, 8},
		},
		{"attributes without RTP are all kept and still understood",
			"m=image 1 udptl t38\r\na=T38FaxVersion:0\r\na=mid:f\r\na=inactive\r\n", func(d *Description) any {
				m := media(d)
				version, _ := m.Attribute("T38FaxVersion")
				return fmt.Sprint(m.Other, m.Mid, m.Direction, version.Value())
			}, "[T38FaxVersion:0 mid:f inactive]finactive0"},
		{
			"groups put BUNDLE first", "a=group:LS a b\r\na=group:BUNDLE a\r\na=group:\r\na=group:BUNDLE b\r\n",
			func(d *Description) any { return d.Sessions[0].Groups },
			[]Group{{"BUNDLE", []string{"a"}}, {"BUNDLE", []string{"b"}}, {"LS", []string{"a", "b"}}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.get(mustParse(t, head+test.text)); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func payloadTypes(m *Media) []uint8 {
	var list []uint8
	for _, c := range m.Codecs {
		list = append(list, c.PayloadType)
	}
	return list
}

func TestBlankLine(t *testing.T) {
	text := head + "m=audio 5000 RTP/AVP 0\r\n\r\nnot SDP at all\r\n"
	if got := len(mustParse(t, text).Media()); got != 1 {
		t.Errorf("%d media sections before the blank line, want 1", got)
	}
	d, err := Options{RejectBlank: true}.Parse(text)
	checkParseError(t, d, err, ErrSyntax, 7, "blank line")
	if _, err := (Options{RejectBlank: true}).Parse(head); err != nil {
		t.Errorf("without blank line: %v", err)
	}
}

func TestFragmentNeedsNoSession(t *testing.T) {
	text := "a=ice-ufrag:u\r\na=ice-pwd:p\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" +
		"a=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\na=end-of-candidates\r\n"
	d, err := Options{Fragment: true}.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	m := d.Sessions[0].Media[0]
	if m.Mid != "0" || len(m.Candidates) != 1 || !m.EndOfCandidates || m.ICEOf(d.Sessions[0]).Pwd != "p" {
		t.Errorf("got %s", dump(d))
	}
	d, err = Parse(text)
	checkParseError(t, d, err, ErrSyntax, 1, "does not start with v=0")
}

func TestMusicOnHoldAttribute(t *testing.T) {
	text := head + "a=on-hold\r\nm=audio 5000 RTP/AVP 0\r\na=on-hold\r\n"
	o := Options{MusicOnHold: "on-hold"}
	d, err := o.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if s := d.Sessions[0]; s.MusicOnHold != "on-hold" || len(s.Other) != 0 || len(s.Media[0].Other) != 0 {
		t.Errorf("got %s", dump(d))
	}
	checkRoundTrip(t, o, d)
	if s := mustParse(t, text).Sessions[0]; s.MusicOnHold != "" || len(s.Other) != 1 || len(s.Media[0].Other) != 1 {
		t.Error("attribute is known without the option")
	}
}
