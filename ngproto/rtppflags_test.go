package ngproto

import (
	"reflect"
	"strings"
	"testing"
)

func TestFlagStringGrammar(t *testing.T) {
	words := func(w ...string) Value { return Strings(w...) }
	cases := []struct {
		name, text string
		want       []flagItem
		broken     []string
	}{
		{"nothing", " \t ", nil, nil},
		{"bare words", "a  b-c\tD",
			[]flagItem{{"a", "", String("a")}, {"b-c", "", String("b-c")}, {"D", "", String("D")}}, nil},
		{"a value holds everything up to the blank", "k=a=b,c]", []flagItem{{"k=a=b,c]", "k", String("a=b,c]")}}, nil},
		{"a list", "k=[a b]", []flagItem{{"k=[a b]", "k", words("a", "b")}}, nil},
		{"an empty list", "k=[]", []flagItem{{"k=[]", "k", List()}}, nil},
		{"a dictionary in a dictionary", "k=[x=[add=[1 2]] y=z]", []flagItem{{"k=[x=[add=[1 2]] y=z]", "k",
			Map(Dict{{"x", Map(Dict{{"add", words("1", "2")}})}, {"y", String("z")}})}}, nil},
		{"a list of lists", "k=[[a b] [c d]]",
			[]flagItem{{"k=[[a b] [c d]]", "k", List(words("a", "b"), words("c", "d"))}}, nil},
		{"pairs among words are words", "k=[a b=c]", []flagItem{{"k=[a b=c]", "k", words("a", "b=c")}}, nil},
		{"blanks inside the brackets", "k=[ a  b ] l=[ ]", []flagItem{{"k=[ a  b ]", "k", words("a", "b")}, {"l=[ ]", "l", List()}}, nil},
		{"blanks around the equals sign spoil both sides", "k=  [a=[ b = [c]] d] e=f",
			[]flagItem{{"e=f", "e", String("f")}}, []string{"k=", "[a=[ b = [c]] d]"}},
		{"a bracket that does not close", "a k=[b c", []flagItem{{"a", "", String("a")}}, []string{"k=[b c"}},
		{"a bracket without a key", "[a] b", []flagItem{{"b", "", String("b")}}, []string{"[a]"}},
		{"a value without a key", "=a b", []flagItem{{"b", "", String("b")}}, []string{"=a"}},
	}
	for _, c := range cases {
		s := flagString{text: c.text}
		var got []flagItem
		for item, ok := s.next(); ok; item, ok = s.next() {
			got = append(got, item)
		}
		if !reflect.DeepEqual(got, c.want) || !reflect.DeepEqual(s.broken, c.broken) {
			t.Errorf("%s: got %+v, left out %q\nwant %+v, left out %q", c.name, got, s.broken, c.want, c.broken)
		}
	}
}

func TestFlagStringsSetWhatKeysAndFlagsSet(t *testing.T) {
	cases := []struct {
		text string
		same Dict
	}{
		{"replace-origin strict-source label=caller OSRTP-accept address-family=IP4 transport-protocol=RTP/AVP", Dict{
			{"flags", Strings("replace-origin", "strict-source", "OSRTP-accept")}, {"label", String("caller")},
			{"address family", String("IP4")}, {"transport protocol", String("RTP/AVP")}}},
		{"codec-accept=PCMU codec-strip=[a b] transcode-c codec=[mask=[d] offer=[e]]", Dict{
			{"codec", Map(Dict{{"accept", Strings("PCMU")}, {"strip", Strings("a", "b")}, {"transcode", Strings("c")},
				{"mask", Strings("d")}, {"offer", Strings("e")}})}}},
		{"rtcp-mux=[offer require] SDES=off T.38-decode generate-mid", Dict{
			{"rtcp-mux", Strings("offer", "require")}, {"SDES", Strings("off")}, {"T.38", Strings("decode")},
			{"flags", Strings("generate mid")}}},
		{"direction=foo direction=bar", Dict{{"direction", Strings("foo", "bar")}}},
		{"direction=[foo bar]", Dict{{"direction", Strings("foo", "bar")}}},
		{"internal external", Dict{{"direction", Strings("internal", "external")}}},
		{"SDP-attr=[audio=[remove=[test] add=[foo bar]] global=[remove=[quux]]]", Dict{{"sdp-attr", Map(Dict{
			{"audio", Map(Dict{{"remove", Strings("test")}, {"add", Strings("foo", "bar")}})},
			{"none", Map(Dict{{"remove", Strings("quux")}})}})}}},
		{"digit=3 frequency=344 frequencies=[123]", Dict{{"digit", Int(3)}, {"frequencies", List(Int(123))}}},
		{"media-address=[2001:db8::1] flags=[fatal fast]", Dict{{"media-address", String("2001:db8::1")},
			{"flags", Strings("fatal", "fast")}}},
		{"to-tag=x from-tag=y", Dict{{"to-tag", String("x")}, {"from-tag", String("y")},
			{"flags", Strings("to-tag", "directional")}}},
		{"to_tag=x", Dict{{"to-tag", String("x")}, {"flags", Strings("to-tag")}}},
		{"SRTP AVPF", Dict{{"transport-protocol", String("RTP/SAVPF")}}},
		{"DTLS AVP", Dict{{"transport-protocol", String("UDP/TLS/RTP/SAVP")}}},
		{"DTLS RTP AVPF", Dict{{"transport-protocol", String("RTP/AVPF")}}},
		{"UDP/TLS/RTP/SAVPF AVP", Dict{{"transport-protocol", String("UDP/TLS/RTP/SAVP")}}},
		{"RTP/SAVP", Dict{{"transport-protocol", String("RTP/SAVP")}}},
		{"codec-set-iLBC/8000/1///mode=30", Dict{{"flags", Strings("codec-set-iLBC/8000/1///mode--30")}}},
	}
	for _, c := range cases {
		got := request(t, Offer, Entry{"rtpp-flags", String(c.text)})
		want := request(t, Offer, c.same...)
		want.RTPPFlags = true
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", c.text, got, want)
		}
	}
}

