package golden

import (
	"strings"
	"testing"

	"github.com/weir-media/weir/ngproto"
)

const file = `SDP-000 A rule.
== offer {"from-tag": "alice", "flags": ["trust-address"]}
v=0
m=audio 4000 RTP/AVP 0
--
v=0
m=audio {port b} RTP/AVP 0
a=rtcp:{port b+1}
a=crypto:1 X {key 1}
== answer {"from-tag": "alice", "to-tag": "bob"}
v=0
a=crypto:1 X {key 1}
--
error: No
`

func TestParseAndPlay(t *testing.T) {
	c, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Title != "SDP-000 A rule." || len(c.Steps) != 2 || c.Steps[1].Error != "No" || c.Steps[1].Out != "" {
		t.Fatalf("got %+v", c)
	}
	var seen Bindings
	request := c.Steps[0].Request("x", &seen)
	if request.Text("command") != "offer" || request.Text("from-tag") != "alice" || len(request.List("flags")) != 1 ||
		request.Text("sdp") != "v=0\r\nm=audio 4000 RTP/AVP 0\r\n" {
		t.Errorf("request %v", request)
	}
	reply := ngproto.OK().Set("sdp", ngproto.String("v=0\r\nm=audio 30000 RTP/AVP 0\r\na=rtcp:30001\r\na=crypto:1 X abc+/\r\n"))
	if err := c.Steps[0].Check(reply.Dict, &seen); err != nil {
		t.Fatal(err)
	}
	if got := c.Steps[1].Request("x", &seen).Text("sdp"); got != "v=0\r\na=crypto:1 X abc+/\r\n" {
		t.Errorf("the key is not sent back: %q", got)
	}
	if err := c.Steps[1].Check(ngproto.Failure("No").Dict, &seen); err != nil {
		t.Error(err)
	}
	if err := c.Steps[1].Check(ngproto.Failure("Yes").Dict, &seen); err == nil {
		t.Error("another error passes")
	}
}

func TestMatching(t *testing.T) {
	for _, c := range []struct{ name, pattern, got, want string }{
		{"the same", "a {port 1}\nb {port 1}", "a 30000\nb 30000", ""},
		{"one more", "a {port 1}\nb {port 1+1}", "a 30000\nb 30001", ""},
		{"the same number in another family", "a {port 1}\nb {port6 1}", "a 30000\nb 30000", ""},
		{"two ports", "a {port 1}\nb {port 2}", "a 30000\nb 30002", ""},
		{"blanks inside", "{fingerprint} x {ufrag}", "AB:CD x abcdefgh", ""},
		{"another text", "a {port 1}", "b 30000", "line 1 differs"},
		{"another port", "a {port 1}\nb {port 1}", "a 30000\nb 30002", "line 2 differs"},
		{"not one more", "a {port 1}\nb {port 1+1}", "a 30000\nb 30000", "line 2 differs"},
		{"two ports that are one", "a {port 1}\nb {port 2}", "a 30000\nb 30000", "the same port"},
		{"an odd port", "a {port 1}", "a 30001", "odd port"},
		{"a line too many", "a", "a\nb", "line 2 differs"},
		{"a line too few", "a\nb", "a", "line 2 differs"},
		{"not of its kind", "{ufrag}", "abc", "line 1 differs"},
		{"an unknown kind", "{colour}", "red", "unknown kind"},
		{"signs with a meaning in expressions", "a=fmtp:96 (x)*.{number}", "a=fmtp:96 (x)*.5", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := new(Bindings).match(c.pattern, c.got)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestUnreadableFiles(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "no title"},
		{"no step", "SDP-000 A rule.\n", "no title"},
		{"no reply", "t\n== offer {}\nv=0\n", `no line "--"`},
		{"no command", "t\n== {}\nv=0\n--\n", "no command"},
		{"broken keys", "t\n== offer {\"a\"}\nv=0\n--\n", "no JSON object"},
	} {
		if _, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
