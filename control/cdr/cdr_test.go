package cdr

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

func TestLineOfACall(t *testing.T) {
	caller := &call.Party{ID: 1, Tag: "f", Created: time.UnixMicro(1700000000_000005)}
	callee := &call.Party{ID: 2, Tag: "t", Created: time.UnixMicro(1700000001_000000), OfferedBy: 1}
	at := func(text string) netip.AddrPort { return netip.MustParseAddrPort(text) }
	f := &call.Finished{
		Snapshot: &call.Snapshot{
			CallID: "a call", Creator: netip.MustParseAddr("192.0.2.9"), LastSignal: time.Unix(1700000001, 0), TOS: 184,
			Parties: []call.PartySnapshot{
				{Party: caller, Subscriptions: []call.Relation{{Party: callee}}, Media: []call.MediaSnapshot{{
					Ingress: []media.StreamStats{{PayloadType: 101, Counts: media.Counts{Packets: 3}}, {PayloadType: 8, Counts: media.Counts{Packets: 30}}},
					Streams: []call.StreamSnapshot{
						{Local: at("192.0.2.1:30000"), Signalled: at("192.0.2.2:1"), Stats: media.Stats{
							Source: at("192.0.2.3:4000"), In: media.Counts{Packets: 33, Bytes: 5000}, LastUser: 50 * time.Second, Errors: 2,
						}},
						{RTCP: true, Local: at("192.0.2.1:30001"), Signalled: at("192.0.2.2:2")},
					},
				}}},
				{Party: callee, Subscriptions: []call.Relation{{Party: caller}}, Media: []call.MediaSnapshot{{}}},
			},
		},
		Why: call.ReasonTimeout, At: time.UnixMicro(1700000060_500000), Clock: 60 * time.Second,
	}
	const want = "ci=a call, created_from=192.0.2.9, last_signal=1700000001, tos=184, " +
		"ml0_start_time=1700000000.000005, ml0_end_time=1700000060.500000, ml0_duration=60.499995, ml0_termination=TIMEOUT, " +
		"ml0_local_tag=f, ml0_local_tag_type=FROM_TAG, ml0_remote_tag=t, payload_type=8, " +
		"ml0_midx1_rtp_endpoint_ip=192.0.2.3, ml0_midx1_rtp_endpoint_port=4000, ml0_midx1_rtp_local_relay_ip=192.0.2.1, " +
		"ml0_midx1_rtp_local_relay_port=30000, ml0_midx1_rtp_relayed_packets=33, ml0_midx1_rtp_relayed_bytes=5000, " +
		"ml0_midx1_rtp_relayed_errors=2, ml0_midx1_rtp_last_packet=1700000050, ml0_midx1_rtp_in_tos_tclass=0, " +
		"ml0_midx1_rtcp_endpoint_ip=192.0.2.2, ml0_midx1_rtcp_endpoint_port=2, ml0_midx1_rtcp_local_relay_ip=192.0.2.1, " +
		"ml0_midx1_rtcp_local_relay_port=30001, ml0_midx1_rtcp_relayed_packets=0, ml0_midx1_rtcp_relayed_bytes=0, " +
		"ml0_midx1_rtcp_relayed_errors=0, ml0_midx1_rtcp_last_packet=1700000000, ml0_midx1_rtcp_in_tos_tclass=0, " +
		"ml1_start_time=1700000001.000000, ml1_end_time=1700000060.500000, ml1_duration=59.500000, ml1_termination=TIMEOUT, " +
		"ml1_local_tag=t, ml1_local_tag_type=TO_TAG, ml1_remote_tag=f, payload_type=unknown"
	if got := Line(f); got != want {
		t.Errorf("the line is\n%s, want\n%s", strings.ReplaceAll(got, ", ", ",\n"), strings.ReplaceAll(want, ", ", ",\n"))
	}
}

func TestEveryReasonHasAWord(t *testing.T) {
	for why, word := range map[call.Reason]string{
		call.ReasonDeleted: "REGULAR", call.ReasonForced: "FORCED", call.ReasonShutdown: "FORCED", call.ReasonSilentTimeout: "SILENT_TIMEOUT",
		call.ReasonOfferTimeout: "OFFER_TIMEOUT", call.ReasonFinalTimeout: "FINAL_TIMEOUT", call.ReasonMerged: "UNKNOWN",
	} {
		if got := termination(why); got != word {
			t.Errorf("%v is %s, want %s", why, got, word)
		}
	}
}
