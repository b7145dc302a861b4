package media

import "time"

const (
	wheelStep  = 128 * time.Millisecond
	wheelSlots = 64
)

// wheel is a worker's calendar of the legs it reports for. The zero value is empty. It allocates only to hold more legs than
// ever before.
type wheel struct {
	slots [wheelSlots][]*Leg
	spare []*Leg
	step  int64 // the last one that was done
	n     int
}

// add has a leg come up at the time of its due.
func (h *wheel) add(l *Leg, now time.Duration) {
	if h.n == 0 {
		h.step = int64(now / wheelStep)
	}
	h.n++
	h.put(l)
}

func (h *wheel) put(l *Leg) {
	at := max(int64(l.due/wheelStep), h.step+1) % wheelSlots
	h.slots[at] = append(h.slots[at], l)
}

// wait returns how long it is to the next step, negative when there is nothing to wait for.
func (h *wheel) wait(now time.Duration) time.Duration {
	if h.n == 0 {
		return -1
	}
	return max(0, time.Duration(h.step+1)*wheelStep-now)
}

// turn calls fn for every leg that is due. It leaves the wheel if fn is false, else it comes up again at its new time.
func (h *wheel) turn(now time.Duration, fn func(*Leg) bool) {
	if h.n == 0 {
		return
	}
	to := int64(now / wheelStep)
	for h.step = max(h.step, to-wheelSlots); h.step < to; {
		h.step++
		at := h.step % wheelSlots
		legs := h.slots[at]
		h.slots[at] = h.spare[:0]
		for i, l := range legs {
			legs[i] = nil
			if l.due > now || fn(l) {
				h.put(l)
			} else {
				h.n--
			}
		}
		h.spare = legs
	}
}
