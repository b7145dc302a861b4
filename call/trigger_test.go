package call_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
)

// press has a phone press keys, each told by one packet.
func (p phone) press(t *testing.T, port uint16, keys string, at *byte) {
	t.Helper()
	for _, key := range keys {
		code := byte(key - '0')
		if key == '#' {
			code = 11
		}
		*at++
		b := []byte{0x80, 101, 0, *at, 0, 0, *at, 0, 0, 0, 0, byte(p.port), code, 0x80 | 10, 0, 160}
		if _, err := p.WriteToUDPAddrPort(b, netip.AddrPortFrom(loopback, port)); err != nil {
			t.Fatal(err)
		}
	}
}

// A caller dials a code, from which on its digits are kept from the callee until it dials another one, or so many, or for a while.
func TestTriggersBringModesAndEndThem(t *testing.T) {
	for _, c := range []struct {
		name     string
		security call.DTMFSecurity
		before   string // dialled while nothing happens
		start    string
		end      string
		onCall   bool
	}{
		{"by a code", call.DTMFSecurity{Trigger: "1#", TriggerMode: call.DTMFDrop, TriggerEnd: "9#"}, "9#1", "#", "59#", false},
		{"by a number of digits", call.DTMFSecurity{Trigger: "12", TriggerMode: call.DTMFZero, TriggerEndDigits: 3}, "111", "2", "123", false},
		{"after a while", call.DTMFSecurity{Trigger: "12", TriggerMode: call.DTMFDrop, TriggerEndTime: 50 * time.Millisecond}, "2", "12", "", false},
		{"of the whole call", call.DTMFSecurity{Trigger: "12", TriggerMode: call.DTMFDrop, TriggerEnd: "1"}, "2", "12", "1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _ := newManager(t, nil)
			alice, bob := newPhone(t), newPhone(t)
			sdp := func(p phone) string {
				return strings.Replace(describe("127.0.0.1", p.port, "a=rtpmap:101 telephone-event/8000"), "AVP 0 8", "AVP 0 101", 1)
			}
			must(t)(m.Offer(request(t, "c", "alice", "", sdp(alice))))
			toAlice := must(t)(m.Answer(request(t, "c", "alice", "bob", sdp(bob)))).Media()[0].Port
			sel := call.Selection{FromTag: "alice"}
			if c.onCall {
				sel = call.Selection{}
			}
			if err := m.Manipulate(&call.ManipulateRequest{CallID: "c", Selection: sel, Verb: call.VerbBlockDTMF, On: true, DTMF: c.security}); err != nil {
				t.Fatal(err)
			}
			security := func() call.DTMFSecurity {
				doc, err := m.Document("c")
				if err != nil {
					t.Fatal(err)
				}
				if c.onCall {
					return doc.Manipulation.DTMF
				}
				return doc.Parties[0].Manipulation.DTMF
			}
			var at byte
			for round := range 2 { // it can be dialled again
				alice.press(t, toAlice, c.before, &at)
				alice.press(t, toAlice, c.start, &at)
				pressed := time.Now()
				if !eventually(func() bool {
					if end := c.security.TriggerEndTime; end > 0 && time.Since(pressed) > 2*end { // it may be over before it is seen
						alice.press(t, toAlice, c.start, &at)
						pressed = time.Now()
					}
					s := security()
					if s.Triggered && s.Mode != c.security.TriggerMode {
						t.Errorf("the mode is %v", s.Mode)
					}
					return s.Triggered
				}) {
					t.Fatalf("round %d: the trigger brings nothing: %+v", round, security())
				}
				alice.press(t, toAlice, c.end, &at)
				if !eventually(func() bool { s := security(); return !s.Triggered && s.Mode == c.security.TriggerEndMode }) {
					t.Fatalf("round %d: it does not end: %+v", round, security())
				}
			}
		})
	}
}
