package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Mode says which engines Open may use.
type Mode string

// The engine choices of Config.Mode, best first. Auto takes the best engine each network device allows.
const (
	Auto       Mode = "auto"
	XDP        Mode = "xdp"
	TC         Mode = "tc"
	XDPGeneric Mode = "xdp-generic"
	None       Mode = "none"
)

// Target is a receiver of a flow: its packets leave from From, a local address and port, to To, of the same address family.
type Target struct {
	From, To netip.AddrPort
	TOS      uint8 // IPv4 TOS or IPv6 traffic class
	Shift    Shift
}

// Shift makes RTP packets those of another stream. The zero value leaves them as they are.
type Shift struct {
	SSRC      uint32 // exclusive or
	Sequence  uint16 // added
	Timestamp uint32 // added
}

// Limits of a flow.
const (
	MaxReceivers = 32 // FLOW_RECEIVERS
	MaxClocks    = 8  // FLOW_CLOCKS
	MaxSilences  = 4  // FLOW_SILENCES
	MaxSources   = 4  // FLOW_SOURCES
)

// Flow is one direction of RTP or RTCP that needs nothing from userspace: packets that arrive on Local from Source leave
// again from Target.From to Target.To. Install copies it.
type Flow struct {
	Local  netip.AddrPort // where the packets arrive; the key of the flow
	Source netip.AddrPort // the learnt peer
	Target
	More []Target // further receivers, of the address family of Local as Target is then

	// RTCP says that the port is for RTCP alone. Otherwise RTCP goes up, unless ToRTCP is set.
	RTCP   bool
	ToRTCP Target

	DropForeign bool // true: packets from other sources end here and are counted; false: they go up to the socket

	// PayloadTypes admits RTP payload types, one bit each (type 0 is bit 0 of element 0). All zero admits every type.
	// Others go up to the socket.
	PayloadTypes [2]uint64

	Treatment
	Open, Seal Cipher // what the packets are decrypted and encrypted with; 0: nothing
	Taps       Taps
	Clocks     [MaxClocks]Clock // of payload types that may come; without one there is no jitter

	// Seq and SSRC are those of the last packet userspace relayed, so that the figures go on across the change of
	// plane. Seeded is false when there was none.
	Seq    uint16
	SSRC   uint32
	Seeded bool
}

// Treatment is what is done to RTP packets on the way. The zero value leaves them as they are.
type Treatment struct {
	Events      [2]uint64 // payload types of telephone events, as in PayloadTypes
	BlockEvents bool      // they end here
	BlockMedia  bool      // all others do
	Silence     bool      // or their payload becomes silence; they end here where there is none
	Silences    [MaxSilences]Silence
	Strip       bool // header extensions of RFC 8285 are taken out; tc cannot
}

// Silence is the octet that silence is made of for a payload type; 0: none.
type Silence struct{ PayloadType, Octet uint8 }

// Clock is the clock rate of a payload type in Hz; 0: none.
type Clock struct {
	PayloadType uint8
	Rate        uint32
}

// Taps says of which packets userspace gets copies; see Config.Tap.
type Taps struct{ All, RTCP, Events bool }

// Counters are what the kernel has seen of one flow since its installation.
type Counters struct {
	Packets, Bytes       uint64        `json:",omitzero"` // RTP of the source, relayed or blocked; bytes of UDP payload
	Out, OutBytes        uint64        `json:",omitzero"` // RTP to each receiver
	RTCP, RTCPBytes      uint64        `json:",omitzero"` // relayed
	Blocked              uint64        `json:",omitzero"` // RTP that was not to pass
	Refused              uint64        `json:",omitzero"` // from a source that is not the flow's, dropped here
	Unauthenticated      uint64        `json:",omitzero"` // SRTP with a wrong tag, dropped here
	Replayed             uint64        `json:",omitzero"` // SRTP received before, dropped here
	Untapped             uint64        `json:",omitzero"` // copies that found no room
	Lost, Late, Repeated uint64        `json:",omitzero"` // of all of Sources: gaps in the sequence numbers less late arrivals, late arrivals, duplicates
	LastSeen             time.Duration `json:",omitzero"` // of the last packet, on CLOCK_MONOTONIC to the tick; 0 when none
	SSRC                 uint32        `json:",omitzero"` // of the last RTP packet
	Seq                  uint16        `json:",omitzero"` // of the last RTP packet

	// Sources are the first SSRCs that came; Packets of others are in the sums alone.
	Sources [MaxSources]SourceCounters `json:",omitzero"`
}

// SourceCounters are those of one SSRC. The zero value is none.
type SourceCounters struct {
	Used                 bool          `json:",omitzero"`
	SSRC                 uint32        `json:",omitzero"`
	Packets, Bytes       uint64        `json:",omitzero"`
	Lost, Late, Repeated uint64        `json:",omitzero"`
	Seq                  uint16        `json:",omitzero"` // highest
	Timestamp            uint32        `json:",omitzero"` // of the last packet
	Jitter               uint32        `json:",omitzero"` // times 16, in units of the time stamp; 0 when the clock rate is not known
	PayloadType          uint8         `json:",omitzero"` // of the last packet
	PayloadTypes         [2]uint64     `json:",omitzero"`
	LastSeen             time.Duration `json:",omitzero"` // 0 when userspace saw it last
}

