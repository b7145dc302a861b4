package mqtt

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/srtp"
)

// moment is a call of one party that has sent n packets.
func moment(n uint64) *call.Snapshot {
	opus := sdp.Codec{PayloadType: 111, Name: "opus", ClockRate: 48000, Channels: 2, Params: "useinbandfec=1"}
	m := &call.Media{Type: "audio", Protocol: "RTP/SAVP", Sends: []sdp.Codec{opus}, Security: call.Security{
		Keying: call.KeyedSDES, Receive: srtp.Params{Suite: srtp.AES128CM80},
	}}
	quality := &media.Quality{Progression: []media.Sample{{MOS: 10}, {MOS: 43, RoundTrip: 30 * time.Millisecond}}}
	return &call.Snapshot{CallID: "a call", Parties: []call.PartySnapshot{{
		Party: &call.Party{ID: 1, Tag: "f", Label: "alice"},
		Media: []call.MediaSnapshot{{
			Media: m, Direction: sdp.SendOnly,
			Streams: []call.StreamSnapshot{{
				Local: netip.MustParseAddrPort("192.0.2.1:30000"), Signalled: netip.MustParseAddrPort("192.0.2.2:4000"),
				Stats: media.Stats{In: media.Counts{Packets: n, Bytes: 10 * n}, Out: media.Counts{Packets: 2, Bytes: 20}, Errors: 1},
			}},
			Ingress: []media.StreamStats{
				{SSRC: 7, Counts: media.Counts{Packets: n, Bytes: 10 * n}, Lost: n / 10, PayloadType: 111, Jitter: 1250 * time.Microsecond, Quality: quality},
				{SSRC: 8, PayloadType: -1},
			},
		}},
	}}}
}

func TestCallsInRtpenginesWords(t *testing.T) {
	d := Describer{Interface: "default"}
	now := time.UnixMicro(1700000000_000042)
	d.Begin(now)
	d.Call(moment(10))
	now = now.Add(2 * time.Second)
	d.Begin(now)
	const wanted = `"media_index":1,"type":"audio","interface":"default","protocol":"RTP/SAVP","status":"sendonly",` +
		`"ingress":{"bytes":300,"packets":30,"errors":1,"SSRC":[{"SSRC":7,"codec":"opus","clock_rate":48000,"codec_params":"2","codec_format":"useinbandfec=1",` +
		`"metrics":{"packets":30,"bytes":300,"lost":3,"duplicates":0,"packets_per_second":10.0,"bytes_per_second":100.0,"lost_per_second":1.0,"jitter":1.3,"MOS":4.3,"RTT":30.0}},` +
		`{"SSRC":8,"codec":"","clock_rate":0,"codec_params":"","codec_format":"","metrics":{"packets":0,"bytes":0,"lost":0,"duplicates":0,"packets_per_second":0.0,"bytes_per_second":0.0,"lost_per_second":0.0}}]},` +
		`"egress":{"bytes":20,"packets":2,"errors":0,"SSRC":[]},"address":"192.0.2.1","port":30000,"endpoint_address":"192.0.2.2","endpoint_port":4000,` +
		`"crypto_suite":"AES_CM_128_HMAC_SHA1_80","transcoding":false}`
	one := d.Medias(moment(30))
	if got, want := string(Stamped(now, one[0])), `{"timestamp":1700000002.000042,"call_id":"a call","tag":"f","label":"alice",`+wanted; got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
	d.Begin(now.Add(time.Second))
	d.Begin(now.Add(2 * time.Second)) // in between nothing was described
	all := WithCalls(now, []byte(`{"x":1}`), []Call{d.Call(moment(40))})
	var m struct {
		X     int
		Calls []struct {
			Legs []struct{ Medias []Media }
		}
	}
	if err := json.Unmarshal(all, &m); err != nil || m.X != 1 || m.Calls[0].Legs[0].Medias[0].Ingress.Sources[0].Metrics.PacketsRate != nil {
		t.Errorf("%s: %v", all, err)
	}
}
