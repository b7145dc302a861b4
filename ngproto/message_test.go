package ngproto

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
)

// kamailioOffer is an offer as Kamailio's rtpengine module sends it: keys in the order in which the module comes to
// them, the command last.
const kamailioOffer = "1523_42 d8:supportsl10:load limite3:sdp122:v=0\r\n" +
	"o=alice 4711 2 IN IP4 192.0.2.10\r\ns=a call\r\nt=0 0\r\nm=audio 2000 RTP/AVP 0\r\nc=IN IP4 192.0.2.10\r\n" +
	"a=sendrecv\r\na=caf\xe9\xff\r\n" +
	"3:ICE6:remove9:directionl3:foo3:bare5:flagsl13:trust-address11:SDES-no-pade7:replacel6:origin18:session-connectione" +
	"18:transport-protocol7:RTP/AVP7:call-id8:abc@host13:received-froml3:IP412:198.51.100.1e8:from-tag3:f-17:command5:offere"

// opensipsAnswer is an answer as OpenSIPS' rtpengine module sends it: the command first, numbers as integers.
const opensipsAnswer = "77_3 d7:command6:answer7:call-id5:c@o:18:from-tag1:a6:to-tag1:b3:sdp4:v=0\n8:rtcp-muxl5:demuxe" +
	"3:TOSi184e5:flagsl6:mirror10:SIP sourcee10:via-branch4:z9hGe"

func TestParseReadsWhatSIPProxiesSend(t *testing.T) {
	m, err := Parse([]byte(kamailioOffer))
	if err != nil {
		t.Fatal(err)
	}
	if m.Cookie != "1523_42" || m.Encoding != Bencode {
		t.Errorf("cookie %q, encoding %v", m.Cookie, m.Encoding)
	}
	var keys []string
	for _, e := range m.Dict {
		keys = append(keys, e.Key)
	}
	want := "supports sdp ICE direction flags replace transport-protocol call-id received-from from-tag command"
	if got := strings.Join(keys, " "); got != want {
		t.Errorf("keys come as %q, want them in the order received: %q", got, want)
	}
	if sdp := m.Dict.Text("sdp"); !strings.HasSuffix(sdp, "a=caf\xe9\xff\r\n") {
		t.Errorf("session description changed: %q", sdp)
	}
	r, err := ParseRequest(m.Dict)
	if err != nil {
		t.Fatal(err)
	}
	if err := Check(r); err != nil {
		t.Error(err)
	}
	if !r.Flags.LoadLimit || !r.Flags.TrustAddress || r.Flags.ICE != ICERemove || !r.Flags.Replace.Origin ||
		r.FromInterface != "foo" || r.ToInterface != "bar" || r.Transport != "RTP/AVP" || r.CallID != "abc@host" ||
		r.ReceivedFrom.String() != "198.51.100.1" || r.FromTag != "f-1" || r.Flags.SDES.No[0] != "pad" {
		t.Errorf("offer read as %+v", r)
	}

	m, err = Parse([]byte(opensipsAnswer))
	if err != nil {
		t.Fatal(err)
	}
	if r, err = ParseRequest(m.Dict); err != nil {
		t.Fatal(err)
	}
	if r.Command != Answer || r.ToTag != "b" || r.TOS.Or(0) != 184 || !r.Flags.RTCPMux.Demux || r.ViaBranch != "z9hG" {
		t.Errorf("answer read as %+v", r)
	}
	if want := []string{"mirror", "SIP source"}; !reflect.DeepEqual(r.Unknown, want) {
		t.Errorf("unknown flags %q, want %q", r.Unknown, want)
	}
}

