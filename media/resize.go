package media

import (
	"encoding/binary"
	"time"

	"github.com/weir-media/weir/rtp"
)

// Packets of a codec whose octets are a stretch of time each can be put together anew without knowing what they say. Those of a stream are
// taken as one stretch of time, which is cut into packets of the wanted length; its sequence numbers are counted anew.

// frame is the smallest stretch of a codec that can stand alone.
type frame struct {
	bytes int
	time  time.Duration
	rate  uint32 // Hz, of time stamps
}

// divisible returns the frame of a payload type that can be cut (RFC 3551, section 4.5); false when it has none. Dynamic types have none
// that is known here, nor have the codecs whose frames are of several sizes.
func divisible(payloadType uint8) (f frame, ok bool) {
	switch payloadType {
	case 0, 8, 9: // PCMU, PCMA; G722 counts 8000 although it has 16000
		return frame{8, time.Millisecond, 8000}, true
	case 3: // GSM
		return frame{33, 20 * time.Millisecond, 8000}, true
	case 18: // G729
		return frame{10, 10 * time.Millisecond, 8000}, true
	}
	return f, false
}

// units returns how much of the time stamps so many bytes take.
func (f frame) units(bytes int) uint32 {
	return uint32(time.Duration(bytes/f.bytes) * f.time * time.Duration(f.rate) / time.Second)
}

// fitting is how many packets of the right length in a row make a stream that the kernel may relay: whoever keeps to it for so long
// changes it with a re-offer.
const fitting = 25

// maxHeld bounds what is waiting for more, in bytes. One packet of the longest packet time, 999 ms, is less.
const maxHeld = 1 << 14

// resizer holds what of a stream waits to be sent. It belongs to the stream's worker.
type resizer struct {
	held    []byte // payload
	header  rtp.Header
	next    uint16 // sequence number to be sent
	begun   bool
	altered bool // the numbers are not the source's any more
	run     int  // packets in a row that were right
	out     []byte
}

// resize forwards an RTP packet, whose header is in w.header, or holds it until there is enough.
func (w *worker) resize(l *Leg, p *plan, hearers *audience, s *stream, data []byte) {
	r, h := s.resizer, w.header
	if r == nil {
		r = &resizer{next: h.Sequence}
		s.resizer = r
	}
	f, can := divisible(h.PayloadType)
	if h.TrimPadding(data) != nil {
		l.drop(DropBadRTP)
		return
	}
	want := int(p.PacketTime / f.stretch() * time.Duration(f.bytes))
	switch {
	case !can || want == 0 || h.PayloadSize%f.bytes != 0 || h.PayloadSize == 0 || h.Extension || h.Contributors > 0:
		w.releaseHeld(l, hearers, s)
		w.renumber(l, hearers, s, data)
		r.run = 0
		return
	case len(r.held) == 0 && h.PayloadSize == want:
		// The usual case: there is nothing to do but to keep the numbers in order.
		if r.run++; r.run >= fitting && !r.altered && !l.fits.Load() {
			l.fits.Store(true)
			w.plane.offload.enqueue(l)
		}
		w.renumber(l, hearers, s, data)
		return
	}
	r.run = 0
	made := &w.plane.made
	made.resizedIn.Add(1)
	if len(r.held) > 0 {
		// What does not follow on what is held starts afresh. A packet that is late has had its time.
		ahead := int32(h.Timestamp - r.header.Timestamp - f.units(len(r.held)))
		if r.header.PayloadType == h.PayloadType && ahead < 0 && -ahead < int32(f.rate) {
			made.unsuited.Add(1)
			return
		}
		if r.header.PayloadType != h.PayloadType || ahead != 0 || h.Marker || len(r.held)+h.PayloadSize > maxHeld {
			w.releaseHeld(l, hearers, s)
		}
	}
	if len(r.held) == 0 {
		r.header = rtp.Header{Marker: h.Marker, PayloadType: h.PayloadType, Timestamp: h.Timestamp, SSRC: h.SSRC}
		if !r.begun {
			r.next = h.Sequence
		}
	}
	r.begun, r.altered = true, true
	r.held = append(r.held, data[h.PayloadStart:h.PayloadStart+h.PayloadSize]...)
	at := 0
	for len(r.held)-at >= want {
		w.emit(l, hearers, s, r.held[at:at+want])
		r.header.Timestamp += f.units(want)
		at += want
	}
	r.held = r.held[:copy(r.held, r.held[at:])]
}

// stretch returns the time of the frame, or one that divides nothing.
func (f frame) stretch() time.Duration {
	if f.time == 0 {
		return time.Hour
	}
	return f.time
}

// releaseHeld sends what is held, however little it is.
func (w *worker) releaseHeld(l *Leg, hearers *audience, s *stream) {
	if r := s.resizer; len(r.held) > 0 {
		w.emit(l, hearers, s, r.held)
		r.held = r.held[:0]
	}
}

// emit sends a packet of the stream with that payload.
func (w *worker) emit(l *Leg, hearers *audience, s *stream, payload []byte) {
	r := s.resizer
	w.flush() // the one before may be there still
	r.header.Sequence = r.next
	r.next++
	r.out = append(r.header.Append(r.out[:0]), payload...)
	r.header.Marker = false
	w.plane.made.resizedOut.Add(1)
	if w.header.Parse(r.out) == nil {
		w.pass(l, hearers, s, r.out)
	}
}

// renumber sends a packet as it is, but for its sequence number.
func (w *worker) renumber(l *Leg, hearers *audience, s *stream, data []byte) {
	r := s.resizer
	if r.altered {
		binary.BigEndian.PutUint16(data[2:], r.next)
		w.header.Sequence = r.next
	}
	r.next, r.begun = w.header.Sequence+1, true
	w.pass(l, hearers, s, data)
}

// pass gives an RTP packet, whose header is in w.header, to the hearers as the treatment wants it.
func (w *worker) pass(l *Leg, hearers *audience, s *stream, data []byte) {
	if hearers.treated != "" {
		w.treat(l, hearers, s, data)
		return
	}
	w.forward(l, hearers, rtp.RTP, data)
}
