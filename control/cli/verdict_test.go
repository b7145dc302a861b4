package cli

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/sdp"
)

// halfway returns a call in which media of "a" has come as far as the link says; "b" talks.
func halfway(link media.LinkState, keying call.Keying, received uint64) *call.Snapshot {
	section := func(direction string) *sdp.Description {
		d, err := sdp.Parse("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=" + direction + "\r\n")
		if err != nil {
			panic(err)
		}
		return d
	}
	at := netip.MustParseAddrPort("192.0.2.1:4000")
	stream := func(n uint64) []call.StreamSnapshot {
		return []call.StreamSnapshot{{Local: netip.MustParseAddrPort("127.0.0.1:30000"), Signalled: at, Stats: media.Stats{
			In: media.Counts{Packets: n}, LastUser: media.Now(), Source: at, Destination: at, Plane: media.PlaneUserspace,
		}}}
	}
	a := &call.Party{ID: 1, Tag: "a", Description: section("sendrecv")}
	b := &call.Party{ID: 2, Tag: "b", Description: section("sendrecv")}
	var came []media.StreamStats
	if received > 0 {
		came = []media.StreamStats{{SSRC: 7, Counts: media.Counts{Packets: received}, PayloadType: 0}}
	}
	talk := []media.StreamStats{{SSRC: 8, Counts: media.Counts{Packets: 50}, PayloadType: 0}}
	ma := &call.Media{Type: "audio", Hears: []call.Subscription{{Ref: call.Ref{Party: 2}}}, Security: call.Security{Keying: keying}}
	mb := &call.Media{Type: "audio", Hears: []call.Subscription{{Ref: call.Ref{Party: 1}}}}
	return &call.Snapshot{CallID: "c", Created: time.Now(), LastSignal: time.Now(), Ends: time.Now(), Parties: []call.PartySnapshot{
		{Party: a, Media: []call.MediaSnapshot{{Media: ma, Direction: sdp.SendRecv, Streams: stream(received), Link: link, Ingress: came}}},
		{Party: b, Media: []call.MediaSnapshot{{Media: mb, Direction: sdp.SendRecv, Streams: stream(50), Ingress: talk}}},
	}}
}

// TestVerdictsOfLinks covers what takes a minute of real time to come about.
func TestVerdictsOfLinks(t *testing.T) {
	heard := netip.MustParseAddrPort("192.0.2.1:4000")
	for _, c := range []struct {
		name   string
		link   media.LinkState
		keying call.Keying
		code   Code
		want   string
	}{
		{"ICE has failed", media.LinkState{ICE: "failed"}, call.Plain, CodeICEFailed, "ICE with a has failed"},
		{"consent is lost", media.LinkState{ICE: "disconnected"}, call.Plain, CodeICEFailed, "disconnected"},
		{"no candidate is of use", media.LinkState{ICE: "checking"}, call.Plain, CodeUnderWay, "0 checks were sent to nowhere"},
		{"DTLS was never answered", media.LinkState{DTLS: "connecting", DTLSRole: "active", DTLSError: "dtls: active: no answer"}, call.KeyedDTLS, CodeDTLSFailed, "Weir says hello to 192.0.2.1:4000"},
		{"DTLS has failed", media.LinkState{DTLS: "failed", DTLSHeard: heard, DTLSError: "the fingerprint differs"}, call.KeyedDTLS, CodeDTLSFailed, "fails: the fingerprint differs"},
		{"DTLS is tried again", media.LinkState{ICE: "completed", DTLS: "connecting", DTLSHeard: heard, DTLSError: "no common cipher"}, call.KeyedDTLS, CodeDTLSFailed, "no common cipher"},
		{"DTLS goes on", media.LinkState{DTLS: "connecting", DTLSHeard: heard}, call.KeyedDTLS, CodeUnderWay, "handshake with a is connecting"},
		{"nothing is wrong", media.LinkState{ICE: "completed", DTLS: "connected"}, call.KeyedDTLS, CodeNoPackets, "no packet has come from a"},
	} {
		e := explain(halfway(c.link, c.keying, 0), time.Now())
		if e.Verdict.Code != c.code || !strings.Contains(e.Verdict.Text, c.want) {
			t.Errorf("%s: %+v, want %s with %q", c.name, e.Verdict, c.code, c.want)
		}
	}
	if e := explain(halfway(media.LinkState{ICE: "completed", DTLS: "connected"}, call.KeyedDTLS, 50), time.Now()); e.Verdict.Code != CodeFlows {
		t.Errorf("with packets: %+v", e.Verdict)
	}
}