func TestParseRefusesWithTheDocumentedReason(t *testing.T) {
	deep := func(open, close string) string {
		return strings.Repeat(open, MaxDepth+2) + strings.Repeat(close, MaxDepth+2)
	}
	cases := []struct {
		name, datagram, reason string
		enc                    Encoding
	}{
		{"nothing after the cookie", "1 ", ReasonNoPayload, Bencode},
		{"neither bencode nor JSON", "1 hello", ReasonBadFormat, Bencode},
		{"a list instead of a dictionary", "1 le", ReasonBadFormat, Bencode},
		{"a dictionary that does not end", "1 d1:a1:b", ReasonBadBencode, Bencode},
		{"a key without a value", "1 d1:ae", ReasonBadBencode, Bencode},
		{"a key that is an integer", "1 di1e1:be", ReasonBadBencode, Bencode},
		{"data after the dictionary", "1 dex", ReasonBadBencode, Bencode},
		{"a string longer than the message", "1 d1:a9:be", ReasonBadBencode, Bencode},
		{"a string length of twenty digits", "1 d99999999999999999999:be", ReasonBadBencode, Bencode},
		{"a string length beyond the cap", "1 d1:a16777217:be", ReasonBadBencode, Bencode},
		{"a negative string length", "1 d1:a-1:be", ReasonBadBencode, Bencode},
		{"a string length with a leading zero", "1 d1:a01:be", ReasonBadBencode, Bencode},
		{"an integer with a leading zero", "1 d1:ai03ee", ReasonBadBencode, Bencode},
		{"minus zero", "1 d1:ai-0ee", ReasonBadBencode, Bencode},
		{"a plus sign", "1 d1:ai+1ee", ReasonBadBencode, Bencode},
		{"an empty integer", "1 d1:aiee", ReasonBadBencode, Bencode},
		{"a minus sign alone", "1 d1:ai-ee", ReasonBadBencode, Bencode},
		{"an integer of more than 64 bits", "1 d1:ai9223372036854775808ee", ReasonBadBencode, Bencode},
		{"an integer that does not end", "1 d1:ai" + strings.Repeat("1", 1000), ReasonBadBencode, Bencode},
		{"lists nested too deep", "1 d1:a" + deep("l", "e") + "e", ReasonBadBencode, Bencode},
		{"more elements than the cap", "1 d1:al" + strings.Repeat("le", MaxElements) + "ee", ReasonBadBencode, Bencode},
		{"JSON that does not end", `1 {"a":1`, ReasonBadJSON, JSON},
		{"JSON with a key that is no string", `1 {1:1}`, ReasonBadJSON, JSON},
		{"JSON with a comma at the end", `1 {"a":1,}`, ReasonBadJSON, JSON},
		{"JSON with data behind it", `1 {} x`, ReasonBadJSON, JSON},
		{"JSON with a leading zero", `1 {"a":01}`, ReasonBadJSON, JSON},
		{"JSON with half a number", `1 {"a":1.}`, ReasonBadJSON, JSON},
		{"JSON with half an escape", `1 {"a":"\u00`, ReasonBadJSON, JSON},
		{"JSON with an unknown escape", `1 {"a":"\x"}`, ReasonBadJSON, JSON},
		{"JSON with a bare line break", "1 {\"a\":\"\n\"}", ReasonBadJSON, JSON},
		{"JSON with a line break behind an escape", "1 {\"a\":\"\\t\n\"}", ReasonBadJSON, JSON},
		{"JSON with an infinite number", `1 {"a":1e999}`, ReasonBadJSON, JSON},
		{"JSON nested too deep", `1 {"a":` + deep("[", "]") + `}`, ReasonBadJSON, JSON},
		{"JSON with more elements than the cap", `1 {"a":[` + strings.Repeat("1,", MaxElements) + `1]}`, ReasonBadJSON, JSON},
	}
	for _, c := range cases {
		m, err := Parse([]byte(c.datagram))
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.reason || m.Cookie != "1" || m.Encoding != c.enc {
			t.Errorf("%s: got %v, cookie %q, encoding %v; want %q in %v", c.name, err, m.Cookie, m.Encoding, c.reason, c.enc)
		}
	}
	for _, datagram := range []string{"", " ", " de", "cookie", "de", "\n"} {
		if _, err := Parse([]byte(datagram)); !errors.Is(err, ErrNoCookie) {
			t.Errorf("%q: got %v, want %v", datagram, err, ErrNoCookie)
		}
	}
}

