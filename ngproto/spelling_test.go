package ngproto

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// spellingGroup says which words are spellings of one thing, and what that sets in the request of an offer.
type spellingGroup struct{ list, words, sets string }

// spellingGroups reads testdata/spellings.tsv.
func spellingGroups(t *testing.T) []spellingGroup {
	t.Helper()
	text, err := os.ReadFile("testdata/spellings.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var groups []spellingGroup
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(column) != 3 {
			t.Fatalf("want three columns: %q", line)
		}
		groups = append(groups, spellingGroup{column[0], column[1], column[2]})
	}
	return groups
}

// sample gives each key a value that it accepts.
var sample = map[string]Value{
	"address": String("192.0.2.1"), "address family": String("IP6"), "all": String("flows"), "alias-key": String("sdp"),
	"audio-player": String("always"), "drop-traffic": String("start"), "DTLS": String("passive"),
	"DTLS-fingerprint": String("SHA-512"), "DTMF-log-dest": String("192.0.2.1:9"), "DTMF-security": String("tone"),
	"DTMF-security-trigger": String("zero"), "DTMF-security-trigger-end": String("random"),
	"endpoint-learning": String("off"), "codec": Map(Dict{{"strip", Strings("PCMU")}}),
	"extmap": Map(Dict{{"strip", Strings("all")}}), "generate RTCP": String("on"), "ICE": String("force"),
	"ICE-lite": String("both"), "inbound-peer": String("192.0.2.2"), "outbound-peer": String("192.0.2.3"),
	"peer": String("192.0.2.4"), "media": List(Map(Dict{{"type", String("audio")}})),
	"media address": String("2001:db8::1"), "media echo": String("both"),
	"moh": Map(Dict{{"file", String("/moh.wav")}}), "OSRTP": Strings("offer"), "passthrough": String("on"),
	"received from": Strings("IP4", "192.0.2.5"), "record call": String("yes"), "rtcp-mux": Strings("demux"),
	"SDES": Strings("pad"), "sdp-attr": Map(Dict{{"audio", Map(Dict{{"add", Strings("x")}})}}),
	"sdp-media-remove": Strings("video"), "SIP code": Int(200), "SIP message type": String("SIP request"),
	"T.38": Strings("decode"), "transport protocol": String("RTP/SAVP"), "xmlrpc-callback": String("192.0.2.6"),
	"tags": List(Map(Dict{{"from", String("a")}})), "calls": Strings("a", "b"), "bundle": Strings("offer"),
	"flags": Strings("fatal"), "replace": Strings("origin"), "rtpp-flags": String("label=x"),
	"template": String("browser"), "command": String("offer"), "supports": Strings("load limit"),
	"frequency": List(Int(400), Int(500)),
	"blob64":    String("aGk="),
}

func parseWith(t *testing.T, list, word string, value Value) *Request {
	t.Helper()
	d := Dict{{"command", String("offer")}}
	switch list {
	case "flag":
		d.Add("flags", Strings(word))
	case "key":
		d.Add(word, value)
	default:
		d.Add(list, Strings(word))
	}
	p := Parser{Templates: map[string]string{"browser": "ICE=force"}}
	r, err := p.Parse(d)
	if err != nil {
		t.Fatalf("%s %q: %v", list, word, err)
	}
	return r
}

// changes lists the fields in which b differs from a, as "Path=value".
func changes(a, b reflect.Value, path string) []string {
	if a.Kind() == reflect.Struct && a.NumField() > 0 && a.Type().Field(0).IsExported() {
		var all []string
		for i := range a.NumField() {
			all = append(all, changes(a.Field(i), b.Field(i), path+"."+a.Type().Field(i).Name)...)
		}
		return all
	}
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return nil
	}
	if b.Kind() == reflect.Pointer {
		b = b.Elem()
	}
	return []string{fmt.Sprintf("%s=%+v", strings.TrimPrefix(path, "."), b.Interface())}
}

func TestEverySpellingOfAWordSetsWhatTheTableSays(t *testing.T) {
	empty := parseWith(t, "key", "command", String("offer"))
	for _, g := range spellingGroups(t) {
		words := strings.Split(g.words, "|")
		value := Int(7)
		for _, w := range words {
			if v, ok := sample[w]; ok {
				value = v
			}
		}
		for _, word := range words {
			forms := []string{word}
			if !strings.Contains(word, "AES_CM") && !strings.Contains(word, ":") { // the value stays as it is
				forms = spellings(word)
			}
			for _, form := range forms {
				r := parseWith(t, g.list, form, value)
				got := strings.Join(changes(reflect.ValueOf(*empty), reflect.ValueOf(*r), ""), "; ")
				if got != g.sets {
					t.Errorf("%s %q sets %q, want %q", g.list, form, got, g.sets)
				}
			}
		}
	}
}
