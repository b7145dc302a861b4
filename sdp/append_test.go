package sdp

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

func TestComposedDescription(t *testing.T) {
	audio := &Media{
		Type: "audio", Port: 30000, Protocol: ProtoAVP,
		Codecs:  []Codec{{PayloadType: 8, Name: "PCMA", ClockRate: 8000, Channels: 1}, {PayloadType: 77}},
		RTCP:    &RTCP{Port: 30001, Addr: mustAddr("203.0.113.1")},
		PTime:   20,
		RTCPMux: true,
	}
	audio.Conn = &Connection{Addr: mustAddr("203.0.113.1")}
	audio.Direction = SendRecv
	audio.Appended = []Attribute{"last:1", "last:2"}
	refused := &Media{Type: "video", Protocol: ProtoTLSSAVPF, Codecs: []Codec{{PayloadType: 96, Name: "VP8"}}, Mid: "v"}
	refused.Conn = &Connection{Addr: mustAddr("2001:db8::1")}
	refused.Direction = SendRecv
	placeholder := &Media{Type: "audio", Protocol: ProtoAVP, Codecs: []Codec{{PayloadType: 0, Name: "PCMU"}}}
	s := &Session{
		Name: "weir", LoopProtect: "0123456789ab", MusicOnHold: "on-hold", ICELite: true,
		Groups: []Group{{Semantics: "LS", Mids: []string{"a", "v"}}, {Semantics: "BUNDLE", Mids: []string{"v"}}},
		Media:  []*Media{audio, refused, placeholder},
	}
	s.Other = []Attribute{"tool:x"}
	s.Appended = []Attribute{"added"}
	d := &Description{Sessions: []*Session{s}}
	want := `v=0
o=- 0 0 IN IP4 0.0.0.0
s=weir
t=0 0
a=rtpengine:0123456789ab
a=on-hold
a=ice-lite
a=group:BUNDLE v
a=group:LS a v
a=tool:x
a=added
m=audio 30000 RTP/AVP 8 77
c=IN IP4 203.0.113.1
a=rtpmap:8 PCMA/8000
a=sendrecv
a=rtcp:30001 IN IP4 203.0.113.1
a=rtcp-mux
a=ptime:20
a=last:1
a=last:2
m=video 0 UDP/TLS/RTP/SAVPF 96
c=IN IP6 ::
a=mid:v
m=audio 0 RTP/AVP 0
`
	if got := d.String(); got != crlf(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := string(d.Append([]byte("before "))); got != "before "+crlf(want) {
		t.Errorf("appended to a text:\n%s", got)
	}
}

func TestEditSeesEveryAttributeLine(t *testing.T) {
	d := mustParse(t, head+"a=tool:x\r\na=gone\r\nm=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"+
		"a=fmtp:101 0-16\r\na=sendrecv\r\na=ptime:20\r\na=x\r\n")
	audio := d.Sessions[0].Media[0]
	got := string(d.AppendEdited(nil, func(m *Media, attribute string) (string, bool) {
		if m != nil && m != audio {
			t.Errorf("unknown section %v", m)
		}
		switch {
		case m == nil && attribute == "gone", m != nil && (attribute == "sendrecv" || attribute == "ptime:20"):
			return "", false
		case m != nil && strings.HasPrefix(attribute, "fmtp:101 "):
			return "fmtp:101 0-15", true
		}
		return attribute, true
	}))
	want := `v=0
o=- 1 2 IN IP4 192.0.2.1
s=-
t=0 0
a=tool:x
m=audio 5000 RTP/AVP 0 101
c=IN IP4 192.0.2.1
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=x
`
	if got != crlf(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRandomDescriptionsSurvivePrintingAndParsing(t *testing.T) {
	for seed := range uint64(2000) {
		g := generator{rand.New(rand.NewPCG(seed, 0))}
		d := g.description()
		checkRoundTrip(t, Options{}, d)
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	for _, g := range goldens(t) {
		d := mustParse(t, g.input)
		c := d.Clone()
		if !reflect.DeepEqual(c, d) {
			t.Errorf("%s: clone differs:\n%s", g.name, c)
		}
		if path := shared(reflect.ValueOf(d), reflect.ValueOf(c), "d"); path != "" {
			t.Errorf("%s: clone shares %s", g.name, path)
		}
	}
}

// shared returns the path of the first pointer or slice that two values have in common. Text is never written to, and
// netip.Addr keeps its pointer to itself.
func shared(a, b reflect.Value, path string) string {
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice:
		if a.IsNil() || a.Kind() == reflect.Slice && a.Cap() == 0 {
			return ""
		}
		if a.Pointer() == b.Pointer() {
			return path
		}
		if a.Kind() == reflect.Pointer {
			return shared(a.Elem(), b.Elem(), path)
		}
		for i := range a.Len() {
			if p := shared(a.Index(i), b.Index(i), path+"[]"); p != "" {
				return p
			}
		}
	case reflect.Struct:
		if a.Type() == reflect.TypeOf(mustAddr("::")) {
			return ""
		}
		for i := range a.NumField() {
			if p := shared(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name); p != "" {
				return p
			}
		}
	}
	return ""
}
