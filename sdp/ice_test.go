package sdp

import "testing"

func TestCandidates(t *testing.T) {
	for _, text := range []string{
		"1 1 UDP 2130706431 192.0.2.1 5000 typ host",
		"abc/+ 2 udp 0 2001:db8::1 65535 typ host generation 0 network-id 1",
		"1 1 UDP 1 3b9f.local 5000 typ host",
		"1 1 UDP 1 192.0.2.1 5000 typ relay raddr 203.0.113.1 rport 6000",
		"1 1 tcp 1 192.0.2.1 9 typ srflx raddr 203.0.113.1 rport 6000 tcptype active ufrag x",
	} {
		c, ok := ParseCandidate(text)
		if !ok || c.String() != text {
			t.Errorf("%q became %q, %v", text, c, ok)
		}
		if prefixed, ok := ParseCandidate("candidate:" + text); !ok || prefixed != c {
			t.Errorf("%q with prefix became %q, %v", text, prefixed, ok)
		}
	}
	want := Candidate{
		Foundation: "7", Component: 2, Transport: "UDP", Priority: 9, Address: "192.0.2.1", Port: 5000, Type: "srflx",
		RelatedAddr: "203.0.113.1", RelatedPort: 6000, Extensions: "generation 0",
	}
	got, ok := ParseCandidate("7 2  UDP 9 192.0.2.1 5000 typ srflx  raddr 203.0.113.1 rport 6000  generation 0 ")
	if !ok || got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMalformedCandidatesAreDropped(t *testing.T) {
	bad := []string{
		"", "1", "1 1 UDP 1 192.0.2.1 5000", "1 1 UDP 1 192.0.2.1 5000 typ", "1 1 UDP 1 192.0.2.1 5000 type host",
		"1 0 UDP 1 192.0.2.1 5000 typ host", "1 257 UDP 1 192.0.2.1 5000 typ host", "1 x UDP 1 192.0.2.1 5000 typ host",
		"1 1 UDP 4294967296 192.0.2.1 5000 typ host", "1 1 UDP 1 192.0.2.1 65536 typ host",
		"a:b 1 UDP 1 192.0.2.1 5000 typ host", "1 1 UDP 1 192.0.2.1 5000 typ srflx raddr 192.0.2.1 rport x",
	}
	text := head + "m=audio 5000 RTP/AVP 0\r\na=candidate:1 1 UDP 1 192.0.2.1 5000 typ host\r\n"
	for _, b := range bad {
		if c, ok := ParseCandidate(b); ok {
			t.Errorf("%q became %+v", b, c)
		}
		text += "a=candidate:" + b + "\r\n"
	}
	if got := mustParse(t, text).Media()[0].Candidates; len(got) != 1 {
		t.Errorf("kept %+v, want the good one alone", got)
	}
}

func TestICEOptions(t *testing.T) {
	i := ICE{Options: "trickle  ice2"}
	if !i.HasOption("trickle") || !i.HasOption("ice2") || i.HasOption("ice") || i.HasOption("") || i.Given() {
		t.Errorf("%+v is misread", i)
	}
	if !(ICE{Ufrag: "u"}).Given() || (ICE{}).HasOption("trickle") {
		t.Error("ICE without options is misread")
	}
}
