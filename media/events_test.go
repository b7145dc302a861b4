package media

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/rtp"
	"github.com/weir-media/weir/srtp"
)

// keypad is an EventListener that keeps what it hears.
type keypad struct {
	mu     sync.Mutex
	events []TelephoneEvent
}

func (k *keypad) Event(e *TelephoneEvent) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, *e)
}

func (k *keypad) heard() []TelephoneEvent {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events)
}

// eventPacket is one packet of an event at a clock rate of 8000.
func eventPacket(seq uint16, timestamp uint32, e rtp.Event) []byte {
	h := rtp.Header{PayloadType: eventType, Sequence: seq, Timestamp: timestamp, SSRC: 0x01020304}
	return e.Append(h.Append(nil))
}

// listening are settings that have a listener told of events.
func listening(k EventListener) Settings {
	return Settings{Events: []ClockRate{{PayloadType: eventType, Rate: 8000}}, Listener: k}
}

func TestEachKeyPressIsToldOnce(t *testing.T) {
	type packet struct {
		timestamp uint32
		event     rtp.Event
	}
	key := func(timestamp uint32, code uint8, duration uint16, end bool) packet {
		return packet{timestamp, rtp.Event{Code: code, Volume: 10, Duration: duration, End: end}}
	}
	told := func(code uint8, ms time.Duration) TelephoneEvent {
		return TelephoneEvent{Code: code, Volume: 10, Duration: ms * time.Millisecond, Source: peerOf(0)}
	}
	for _, c := range []struct {
		name    string
		packets []packet
		want    []TelephoneEvent
	}{
		{"its end comes three times", []packet{
			key(800, 5, 160, false), key(800, 5, 320, false), key(800, 5, 800, true), key(800, 5, 800, true), key(800, 5, 800, true),
		}, []TelephoneEvent{told(5, 100)}},
		{"all but one end got lost", []packet{key(800, 5, 800, true)}, []TelephoneEvent{told(5, 100)}},
		{"its end gets lost and another key is pressed", []packet{
			key(800, 5, 160, false), key(800, 5, 320, false), key(2400, 6, 160, true),
		}, []TelephoneEvent{told(5, 40), told(6, 20)}},
		{"the same key twice", []packet{key(800, 1, 160, true), key(1600, 1, 160, true)}, []TelephoneEvent{told(1, 20), told(1, 20)}},
		{"a late packet of the one before", []packet{
			key(800, 5, 160, true), key(1600, 6, 160, false), key(800, 5, 160, false), key(1600, 6, 240, true),
		}, []TelephoneEvent{told(5, 20), told(6, 30)}},
		{"packets out of order", []packet{key(800, 5, 320, false), key(800, 5, 160, false), key(800, 5, 400, true)}, []TelephoneEvent{told(5, 50)}},
		{"longer than one packet can tell", []packet{
			key(0, 5, 65534, false), key(0, 5, 65535, false), key(65535, 5, 160, false), key(65535, 5, 800, true),
		}, []TelephoneEvent{told(5, 65535/8+100)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, legs, _ := bench(t)
			k := new(keypad)
			s := listening(k)
			s.Signalled, s.Learning, s.Sinks = peerOf(0), LearnOff, []Sink{{RTP: legs[1]}}
			for i, p := range c.packets {
				s.Epoch = uint32(i) // a message in between forgets nothing
				legs[0].Apply(s)
				w.relay(legs[0], eventPacket(uint16(i), p.timestamp, p.event), peerOf(0))
				w.flush()
			}
			got := k.heard()
			for i := range got {
				got[i].Duration = got[i].Duration.Truncate(time.Millisecond)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("told %v, want %v", got, c.want)
			}
		})
	}
}

