package ngproto

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// request parses a request of the given command with further keys.
func request(t *testing.T, cmd Command, more ...Entry) *Request {
	t.Helper()
	r, err := ParseRequest(append(Dict{{"command", String(string(cmd))}}, more...))
	if err != nil {
		t.Fatalf("%s %+v: %v", cmd, more, err)
	}
	return r
}

func TestCommandsAreKnownByTheirExactName(t *testing.T) {
	if n := len(Commands()); n != 33 {
		t.Errorf("%d commands, want 33", n)
	}
	shorts := make(map[string]bool)
	for _, c := range Commands() {
		if r := request(t, c); r.Command != c {
			t.Errorf("%q read as %q", c, r.Command)
		}
		if c.Short() == "" || shorts[c.Short()] {
			t.Errorf("%q has the short name %q of another or none", c, c.Short())
		}
		shorts[c.Short()] = true
	}
	if r := request(t, "CLI"); r.Command != CLI {
		t.Errorf("CLI read as %q", r.Command)
	}
	cases := []struct {
		name   string
		d      Dict
		reason string
	}{
		{"no command", Dict{{"call-id", String("x")}}, ReasonNoCommand},
		{"a command that is no string", Dict{{"command", Int(1)}}, ReasonNoCommand},
		{"a command in capitals", Dict{{"command", String("OFFER")}}, ReasonUnknownCommand},
		{"an empty command", Dict{{"command", String("")}}, ReasonUnknownCommand},
	}
	for _, c := range cases {
		_, err := ParseRequest(c.d)
		if e := new(Error); !errors.As(err, &e) || e.Reason != c.reason {
			t.Errorf("%s: got %v, want %q", c.name, err, c.reason)
		}
	}
}

func TestMissingKeysAreReportedInTheDocumentedOrder(t *testing.T) {
	give := map[string]Entry{
		ReasonNoSDP:    {"sdp", String("v=0")},
		ReasonNoCallID: {"call-id", String("c")}, ReasonNoFromTag: {"from-tag", String("f")},
		ReasonNoToTag: {"to-tag", String("t")}, ReasonNoSourceTag: {"source-tag", String("s")},
		ReasonNoBody: {"body", String("b")},
	}
	sdp, call, from, to, source := ReasonNoSDP, ReasonNoCallID, ReasonNoFromTag, ReasonNoToTag, ReasonNoSourceTag
	want := map[Command][]string{
		Ping: {}, Offer: {sdp, call, from}, Answer: {sdp, call, from, to}, Delete: {call}, Query: {call}, ListCalls: {},
		StartRecording: {call}, StopRecording: {call}, PauseRecording: {call}, StartForwarding: {call},
		StopForwarding: {call}, BlockDTMF: {call}, UnblockDTMF: {call}, BlockMedia: {call}, UnblockMedia: {call},
		SilenceMedia: {call}, UnsilenceMedia: {call}, PlayMedia: {call}, StopMedia: {call}, PlayDTMF: {call},
		Statistics: {}, Publish: {sdp}, SubscribeRequest: {call}, SubscribeAnswer: {call, to, sdp}, Unsubscribe: {call, to},
		InjectStart: {call, to, source}, InjectStop: {call, to, source}, Connect: {call, to}, Create: {},
		CreateAnswer: {sdp, call, from}, Mesh: {}, Transform: {}, CLI: {ReasonNoBody},
	}
	for _, c := range Commands() {
		var given []Entry
		for _, reason := range want[c] {
			err := Check(request(t, c, given...))
			if e := new(Error); !errors.As(err, &e) || e.Reason != reason {
				t.Errorf("%s with %+v: got %v, want %q", c, given, err, reason)
			}
			given = append(given, give[reason])
		}
		if err := Check(request(t, c, given...)); err != nil {
			t.Errorf("%s with all it needs: %v", c, err)
		}
	}
	if err := Check(request(t, Offer, Entry{"sdp", String("")}, give[call], Entry{"from-tag", String("")})); err != nil {
		t.Errorf("an offer with an empty description and tag is not for Check to refuse: %v", err)
	}
	if err := Check(request(t, Publish, Entry{"sdp", String("")})); err == nil {
		t.Error("publish with an empty description passes")
	}
}