func TestMalformedFlagStringKeepsWhatMakesSense(t *testing.T) {
	r := request(t, Offer, Entry{"rtpp-flags", String("replace=[ origin ] sdp-attr = [video=[add = [x]]] rtcp-mux=[offer] =y")})
	if !r.Flags.Replace.Origin || len(r.SDPAttr) != 0 || !r.Flags.RTCPMux.Offer || len(r.Warnings) != 3 {
		t.Errorf("read as %+v", r)
	}
}

func TestTemplatesComeBeforeTheKeysOfTheMessage(t *testing.T) {
	p := Parser{Templates: map[string]string{
		"default": "ICE=force label=default TOS=8", "offer": "label=offer", "browser": "DTLS AVPF",
		"loop": "template=loop",
	}}
	parse := func(d Dict) *Request {
		t.Helper()
		r, err := p.Parse(d)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := parse(Dict{{"TOS", Int(0)}, {"command", String("offer")}, {"template", String("browser")}})
	if r.Flags.ICE != ICEForce || r.Label != "offer" || r.TOS != (Number{0, true}) ||
		r.Transport != "UDP/TLS/RTP/SAVPF" || r.RTPPFlags {
		t.Errorf("offer read as %+v", r)
	}
	if r = parse(Dict{{"command", String("answer")}}); r.Label != "default" {
		t.Errorf("answer has the label %q", r.Label)
	}
	if r = parse(Dict{{"command", String("query")}}); r.Flags.ICE != ICEDefault {
		t.Error("query takes flags")
	}
	r = parse(Dict{{"command", String("delete")}, {"rtpp-flags", String("template=loop fatal")}})
	if !r.Flags.Fatal || len(r.Warnings) != 1 {
		t.Errorf("a template that names itself: %+v", r)
	}
}

// FuzzRTPPFlags: whatever a flag string holds, reading it ends, keeps to the caps, and covers the text in order.
func FuzzRTPPFlags(f *testing.F) {
	for _, seed := range []string{
		"replace-origin via-branch=auto-next strict-source label=callee OSRTP-accept transport-protocol=RTP/AVP",
		"codec=[transcode=[PCMA PCMU] accept=[AMR-WB AMR] strip=[EVS]]", "SDP-attr=  [audio=[ remove = [ x ] ]] a=[b",
		"k=[[a b] [c d]] []=[] =[=] ]", strings.Repeat("a=[", 50), "rtpp-flags=a template=b SRTP internal",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := flagString{text: text}
		size := 0
		for item, ok := s.next(); ok; item, ok = s.next() {
			if item.text == "" || !strings.Contains(text, item.text) {
				t.Fatalf("item %q is not in %q", item.text, text)
			}
			size += len(item.text)
			if depth(native(item.value, Bencode)) > MaxDepth {
				t.Fatalf("nested too deep: %q", item.text)
			}
		}
		for _, b := range s.broken {
			size += len(b)
		}
		blanks := strings.Count(text, " ") + strings.Count(text, "\t") + strings.Count(text, "\r") + strings.Count(text, "\n")
		if size > len(text) || size+blanks < len(text) {
			t.Fatalf("items cover %d bytes of %d", size, len(text))
		}
		r, err := ParseRequest(Dict{{"command", String("offer")}, {"rtpp-flags", String(text)}})
		if err == nil && (len(r.Unknown) > maxNotes || len(r.Warnings) > maxNotes) {
			t.Fatal("notes exceed their cap")
		}
	})
}