func TestKeyThatIsNeverLetGoEndsWithTheLegOrInTime(t *testing.T) {
	_, legs, _ := bench(t)
	var clock time.Duration
	k := new(keypad)
	track := &eventTrack{now: func() time.Duration { return clock }}
	press := func(timestamp uint32) {
		h := rtp.Header{SSRC: 1, Timestamp: timestamp}
		track.see(k, &h, rtp.Event{Code: 3, Duration: 400}, 8000, peerOf(0), clock)
	}
	press(0)
	clock = eventPatience - 1
	if track.overdue(); len(k.heard()) != 0 {
		t.Fatal("it ends while its packets may still come")
	}
	clock = eventPatience
	if track.overdue(); len(k.heard()) != 1 {
		t.Fatal("it does not end")
	}
	press(8000)
	track.end()
	track.overdue()
	if got := k.heard(); len(got) != 2 || got[1].Duration != 50*time.Millisecond {
		t.Errorf("told %v", got)
	}
	for i := range uint32(2 * mostEvents) {
		press(16000 + 800*i)
	}
	if got := k.heard(); len(got) > mostEvents+1 {
		t.Errorf("told of %d events within a second", len(got))
	}
	s := listening(k)
	s.Kind = RTCP
	if legs[0].Apply(s); legs[0].plan.Load().events != nil {
		t.Error("a port for RTCP listens")
	}
}

func TestBlockedEventsAreToldAndOthersAreNot(t *testing.T) {
	w, legs, sent := bench(t)
	k := new(keypad)
	s := listening(k)
	s.Signalled, s.Learning, s.Sinks = peerOf(0), LearnOff, []Sink{{RTP: legs[1]}}
	s.Treatment = Treatment{OnEvents: EventBlock, Events: set(eventType)}
	legs[0].Apply(s)
	end := rtp.Event{Code: 1, End: true, Duration: 160}
	w.relay(legs[0], packetOf(8, 1, 1, 0x80, 3, 4), peerOf(0))                                                           // audio
	w.relay(legs[0], eventPacket(2, 800, end)[:14], peerOf(0))                                                           // cut off
	w.relay(legs[0], eventPacket(3, 800, end), netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), peerOf(0).Port())) // a stranger
	w.flush()
	legs[1].sock.(*spy).last = nil
	w.relay(legs[0], eventPacket(4, 1600, end), peerOf(0))
	w.flush()
	if got := k.heard(); len(got) != 1 || len(sent(legs[1])) != 0 {
		t.Errorf("told %v, sent %x", got, sent(legs[1]))
	}
	s.Muted = true
	legs[0].Apply(s)
	if w.relay(legs[0], eventPacket(5, 3200, end), peerOf(0)); len(k.heard()) != 1 {
		t.Error("somebody is heard who may be anybody")
	}
}

func TestListeningAllocatesNothing(t *testing.T) {
	w, legs, _ := bench(t)
	s := listening(deaf{})
	s.Signalled, s.Learning, s.Sinks = peerOf(0), LearnOff, []Sink{{RTP: legs[1]}}
	legs[0].Apply(s)
	n := uint32(0)
	data := eventPacket(1, 0, rtp.Event{Code: 1, Duration: 160})
	step := func() {
		n++
		data[4], data[5], data[6], data[7] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
		for _, second := range []byte{10, 0x80 | 10} {
			data[13] = second
			w.relay(legs[0], data, peerOf(0))
		}
		w.flush()
	}
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations per event, want none", n)
	}
}

type deaf struct{}

func (deaf) Event(*TelephoneEvent) {}

func TestKernelGivesCopiesOfEventsAndReports(t *testing.T) {
	r, kernel, apply, a, _ := talking(t)
	k, reports := new(keypad), new(ear)
	s := listening(k)
	s.Taps.Reports = []Tap{reports}
	apply(s, Settings{})
	r.until("the flow has a tap", func() bool {
		f, ok := kernel.flow(a)
		return ok && f.Taps.Events && !f.Taps.All && f.Events == set(eventType)
	})
	peer := a.Stats().Source
	end := rtp.Event{Code: 1, End: true, Duration: 160}
	for _, data := range [][]byte{rtpPacket(9), receiverReport(7), eventPacket(10, 1600, end), eventPacket(11, 1600, end), {0x80, eventType, 0, 1}} {
		kernel.tap(fastpath.TappedPacket{Local: a.Local(), Source: peer, When: 5, Data: data})
	}
	if got := k.heard(); len(got) != 1 || got[0].Code != 1 || got[0].Source != peer {
		t.Errorf("heard %v", got)
	}
	if got := reports.heard(); len(got) != 1 || !got[0].RTCP || got[0].From != peer || got[0].To != a.Local() {
		t.Errorf("reports are %v", got)
	}
	apply(Settings{}, Settings{})
	r.until("the flow has no tap", func() bool { f, ok := kernel.flow(a); return ok && !f.Taps.Events })
}

