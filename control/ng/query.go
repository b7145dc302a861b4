package ng

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// describeCall writes a call into the reply to query or delete.
func describeCall(reply *ngproto.Reply, snap *call.Snapshot, where SSRCReporting) {
	ssrcs := &ssrcWriter{where: where}
	reply.Set("created", ngproto.Int(snap.Created.Unix()))
	reply.Set("created_us", ngproto.Int(int64(snap.Created.Nanosecond()/1000)))
	reply.Set("created_ts", ngproto.Int(snap.Created.UnixMicro()))
	reply.Set("last signal", ngproto.Int(snap.LastSignal.Unix()))
	reply.Set("last redis update", ngproto.Int(0)) // until somebody knows better

	var tags ngproto.Dict
	var rtp, rtcp total
	for i := range snap.Parties {
		p := &snap.Parties[i]
		tags.Set(tagOf(p.Party), ngproto.Map(describeParty(p, snap, ssrcs)))
		for _, m := range p.Media {
			for _, s := range m.Streams {
				switch {
				case s.Shared: // counted with the other media
				case s.RTCP:
					rtcp.add(s.Stats)
				default:
					rtp.add(s.Stats)
				}
			}
		}
	}
	ssrcs.finish(reply)
	reply.Set("tags", ngproto.Map(tags))
	reply.Set("totals", ngproto.Map(ngproto.Dict{
		{Key: "RTP", Value: ngproto.Map(rtp.dict())}, {Key: "RTCP", Value: ngproto.Map(rtcp.dict())},
	}))
}

// updated says when a call was last written for other nodes.
func (d *Dispatcher) updated(reply *ngproto.Reply, id string) {
	if d.lastUpdate == nil {
		return
	}
	if at := d.lastUpdate(id); !at.IsZero() {
		reply.Set("last redis update", ngproto.Int(at.Unix()))
	}
}

// tagOf names a party, also one whose tag no message has told yet.
func tagOf(p *call.Party) string {
	if p.Tag == "" {
		return "<untagged " + strconv.Itoa(int(p.ID)) + ">"
	}
	return p.Tag
}

func describeParty(p *call.PartySnapshot, snap *call.Snapshot, ssrcs *ssrcWriter) ngproto.Dict {
	var d ngproto.Dict
	d.Set("tag", ngproto.String(tagOf(p.Party)))
	if p.Party.ViaBranch != "" {
		d.Set("via-branch", ngproto.String(p.Party.ViaBranch))
	}
	if len(p.Party.Aliases) > 0 {
		d.Set("tag-aliases", ngproto.Strings(p.Party.Aliases...))
	}
	if p.Party.Label != "" {
		d.Set("label", ngproto.String(p.Party.Label))
	}
	d.Set("created", ngproto.Int(p.Party.Created.Unix()))
	d.Set("subscriptions", ngproto.List(relations(p.Subscriptions)...))
	d.Set("subscribers", ngproto.List(relations(p.Subscribers)...))
	d.Set("VSC", ngproto.List(triggers(&p.Party.Manipulation.DTMF)...))
	var medias []ngproto.Value
	for i := range p.Media {
		medias = append(medias, ngproto.Map(describeMedia(p.Party, &p.Media[i], i, snap, ssrcs)))
	}
	d.Set("medias", ngproto.List(medias...))
	return d
}

// relations writes the parties that hear another one, or are heard by it.
func relations(all []call.Relation) []ngproto.Value {
	var list []ngproto.Value
	for _, r := range all {
		kind := "offer/answer"
		if r.Added {
			kind = "pub/sub"
		}
		list = append(list, ngproto.Map(ngproto.Dict{
			{Key: "tag", Value: ngproto.String(tagOf(r.Party))}, {Key: "type", Value: ngproto.String(kind)},
		}))
	}
	return list
}

// triggers writes the digits that change what happens to events.
func triggers(s *call.DTMFSecurity) []ngproto.Value {
	var list []ngproto.Value
	add := func(kind, digits string, active bool) {
		if digits == "" {
			return
		}
		n := int64(0)
		if active {
			n = 1
		}
		list = append(list, ngproto.Map(ngproto.Dict{
			{Key: "type", Value: ngproto.String(kind)}, {Key: "trigger", Value: ngproto.String(digits)}, {Key: "active", Value: ngproto.Int(n)},
		}))
	}
	add("block DTMF", s.Trigger, !s.Triggered)
	add("unblock DTMF", s.TriggerEnd, s.Triggered)
	return list
}

