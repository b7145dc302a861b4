package rtcptext

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

var (
	senderReport = []byte{
		0x81, 200, 0, 12, 0, 0, 0, 0x11, 0xe1, 0x23, 0x45, 0x67, 0x80, 0, 0, 0, 0, 0, 6, 0x40, 0, 0, 0, 10, 0, 0, 6, 0x40,
		0, 0, 0, 0x22, 3, 0, 0, 5, 0, 1, 0, 9, 0, 0, 0, 40, 0x12, 0x34, 0x56, 0x78, 0, 1, 0, 0,
	}
	description = []byte{0x81, 202, 0, 4, 0, 0, 0, 0x11, 1, 8, 'a', 'b', 1, '"', 0xe9, '\\', 'x', '"', 0, 0}
	empty       = []byte{0x80, 201, 0, 1, 0, 0, 0, 0x11}
	goodbye     = []byte{0x81, 203, 0, 1, 0, 0, 0, 0x11}
	extended    = slices.Concat([]byte{0x80, 207, 0, 27, 0, 0, 0, 0x11},
		[]byte{4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2},
		[]byte{5, 0, 0, 3, 0, 0, 0, 0x22, 0, 0, 0, 7, 0, 0, 0, 8},
		[]byte{6, 0xe8, 0, 9, 0, 0, 0, 0x22, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8, 9, 10, 11, 12},
		[]byte{7, 0, 0, 8, 0, 0, 0, 0x22, 1, 2, 3, 4, 0, 5, 0, 6, 0, 7, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 0, 18, 0, 19, 0, 20})
)

func TestJSONIsWhatHomerTakes(t *testing.T) {
	const (
		sent    = `"sender_information":{"ntp_timestamp_sec":3777185127,"ntp_timestamp_usec":2147483648,"octets":1600,"rtp_timestamp":1600,"packets":10}`
		blocks  = `"report_blocks":[{"source_ssrc":34,"highest_seq_no":65545,"fraction_lost":3,"ia_jitter":40,"packets_lost":5,"lsr":305419896,"dlsr":65536}]`
		who     = `"sdes_report_count":1,"sdes_information":[{"sdes_chunk_ssrc":17,"type":1,"text":"ab\u0001\"_\\x\""}]`
		nothing = `"ssrc":17,"type":201,"report_count":0,"report_blocks":[]`
	)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"sender report and description", slices.Concat(senderReport, description), "{" + sent + `,"ssrc":17,"type":200,"report_count":1,` + blocks + "," + who + "}"},
		{"empty receiver report", empty, "{" + nothing + "}"},
		{"description alone", description, "{" + who + "}"},
		{"goodbye", goodbye, ""},
		{"broken off", senderReport[:40], ""},
	} {
		if got := string(JSON(c.data)); got != c.want {
			t.Errorf("%s is\n%s, want\n%s", c.name, got, c.want)
		}
	}
}

func TestLineIsThatOfTheLog(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"sender report and description", slices.Concat(senderReport, description),
			"[the call] version=2, padding=0, count=1, payloadtype=200, length=12, ssrc=17, ntp_sec=3777185127, ntp_fractions=2147483648, rtp_ts=1600, " +
				"sender_packets=10, sender_bytes=1600, ssrc=34, fraction_lost=3, packet_loss=5, last_seq=65545, jitter=40, last_sr=305419896, " +
				"delay_since_last_sr=65536, version=2, padding=0, count=1, payloadtype=202, length=4"},
		{"extended report", extended,
			"[the call] version=2, padding=0, count=0, payloadtype=207, length=27, ssrc=17, rb_header_blocktype=4, rb_header_blockspecdata=0, " +
				"rb_header_blocklength=2, rb_rr_time_ntp_sec=1, rb_rr_time_ntp_frac=2, rb_header_blocktype=5, rb_header_blockspecdata=0, " +
				"rb_header_blocklength=3, rb_dlrr_ssrc=34, rb_dlrr_lrr=7, rb_dlrr_dlrr=8, rb_header_blocktype=6, rb_header_blockspecdata=232, " +
				"rb_header_blocklength=9, rb_stats_ssrc=34, rb_stats_begin_seq=1, rb_stats_end_seq=2, rb_stats_lost_packets=3, rb_stats_duplicate_packets=4, " +
				"rb_stats_jitter_min=5, rb_stats_jitter_max=6, rb_stats_jitter_mean=7, rb_stats_jitter_deviation=8, rb_stats_toh_min=9, rb_stats_toh_max=10, " +
				"rb_stats_toh_mean=11, rb_stats_toh_deviation=12, rb_header_blocktype=7, rb_header_blockspecdata=0, rb_header_blocklength=8, " +
				"rb_voip_mtc_ssrc=34, rb_voip_mtc_loss_rate=1, rb_voip_mtc_discard_rate=2, rb_voip_mtc_burst_den=3, rb_voip_mtc_gap_den=4, " +
				"rb_voip_mtc_burst_dur=5, rb_voip_mtc_gap_dur=6, rb_voip_mtc_rnd_trip_delay=7, rb_voip_mtc_end_sys_delay=8, rb_voip_mtc_signal_lvl=9, " +
				"rb_voip_mtc_noise_lvl=10, rb_voip_mtc_rerl=11, rb_voip_mtc_gmin=12, rb_voip_mtc_r_factor=13, rb_voip_mtc_ext_r_factor=14, " +
				"rb_voip_mtc_mos_lq=15, rb_voip_mtc_mos_cq=16, rb_voip_mtc_rx_config=17, rb_voip_mtc_jb_nom=18, rb_voip_mtc_jb_max=19, rb_voip_mtc_jb_abs_max=20"},
		{"nothing", senderReport[:3], ""},
	} {
		if got := Line("the call", c.data); got != c.want {
			t.Errorf("%s is\n%s, want\n%s", c.name, got, c.want)
		}
	}
	const most = 64 << 10
	if got := len(Line("", slices.Repeat(extended, 500))); got > 2*maxLine || got > most {
		t.Errorf("a line of %d bytes", got)
	}
}

func FuzzText(f *testing.F) {
	for _, data := range [][]byte{slices.Concat(senderReport, description), slices.Concat(empty, extended), goodbye} {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if text := JSON(data); text != nil && !json.Valid(text) {
			t.Errorf("%s is not JSON", text)
		}
		if strings.Contains(Line("x", data), "\n") {
			t.Error("a line has an end within")
		}
	})
}
