package rtp

import "testing"

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want Class
	}{
		{"nothing is unknown", nil, Unknown},
		{"one byte is unknown", []byte{0x80}, Unknown},
		{"a binding request is STUN", []byte{0, 1, 0, 0}, STUN},
		{"the last STUN byte is 3", []byte{3, 0}, STUN},
		{"4 to 15 belong to nobody", []byte{4, 0}, Unknown},
		{"16 to 19 are ZRTP", []byte{16, 0}, ZRTP},
		{"a DTLS handshake record is DTLS", []byte{22, 254, 253}, DTLS},
		{"the last DTLS byte is 63", []byte{63, 0}, DTLS},
		{"TURN channels belong to nobody here", []byte{64, 0}, Unknown},
		{"payload type 0 is RTP", []byte{0x80, 0}, RTP},
		{"payload type 63 with marker is RTP, the last before RTCP", []byte{0x80, 191}, RTP},
		{"192 is the first RTCP type", []byte{0x80, 192}, RTCP},
		{"a sender report is RTCP", []byte{0x81, 200}, RTCP},
		{"223 is the last RTCP type", []byte{0xbf, 223}, RTCP},
		{"payload type 96 with marker is RTP, the first after RTCP", []byte{0x80, 224}, RTP},
		{"version 3 is unknown", []byte{0xc0, 0}, Unknown},
	} {
		if got := Classify(c.in); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