func describeMedia(p *call.Party, m *call.MediaSnapshot, index int, snap *call.Snapshot, ssrcs *ssrcWriter) ngproto.Dict {
	d := ngproto.Dict{
		{Key: "index", Value: ngproto.Int(int64(index + 1))},
		{Key: "type", Value: ngproto.String(m.Media.Type)},
		{Key: "protocol", Value: ngproto.String(string(m.Media.Protocol))},
	}
	if m.Codec != "" {
		d.Set("codec", ngproto.String(m.Codec))
	}
	var streams []ngproto.Value
	for i := range m.Streams {
		stream := describeStream(p, &m.Streams[i])
		if suite := m.Media.Security.Receive.Suite; m.Media.Security.Keying == call.KeyedSDES && suite.Valid() {
			stream.Set("crypto suite", ngproto.String(suite.String()))
		}
		streams = append(streams, ngproto.Map(stream))
	}
	d.Set("streams", ngproto.List(streams...))

	var flags []string
	security, ice := &m.Media.Security, &m.Media.ICE
	dtls := security.Keying == call.KeyedDTLS
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"initialized", len(m.Streams) > 0},
		{"asymmetric", p.Handling.Asymmetric},
		{"send", m.Direction.Receives()}, // what we send is what the party receives
		{"recv", m.Direction.Sends()},
		{"rtcp-mux", m.Media.Mux},
		{"DTLS-SRTP", dtls},
		{"DTLS role active", dtls && security.DTLS.Setup == "active"},
		{"DTLS role passive", dtls && security.DTLS.Setup == "passive"},
		{"SDES", security.Keying == call.KeyedSDES},
		{"passthrough", m.Media.Through || m.Media.Opaque},
		{"ICE", ice.Active()},
		{"trickle ICE", ice.Trickles()},
		{"ICE controlling", ice.Active() && ice.Controlling},
		{"ICE-lite peer", ice.Remote.Lite},
		{"ICE-lite self", ice.Active() && ice.Lite},
		{"unidirectional", p.Handling.Unidirectional},
		{"loop check", m.Media.Looped},
		{"RTCP feedback", m.Media.Feedback()},
		{"RTCP generator", snap.GenerateRTCP},
		{"echo", p.Echo == call.EchoSelf},
		{"blackhole", p.Echo == call.EchoBlackhole},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	d.Set("flags", ngproto.Strings(flags...))

	ssrcs.media(&d, m)
	return d
}

func describeStream(p *call.Party, s *call.StreamSnapshot) ngproto.Dict {
	st := &s.Stats
	d := ngproto.Dict{
		{Key: "local port", Value: ngproto.Int(int64(s.Local.Port()))},
		{Key: "local address", Value: ngproto.String(s.Local.Addr().String())},
		{Key: "family", Value: ngproto.String(familyName(s.Local.Addr()))},
		{Key: "endpoint", Value: ngproto.Map(endpoint(st.Destination))},
		{Key: "advertised endpoint", Value: ngproto.Map(endpoint(s.Signalled))},
		{Key: "last packet", Value: ngproto.Int(epoch(max(st.LastUser, st.LastKernel)))},
		{Key: "last kernel packet", Value: ngproto.Int(epoch(st.LastKernel))},
		{Key: "last user packet", Value: ngproto.Int(epoch(st.LastUser))},
	}
	if st.SSRC != 0 {
		d.Set("SSRC", ngproto.Int(int64(st.SSRC)))
	}
	var flags []string
	for _, f := range []struct {
		name string
		on   bool
	}{
		{"RTP", !s.RTCP},
		{"RTCP", s.RTCP},
		{"filled", s.Signalled.IsValid()},
		{"confirmed", st.Confirmed},
		{"kernelized", st.Plane == media.PlaneKernel},
		{"strict source address", p.Handling.Strict},
		{"media handover", p.Handling.Handover},
	} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	d.Set("flags", ngproto.Strings(flags...))
	var in, out total
	in.add(*st)
	out = total{packets: st.Out.Packets, bytes: st.Out.Bytes}
	d.Set("stats", ngproto.Map(in.dict()))
	d.Set("stats_out", ngproto.Map(out.dict()))
	return d
}

// total sums what streams have received, on both planes.
type total struct{ packets, bytes, errors uint64 }

func (t *total) add(s media.Stats) {
	t.packets += s.In.Packets + s.Kernel.Packets
	t.bytes += s.In.Bytes + s.Kernel.Bytes
	t.errors += s.Errors
}

func (t *total) dict() ngproto.Dict {
	return ngproto.Dict{
		{Key: "packets", Value: ngproto.Int(int64(t.packets))},
		{Key: "bytes", Value: ngproto.Int(int64(t.bytes))},
		{Key: "errors", Value: ngproto.Int(int64(t.errors))},
	}
}

// endpoint is empty when the address is not known.
func endpoint(ap netip.AddrPort) ngproto.Dict {
	if !ap.IsValid() {
		return nil
	}
	return ngproto.Dict{
		{Key: "family", Value: ngproto.String(familyName(ap.Addr()))},
		{Key: "address", Value: ngproto.String(ap.Addr().String())},
		{Key: "port", Value: ngproto.Int(int64(ap.Port()))},
	}
}

func familyName(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// epoch turns a time on the media plane's clock into seconds of the epoch; 0 stays 0.
func epoch(at time.Duration) int64 {
	if at == 0 {
		return 0
	}
	return time.Now().Add(at - media.Now()).Unix()
}
