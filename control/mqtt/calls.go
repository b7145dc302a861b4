package mqtt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// Call is a call as rtpengine publishes it.
type Call struct {
	CallID string `json:"call_id"`
	Legs   []Leg  `json:"legs"`
}

// Leg is a party.
type Leg struct {
	Tag    string  `json:"tag,omitempty"`
	Label  string  `json:"label,omitempty"`
	Medias []Media `json:"medias"`
}

// Media is the RTP of one section of a party.
type Media struct {
	Index           int       `json:"media_index"` // from 1
	Type            string    `json:"type"`
	Interface       string    `json:"interface"`
	Protocol        string    `json:"protocol"`
	Status          string    `json:"status"` // sendrecv and so on
	Ingress         Direction `json:"ingress"`
	Egress          Direction `json:"egress"`
	Address         string    `json:"address,omitempty"` // ours
	Port            uint16    `json:"port,omitempty"`
	EndpointAddress string    `json:"endpoint_address,omitempty"`
	EndpointPort    uint16    `json:"endpoint_port,omitempty"`
	Suite           string    `json:"crypto_suite,omitempty"`
	Transcoding     bool      `json:"transcoding"`
}

// OneMedia is a media by itself.
type OneMedia struct {
	CallID string `json:"call_id"`
	Tag    string `json:"tag,omitempty"`
	Label  string `json:"label,omitempty"`
	Media
}

// Direction is what comes from a party, or goes to it.
type Direction struct {
	Bytes   uint64   `json:"bytes"`
	Packets uint64   `json:"packets"`
	Errors  uint64   `json:"errors"`
	Sources []Source `json:"SSRC"`
}

// Source is one SSRC.
type Source struct {
	SSRC      uint32  `json:"SSRC"`
	Codec     string  `json:"codec"`
	ClockRate uint32  `json:"clock_rate"`
	Params    string  `json:"codec_params"`
	Format    string  `json:"codec_format"`
	Metrics   Metrics `json:"metrics"`
}

// Metrics are the figures of one SSRC. Those that are not known are missing.
type Metrics struct {
	Packets        uint64   `json:"packets"`
	Bytes          uint64   `json:"bytes"`
	Lost           uint64   `json:"lost"`
	Duplicates     uint64   `json:"duplicates"` // they are not counted for each source: 0
	PacketsRate    *decimal `json:"packets_per_second,omitempty"`
	BytesRate      *decimal `json:"bytes_per_second,omitempty"`
	LostRate       *decimal `json:"lost_per_second,omitempty"`
	Jitter         *decimal `json:"jitter,omitempty"` // ms
	MOS            *decimal `json:"MOS,omitempty"`
	RoundTrip      *decimal `json:"RTT,omitempty"` // ms
	RoundTripOfLeg *decimal `json:"RTT_leg,omitempty"`
}

// decimal is written with one digit behind the point.
type decimal float64

// MarshalJSON implements json.Marshaler.
func (d decimal) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%.1f", float64(d)), nil }

