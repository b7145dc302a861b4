package ng_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/weir-media/weir/ngproto"
)

// bencodeOffer is an offer with more keys, bencoded by the caller.
func bencodeOffer(sdp, more string) string {
	return fmt.Sprintf("d7:call-id1:x7:command5:offer8:from-tag1:a3:sdp%d:%s%se", len(sdp), sdp, more)
}

func bencodeStrings(n int, text func(i int) string) string {
	var b strings.Builder
	b.WriteByte('l')
	for i := range n {
		s := text(i)
		fmt.Fprintf(&b, "%d:%s", len(s), s)
	}
	b.WriteByte('e')
	return b.String()
}

// TestHostileRequestsAreAnsweredWithinBounds counts what a request makes the dispatcher allocate, all it takes to answer
// included, as a multiple of its length. Time is not looked at: each step costs memory here, or is one over the input.
func TestHostileRequestsAreAnsweredWithinBounds(t *testing.T) {
	numbered := func(format string) func(int) string { return func(i int) string { return fmt.Sprintf(format, i) } }
	sections := func(n int) string { return offerSDP + strings.Repeat("m=audio 4000 RTP/AVP 0\r\n", n-1) }
	for _, c := range []struct {
		name, request string
		result        string
		times         int // bytes allocated for each byte of the request at most, beside a megabyte
	}{
		{"a long text that is no message", strings.Repeat("x", 1<<20), "error", 4},
		{"a string longer than the message", "d7:command1048576:" + strings.Repeat("x", 1000), "error", 4},
		{"lists in lists in bencode", "d1:a" + strings.Repeat("l", 1<<20), "error", 8},
		{"dictionaries in dictionaries in bencode", strings.Repeat("d1:a", 1<<18), "error", 8},
		{"lists in lists in JSON", `{"a":` + strings.Repeat("[", 1<<20), "error", 8},
		{"a number without end in JSON", `{"limit":` + strings.Repeat("9", 1<<20) + `}`, "error", 16},
		{"a number without end in bencode", "d5:limiti" + strings.Repeat("9", 1<<20) + "ee", "error", 8},
		{"empty lists side by side", "d1:al" + strings.Repeat("le", 1<<19) + "ee", "error", 16},
		{"escapes in JSON", `{"command":"` + strings.Repeat(`\u0041`, 1<<18) + `"}`, "error", 16},
		{"a key many times", "d7:command4:ping" + strings.Repeat("1:a1:b", 10000) + "e", "pong", 200},
		{"the description many times", bencodeOffer(offerSDP, strings.Repeat("3:sdp1:x", 10000)), "error", 200},
		{"many keys nobody knows", bencodeOffer(offerSDP, strings.Trim(bencodeStrings(12000, numbered("key-%d")), "le")), "ok", 100},
		{"10,000 flags", bencodeOffer(offerSDP, "5:flags"+bencodeStrings(10000, numbered("flag-%d"))), "ok", 100},
		{"10,000 times the same flag", bencodeOffer(offerSDP, "5:flags"+bencodeStrings(10000, numbered("trust-address"))), "ok", 100},
		{"10,000 flags in one string", bencodeOffer(offerSDP, func() string {
			s := strings.Repeat("codec-strip-G729 ", 10000)
			return fmt.Sprintf("10:rtpp-flags%d:%s", len(s), s)
		}()), "ok", 100},
		{"a description of a megabyte", bencodeOffer(offerSDP+strings.Repeat("a=x\r\n", 1<<18), ""), "error", 4},
		{"a line of a megabyte", bencodeOffer(offerSDP+"a="+strings.Repeat("x", 1<<20), ""), "error", 4},
		{"9,000 attributes", bencodeOffer(offerSDP+strings.Repeat("a=x\r\n", 9000), ""), "error", 100},
		{"500 sections", bencodeOffer(sections(500), ""), "error", 100},
		{"60 sections", bencodeOffer(sections(60), ""), "ok", 1000},
		{"many lines for each of 60 sections", bencodeOffer(sections(60), "8:sdp-attrd5:audiod3:add"+bencodeStrings(5000, numbered("x:%d"))+"ee"), "ok", 300},
		{"a long line for each of 60 sections", bencodeOffer(sections(60), "8:sdp-attrd5:audiod3:add"+
			bencodeStrings(4, func(i int) string { return strings.Repeat(fmt.Sprint(i), 10000) })+"ee"), "ok", 500},
		{"many formats", bencodeOffer(strings.Replace(offerSDP, "RTP/AVP 0 8", "RTP/AVP"+strings.Repeat(" 0", 5000), 1), ""), "error", 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, m := newDispatcher(t, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out := d.Plain([]byte(c.request))
			runtime.ReadMemStats(&after)
			reply, err := ngproto.ParsePlain(out)
			if err != nil {
				t.Fatal(err)
			}
			if got := reply.Dict.Text("result"); got != c.result {
				t.Errorf("got %.300v, want %s", reply.Dict, c.result)
			}
			allocated := int(after.TotalAlloc - before.TotalAlloc)
			t.Logf("%d bytes: %.1f for each, %d back", len(c.request), float64(allocated)/float64(len(c.request)), len(out))
			if most := c.times*len(c.request) + 1<<20; allocated > most {
				t.Errorf("%d bytes of request: %d allocated, more than %d", len(c.request), allocated, most)
			}
			if faults := d.Stats().Faults; faults != 0 {
				t.Errorf("%d faults", faults)
			}
			if live := len(m.List(10)); c.result == "error" && live != 0 {
				t.Errorf("%d calls are left of an error", live)
			}
		})
	}
}
