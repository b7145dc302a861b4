package call

import (
	"slices"
	"strings"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/sdp"
)

// ConversionKind says what is done to a packet.
type ConversionKind uint8

// The kinds of conversion, from the least work to the most.
const (
	Pass      ConversionKind = iota // nothing
	Renumber                        // another payload type; events also another clock rate, which scales time stamps and durations
	Transcode                       // decoded and encoded; events become tones, noise becomes audio
	Drop                            // nothing the receiver would understand can be made of it
)

// Conversion is what becomes of the packets of one payload type on their way from one media to another that hears it.
type Conversion struct {
	Kind ConversionKind
	From sdp.Codec // as the sender sends it
	To   sdp.Codec // as the receiver is sent it; zero for Drop

	// For Transcode. Zero is what is usual for the encoding.
	PTime   int    // ms of a packet
	Bitrate int    // bits/s
	Options string // as the request has them
}

// Conversions returns what the plan says about every payload type that the source may send to a media that hears it: one entry for
// each codec of source.Sends, in that order. A payload type without an entry was never agreed on and passes as it is. A codec
// engine compiles the list once per plan into a table by payload type for each pair of source and sink, sends the packets of
// Pass on untouched, and must take the whole stream through itself as soon as one entry is Transcode, because sequence numbers
// and time stamps of what it makes have to agree with what passes. If the sink is sent events or noise that the source does not
// send, every codec that carries audio is Transcode, even between equal formats, so that tones and silence are found.
func (p *Plan) Conversions(source, sink *Media) []Conversion {
	all := make([]Conversion, 0, len(source.Sends))
	for i := range source.Sends {
		all = append(all, p.conversion(source, sink, &source.Sends[i]))
	}
	return all
}

func (p *Plan) conversion(source, sink *Media, c *sdp.Codec) Conversion {
	same := counterpart(sink.Receives, c)
	if !carriesMedia(*c) {
		if same == nil {
			same = named(sink.Receives, c.Name)
		}
		if same == nil && (!strings.EqualFold(c.Name, "telephone-event") && !strings.EqualFold(c.Name, "CN")) {
			return Conversion{Kind: Drop, From: *c}
		}
	}
	if same != nil && !(carriesMedia(*c) && convertible(*c) && (sink.made || sink.packets != 0 || detects(source, sink))) {
		kind := Pass
		if same.PayloadType != c.PayloadType || same.ClockRate != c.ClockRate {
			kind = Renumber
		}
		return Conversion{Kind: kind, From: *c, To: *same}
	}
	to := same
	if to == nil {
		i := p.ranks.partner(c, sink.Receives)
		if i < 0 || carriesMedia(*c) && !convertible(*c) {
			return Conversion{Kind: Drop, From: *c}
		}
		to = &sink.Receives[i]
	}
	t := Conversion{Kind: Transcode, From: *c, To: *to, PTime: sink.packets}
	for _, n := range sink.tuning {
		if n.tuned() && n.means(to, codec.Compatible) {
			t.PTime, t.Bitrate, t.Options = firstOf(sink.packets, n.PTime), n.Bitrate, n.Options
			break
		}
	}
	return t
}

// counterpart finds the same codec in another list, under the same payload type if it is there.
func counterpart(list []sdp.Codec, c *sdp.Codec) *sdp.Codec {
	if i := byType(list, c.PayloadType); i >= 0 && answers(&list[i], c) {
		return &list[i]
	}
	if i := slices.IndexFunc(list, func(o sdp.Codec) bool { return answers(&o, c) }); i >= 0 {
		return &list[i]
	}
	return nil
}

// named finds a codec by its encoding alone.
func named(list []sdp.Codec, name string) *sdp.Codec {
	if i := slices.IndexFunc(list, func(o sdp.Codec) bool { return strings.EqualFold(o.Name, name) }); i >= 0 {
		return &list[i]
	}
	return nil
}

// detects tells whether the sink expects what has to be found in the audio of the source.
func detects(source, sink *Media) bool {
	for _, name := range []string{"telephone-event", "CN"} {
		if named(sink.Receives, name) != nil && named(source.Sends, name) == nil {
			return true
		}
	}
	return false
}

// converts tells whether two parties that have spoken need a codec engine between them.
func (p *Plan) converts() bool {
	for _, party := range p.Parties {
		for _, m := range party.Media {
			for i := range m.Hears {
				source := p.media(m.Hears[i].Ref)
				if source == nil || source.Section == nil || m.Section == nil || m.Hears[i].OnlyRTCP {
					continue
				}
				for k := range source.Sends {
					if kind := p.conversion(source, m, &source.Sends[k]).Kind; kind == Renumber || kind == Transcode {
						return true
					}
				}
			}
		}
	}
	return false
}
