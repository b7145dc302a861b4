package ngproto

import "time"

// Bounds and defaults of play DTMF.
const (
	minEventTime     = 100 // ms
	maxEventTime     = 5000
	defaultEventTime = 250
	defaultEventGap  = 100
)

// EventDuration returns how long the event of play DTMF lasts, within 100 ms to 5 s.
func (r *Request) EventDuration() time.Duration { return eventTime(r.Duration.Or(defaultEventTime)) }

// EventPause returns the gap between queued events of play DTMF, within 100 ms to 5 s.
func (r *Request) EventPause() time.Duration { return eventTime(r.PauseTime.Or(defaultEventGap)) }

func eventTime(ms int) time.Duration {
	return time.Duration(min(max(ms, minEventTime), maxEventTime)) * time.Millisecond
}

// EventVolume returns the level of the event of play DTMF in dB, never above 0: positive values are meant as negative
// ones. def applies if the client gave none.
func (r *Request) EventVolume(def int) int { return -magnitude(r.Volume.Or(def)) }

// toneAttenuation is the level of replacement tones in negative dB.
const (
	maxToneAttenuation     = 63
	defaultToneAttenuation = 10
)

// ToneAttenuation returns how far below full scale the tones are that replace blocked DTMF, 0 to 63 dB.
func (r *Request) ToneAttenuation() int {
	return min(magnitude(r.Volume.Or(defaultToneAttenuation)), maxToneAttenuation)
}

func magnitude(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
