// Package cdr puts calls that have ended into the lines of rtpengine's call detail records.
package cdr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// Line returns the record of a call.
func Line(f *call.Finished) string {
	w := &record{end: f}
	w.add("ci", f.CallID)
	created := ""
	if f.Creator.IsValid() {
		created = f.Creator.String()
	}
	w.add("created_from", created)
	w.add("last_signal", strconv.FormatInt(f.LastSignal.Unix(), 10))
	w.add("tos", strconv.Itoa(int(f.TOS)))
	for i := range f.Parties {
		w.party(fmt.Sprintf("ml%d_", i), &f.Parties[i])
	}
	return strings.Join(w.fields, ", ")
}

type record struct {
	end    *call.Finished
	fields []string
}

func (w *record) add(key, value string) { w.fields = append(w.fields, key+"="+value) }

// stamp writes Unix seconds and microseconds.
func stamp(us int64) string { return fmt.Sprintf("%d.%06d", us/1e6, us%1e6) }

func (w *record) party(prefix string, p *call.PartySnapshot) {
	lived := max(0, w.end.At.Sub(p.Party.Created))
	w.add(prefix+"start_time", stamp(p.Party.Created.UnixMicro()))
	w.add(prefix+"end_time", stamp(w.end.At.UnixMicro()))
	w.add(prefix+"duration", stamp(lived.Microseconds()))
	w.add(prefix+"termination", termination(w.end.Why))
	w.add(prefix+"local_tag", p.Party.Tag)
	kind := "FROM_TAG"
	if p.Party.OfferedBy != 0 {
		kind = "TO_TAG"
	}
	w.add(prefix+"local_tag_type", kind)
	for _, peer := range p.Subscriptions {
		w.add(prefix+"remote_tag", peer.Party.Tag)
	}
	for i := range p.Media {
		m := &p.Media[i]
		w.add("payload_type", payloadType(m.Ingress))
		for k := range m.Streams {
			s := &m.Streams[k]
			kind := "rtp"
			if s.RTCP {
				kind = "rtcp"
			}
			w.stream(fmt.Sprintf("%smidx%d_%s_", prefix, i+1, kind), p.Party.Created, s)
		}
	}
}

func (w *record) stream(prefix string, began time.Time, s *call.StreamSnapshot) {
	st := &s.Stats
	peer := st.Source
	if !peer.IsValid() {
		peer = s.Signalled
	}
	ip := ""
	if peer.IsValid() {
		ip = peer.Addr().String()
	}
	last := began
	if at := max(st.LastUser, st.LastKernel); at > 0 {
		last = w.end.At.Add(at - w.end.Clock)
	}
	w.add(prefix+"endpoint_ip", ip)
	w.add(prefix+"endpoint_port", strconv.Itoa(int(peer.Port())))
	w.add(prefix+"local_relay_ip", s.Local.Addr().String())
	w.add(prefix+"local_relay_port", strconv.Itoa(int(s.Local.Port())))
	w.add(prefix+"relayed_packets", strconv.FormatUint(st.In.Packets+st.Kernel.Packets, 10))
	w.add(prefix+"relayed_bytes", strconv.FormatUint(st.In.Bytes+st.Kernel.Bytes, 10))
	w.add(prefix+"relayed_errors", strconv.FormatUint(st.Errors, 10))
	w.add(prefix+"last_packet", strconv.FormatInt(last.Unix(), 10))
	w.add(prefix+"in_tos_tclass", "0") // it is not looked at
}

// payloadType returns that of the stream with the most packets.
func payloadType(streams []media.StreamStats) string {
	name, most := "unknown", uint64(0)
	for i := range streams {
		if s := &streams[i]; s.PayloadType >= 0 && s.Packets > most {
			name, most = strconv.Itoa(s.PayloadType), s.Packets
		}
	}
	return name
}

func termination(why call.Reason) string {
	switch why {
	case call.ReasonDeleted:
		return "REGULAR"
	case call.ReasonForced, call.ReasonShutdown:
		return "FORCED"
	case call.ReasonTimeout:
		return "TIMEOUT"
	case call.ReasonSilentTimeout:
		return "SILENT_TIMEOUT"
	case call.ReasonOfferTimeout:
		return "OFFER_TIMEOUT"
	case call.ReasonFinalTimeout:
		return "FINAL_TIMEOUT"
	}
	return "UNKNOWN"
}