func TestJSONValuesMapToWhatBencodeWouldSay(t *testing.T) {
	text := `{"z":"\u00e9\ud83d\ude00\ud83d\n\/","a":-12,"f":2.5,"whole":2e2,"yes":true,"no":false,"nil":null,` +
		`"list":[1,null,"x",[],{}],"raw":"` + "\xff" + `","big":18446744073709551616}` + "\r\n"
	m, err := ParsePlain([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Dict{
		{"z", String("é😀\ufffd\n/")}, {"a", Int(-12)}, {"f", Float(2.5)}, {"whole", Float(200)}, {"yes", String("yes")},
		{"no", String("no")}, {"list", List(Int(1), String("x"), List(), Map(nil))}, {"raw", String("\xff")},
		{"big", Float(18446744073709551616)},
	}
	if !reflect.DeepEqual(m.Dict, want) {
		t.Errorf("got  %+v\nwant %+v", m.Dict, want)
	}
	if n, ok := m.Dict.Int("whole"); n != 200 || !ok {
		t.Errorf("2e2 as an integer: %d, %v", n, ok)
	}
	if _, ok := m.Dict.Int("big"); ok {
		t.Error("2^64 passes as an integer")
	}
}

func TestLookupsSeeTheLastOfRepeatedKeys(t *testing.T) {
	m, err := Parse([]byte("1 d1:a1:x1:b2:-71:ai5ee"))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := m.Dict.Int("a"); n != 5 || !ok {
		t.Errorf("a = %d, %v; want the later value 5", n, ok)
	}
	if n, ok := m.Dict.Int("b"); n != -7 || !ok {
		t.Errorf("b = %d, %v; want the decimal string as -7", n, ok)
	}
	if m.Dict.Has("c") || m.Dict.Text("c") != "" || m.Dict.List("a") != nil || m.Dict.Dict("a") != nil {
		t.Error("a missing key or another kind gives something")
	}
}

func TestMessagesComeBackUnchangedFromBothEncodings(t *testing.T) {
	d := Dict{
		{"z", String("\x00\"\\\n\r\t\x1f é\xfe")}, {"command", String("offer")}, {"n", Int(-42)}, {"empty", String("")},
		{"list", List(String("a"), Int(1), List(), Map(Dict{{"y", Int(0)}, {"x", String("1")}}))}, {"none", Map(nil)},
	}
	for _, enc := range []Encoding{Bencode, JSON} {
		datagram := EncodeRequest("c_1", d, enc)
		m, err := Parse(datagram)
		if err != nil {
			t.Fatalf("%v: %v in %q", enc, err, datagram)
		}
		if m.Cookie != "c_1" || m.Encoding != enc || !reflect.DeepEqual(m.Dict, d) {
			t.Errorf("%v: got %+v", enc, m)
		}
	}
}

func TestRepliesAreSortedAndReadableByAnyone(t *testing.T) {
	r := OK().Set("sdp", String("v=0\r\n")).Set("created", Int(7)).Set("tags", Map(Dict{{"b", Float(1.5)}, {"a", List()}}))
	r.Set("created", Int(8))
	cases := []struct {
		name  string
		reply *Reply
		enc   Encoding
		want  string
	}{
		{"pong in bencode", Pong(), Bencode, "1 d6:result4:ponge"},
		{"pong in JSON", Pong(), JSON, `1 {"result":"pong"}`},
		{"an error has its reason only", Failure(ReasonNoSDP), Bencode,
			"1 d12:error-reason22:No SDP body in message6:result5:errore"},
		{"a warning is ok", Warning("<w>"), JSON, `1 {"result":"ok","warning":"<w>"}`},
		{"a limit has its message", LoadLimit(ReasonLoadLimit), JSON,
			`1 {"message":"Load limit exceeded","result":"load limit"}`},
		{"nested values in bencode", r, Bencode, "1 d7:createdi8e6:result2:ok3:sdp5:v=0\r\n4:tagsd1:ale1:b3:1.5ee"},
		{"nested values in JSON", r, JSON, `1 {"created":8,"result":"ok","sdp":"v=0\r\n","tags":{"a":[],"b":1.5}}`},
		{"bytes that are not UTF-8", OK().Set("s", String("\xff")), JSON, "1 {\"result\":\"ok\",\"s\":\"\xff\"}"},
	}
	for _, c := range cases {
		got := string(c.reply.Encode("1", c.enc))
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		var any map[string]any
		var err error
		if c.enc == JSON {
			err = json.Unmarshal([]byte(got[2:]), &any)
		} else {
			err = bencode.Unmarshal([]byte(got[2:]), &any)
		}
		if err != nil || any["result"] == nil {
			t.Errorf("%s: another decoder says %v, %v", c.name, any, err)
		}
		if plain := string(c.reply.Encode("", c.enc)); plain != c.want[2:] {
			t.Errorf("%s without a cookie: got %q", c.name, plain)
		}
	}
}

// FuzzParse: whatever comes in, Parse gives an error of the documented kind, or a dictionary that comes back unchanged
// from both encodings; and what the reference decoder takes as canonical bencode, Parse takes as well.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		kamailioOffer, opensipsAnswer, "1 d7:command4:pinge", `1 {"command":"ping","l":[1,-2.5,true,null,"\u00e9"]}`,
		"1 d1:ai-0ee", "1 d1:b0:1:ai00ee", "1 " + strings.Repeat("d1:a", 40), "x", " x", "1 {",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m, err := Parse(datagram)
		var e *Error
		switch {
		case errors.Is(err, ErrNoCookie):
			return
		case errors.As(err, &e):
			payload := datagram[len(m.Cookie)+1:]
			if len(payload) >= MaxElements {
				return // it may well hold too much
			}
			if m.Encoding == Bencode && canonicalBencode(payload) {
				t.Fatalf("canonical bencode refused: %q", payload)
			}
			if m.Encoding == JSON && json.Valid(payload) && !tooMuchJSON(payload) {
				t.Fatalf("valid JSON refused: %q", payload)
			}
			return
		case err != nil:
			t.Fatalf("unexpected error %v", err)
		}
		if m.Encoding == JSON && !json.Valid(datagram[len(m.Cookie)+1:]) {
			t.Fatalf("invalid JSON accepted: %q", datagram)
		}
		for _, enc := range []Encoding{Bencode, JSON} {
			again, err := Parse(EncodeRequest(m.Cookie, m.Dict, enc))
			if err != nil || !sameText(Map(m.Dict), Map(again.Dict)) {
				t.Fatalf("%v round trip: %v\n%+v\n%+v", enc, err, m.Dict, again.Dict)
			}
		}
		var reference map[string]any
		if err := bencode.Unmarshal((&Reply{m.Dict}).Encode("", Bencode), &reference); err != nil {
			t.Fatalf("reference decoder refuses our reply: %v", err)
		}
		if r, err := ParseRequest(m.Dict); err == nil {
			_ = Check(r)
		} else if !errors.As(err, &e) {
			t.Fatalf("request error of another kind: %v", err)
		}
	})
}