func TestFlagsThatEndInAValue(t *testing.T) {
	cases := []struct {
		flag string
		want func(*Request) bool
	}{
		{"endpoint-learning-delayed", func(r *Request) bool { return r.Flags.EndpointLearning == LearnDelayed }},
		{"from-tags-a-b", func(r *Request) bool { return r.FromTags[0] == "a-b" }},
		{"OSRTP-accept-RFC", func(r *Request) bool { return r.Flags.OSRTP == OSRTP{AcceptRFC: true} }},
		{"replace-zero-address", func(r *Request) bool { return r.Flags.Replace == Replace{ZeroAddress: true} }},
		{"rtcp-mux-require", func(r *Request) bool { return r.Flags.RTCPMux == RTCPMux{Offer: true, Require: true} }},
		{"BUNDLE-strict", func(r *Request) bool { return r.Flags.Bundle.Strict && r.Flags.GenerateMID }},
		{"codec-except-PCMA", func(r *Request) bool { return r.Codec.Except[0].Name == "PCMA" }},
		{"codec-offer-opus/48000/2", func(r *Request) bool { return r.Codec.Offer[0].Channels == 2 }},
		{"codec-strip-all", func(r *Request) bool { return r.Codec.Strip[0].Name == "all" }},
		{"codec-ignore-96", func(r *Request) bool { return r.Codec.Ignore[0].PayloadType == 96 }},
		{"codec-accept-G722", func(r *Request) bool { return r.Codec.Accept[0].Name == "G722" }},
		{"codec-consume-speex", func(r *Request) bool { return r.Codec.Consume[0].Name == "speex" }},
		{"codec-set-AMR/8000/1/7400", func(r *Request) bool { return r.Codec.Set[0].Bitrate == 7400 }},
		{"codec-transcode-G729", func(r *Request) bool { return r.Codec.Transcode[0].Name == "G729" }},
		{"transcode-iLBC/8000/1///mode--30", func(r *Request) bool { return r.Codec.Transcode[0].Format == "mode=30" }},
		{"codec-mask-full", func(r *Request) bool { return r.Codec.Mask[0].Name == "full" }},
		{"SDES-nonew", func(r *Request) bool { return r.Flags.SDES.NoNew }},
		{"SDES-no-NULL_HMAC_SHA1_32", func(r *Request) bool { return r.Flags.SDES.No[0] == "NULL_HMAC_SHA1_32" }},
		{"SDES-only-AES_CM_128_HMAC_SHA1_80", func(r *Request) bool { return len(r.Flags.SDES.Only) == 1 }},
		{"SDES-order:A;B;", func(r *Request) bool { return reflect.DeepEqual(r.Flags.SDES.Order, []string{"A", "B"}) }},
		{"SDES-offerer_pref:C;", func(r *Request) bool { return reflect.DeepEqual(r.Flags.SDES.Offerer, []string{"C"}) }},
		{"T.38-no-V.27ter", func(r *Request) bool { return r.Flags.T38.NoV27ter }},
		{"T38-decode", func(r *Request) bool { return r.Flags.T38.Decode }},
		{"sdp-attr-add-audio-ptime:20", func(r *Request) bool {
			return reflect.DeepEqual(r.SDPAttr, []AttrChanges{{Scope: "audio", Add: []string{"ptime:20"}}})
		}},
		{"sdp-attr-remove-none-x--y", func(r *Request) bool {
			return reflect.DeepEqual(r.SDPAttr, []AttrChanges{{Scope: "global", Remove: []string{"x=y"}}})
		}},
		{"sdp-attr-substitute-audio-fmtp:101..0-16>fmtp:101..0-15,32,36", func(r *Request) bool {
			return reflect.DeepEqual(r.SDPAttr[0].Substitute, []Substitution{{"fmtp:101 0-16", "fmtp:101 0-15,32,36"}})
		}},
	}
	for _, c := range cases {
		r := request(t, Offer, Entry{"flags", Strings(c.flag)})
		if len(r.Unknown)+len(r.Warnings) != 0 || !c.want(r) {
			t.Errorf("%q read as %+v", c.flag, r)
		}
	}
	for _, flag := range []string{
		"codec-strip-", "replace-all", "SDES-x", "sdp-attr-add-planet-x", "sdp-attr-add-audio", "nonsense", "Symmetric",
	} {
		r := request(t, Offer, Entry{"flags", Strings(flag)})
		if len(r.Unknown) != 1 {
			t.Errorf("%q: unknown words are %q", flag, r.Unknown)
		}
	}
}

