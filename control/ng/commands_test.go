package ng_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/ngproto"
)

// dial makes call "x" between a, labelled caller, and b.
func dial(t *testing.T, d *ng.Dispatcher) {
	t.Helper()
	ask(t, d, ngproto.Bencode, "command", "offer", "call-id", "x", "from-tag", "a", "label", "caller", "sdp", offerSDP)
	if got := ask(t, d, ngproto.Bencode, "command", "answer", "call-id", "x", "from-tag", "a", "to-tag", "b", "sdp", offerSDP); got.Text("result") != "ok" {
		t.Fatal(got)
	}
}

// Each command in the words of the protocol: what it is asked and what it answers.
func TestWhatCommandsAnswer(t *testing.T) {
	for _, c := range []struct {
		name string
		ask  []any
		want string // the error, or empty
	}{
		{"block media of an unknown call", []any{"command", "block media", "call-id", "y"}, "Unknown call-ID"},
		{"block media of the call", []any{"command", "block media", "call-id", "x"}, ""},
		{"a from-tag that is not to be looked at", []any{"command", "block media", "call-id", "x", "from-tag", "nobody"}, ""},
		{"one that is", []any{"command", "block media", "call-id", "x", "from-tag", "nobody", "flags", []string{"directional"}}, "From-tag given, but no such tag exists"},
		{"silence always looks at it", []any{"command", "silence media", "call-id", "x", "from-tag", "nobody"}, "From-tag given, but no such tag exists"},
		{"an unknown label", []any{"command", "unblock DTMF", "call-id", "x", "label", "nobody"}, "No monologue matching the given label"},
		{"no address", []any{"command", "block DTMF", "call-id", "x", "address", "here"}, "Failed to parse network address"},
		{"nobody's address", []any{"command", "start forwarding", "call-id", "x", "address", "192.0.2.99"}, "Failed to match address to any tag"},
		{"everybody", []any{"command", "stop forwarding", "call-id", "x", "all", "all", "label", "nobody"}, ""},
		{"a flow to nobody", []any{"command", "block media", "call-id", "x", "label", "caller", "to-tag", "c"}, "Media flow not found (to-tag not found)"},
		{"a flow to no label", []any{"command", "silence media", "call-id", "x", "label", "caller", "to-label", "c"}, "Media flow not found (to-label not found)"},
		{"a flow that is none", []any{"command", "unsilence media", "call-id", "x", "label", "caller", "to-tag", "a"}, "Media flow not found (to-tag not subscribed)"},
		{"a flow", []any{"command", "unblock media", "call-id", "x", "label", "caller", "to-tag", "b"}, ""},
		{"flows that are none", []any{"command", "block media", "call-id", "x", "all", "except-offer-answer"}, "No eligible media subscriptions found"},

		{"subscribe in an unknown call", []any{"command", "subscribe request", "call-id", "y"}, "Unknown call-ID(s)"},
		{"subscribe to nobody", []any{"command", "subscribe request", "call-id", "x"}, "No medias found (no monologues matched)"},
		{"subscribe with a tag in use", []any{"command", "subscribe request", "call-id", "x", "from-tag", "a", "to-tag", "b"}, "Failed to request subscription"},
		{"answer for nobody", []any{"command", "subscribe answer", "call-id", "x", "to-tag", "c", "sdp", offerSDP}, "To-tag not found"},
		{"answer in an unknown call", []any{"command", "subscribe answer", "call-id", "y", "to-tag", "c", "sdp", offerSDP}, "Unknown call-ID"},
		{"unsubscribe nobody", []any{"command", "unsubscribe", "call-id", "x", "to-tag", "c"}, "To-tag not found"},
		{"unsubscribe from nobody", []any{"command", "unsubscribe", "call-id", "x", "to-tag", "a", "from-tag", "c", "flags", []string{"directional"}}, "From-tag not found"},
		{"unsubscribe from itself", []any{"command", "unsubscribe", "call-id", "x", "to-tag", "a", "from-tag", "a", "flags", []string{"directional"}}, "Failed to unsubscribe"},
		{"publish what cannot be read", []any{"command", "publish", "sdp", "x"}, "Failed to parse SDP"},

		{"connect in an unknown call", []any{"command", "connect", "call-id", "y", "to-tag", "a"}, "Unknown call-ID(s)"},
		{"connect to nobody", []any{"command", "connect", "call-id", "x", "to-tag", "c", "from-tag", "a"}, "To-tag not found"},
		{"inject from nobody", []any{"command", "inject start", "call-id", "x", "to-tag", "a", "source-tag", "c"}, "Source-tag not found"},
		{"inject to itself", []any{"command", "inject start", "call-id", "x", "to-tag", "a", "source-tag", "a"}, "Trying to inject to self"},
		{"end what was not begun", []any{"command", "inject stop", "call-id", "x", "to-tag", "a", "source-tag", "b"}, "Failed to stop inject"},
		{"mesh of nothing", []any{"command", "mesh", "calls", []string{"y"}}, "Unknown call ID(s)"},
		{"answer a creation of nobody", []any{"command", "create answer", "call-id", "x", "from-tag", "c", "sdp", offerSDP}, "from-tag not found"},
		{"answer a creation in an unknown call", []any{"command", "create answer", "call-id", "y", "from-tag", "c", "sdp", offerSDP}, "unknown call-ID"},
		{"transform nothing", []any{"command", "transform"}, "Failed to set up transform"},

		{"record an unknown call", []any{"command", "start recording", "call-id", "y"}, "Unknown call-id"},
		{"record", []any{"command", "pause recording", "call-id", "x"}, "No command handler"},
		{"play in an unknown call", []any{"command", "play media", "call-id", "y", "file", "f"}, "Unknown call-ID"},
		{"play to nobody", []any{"command", "play media", "call-id", "x", "file", "f"}, "No participant party specified"},
		{"play nothing", []any{"command", "play media", "call-id", "x", "from-tag", "a"}, "No media file specified"},
		{"play", []any{"command", "play media", "call-id", "x", "all", "all", "file", "f"}, "unsupported"},
		{"play no digit", []any{"command", "play DTMF", "call-id", "x", "from-tag", "a", "code", "99"}, "Out of range 'code' specified"},
		{"no command line without a shell", []any{"command", "cli", "body", "list"}, "No command handler"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, _ := newDispatcher(t, nil)
			dial(t, d)
			if got := ask(t, d, ngproto.Bencode, c.ask...); got.Text("error-reason") != c.want {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

func TestSubscriptionInTheWordsOfTheProtocol(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	dial(t, d)
	got := ask(t, d, ngproto.JSON, "command", "subscribe request", "call-id", "x", "flags", []string{"SIPREC", "all"}, "set-label", "recorder")
	tag := got.Text("to-tag")
	if got.Text("result") != "ok" || tag == "" || got.Has("from-tag") || len(got.List("from-tags")) != 2 {
		t.Fatalf("got %v", got)
	}
	first := got.List("tag-medias")[0].Dict()
	if first.Text("tag") != "a" || first.Text("label") != "caller" || first.List("medias")[0].Dict().Text("mode") != "sendrecv" {
		t.Errorf("tag-medias begins with %v", first)
	}
	if l := got.Dict("media-labels").Dict("1"); l.Text("tag") != "b" || l.Has("label") {
		t.Errorf("label 1 is %v", l)
	}
	tags := ask(t, d, ngproto.JSON, "command", "query", "call-id", "x").Dict("tags")
	if r := tags.Dict(tag).List("subscriptions"); len(r) != 2 || r[0].Dict().Text("type") != "pub/sub" {
		t.Errorf("the subscriber's subscriptions are %v", r)
	}
	if r := tags.Dict("a").List("subscribers"); len(r) != 2 || r[0].Dict().Text("tag") != "b" || r[0].Dict().Text("type") != "offer/answer" {
		t.Errorf("the subscribers of a are %v", r)
	}
	if tags.Dict(tag).Text("label") != "recorder" {
		t.Errorf("the subscriber is %v", tags.Dict(tag))
	}
}

func TestTriggersAreInQuery(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	dial(t, d)
	ask(t, d, ngproto.JSON, "command", "block DTMF", "call-id", "x", "label", "caller", "trigger", "12", "trigger-end", "#")
	vsc := ask(t, d, ngproto.JSON, "command", "query", "call-id", "x").Dict("tags").Dict("a").List("VSC")
	if len(vsc) != 2 || vsc[0].Dict().Text("trigger") != "12" || vsc[1].Dict().Text("type") != "unblock DTMF" {
		t.Errorf("VSC is %v", vsc)
	}
}

func TestPublishAndCreateTellWhatTheyMadeUp(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	for _, command := range []string{"publish", "create"} {
		got := ask(t, d, ngproto.JSON, "command", command, "sdp", strings.Replace(offerSDP, "sendrecv", "sendonly", 1))
		if len(got.Text("call-id")) != 64 || len(got.Text("from-tag")) != 64 || !strings.HasPrefix(got.Text("sdp"), "v=0\r\no=- ") {
			t.Errorf("%s: %v", command, got)
		}
	}
}

func TestClientsAreCountedApart(t *testing.T) {
	d, _ := newDispatcher(t, nil)
	first := netip.MustParseAddr("192.0.2.1")
	one, other := d.From(first), d.From(first.Next())
	one.Plain([]byte(`{"command":"ping"}`))
	one.Plain([]byte(`{"command":"query","call-id":"nobody"}`))
	other.Plain([]byte(`{"command":"ping"}`))
	if d.From(first) != one {
		t.Error("an address is two clients")
	}
	for _, c := range d.Clients() {
		want, errors := uint64(1), uint64(0)
		if c.Address == first {
			errors = 1
		}
		if got := c.Commands[ngproto.Ping].Requests; got != want || c.Errors != errors || c.Commands[ngproto.Query].Requests != errors {
			t.Errorf("%s: %d pings, %d errors", c.Address, got, c.Errors)
		}
	}
}