// canonicalBencode reports whether the reference decoder takes text as a dictionary of allowed depth whose only form it
// is.
func canonicalBencode(text []byte) bool {
	var v map[string]any
	if bencode.Unmarshal(text, &v) != nil || depth(v) > MaxDepth {
		return false
	}
	again, err := bencode.Marshal(v)
	return err == nil && string(again) == string(text)
}

// depth returns how far lists and dictionaries are nested below the outermost.
func depth(v any) int {
	deepest := -1
	switch v := v.(type) {
	case map[string]any:
		for _, item := range v {
			deepest = max(deepest, depth(item))
		}
	case []any:
		for _, item := range v {
			deepest = max(deepest, depth(item))
		}
	}
	return deepest + 1
}

// native turns a value into what other encoders understand: they keep one key of several, in their own order.
func native(v Value, enc Encoding) any {
	switch v.kind {
	case KindInt:
		return v.num
	case KindFloat:
		if enc == JSON {
			return v.float()
		}
		return v.Text()
	case KindList:
		items := make([]any, len(v.list))
		for i, item := range v.list {
			items[i] = native(item, enc)
		}
		return items
	case KindDict:
		entries := make(map[string]any, len(v.dict))
		for _, e := range v.dict {
			entries[e.Key] = native(e.Value, enc)
		}
		return entries
	}
	return v.str
}

