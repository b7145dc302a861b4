package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/weir-media/weir/rtp"
)

// Prompt is audio that is ready to be sent. Nobody writes to it, so that many legs can be sent the same.
type Prompt struct {
	PayloadType uint8
	Rate        uint32        // Hz, of time stamps
	Packet      time.Duration // that Size bytes last
	Size        int           // bytes of a packet; what is left at the end of Data is sent if Divisible
	Divisible   bool
	Data        []byte
	Repeat      int // how often it is played; negative: until it is stopped
}

// NewPrompt makes a prompt of audio that is encoded already, as it would be in packets one after the other. Packet is how long those shall
// be; 0: as usual for the codec. The error is ErrPrompt, also for payload types whose audio cannot be cut into packets without decoding.
func NewPrompt(payloadType uint8, data []byte, packet time.Duration, repeat int) (*Prompt, error) {
	f, ok := divisible(payloadType)
	switch {
	case ok:
	case payloadType == 4: // G723, at 6.3 kbit/s
		f = frame{24, 30 * time.Millisecond, 8000}
	case payloadType == 15: // G728
		f = frame{5, 2500 * time.Microsecond, 8000}
	default:
		return nil, fmt.Errorf("%w of payload type %d", ErrPrompt, payloadType)
	}
	if packet <= 0 {
		packet = 20 * time.Millisecond
	}
	frames := max(1, packet/f.time)
	p := &Prompt{
		PayloadType: payloadType, Rate: f.rate, Packet: frames * f.time, Size: int(frames) * f.bytes, Divisible: f.time == time.Millisecond,
		Data: data, Repeat: repeat,
	}
	return p, p.check()
}

func (p *Prompt) check() error {
	if p.Size <= 0 || p.Packet <= 0 || p.Rate == 0 || len(p.Data) < p.Size && !(p.Divisible && len(p.Data) > 0) {
		return ErrPrompt
	}
	return nil
}

// ErrPrompt is of prompts that have nothing to send.
var ErrPrompt = errors.New("prompt has not one packet of audio")

// lag is how far behind a prompt may be before what was missed is left out: a burst would be of no use to anybody.
const lag = 200 * time.Millisecond

// player plays a prompt to the peer of a leg. It belongs to the leg's worker.
type player struct {
	leg    *Leg
	prompt *Prompt
	after  *player // that it takes the place of
	ended  func()

	position
	at     int // in the data
	rounds int // that are still to be played; negative: for ever
	due    time.Duration
	begun  bool // a packet was sent
	over   bool
}

// Play has the leg's peer be sent a prompt instead of what it hears, from the time on when its address is known. A prompt before it ends.
// The peer sees one stream: the numbers go on from those it was sent before, and what it is relayed afterwards goes on from the last ones
// of the prompt. Ended is called by the worker, which must not wait, when it is over for any reason. The error is ErrPrompt.
func (l *Leg) Play(prompt *Prompt, ended func()) error {
	if err := prompt.check(); err != nil {
		return err
	}
	if prompt.Repeat == 0 {
		ended()
		return nil
	}
	p := &player{leg: l, prompt: prompt, rounds: prompt.Repeat, ended: ended}
	p.after = l.player.Swap(p)
	l.plane.offload.changed(l) // what the kernel has relayed so far is accounted for then
	l.worker.do(func() { l.worker.beginPrompt(p) })
	return nil
}

// StopPlaying ends the prompt that is being played, if there is one.
func (l *Leg) StopPlaying() {
	if p := l.player.Load(); p != nil {
		l.worker.do(func() { l.worker.endPrompt(p) })
	}
}

func (w *worker) beginPrompt(p *player) {
	now := w.plane.now()
	before := p.after
	p.after = nil
	if before != nil && !before.over {
		p.position = before.position
		w.dismiss(before)
	} else {
		p.position = p.leg.outgoing(now)
	}
	p.timestamp, p.position.at, p.rate = p.timestampAt(now), now, p.prompt.Rate
	if p.over || p.leg.player.Load() != p || p.leg.closed.Load() {
		w.dismiss(p) // another one came meanwhile
		return
	}
	p.due = now
	w.prompts.push(p)
}