// Add sums the counts of c and d; what is known of the last packets and of the sources is the later one's.
func (c Counters) Add(d Counters) Counters {
	sum := c
	if d.LastSeen >= c.LastSeen {
		sum = d
	}
	sum.Packets, sum.Bytes = c.Packets+d.Packets, c.Bytes+d.Bytes
	sum.Out, sum.OutBytes = c.Out+d.Out, c.OutBytes+d.OutBytes
	sum.RTCP, sum.RTCPBytes = c.RTCP+d.RTCP, c.RTCPBytes+d.RTCPBytes
	sum.Unauthenticated, sum.Replayed = c.Unauthenticated+d.Unauthenticated, c.Replayed+d.Replayed
	sum.Blocked, sum.Refused, sum.Untapped = c.Blocked+d.Blocked, c.Refused+d.Refused, c.Untapped+d.Untapped
	sum.Lost, sum.Late, sum.Repeated = c.Lost+d.Lost, c.Late+d.Late, c.Repeated+d.Repeated
	return sum
}

// Same tells whether two flows relay alike; where they begin to count does not matter.
func (f *Flow) Same(g *Flow) bool {
	return f.Local == g.Local && f.Source == g.Source && f.Target == g.Target && slices.Equal(f.More, g.More) &&
		f.RTCP == g.RTCP && f.ToRTCP == g.ToRTCP && f.DropForeign == g.DropForeign && f.PayloadTypes == g.PayloadTypes &&
		f.Treatment == g.Treatment && f.Open == g.Open && f.Seal == g.Seal && f.Taps == g.Taps && f.Clocks == g.Clocks
}

// Validate reports what makes f impossible to install.
func (f *Flow) Validate() error {
	local, source := f.Local.Addr(), f.Source.Addr()
	switch {
	case !f.Local.IsValid() || !f.Source.IsValid():
		return fmt.Errorf("flow %v: an address is missing", f.Local)
	case local.Is4() != source.Is4():
		return fmt.Errorf("flow %v: source %v is of another address family: %w", f.Local, f.Source, ErrFamily)
	case f.Local.Port() == 0 || f.Source.Port() == 0:
		return fmt.Errorf("flow %v: a port is 0", f.Local)
	case len(f.More) >= MaxReceivers:
		return fmt.Errorf("flow %v: %d receivers are more than %d: %w", f.Local, len(f.More)+1, MaxReceivers, ErrReceivers)
	case len(f.More) > 0 && (f.ToRTCP != Target{} || f.Strip):
		return fmt.Errorf("flow %v: RTCP of the port and header extensions are for one receiver: %w", f.Local, ErrReceivers)
	case f.secure() && (len(f.More) > 0 || f.RTCP || f.ToRTCP != Target{} || !f.Treatment.zero()):
		return fmt.Errorf("flow %v: SRTP is for RTP, one receiver and nothing else: %w", f.Local, ErrStage)
	}
	targets := append([]Target{f.Target}, f.More...)
	if f.ToRTCP != (Target{}) {
		targets = append(targets, f.ToRTCP)
	}
	for i := range targets {
		if err := targets[i].validate(); err != nil {
			return fmt.Errorf("flow %v: %w", f.Local, err)
		}
		if len(f.More) > 0 && targets[i].To.Addr().Is4() != local.Is4() {
			return fmt.Errorf("flow %v: one of several receivers is %v: %w", f.Local, targets[i].To, ErrFamily)
		}
	}
	return nil
}

func (t *Target) validate() error {
	from, to := t.From.Addr(), t.To.Addr()
	switch {
	case !t.From.IsValid() || !t.To.IsValid():
		return errors.New("an address is missing")
	case from.Is4() != to.Is4():
		return fmt.Errorf("from %v and to %v differ: %w", t.From, t.To, ErrFamily)
	case t.From.Port() == 0 || t.To.Port() == 0:
		return errors.New("a port is 0")
	case !to.IsGlobalUnicast():
		return fmt.Errorf("the kernel plane cannot route to %v: not a global unicast address", to)
	}
	return nil
}

// plain is f with IPv4 addresses in their own form.
func (f Flow) plain() Flow {
	f.More = slices.Clone(f.More)
	addrs := []*netip.AddrPort{&f.Local, &f.Source, &f.From, &f.To, &f.ToRTCP.From, &f.ToRTCP.To}
	for i := range f.More {
		addrs = append(addrs, &f.More[i].From, &f.More[i].To)
	}
	for _, a := range addrs {
		if a.IsValid() {
			*a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
		}
	}
	return f
}

// simple tells whether new addresses are all that its RTP needs. RTCP of the same port goes the longer way by itself.
func (f *Flow) simple() bool {
	return len(f.More) == 0 && f.Treatment.zero() && !(f.RTCP && f.Taps.RTCP) && !f.Taps.All && !f.Taps.Events && f.Shift == (Shift{}) &&
		!f.secure()
}

// secure tells whether packets are decrypted or encrypted.
func (f *Flow) secure() bool { return f.Open != 0 || f.Seal != 0 }

// zero tells whether the treatment changes nothing.
func (t *Treatment) zero() bool { return !t.BlockEvents && !t.BlockMedia && !t.Silence && !t.Strip }
