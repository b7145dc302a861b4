package peers

import "testing"

const (
	opus = "opus/48000/2"
	pcmu = "PCMU/8000/1"
)

func TestBaresipCallsBaresip(t *testing.T) {
	s := stage(t, IPv4, "baresip")
	for _, c := range []struct {
		name           string
		caller, callee Kind
	}{
		{"RTP to RTP", Plain, Plain},
		{"SDES to RTP", SDES, Plain},
		{"RTP to SDES", Plain, SDES},
		{"DTLS-SRTP to RTP", DTLS, Plain},
		{"RTP to DTLS-SRTP", Plain, DTLS},
		{"SDES to DTLS-SRTP", SDES, DTLS},
	} {
		t.Run(c.name, func(t *testing.T) {
			west := baresip(t, s.West, c.caller, LowTone, pcmu)
			east := baresip(t, s.East, c.callee, HighTone, pcmu)
			must(t, west.Call(east.URI()))
			talk(t, west, east)
			if west.Secure() != (c.caller != Plain) || east.Secure() != (c.callee != Plain) {
				t.Errorf("encrypted: %v at the caller, %v at the callee", west.Secure(), east.Secure())
			}
			// This baresip records nothing any more after hold, so it is what Weir carries that counts.
			must(t, west.Hold(true))
			halt(t, s)
			must(t, west.Hold(false))
			run(t, s)
			must(t, east.HangUp())
			must(t, west.AwaitEnd())
			must(t, s.AwaitNoCalls())
		})
	}
}
