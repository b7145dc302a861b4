package sdp

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestSessionValuesApplyToMediaWithoutOwnOnes(t *testing.T) {
	d := mustParse(t, head+"a=sendonly\r\na=ice-ufrag:su\r\na=ice-pwd:sp\r\na=ice-options:trickle\r\na=setup:actpass\r\n"+
		"a=fingerprint:sha-256 AA\r\na=tls-id:s\r\na=extmap-allow-mixed\r\na=extmap:1 urn:s\r\na=end-of-candidates\r\n"+
		"m=audio 5000 RTP/AVP 0\r\n"+
		"m=audio 5002 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=inactive\r\na=ice-ufrag:mu\r\na=ice-options:ice2\r\n"+
		"a=setup:passive\r\na=fingerprint:sha-1 BB\r\na=tls-id:m\r\na=extmap:2 urn:m\r\n")
	s := d.Sessions[0]
	values := func(m *Media) []any {
		maps, mixed := m.ExtMapsOf(s)
		return []any{m.ConnOf(s).Addr.String(), m.DirectionOf(s), m.ICEOf(s), m.SetupOf(s), m.FingerprintsOf(s),
			m.TLSIDOf(s), maps, mixed, m.EndOfCandidatesOf(s)}
	}
	want := [][]any{
		{"192.0.2.1", SendOnly, ICE{"su", "sp", "trickle"}, SetupActpass, []Fingerprint{{"sha-256", "AA"}},
			"s", []ExtMap{{ID: 1, URI: "urn:s"}}, true, true},
		{"2001:db8::1", Inactive, ICE{"mu", "", "ice2"}, SetupPassive, []Fingerprint{{"sha-1", "BB"}},
			"m", []ExtMap{{ID: 2, URI: "urn:m"}}, true, true},
	}
	for i, m := range s.Media {
		if got := values(m); !reflect.DeepEqual(got, want[i]) {
			t.Errorf("section %d: got %v, want %v", i, got, want[i])
		}
	}
	checkRoundTrip(t, Options{}, d)
}

func TestSectionsWithoutRTPGetSessionValuesToo(t *testing.T) {
	d := mustParse(t, head+"a=sendonly\r\na=ice-ufrag:su\r\na=ice-pwd:sp\r\na=setup:actpass\r\n"+
		"a=fingerprint:sha-256 AA\r\na=tls-id:s\r\na=end-of-candidates\r\n"+
		"m=application 9 UDP/DTLS/SCTP x\r\na=setup:active\r\n")
	checkRoundTrip(t, Options{}, d)
	want := "a=setup:active\r\na=sendonly\r\na=fingerprint:sha-256 AA\r\na=tls-id:s\r\n" +
		"a=ice-ufrag:su\r\na=ice-pwd:sp\r\na=end-of-candidates\r\n"
	if got := d.String(); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s", got)
	}
}

func TestCheckAddresses(t *testing.T) {
	bare := "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"
	audio := "m=audio 5000 RTP/AVP 0\r\n"
	conn := "c=IN IP4 192.0.2.1\r\n"
	tests := []struct {
		name string
		text string
		want string
	}{
		{"a session address serves all sections", bare + conn + audio + audio, ""},
		{"each section may have its own", bare + audio + conn + audio + conn, ""},
		{"a rejected section needs none", bare + audio + conn + "m=video 0 RTP/AVP 31\r\n", ""},
		{"a section without any is incomplete", bare + audio + conn + audio, "media section 2 (audio)"},
		{
			"sections are numbered through all sessions", bare + audio + conn + bare + "m=video 6 RTP/AVP 31\r\n",
			"media section 2 (video)",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := mustParse(t, test.text).CheckAddresses()
			if test.want == "" && err != nil || test.want != "" && (!errors.Is(err, ErrIncomplete) ||
				!strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestConnectionIsZero(t *testing.T) {
	for text, want := range map[string]bool{"0.0.0.0": true, "::": true, "192.0.2.1": false, "::1": false} {
		if got := (&Connection{Addr: mustAddr(text)}).IsZero(); got != want {
			t.Errorf("%s: got %v", text, got)
		}
	}
	if (*Connection)(nil).IsZero() {
		t.Error("no connection is not a zero address")
	}
}

func TestDirection(t *testing.T) {
	tests := []struct {
		direction       Direction
		sends, receives bool
		reverse         Direction
	}{
		{0, true, true, 0},
		{SendRecv, true, true, SendRecv},
		{SendOnly, true, false, RecvOnly},
		{RecvOnly, false, true, SendOnly},
		{Inactive, false, false, Inactive},
	}
	for _, test := range tests {
		d := test.direction
		if d.Sends() != test.sends || d.Receives() != test.receives || d.Reverse() != test.reverse {
			t.Errorf("%q: sends %v, receives %v, reverse %q", d, d.Sends(), d.Receives(), d.Reverse())
		}
		if ParseDirection(d.String()) != d {
			t.Errorf("%q does not survive its text", d)
		}
		if d.Given() && MakeDirection(test.sends, test.receives) != d {
			t.Errorf("%q is not made of its parts", d)
		}
	}
	if ParseDirection("SENDRECV").Given() {
		t.Error("attribute names are case sensitive")
	}
}

func TestProtocol(t *testing.T) {
	tests := []struct {
		protocol                         Protocol
		rtp, secure, feedback, dtls, t38 bool
	}{
		{ProtoAVP, true, false, false, false, false},
		{ProtoAVPF, true, false, true, false, false},
		{ProtoSAVP, true, true, false, false, false},
		{ProtoSAVPF, true, true, true, false, false},
		{ProtoTLSSAVP, true, true, false, true, false},
		{ProtoTLSSAVPF, true, true, true, true, false},
		{"TCP/DTLS/RTP/SAVPF", true, true, true, true, false},
		{"rtp/avp", true, false, false, false, false},
		{ProtoUDPTL, false, false, false, false, true},
		{"UDPTL", false, false, false, false, true},
		{ProtoTLSUDPTL, false, false, false, true, true},
		{ProtoDTLSSCTP, false, false, false, true, false},
		{ProtoMSRP, false, false, false, false, false},
		{"XRTP/AVP", false, false, false, false, false},
		{"RTP/AVPX", false, false, false, false, false},
		{"/AVP", false, false, false, false, false},
		{"*", false, false, false, false, false},
		{"", false, false, false, false, false},
	}
	for _, test := range tests {
		p := test.protocol
		if p.IsRTP() != test.rtp || p.IsSecure() != test.secure || p.Feedback() != test.feedback ||
			p.IsDTLS() != test.dtls || p.IsT38() != test.t38 {
			t.Errorf("%q: RTP %v, secure %v, feedback %v, DTLS %v, T.38 %v", p,
				p.IsRTP(), p.IsSecure(), p.Feedback(), p.IsDTLS(), p.IsT38())
		}
	}
}
