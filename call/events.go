package call

import (
	"net/netip"
	"strings"

	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Event is a telephone event that a party has sent, such as a key it has pressed.
type Event struct {
	*EventSource
	media.TelephoneEvent
}

// EventSource is whose event it is. It is immutable.
type EventSource struct {
	CallID     string
	Tag, Label string         // of the party
	Tags       []string       // of all parties, in the order in which they came
	LogTo      netip.AddrPort // where signalling wants to have it told of; invalid: where it is told of anyway
}

// listener tells of the events of one party.
type listener struct {
	source EventSource
	tell   func(Event) // nil: nobody wants to know
	dial   *dialler    // nil: no trigger is looked for
	party  PartyID
}

// Event implements media.EventListener.
func (l *listener) Event(e *media.TelephoneEvent) {
	if l.tell != nil {
		l.tell(Event{&l.source, *e})
	}
	if l.dial != nil {
		l.dial.take(l.party, e.Code)
	}
}

// listen has somebody be told of the events of a party, if anybody wants to be.
func (d *draft) listen(s *media.Settings, party *Party, index int) {
	cfg := &d.call.manager.cfg
	told, triggers := cfg.Event != nil && (cfg.AllEvents || d.plan.EventLog.IsValid()), d.plan.triggers(party)
	if !told && !triggers || s.Kind != media.RTP {
		return
	}
	if s.Events = d.plan.events(party, index); len(s.Events) == 0 {
		return
	}
	l := &listener{source: EventSource{CallID: d.call.id, Tag: party.Tag, Label: party.Label, LogTo: d.plan.EventLog}, party: party.ID}
	if told {
		l.tell = cfg.Event
	}
	if triggers {
		l.dial = d.call.dialled(d.plan)
	}
	for _, p := range d.plan.Parties {
		if p.Tag != "" {
			l.source.Tags = append(l.source.Tags, p.Tag)
		}
	}
	s.Listener = l
}

// events are the payload types and clock rates of telephone events that a party may send on the legs of a media.
func (p *Plan) events(party *Party, index int) []media.ClockRate {
	return p.clocks(party, index, func(c *sdp.Codec) (rate uint32, ok bool) { return c.ClockRate, isEvent(c) })
}

func isEvent(c *sdp.Codec) bool { return strings.EqualFold(c.Name, "telephone-event") }

// reportTap gives away the RTCP of one call.
type reportTap struct {
	callID string
	take   func(callID string, p *media.TapPacket)
}

// Packet implements media.Tap.
func (t *reportTap) Packet(p *media.TapPacket) { t.take(t.callID, p) }

// reports returns who takes copies of the RTCP of the call.
func (c *Call) reports() []media.Tap {
	if c.manager.cfg.Report == nil {
		return nil
	}
	return []media.Tap{&reportTap{c.id, c.manager.cfg.Report}}
}