func TestFlagsMayComeAsOneStringWithCommas(t *testing.T) {
	r := request(t, Offer, Entry{"flags", String("fatal,trust address,codec-strip-PCMU")},
		Entry{"rtcp-mux", String("demux,accept")})
	if !r.Flags.Fatal || !r.Flags.TrustAddress || len(r.Codec.Strip) != 1 ||
		r.Flags.RTCPMux != (RTCPMux{Demux: true, Accept: true}) {
		t.Errorf("read as %+v", r)
	}
}

func TestLaterSettingsWin(t *testing.T) {
	r := request(t, Offer, Entry{"flags", Strings("WebRTC", "trust-address")}, Entry{"ICE", String("remove")},
		Entry{"transport-protocol", String("RTP/AVP")}, Entry{"flags", Strings("SIP-source-address")},
		Entry{"DTLS", Strings("passive", "active")})
	if r.Flags.ICE != ICERemove || r.Transport != "RTP/AVP" || !r.Flags.SIPSourceAddress || r.Flags.TrustAddress ||
		!r.Flags.SDES.Off || r.Flags.DTLS.Passive || !r.Flags.DTLS.Active {
		t.Errorf("read as %+v", r)
	}
	r = request(t, Offer, Entry{"drop-traffic", String("stop")}, Entry{"drop-traffic", String("start")})
	if r.Flags.DropTraffic != DropStop {
		t.Error("start beats stop")
	}
}

func TestSettingsWithoutEffectInACommandAreSilent(t *testing.T) {
	codec := Map(Dict{{"strip", Strings("a")}, {"transcode", Strings("b")}, {"mask", Strings("c")},
		{"accept", Strings("d")}})
	r := request(t, Answer, Entry{"codec", codec}, Entry{"flags", Strings("codec-set-x", "T.38-decode")},
		Entry{"ptime", Int(30)}, Entry{"DTLS", String("passive")}, Entry{"transport-protocol", String("accept")})
	want := Codecs{Strip: []Codec{{Text: "a", Name: "a", PayloadType: -1}}}
	if !reflect.DeepEqual(r.Codec, want) || r.Ptime.Set || r.Flags.DTLS.Passive || r.Flags.T38.Decode || !r.AcceptProto {
		t.Errorf("answer read as %+v", r)
	}
	if len(r.Unknown)+len(r.Warnings) != 0 {
		t.Errorf("unknown %q, warnings %q", r.Unknown, r.Warnings)
	}
	q := request(t, Query, Entry{"call id", String("x")}, Entry{"to-tag", String("y")}, Entry{"flags", Strings("fatal")})
	if q.CallID != "" || q.ToTag != "y" || q.Flags.Fatal || len(q.Unknown) != 2 {
		t.Errorf("query reads only the literal keys, got %+v", q)
	}
}