// outgoing returns where the stream stands that the leg's peer is being sent, or a new one if it was sent none.
func (l *Leg) outgoing(now time.Duration) position {
	var last *stream
	var by Shift
	join := l.splice.Load()
	for _, f := range l.hears.list() {
		s := f.stream.Load()
		if s == nil || last != nil && s.seen.Load() < last.seen.Load() {
			continue
		}
		last = s
		if by = (Shift{}); join == nil {
			continue
		}
		if found := join.found.Load(); found != nil {
			by = *found
		} else {
			last = nil // nothing of it was relayed since
		}
	}
	switch {
	case last != nil:
		last.mu.Lock()
		t := last.totals()
		last.mu.Unlock()
		return position{
			ssrc: last.ssrc ^ by.SSRC, sequence: uint16(t.highest) + 1 + by.Sequence, timestamp: t.timestampAt() + by.Timestamp,
			at: t.seen, rate: t.rate,
		}
	case join != nil:
		return join.end
	}
	return position{ssrc: rand.Uint32(), sequence: uint16(rand.Uint32()), timestamp: rand.Uint32(), at: now}
}

// endPrompt has the peer hear the others again.
func (w *worker) endPrompt(p *player) {
	if p.over {
		return
	}
	w.dismiss(p)
	end := p.position
	end.timestamp, end.at = p.timestampAt(w.plane.now()), w.plane.now()
	p.leg.splice.Store(&splice{end: end})
	p.leg.player.CompareAndSwap(p, nil)
	p.leg.plane.offload.changed(p.leg)
}

// dismiss has a player send nothing more. It leaves the queue when it would be its turn.
func (w *worker) dismiss(p *player) {
	if !p.over {
		p.over = true
		p.ended()
	}
}

// playDue sends what is due of all prompts.
func (w *worker) playDue() {
	defer w.contain()
	for {
		p := w.prompts.next(w.now)
		if p == nil {
			break
		}
		w.current = p.leg
		if p.over || p.leg.closed.Load() {
			w.dismiss(p)
			continue
		}
		w.play(p)
		if !p.over {
			if p.due += p.prompt.Packet; w.now-p.due > lag {
				p.due = w.now
			}
			w.prompts.push(p)
		}
	}
	w.flush()
	w.current = nil
}

// play sends the next packet of a prompt. As long as there is nowhere to send to, the prompt waits.
func (w *worker) play(p *player) {
	if to, _ := p.leg.destination(false); to == nil {
		p.position.at = w.now
		return
	}
	if p.at >= len(p.prompt.Data) || len(p.prompt.Data)-p.at < p.prompt.Size && !p.prompt.Divisible {
		if p.at = 0; p.rounds > 0 {
			p.rounds--
		}
		if p.rounds == 0 {
			w.endPrompt(p)
			return
		}
	}
	if w.out.n == batchSize {
		w.flush()
	}
	payload := p.prompt.Data[p.at:min(p.at+p.prompt.Size, len(p.prompt.Data))]
	h := rtp.Header{Marker: !p.begun, PayloadType: p.prompt.PayloadType, Sequence: p.sequence, Timestamp: p.timestamp, SSRC: p.ssrc}
	data := append(h.Append(w.out.room()), payload...)
	if ok, why := w.queue(&w.nobody, p.leg, rtp.RTP, data); !ok {
		p.leg.drop(why)
	} else {
		w.plane.made.played.Add(1)
	}
	p.begun = true
	p.at += len(payload)
	p.sequence++
	p.timestamp += uint32(uint64(p.prompt.Packet) * uint64(p.rate) / uint64(time.Second))
	p.position.at = p.due + p.prompt.Packet
}

// prompts is a worker's queue of players in the order in which they are due. The zero value is empty.
type prompts struct{ heap []*player }

func (q *prompts) push(p *player) {
	q.heap = append(q.heap, p)
	for i := len(q.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if q.heap[parent].due <= q.heap[i].due {
			break
		}
		q.heap[parent], q.heap[i] = q.heap[i], q.heap[parent]
		i = parent
	}
}

// next takes out a player that is due; nil when there is none.
func (q *prompts) next(now time.Duration) *player {
	n := len(q.heap) - 1
	if n < 0 || q.heap[0].due > now {
		return nil
	}
	p := q.heap[0]
	q.heap[0], q.heap[n] = q.heap[n], nil
	q.heap = q.heap[:n]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < n; child++ {
			if q.heap[child].due < q.heap[least].due {
				least = child
			}
		}
		if least == i {
			return p
		}
		q.heap[i], q.heap[least] = q.heap[least], q.heap[i]
		i = least
	}
}

// patience returns how long the worker may wait for packets: until reports or prompts are due, negative when there are none.
func (w *worker) patience() time.Duration {
	wait := w.wheel.wait(w.now)
	if len(w.prompts.heap) == 0 {
		return wait
	}
	if due := max(0, w.prompts.heap[0].due-w.plane.now()); wait < 0 || due < wait {
		return due
	}
	return wait
}