func TestRepliesAreEncodedAsByOthers(t *testing.T) {
	d := OK().Set("b", Strings("x", "", "\xff")).Set("a", Map(Dict{
		{"z", Int(-5)}, {"k", String("first")}, {"k", String("last")}, {"", List(List(), Map(nil), Float(0.25))},
	})).Set("\"quoted\"", String("line\r\n\ttab \x01 \\ ü <&>")).Dict
	want, err := bencode.Marshal(native(Map(d), Bencode))
	if err != nil {
		t.Fatal(err)
	}
	if got := (&Reply{d}).Encode("", Bencode); string(got) != string(want) {
		t.Errorf("bencode\n%q\nwant\n%q", got, want)
	}
	d.Set("b", Strings("x", ""))
	got := (&Reply{d}).Encode("", JSON)
	var reference any
	if err := json.Unmarshal(got, &reference); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(native(Map(d), JSON)); err != nil {
		t.Fatal(err)
	}
	if string(got)+"\n" != b.String() {
		t.Errorf("JSON\n%s\nwant\n%s", got, &b)
	}
}

// tooMuchJSON reports whether valid JSON exceeds what the package takes: depth, or the range of a float.
func tooMuchJSON(text []byte) bool {
	var v any
	return json.Unmarshal(text, &v) != nil || depth(v) > MaxDepth
}

// sameText reports whether values are the same once floats are read as text, as bencode carries them.
func sameText(a, b Value) bool {
	switch {
	case a.scalar() && b.scalar():
		if f, ok := a.Float(); ok && a.kind == KindFloat {
			g, ok := b.Float()
			return ok && f == g
		}
		return a.Text() == b.Text()
	case a.kind != b.kind || len(a.list) != len(b.list) || len(a.dict) != len(b.dict):
		return false
	}
	for i := range a.list {
		if !sameText(a.list[i], b.list[i]) {
			return false
		}
	}
	for i := range a.dict {
		if a.dict[i].Key != b.dict[i].Key || !sameText(a.dict[i].Value, b.dict[i].Value) {
			return false
		}
	}
	return true
}

func BenchmarkParseOffer(b *testing.B) {
	sdp := strings.Repeat("a=rtpmap:96 opus/48000/2\r\n", 20)
	more := "1:x" + string(appendBencodeString(nil, sdp)) + "8:from-tag"
	datagram := []byte(strings.Replace(kamailioOffer, "8:from-tag", more, 1))
	b.ReportAllocs()
	b.SetBytes(int64(len(datagram)))
	for b.Loop() {
		if _, err := Parse(datagram); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	m, err := Parse([]byte(kamailioOffer))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(m.Dict); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeReply(b *testing.B) {
	sdp := strings.Repeat("a=rtpmap:96 opus/48000/2\r\n", 25)
	b.ReportAllocs()
	for b.Loop() {
		_ = OK().Set("sdp", String(sdp)).Encode("1523_42", Bencode)
	}
}
