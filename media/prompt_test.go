package media

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-media/weir/rtp"
)

// tape is a transport that keeps all packets sent.
type tape struct {
	silent
	packets [][]byte
}

func (s *tape) send(b *outBatch, first, end int) (int, error) {
	for _, data := range b.data[first:end] {
		s.packets = append(s.packets, bytes.Clone(data))
	}
	return end - first, nil
}

// stage is a worker whose time a test moves, with two legs that hear each other.
type stage struct {
	*worker
	t     *testing.T
	clock atomic.Int64
	a, b  *Leg
	heard *tape // by the peer of b
	ended int
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, heard: new(tape)}
	s.clock.Store(int64(time.Hour))
	w, legs, _ := bench(t, func(c *Config) { c.Clock = func() time.Duration { return time.Duration(s.clock.Load()) } })
	s.worker, s.a, s.b = w, legs[0], legs[1]
	var err error
	if s.poller, err = newPoller(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.poller.close() })
	s.commands = nil
	s.b.sock = s.heard
	s.apply()
	return s
}

func (s *stage) apply() {
	s.a.Apply(Settings{Signalled: peerOf(0), Learning: LearnOff, Sinks: []Sink{{RTP: s.b}}})
	s.b.Apply(Settings{Signalled: peerOf(1), Learning: LearnOff, Sinks: []Sink{{RTP: s.a}}})
}

// pass lets time go by in steps of a millisecond.
func (s *stage) pass(d time.Duration) {
	for range d / time.Millisecond {
		s.clock.Add(int64(time.Millisecond))
		s.now = s.plane.now()
		s.playDue()
	}
}

// talk has the peer of a send packets 20 ms apart, from a sequence number on.
func (s *stage) talk(from, n uint16) {
	for i := range n {
		s.now, s.current = s.plane.now(), s.a
		s.relay(s.a, packetOf(8, from+i, 1, 2, 3), peerOf(0))
		s.flush()
		s.pass(20 * time.Millisecond)
	}
}

func (s *stage) play(p *Prompt) {
	s.t.Helper()
	if err := s.b.Play(p, func() { s.ended++ }); err != nil {
		s.t.Fatal(err)
	}
	s.runCommands()
}

// oneStream checks that all that was heard is one stream without gaps, and returns the payloads.
func (s *stage) oneStream() (payloads [][]byte) {
	s.t.Helper()
	var before rtp.Header
	for i, data := range s.heard.packets {
		var h rtp.Header
		if err := h.Parse(data); err != nil {
			s.t.Fatal(err)
		}
		if i > 0 && (h.SSRC != before.SSRC || h.Sequence != before.Sequence+1 || int32(h.Timestamp-before.Timestamp) <= 0) {
			s.t.Fatalf("packet %d is %+v after %+v", i, h, before)
		}
		before = h
		payloads = append(payloads, data[h.PayloadStart:])
	}
	return payloads
}

func alawPrompt(packets, repeat int) *Prompt {
	p := &Prompt{PayloadType: 8, Rate: 8000, Packet: 20 * time.Millisecond, Size: 160, Divisible: true, Repeat: repeat}
	for i := range packets {
		p.Data = append(p.Data, bytes.Repeat([]byte{byte(0x40 + i)}, 160)...)
	}
	return p
}

func TestPromptIsOneStreamWithWhatWasBeforeAndAfter(t *testing.T) {
	s := newStage(t)
	s.talk(1000, 3)
	s.play(alawPrompt(2, 2))
	s.talk(1003, 4) // not heard, but the last
	s.pass(60 * time.Millisecond)
	s.talk(1007, 2)
	got := s.oneStream()
	voice := []byte{1, 2, 3}
	want := [][]byte{voice, voice, voice}
	for range 2 {
		want = append(want, bytes.Repeat([]byte{0x40}, 160), bytes.Repeat([]byte{0x41}, 160))
	}
	want = append(want, voice, voice)
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("%d packets were heard: %x", len(got), got)
	}
	if s.ended != 1 || s.plane.Totals().Played != 4 {
		t.Errorf("ended %d times, %d packets played", s.ended, s.plane.Totals().Played)
	}
	if n := s.a.Stats().Drops[DropBlocked]; n != 4 {
		t.Errorf("%d packets did not pass, want those of the prompt's time: 4", n)
	}
}

