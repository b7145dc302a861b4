package media

import (
	"net/netip"
	"sync"
	"time"

	"github.com/weir-media/weir/rtp"
)

// TelephoneEvent is an event that has ended, such as a key that was pressed (RFC 4733).
type TelephoneEvent struct {
	Code     uint8         // as in rtp.Event
	Volume   uint8         // power below 0 dBm0
	Duration time.Duration // 0 when the clock rate is not known
	Source   netip.AddrPort
}

// EventListener is told of each telephone event that a peer sends, once, however many packets tell of it. Its method is called by
// workers, by the reader of copies from the kernel, and by timers. It must neither wait nor keep e.
type EventListener interface {
	Event(e *TelephoneEvent)
}

const (
	// eventPatience is how long an event goes on without packets; its end may have got lost. Senders repeat every 50 ms or so.
	eventPatience = time.Second
	// eventWindow and mostEvents bound what a peer can have others be told: nobody presses so many keys.
	eventWindow = time.Second
	mostEvents  = 50
	// eventStale is after how long older time stamps are those of a sender that has begun anew.
	eventStale = 5 * time.Second
	longest    = 0xffff // units that one packet can tell of; longer events go on with another time stamp
)

// eventTrack makes events out of the packets of one peer, which come by both planes.
type eventTrack struct {
	now func() time.Duration

	mu        sync.Mutex
	timer     *time.Timer // nil before the first event
	listener  EventListener
	known     bool // there was one
	open      bool // it has not ended
	ssrc      uint32
	timestamp uint32
	event     rtp.Event
	before    uint64 // units of its earlier segments
	rate      uint32
	source    netip.AddrPort
	at        time.Duration // of its last packet

	window time.Duration  // when it began
	told   int            // in it
	ended  TelephoneEvent // room for it
}

// track returns the state of a leg whose settings have a listener, nil for others.
func (s *Settings) track(before *plan, now func() time.Duration) *eventTrack {
	switch {
	case s.Listener == nil || s.Kind != RTP || len(s.Events) == 0:
		return nil
	case before != nil && before.events != nil:
		return before.events
	}
	return &eventTrack{now: now}
}

// eventTypes are the payload types of the events.
func (s *Settings) eventTypes() (types PayloadTypes) {
	for _, e := range s.Events {
		types.Add(e.PayloadType)
	}
	return types
}

// hear has the listener of a plan be told of what an RTP packet says about an event, if it is of one.
func (p *plan) hear(h *rtp.Header, data []byte, from netip.AddrPort, at time.Duration) {
	var e rtp.Event
	if p.Muted || !p.eventSet.Has(h.PayloadType) || e.Parse(data[h.PayloadStart:h.PayloadStart+h.PayloadSize]) != nil {
		return
	}
	var rate uint32
	for _, r := range p.Events {
		if r.PayloadType == h.PayloadType {
			rate = r.Rate
		}
	}
	p.events.see(p.Listener, h, e, rate, from, at)
}

// see takes a packet of an event.
func (t *eventTrack) see(to EventListener, h *rtp.Header, e rtp.Event, rate uint32, from netip.AddrPort, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	same := t.known && h.SSRC == t.ssrc
	switch {
	case same && h.Timestamp == t.timestamp:
		if !t.open {
			return // its end is repeated
		}
	case same && at-t.at < eventStale && int32(h.Timestamp-t.timestamp) < 0:
		return // late
	case same && t.open && e.Code == t.event.Code && t.event.Duration == longest && h.Timestamp == t.timestamp+longest:
		t.before, t.event.Duration = t.before+longest, 0
	default:
		if t.open { // its end got lost
			t.finish()
		}
		t.known, t.open, t.before, t.event = true, true, 0, rtp.Event{Code: e.Code}
		t.await()
	}
	t.listener, t.ssrc, t.timestamp, t.rate, t.source, t.at = to, h.SSRC, h.Timestamp, rate, from, at
	t.event.Volume, t.event.Duration = e.Volume, max(t.event.Duration, e.Duration)
	if e.End {
		t.finish()
	}
}

// await has the event end when its packets stay away.
func (t *eventTrack) await() {
	if t.timer == nil {
		t.timer = time.AfterFunc(eventPatience, t.overdue)
	} else {
		t.timer.Reset(eventPatience)
	}
}

func (t *eventTrack) overdue() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.open {
		return
	}
	if left := t.at + eventPatience - t.now(); left > 0 {
		t.timer.Reset(left)
		return
	}
	t.finish()
}

// finish tells of the event. It needs the lock.
func (t *eventTrack) finish() {
	t.open = false
	t.timer.Stop()
	if t.at-t.window >= eventWindow || t.window == 0 {
		t.window, t.told = t.at, 0
	}
	if t.told++; t.told > mostEvents {
		return
	}
	t.ended = TelephoneEvent{Code: t.event.Code, Volume: t.event.Volume, Source: t.source}
	if t.rate != 0 {
		t.ended.Duration = time.Duration((t.before + uint64(t.event.Duration)) * uint64(time.Second) / uint64(t.rate))
	}
	t.listener.Event(&t.ended)
}

// end tells of an event that is not over when the leg closes.
func (t *eventTrack) end() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open {
		t.finish()
	}
}
