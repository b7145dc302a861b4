package rtp

import "time"

// maxStep is how far sequence numbers of one stream are apart at most (MAX_DROPOUT of RFC 3550, appendix A.1). Unlike there it holds in
// both directions: two streams of one SSRC, as a peer makes that echoes what it hears, would count as loss again and again otherwise.
const maxStep = 3000

// Loss follows the sequence numbers of one stream. Its arithmetic is that of the kernel plane, so that a stream can change
// planes without a jump in its figures. The zero value has seen nothing.
type Loss struct {
	SSRC    uint32 // of the last packet
	Highest uint32 // sequence number so far, extended by the times it wrapped around (RFC 3550, section 6.4.1)
	Started bool   // a packet was seen
	Lost    uint64 // packets missing: gaps, less late arrivals

	jumped bool
	next   uint16 // that would follow the last jump
}

// Update takes the next packet into account: a step ahead by d adds d-1 to Lost, an older packet takes one back, and a new
// SSRC starts anew without adding to Lost. So does a jump by more than a stream can lose, once a second packet follows it.
func (l *Loss) Update(ssrc uint32, seq uint16) {
	if !l.Started || ssrc != l.SSRC {
		l.Resume(ssrc, uint32(seq))
		return
	}
	switch d := seq - uint16(l.Highest); {
	case d == 0: // a duplicate
	case d < maxStep:
		l.Lost += uint64(d - 1)
		l.Highest += uint32(d)
	case -d < maxStep:
		if l.Lost > 0 {
			l.Lost--
		}
	case l.jumped && seq == l.next:
		l.Resume(ssrc, uint32(seq))
	default:
		l.jumped, l.next = true, seq+1
	}
}

// Resume goes on after the packet of the extended sequence number given, which somebody else has accounted for.
func (l *Loss) Resume(ssrc, highest uint32) {
	l.SSRC, l.Highest, l.Started, l.jumped = ssrc, highest, true, false
}

// Extend returns the extended sequence number of a packet that is not far from highest.
func Extend(highest uint32, seq uint16) uint32 {
	return highest + uint32(int32(int16(seq-uint16(highest))))
}

// Jitter estimates the interarrival jitter of one stream (RFC 3550, section 6.4.1 and appendix A.8). The zero value has
// seen nothing.
type Jitter struct {
	ssrc    uint32
	rate    uint32
	started bool
	paused  bool
	transit uint32
	scaled  uint64 // estimate times 16, in time stamp units
}

// Update takes a packet into account that arrived at the given time on any steady clock. A rate of 0 Hz, and a change of
// SSRC or rate, starts anew.
func (j *Jitter) Update(ssrc, timestamp, rate uint32, arrival time.Duration) {
	if rate == 0 {
		*j = Jitter{}
		return
	}
	whole, part := arrival/time.Second, arrival%time.Second
	now := uint32(uint64(whole)*uint64(rate) + uint64(part)*uint64(rate)/uint64(time.Second))
	transit := now - timestamp
	if !j.started || ssrc != j.ssrc || rate != j.rate {
		*j = Jitter{ssrc: ssrc, rate: rate, started: true, transit: transit}
		return
	}
	d := int64(int32(transit - j.transit))
	if d < 0 {
		d = -d
	}
	j.transit = transit
	if j.paused {
		j.paused = false
		return
	}
	j.scaled += uint64(d) - (j.scaled+8)>>4
}

// Pause says that packets were missed on purpose: the next one is compared with nothing before it.
func (j *Jitter) Pause() { j.paused = true }

// Units returns the estimate in time stamp units, as RTCP carries it.
func (j *Jitter) Units() uint32 { return uint32(j.scaled >> 4) }

// Duration returns the estimate as a time; 0 when nothing is known.
func (j *Jitter) Duration() time.Duration {
	if j.rate == 0 {
		return 0
	}
	return time.Duration(float64(j.scaled) / 16 / float64(j.rate) * float64(time.Second))
}