func TestShiftFoundAfterAPromptOutlivesSettings(t *testing.T) {
	s := newStage(t)
	s.play(alawPrompt(1, 1))
	s.pass(40 * time.Millisecond)
	s.talk(7, 1) // the first that is relayed decides the shift
	for deadline := time.Now().Add(patience); s.a.plan.Load().Sinks[0].Shift == (Shift{}); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the shift is not in the plan")
		}
	}
	s.apply()
	if s.a.plan.Load().Sinks[0].Shift == (Shift{}) {
		t.Error("settings that say nothing of it have undone the shift")
	}
	s.talk(8, 2)
	s.play(alawPrompt(1, 1))
	s.pass(40 * time.Millisecond)
	s.talk(20, 2) // the numbers of what was lost meanwhile are not missed
	if got := s.oneStream(); len(got) != 7 {
		t.Errorf("%d packets were heard, want 7", len(got))
	}
}

func TestPromptTakesThePlaceOfAnother(t *testing.T) {
	s := newStage(t)
	s.play(alawPrompt(5, -1))
	s.pass(50 * time.Millisecond)
	s.play(alawPrompt(2, -1))
	s.pass(90 * time.Millisecond)
	s.b.StopPlaying()
	s.runCommands()
	s.pass(100 * time.Millisecond)
	if got := s.oneStream(); len(got) != 3+5 || s.ended != 2 {
		t.Errorf("%d packets were heard, %d prompts ended", len(got), s.ended)
	}
}

func TestPromptIsPacedByTheClock(t *testing.T) {
	s := newStage(t)
	s.play(alawPrompt(4, -1))
	for range 10 { // a worker that comes by late each time
		s.clock.Add(int64(33 * time.Millisecond))
		s.now = s.plane.now()
		s.playDue()
	}
	if n := len(s.oneStream()); n != 1+330/20 {
		t.Errorf("%d packets in 330 ms, want 17", n)
	}
	s.clock.Add(int64(10 * time.Second))
	s.now = s.plane.now()
	before := len(s.heard.packets)
	s.playDue()
	if n := len(s.heard.packets) - before; n > int(lag/(20*time.Millisecond)) {
		t.Errorf("%d packets in a burst after a standstill", n)
	}
}

func TestPromptWaitsForThePeer(t *testing.T) {
	s := newStage(t)
	s.b.Apply(Settings{Sinks: []Sink{{RTP: s.a}}})
	s.play(alawPrompt(2, 1))
	s.pass(time.Second)
	if len(s.heard.packets) != 0 || s.ended != 0 {
		t.Fatalf("%d packets were sent to nowhere, ended %d", len(s.heard.packets), s.ended)
	}
	s.apply()
	s.pass(100 * time.Millisecond)
	if got := s.oneStream(); len(got) != 2 || s.ended != 1 {
		t.Errorf("%d packets, ended %d", len(got), s.ended)
	}
}

func TestPromptOfAClosedLegEnds(t *testing.T) {
	s := newStage(t)
	s.play(alawPrompt(2, -1))
	s.b.closed.Store(true)
	s.pass(100 * time.Millisecond)
	if s.ended != 1 || len(s.prompts.heap) != 0 {
		t.Errorf("ended %d, %d prompts left", s.ended, len(s.prompts.heap))
	}
}

func TestPromptNeedsAudio(t *testing.T) {
	s := newStage(t)
	for name, p := range map[string]*Prompt{
		"nothing":      {Rate: 8000, Packet: time.Second, Size: 1, Divisible: true},
		"half a frame": {Rate: 8000, Packet: time.Second, Size: 33, Data: make([]byte, 20)},
		"no size":      {Rate: 8000, Packet: time.Second, Data: make([]byte, 20)},
	} {
		if err := s.b.Play(p, func() {}); !errors.Is(err, ErrPrompt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPlayingAllocatesNothing(t *testing.T) {
	s := newStage(t)
	s.b.sock = new(silent)
	s.play(alawPrompt(5, -1))
	s.pass(100 * time.Millisecond)
	if n := testing.AllocsPerRun(200, func() { s.pass(20 * time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations per packet, want none", n)
	}
}