func TestCodecSpecifications(t *testing.T) {
	cases := map[string]Codec{
		"PCMU": {Text: "PCMU", Name: "PCMU", PayloadType: -1},
		"8":    {Text: "8", Name: "8", PayloadType: 8},
		"300":  {Text: "300", Name: "300", PayloadType: -1},
		"opus/48000/2/32000": {Text: "opus/48000/2/32000", Name: "opus", PayloadType: -1, ClockRate: 48000, Channels: 2,
			Bitrate: 32000},
		"G729/8000////annexb--no": {Text: "G729/8000////annexb=no", Name: "G729", PayloadType: -1, ClockRate: 8000,
			Format: "annexb=no"},
		"x/8000/1//40/a..b/c--1/d--2": {Text: "x/8000/1//40/a b/c=1/d=2", Name: "x", PayloadType: -1, ClockRate: 8000,
			Channels: 1, Ptime: 40, Format: "a b", Options: "c=1/d=2"},
		"x/abc/-1": {Text: "x/abc/-1", Name: "x", PayloadType: -1},
	}
	for text, want := range cases {
		if got := ParseCodec(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}

func TestSDPManipulationErrorsEndTheCommand(t *testing.T) {
	audio := func(v Value) Value { return Map(Dict{{"audio", v}}) }
	destination := func(d Dict) Value { return List(Map(Dict{{"destination", Map(d)}})) }
	cases := []struct {
		name, key string
		value     Value
		reason    string
	}{
		{"sdp-attr is no dictionary", "sdp-attr", Strings("audio"), ReasonWrongType},
		{"sdp-media-remove is no list", "sdp-media-remove", String("audio"), ReasonWrongType},
		{"a scope that is no media type", "SDP-attr", Map(Dict{{"planet", Map(nil)}}), ReasonSDPSection},
		{"a media type nobody knows", "sdp_media_remove", Strings("planet"), ReasonSDPSection},
		{"the session is no media to remove", "sdp-media-remove", Strings("global"), ReasonSDPSection},
		{"a scope without a dictionary", "sdp-attr", audio(Strings("add")), ReasonWrongContent},
		{"a command nobody knows", "sdp-attr", audio(Map(Dict{{"insert", Strings("x")}})), ReasonManipulation},
		{"a string to substitute without an arrow", "sdp-attr",
			audio(Map(Dict{{"substitute", String("x")}})), ReasonInvalidToken},
		{"a destination without a family", "media", destination(Dict{{"address", String("192.0.2.1")}}), ReasonDestNoFamily},
		{"a destination of another family", "media",
			destination(Dict{{"family", String("IP6")}, {"address", String("192.0.2.1")}}), ReasonDestAddress},
		{"a destination that is no address", "media",
			destination(Dict{{"family", String("IP4")}, {"address", String("x")}}), ReasonDestAddress},
	}
	for _, c := range cases {
		_, err := ParseRequest(Dict{{"command", String("offer")}, {c.key, c.value}})
		if e := new(Error); !errors.As(err, &e) || e.Reason != c.reason {
			t.Errorf("%s: got %v, want %q", c.name, err, c.reason)
		}
	}
	r := request(t, Offer, Entry{"sdp-attr", audio(Map(Dict{
		{"substitute", List(Strings("a", "b"), Strings("c"), String("d>e"), String("f"))}, {"remove", Strings("ssrc:")},
	}))}, Entry{"sdp-attr", audio(Map(Dict{{"substitute", Strings("g", "h")}, {"add", Strings("x..y")}}))})
	want := []AttrChanges{{Scope: "audio", Add: []string{"x y"}, Remove: []string{"ssrc:"},
		Substitute: []Substitution{{"a", "b"}, {"d", "e"}, {"g", "h"}}}}
	if !reflect.DeepEqual(r.SDPAttr, want) || len(r.Warnings) != 2 {
		t.Errorf("got %+v with warnings %q, want %+v and two warnings", r.SDPAttr, r.Warnings, want)
	}
}

func TestValuesThatMakeNoSenseAreNotedAndLeftOut(t *testing.T) {
	for key, value := range map[string]Value{
		"media-address": String("example.org"), "TOS": String("high"), "address-family": String("IP5"), "codec": Strings("x"),
		"extmap": String("x"), "moh": String("x"), "received-from": Strings("IP4", "x"), "SIP code": Int(42),
		"DTMF-log-dest": String("192.0.2.1"), "code": Int(16), "digit": String("E"), "frequency": String("400,x"),
		"transport-protocol": String("TCP"), "ICE": Strings("melt"), "all": String("some"), "delete-delay": Int(-2),
		"DTLS-fingerprint": String("MD5"), "record-call": Map(nil), "flags": Map(nil), "template": String("none"),
		"blob64": String("*"), "pause": String("maybe"), "media": String("x"), "ptime": Int(1 << 40),
	} {
		r := request(t, Offer, Entry{key, value})
		if len(r.Warnings) == 0 {
			t.Errorf("%s=%+v passes without a word", key, value)
		}
	}
	var many []string
	for range 100 {
		many = append(many, strings.Repeat("x", 500))
	}
	r := request(t, Offer, Entry{"flags", Strings(many...)})
	if len(r.Unknown) != maxNotes || len(r.Unknown[0]) > maxNoteSize+3 {
		t.Errorf("%d unknown words kept, want %d short ones", len(r.Unknown), maxNotes)
	}
}

func TestDTMFAndPlaybackValues(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "9": 9, "*": 10, "#": 11, "A": 12, "d": 15, "12": 12} {
		if r := request(t, PlayDTMF, Entry{"code", String(text)}); r.Code != (Number{want, true}) {
			t.Errorf("code %q is %+v, want %d", text, r.Code, want)
		}
	}
	r := request(t, PlayDTMF, Entry{"duration", Int(20)}, Entry{"pause", String("9000")}, Entry{"volume", Int(8)})
	if r.EventDuration() != 100*time.Millisecond || r.EventPause() != 5*time.Second || r.EventVolume(-10) != -8 {
		t.Errorf("event lasts %v, then %v, at %d dB", r.EventDuration(), r.EventPause(), r.EventVolume(-10))
	}
	r = request(t, BlockDTMF, Entry{"volume", Int(-90)}, Entry{"frequency", String("400, 800")})
	if r.ToneAttenuation() != 63 || !reflect.DeepEqual(r.Frequencies, []int{400, 800}) ||
		r.EventDuration() != 250*time.Millisecond {
		t.Errorf("read as %+v", r)
	}
	if r = request(t, StopRecording, Entry{"pause", String("yes")}); !r.Flags.Pause {
		t.Error("pause=yes does not pause")
	}
	r = request(t, PlayMedia, Entry{"blob", String("raw")}, Entry{"blob64", String("aGk=")})
	if r.Source.Blob != "raw" {
		t.Errorf("blob64 beats blob: %q", r.Source.Blob)
	}
	r = request(t, Offer, Entry{"moh", Map(Dict{{"db-id", Int(3)}, {"mode", String("reflect")},
		{"connection", String("zero")}})})
	if want := (MOH{Source: MediaSource{DBID: Number{3, true}}, Mode: MOHReflect, ZeroConnection: true}); *r.MOH != want {
		t.Errorf("moh is %+v, want %+v", *r.MOH, want)
	}
}

func TestTransformAndMeshDictionaries(t *testing.T) {
	format := func(codec string, rate int64) Value {
		return Map(Dict{{"codec", String(codec)}, {"payload type", Int(8)}, {"clock rate", Int(rate)}, {"channels", Int(1)}})
	}
	r := request(t, Transform, Entry{"media", List(Map(Dict{
		{"id", String("m1")}, {"type", String("audio")},
		{"codec", List(Map(Dict{{"input", format("PCMA", 8000)}, {"output", format("opus", 48000)}}))},
		{"destination", Map(Dict{{"family", String("IP4")}, {"address", String("192.0.2.1")}, {"port", Int(4000)}})},
	}))})
	want := []MediaSpec{{ID: "m1", Type: "audio", Destination: netip.MustParseAddrPort("192.0.2.1:4000"),
		Transforms: []TransformCodec{{
			Input:  TransformFormat{Codec: "PCMA", PayloadType: 8, ClockRate: 8000, Channels: 1},
			Output: TransformFormat{Codec: "opus", PayloadType: 8, ClockRate: 48000, Channels: 1},
		}}}}
	if !reflect.DeepEqual(r.Medias, want) {
		t.Errorf("got %+v, want %+v", r.Medias, want)
	}
	r = request(t, Create, Entry{"medias", List(Map(Dict{{"type", String("audio")},
		{"codecs", Strings("PCMU", "opus/48000/2")}}))})
	if len(r.Medias) != 1 || len(r.Medias[0].Codecs) != 2 || r.Medias[0].Codecs[1].ClockRate != 48000 {
		t.Errorf("create reads %+v", r.Medias)
	}
	r = request(t, Mesh, Entry{"tags", List(Map(Dict{{"from", String("a")}, {"to", Strings("b", "c")}}), String("x"))})
	if want := []MeshTag{{"a", []string{"b", "c"}}, {}}; !reflect.DeepEqual(r.Tags, want) {
		t.Errorf("mesh reads %+v, want %+v", r.Tags, want)
	}
}

func TestChangesOfAttributesAreBounded(t *testing.T) {
	many := make([]string, maxChanges+1)
	for i := range many {
		many[i] = "x"
	}
	long := strings.Repeat("y", maxChangeBytes)
	req, err := ParseRequest(Dict{{"command", String("offer")}, {"sdp-attr", Map(Dict{
		{"audio", Map(Dict{{"add", Strings(many...)}, {"remove", Strings("a", long)}})},
		{"video", Map(Dict{{"add", Strings(long)}})},
	})}})
	if err != nil {
		t.Fatal(err)
	}
	audio, video := req.SDPAttr[0], req.SDPAttr[1]
	if len(audio.Add) != maxChanges || len(audio.Remove) != 1 || len(video.Add) != 1 {
		t.Errorf("kept %d, %d and %d changes", len(audio.Add), len(audio.Remove), len(video.Add))
	}
	if len(req.Warnings) != 1 || !strings.Contains(req.Warnings[0], "in audio are dropped") {
		t.Errorf("warnings: %q", req.Warnings)
	}
}