func known(v float64) *decimal {
	d := decimal(math.Round(10*v) / 10)
	return &d
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Describer puts calls into words, with rates since it last did. It is for one goroutine.
type Describer struct {
	Interface string // the name of the default one

	now, since  time.Time
	before, all map[sourceKey]media.StreamStats
}

// sourceKey names a stream on one side of a call.
type sourceKey struct {
	callID string
	party  call.PartyID
	media  int
	ssrc   uint32
	sent   bool
}

// Begin begins to describe another moment. What is not described in it is forgotten.
func (d *Describer) Begin(now time.Time) {
	d.now, d.since = now, d.now
	d.before, d.all = d.all, make(map[sourceKey]media.StreamStats)
}

// Call describes a call.
func (d *Describer) Call(snap *call.Snapshot) Call {
	c := Call{CallID: snap.CallID, Legs: []Leg{}}
	for i := range snap.Parties {
		p := &snap.Parties[i]
		leg := Leg{Tag: p.Party.Tag, Label: p.Party.Label, Medias: []Media{}}
		for k := range p.Media {
			leg.Medias = append(leg.Medias, d.media(snap, p, k))
		}
		c.Legs = append(c.Legs, leg)
	}
	return c
}

// Medias describes the medias of a call each by itself.
func (d *Describer) Medias(snap *call.Snapshot) []OneMedia {
	var all []OneMedia
	c := d.Call(snap)
	for _, leg := range c.Legs {
		for _, m := range leg.Medias {
			all = append(all, OneMedia{c.CallID, leg.Tag, leg.Label, m})
		}
	}
	return all
}

func (d *Describer) media(snap *call.Snapshot, p *call.PartySnapshot, k int) Media {
	s := &p.Media[k]
	m := Media{
		Index: k + 1, Type: s.Media.Type, Interface: p.Party.Interface, Protocol: string(s.Media.Protocol), Status: s.Direction.String(),
		Transcoding: false,
	}
	if m.Interface == "" {
		m.Interface = d.Interface
	}
	if suite := s.Media.Security.Receive.Suite; s.Media.Security.Keying == call.KeyedSDES && suite.Valid() {
		m.Suite = suite.String()
	}
	if len(s.Streams) > 0 && !s.Streams[0].RTCP {
		rtp := &s.Streams[0]
		m.Address, m.Port = rtp.Local.Addr().String(), rtp.Local.Port()
		if peer := endpoint(rtp); peer.IsValid() {
			m.EndpointAddress, m.EndpointPort = peer.Addr().String(), peer.Port()
		}
		st := &rtp.Stats
		m.Ingress = Direction{Packets: st.In.Packets + st.Kernel.Packets, Bytes: st.In.Bytes + st.Kernel.Bytes, Errors: st.Errors}
		m.Egress = Direction{Packets: st.Out.Packets, Bytes: st.Out.Bytes}
	}
	key := sourceKey{callID: snap.CallID, party: p.Party.ID, media: k}
	m.Ingress.Sources = d.sources(key, s.Ingress, s.Media.Sends, s.Media.Section)
	key.sent = true
	m.Egress.Sources = d.sources(key, s.Egress, s.Media.Receives, s.Media.Section)
	return m
}

func endpoint(s *call.StreamSnapshot) netip.AddrPort {
	if s.Stats.Source.IsValid() {
		return s.Stats.Source
	}
	return s.Signalled
}

func (d *Describer) sources(key sourceKey, streams []media.StreamStats, codecs []sdp.Codec, section *sdp.Media) []Source {
	all := []Source{}
	for i := range streams {
		st := &streams[i]
		key.ssrc = st.SSRC
		s := Source{SSRC: st.SSRC, Metrics: d.metrics(key, st)}
		c := codecOf(st.PayloadType, codecs)
		if c == nil && section != nil {
			c = codecOf(st.PayloadType, section.Codecs)
		}
		if c != nil {
			s.Codec, s.ClockRate, s.Format = c.Name, c.ClockRate, c.Params
			if c.Channels > 1 {
				s.Params = fmt.Sprint(c.Channels)
			}
		}
		all = append(all, s)
	}
	return all
}

func codecOf(payloadType int, codecs []sdp.Codec) *sdp.Codec {
	for i := range codecs {
		if int(codecs[i].PayloadType) == payloadType {
			return &codecs[i]
		}
	}
	return nil
}

func (d *Describer) metrics(key sourceKey, st *media.StreamStats) Metrics {
	m := Metrics{Packets: st.Packets, Bytes: st.Bytes, Lost: st.Lost}
	if before, ok := d.before[key]; ok {
		seconds := d.now.Sub(d.since).Seconds()
		per := func(now, then uint64) *decimal {
			if seconds <= 0 || now < then {
				return known(0)
			}
			return known(float64(now-then) / seconds)
		}
		m.PacketsRate, m.BytesRate, m.LostRate = per(st.Packets, before.Packets), per(st.Bytes, before.Bytes), per(st.Lost, before.Lost)
	}
	d.all[key] = media.StreamStats{Counts: st.Counts, Lost: st.Lost}
	if st.Jitter > 0 {
		m.Jitter = known(milliseconds(st.Jitter))
	}
	if q := st.Quality; q != nil && len(q.Progression) > 0 {
		last := &q.Progression[len(q.Progression)-1]
		m.MOS = known(float64(last.MOS) / 10)
		if last.RoundTrip > 0 {
			m.RoundTrip = known(milliseconds(last.RoundTrip))
		}
		if last.RoundTripLeg > 0 {
			m.RoundTripOfLeg = known(milliseconds(last.RoundTripLeg))
		}
	}
	return m
}

// WithCalls returns the tree of statistics, which is JSON, with the calls behind it, as a message.
func WithCalls(at time.Time, tree []byte, calls []Call) []byte {
	message := Stamped(at, json.RawMessage(tree))
	list, _ := json.Marshal(calls) // it fails for kinds of values that are not there
	message = append(message[:len(message)-1], `,"calls":`...)
	return append(append(message, list...), '}')
}

// Stamped returns an object as a message, with the time before all else.
func Stamped(at time.Time, object any) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"timestamp":%d.%06d,`, at.Unix(), at.Nanosecond()/1000)
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	start := out.Len()
	_ = enc.Encode(object) // it fails for kinds of values that are not there
	text := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	return append(text[:start:start], text[start+1:]...)
}