// TestEventsAreHeardOfFlowsInTheRealKernel presses keys in calls that the kernel relays, in clear and encrypted.
func TestEventsAreHeardOfFlowsInTheRealKernel(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    fastpath.Mode
		suite   srtp.Suite
		blocked bool
	}{
		{"RTP by XDP", fastpath.XDP, srtp.NoSuite, false},
		{"RTP by tc", fastpath.TC, srtp.NoSuite, false},
		{"RTP whose events are blocked", fastpath.XDP, srtp.NoSuite, true},
		{"SRTP by XDP", fastpath.XDP, srtp.AES128CM80, false},
		{"SRTP by tc", fastpath.TC, srtp.AES128CM80, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, 4)
			poll := make(chan time.Time)
			kernel, r := w.plane(t, c.mode, func(cfg *Config) { cfg.poll = poll })
			if ok, why := kernel.Serves(w.proxyAddrs[0]); !ok {
				t.Skipf("this machine has no %s: %s", c.mode, why)
			}
			if ok, why := kernel.Secures(); !ok && c.suite.Valid() {
				t.Skip(why)
			}
			leg, _ := w.open(t, r, "caller", 4)
			alice := &securedPhone{phone: w.phone(t, w.caller, w.phoneAddrs[0]), leg: leg}
			leg, _ = w.open(t, r, "callee", 4)
			bob := &securedPhone{phone: w.phone(t, w.callee, w.phoneAddrs[1]), leg: leg}
			if c.suite.Valid() {
				alice.keys, alice.sends, alice.receives = keyed(t, c.suite)
			}
			k := new(keypad)
			as := listening(k)
			as.Signalled, as.Secure, as.Keys = alice.addr(), c.suite.Valid(), alice.keys
			if c.blocked {
				as.Treatment = Treatment{OnEvents: EventBlock, Events: set(eventType)}
			}
			bridge(alice.leg, nil, as, bob.leg, nil, Settings{Signalled: bob.addr()})
			seq := uint16(100)
			for range confirmations {
				rtp := rtpPacket(seq)
				seq++
				alice.say(rtp)
				bob.hears(rtp)
				bob.say(rtp)
				alice.hears(rtp)
			}
			inKernel := func() bool {
				return alice.leg.Stats().Plane == PlaneKernel && bob.leg.Stats().Plane == PlaneKernel
			}
			r.until("both flows are in the kernel", inKernel)
			// A key that is pressed for so long that nothing else comes between several looks at the flow.
			const packets = 3 * verifyPackets
			for i := range packets {
				timestamp := 160 * uint32(seq-uint16(i))
				pkt := eventPacket(seq, timestamp, rtp.Event{Code: 7, Volume: 3, Duration: uint16(160 * (i + 1)), End: i == packets-1})
				seq++
				alice.say(pkt)
				if !c.blocked {
					bob.hears(pkt)
				}
				if i%verifyPackets == verifyPackets-1 {
					poll <- time.Time{}
				}
			}
			r.until("the key is heard", func() bool { return len(k.heard()) > 0 })
			rtp := rtpPacket(seq)
			alice.say(rtp)
			bob.hears(rtp)
			want := TelephoneEvent{Code: 7, Volume: 3, Duration: packets * 20 * time.Millisecond, Source: alice.addr()}
			if got := k.heard(); len(got) != 1 || got[0] != want {
				t.Errorf("heard %+v, want %+v", got, want)
			}
			if !inKernel() {
				t.Errorf("the flow is in %v: %s", alice.leg.Stats().Plane, alice.leg.Stats().Why)
			}
		})
	}
}
