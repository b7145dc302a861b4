package rtcptext

import (
	"encoding/binary"
	"strconv"

	"github.com/weir-media/weir/rtp"
)

// field is a number in a packet. One without a name is passed over.
type field struct {
	name string
	size int // bytes
}

// What packets and blocks hold, with the names that rtpengine's log has for it.
var (
	senderFields = []field{{"ssrc", 4}, {"ntp_sec", 4}, {"ntp_fractions", 4}, {"rtp_ts", 4}, {"sender_packets", 4}, {"sender_bytes", 4}}
	sourceFields = []field{{"ssrc", 4}}
	reportFields = []field{
		{"ssrc", 4}, {"fraction_lost", 1}, {"packet_loss", 3}, {"last_seq", 4}, {"jitter", 4}, {"last_sr", 4}, {"delay_since_last_sr", 4},
	}
	blockFields = []field{{"rb_header_blocktype", 1}, {"rb_header_blockspecdata", 1}, {"rb_header_blocklength", 2}}

	// The blocks of extended reports (RFC 3611, section 4) by their type.
	extendedFields = map[byte][]field{
		4: {{"rb_rr_time_ntp_sec", 4}, {"rb_rr_time_ntp_frac", 4}},
		5: {{"rb_dlrr_ssrc", 4}, {"rb_dlrr_lrr", 4}, {"rb_dlrr_dlrr", 4}},
		6: {
			{"rb_stats_ssrc", 4}, {"rb_stats_begin_seq", 2}, {"rb_stats_end_seq", 2}, {"rb_stats_lost_packets", 4}, {"rb_stats_duplicate_packets", 4},
			{"rb_stats_jitter_min", 4}, {"rb_stats_jitter_max", 4}, {"rb_stats_jitter_mean", 4}, {"rb_stats_jitter_deviation", 4},
			{"rb_stats_toh_min", 1}, {"rb_stats_toh_max", 1}, {"rb_stats_toh_mean", 1}, {"rb_stats_toh_deviation", 1},
		},
		7: {
			{"rb_voip_mtc_ssrc", 4}, {"rb_voip_mtc_loss_rate", 1}, {"rb_voip_mtc_discard_rate", 1}, {"rb_voip_mtc_burst_den", 1},
			{"rb_voip_mtc_gap_den", 1}, {"rb_voip_mtc_burst_dur", 2}, {"rb_voip_mtc_gap_dur", 2}, {"rb_voip_mtc_rnd_trip_delay", 2},
			{"rb_voip_mtc_end_sys_delay", 2}, {"rb_voip_mtc_signal_lvl", 1}, {"rb_voip_mtc_noise_lvl", 1}, {"rb_voip_mtc_rerl", 1},
			{"rb_voip_mtc_gmin", 1}, {"rb_voip_mtc_r_factor", 1}, {"rb_voip_mtc_ext_r_factor", 1}, {"rb_voip_mtc_mos_lq", 1},
			{"rb_voip_mtc_mos_cq", 1}, {"rb_voip_mtc_rx_config", 1}, {"", 1}, {"rb_voip_mtc_jb_nom", 2}, {"rb_voip_mtc_jb_max", 2},
			{"rb_voip_mtc_jb_abs_max", 2},
		},
	}
)

// maxLine is about how long a line may become.
const maxLine = 8 << 10

// Line returns what an RTCP datagram says as one line of a log, without its end.
func Line(callID string, data []byte) string {
	w := writer("[" + callID + "] ")
	first := len(w)
	var c rtp.Compound
	var p rtp.Packet
	for c.Reset(data); c.Next(&p) && len(w) < maxLine; {
		words := binary.BigEndian.Uint16(data[2:])
		w.number("version", uint32(data[0]>>6))
		w.number("padding", uint32(data[0]>>5&1))
		w.number("count", uint32(p.Count))
		w.number("payloadtype", uint32(p.Type))
		w.number("length", uint32(words))
		data = data[4+4*int(words):]
		w.packet(p)
	}
	if len(w) == first {
		return ""
	}
	return string(w[:len(w)-2])
}

type writer []byte

func (w *writer) number(name string, n uint32) {
	*w = append(append(*w, name...), '=')
	*w = append(strconv.AppendUint(*w, uint64(n), 10), ", "...)
}

// fields writes the numbers that b begins with, as far as it goes, and returns the rest.
func (w *writer) fields(all []field, b []byte) (rest []byte) {
	for _, f := range all {
		if len(b) < f.size {
			return nil
		}
		n := uint32(0)
		for _, octet := range b[:f.size] {
			n = n<<8 | uint32(octet)
		}
		if b = b[f.size:]; f.name != "" {
			w.number(f.name, n)
		}
	}
	return b
}

func (w *writer) packet(p rtp.Packet) {
	rest := p.Body
	switch p.Type {
	case rtp.TypeSenderReport:
		rest = w.fields(senderFields, rest)
	case rtp.TypeReceiverReport:
		rest = w.fields(sourceFields, rest)
	case rtp.TypeExtendedReport:
		w.blocks(w.fields(sourceFields, rest))
		return
	default:
		return
	}
	for range p.Count {
		rest = w.fields(reportFields, rest)
	}
}

// blocks writes those of an extended report.
func (w *writer) blocks(b []byte) {
	for len(b) >= 4 && len(*w) < maxLine {
		size := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
		if size > len(b) {
			return
		}
		body, fields := w.fields(blockFields, b[:size]), extendedFields[b[0]]
		body = w.fields(fields, body)
		for b[0] == 5 && len(body) >= 12 { // one for each receiver
			body = w.fields(fields, body)
		}
		b = b[size:]
	}
}
