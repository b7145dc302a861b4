package ice

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPriority(t *testing.T) {
	for _, c := range []struct {
		kind       CandidateType
		preference uint16
		component  int
		want       uint32
	}{
		{Host, FirstLocalPreference, RTP, 2130706431},
		{Host, FirstLocalPreference - 1, RTP, 2130706175},
		{Host, FirstLocalPreference, RTCP, 2130706430},
		{Host, FirstLocalPreference - 1, RTCP, 2130706174},
		{PeerReflexive, FirstLocalPreference, RTP, 0x6effffff},
		{PeerReflexive, FirstLocalPreference, RTCP, 0x6efffffe},
		{ServerReflexive, FirstLocalPreference, RTP, 1694498815},
		{Relayed, FirstLocalPreference, RTP, 16777215},
	} {
		if got := Priority(c.kind, c.preference, c.component); got != c.want {
			t.Errorf("%v, %d, component %d: %d, want %d", c.kind, c.preference, c.component, got, c.want)
		}
	}
}

// TestPairPriority: both sides order pairs alike.
func TestPairPriority(t *testing.T) {
	const high, low = 2130706431, 1694498815
	for _, c := range []struct{ local, remote uint32 }{{high, low}, {low, high}, {high, high}} {
		if a, b := pairPriority(c.local, c.remote, true), pairPriority(c.remote, c.local, false); a != b {
			t.Errorf("%d and %d: %d for the one, %d for the other", c.local, c.remote, a, b)
		}
	}
	if pairPriority(high, low, true) != low<<32+2*high+1 || pairPriority(high, low, false) != low<<32+2*high {
		t.Error("not the formula of RFC 8445, section 6.1.2.3")
	}
}

func TestCandidateTypeWords(t *testing.T) {
	for _, kind := range []CandidateType{Host, ServerReflexive, PeerReflexive, Relayed} {
		if got, ok := ParseCandidateType(kind.String()); !ok || got != kind {
			t.Errorf("%q is read as %v, %v", kind.String(), got, ok)
		}
	}
	if got, ok := ParseCandidateType("tunnel"); ok {
		t.Errorf("an unknown type is read as %v", got)
	}
}

func lettersAndDigits(s string) bool {
	return strings.Trim(s, alphabet) == ""
}

func TestNewCredentials(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		c := NewCredentials()
		if len(c.Ufrag) != 8 || len(c.Pwd) != 26 || !lettersAndDigits(c.Ufrag+c.Pwd) {
			t.Fatalf("%+v", c)
		}
		if seen[c.Ufrag] || seen[c.Pwd] {
			t.Fatalf("%+v is drawn twice", c)
		}
		seen[c.Ufrag], seen[c.Pwd] = true, true
	}
}

func TestFoundation(t *testing.T) {
	secret := []byte("one process")
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	f := Foundation(secret, a)
	if len(f) != 16 || !lettersAndDigits(f) {
		t.Errorf("%q is not 16 letters and digits", f)
	}
	if f != Foundation(secret, a) {
		t.Error("an address has two foundations")
	}
	if f == Foundation(secret, b) || f == Foundation([]byte("another"), a) {
		t.Error("another address or secret has the same foundation")
	}
}

func TestNewAgentRefuses(t *testing.T) {
	addr := netip.MustParseAddrPort("192.0.2.1:5000")
	base := Base{Component: RTP, Addr: addr}
	send := func(int, []byte, netip.AddrPort) {}
	for name, cfg := range map[string]Config{
		"no way to send":                  {Local: []Base{base}, Credentials: NewCredentials()},
		"no base":                         {Send: send, Credentials: NewCredentials()},
		"no credentials":                  {Send: send, Local: []Base{base}},
		"a password of 300 bytes":         {Send: send, Local: []Base{base}, Credentials: Credentials{"abcd", strings.Repeat("x", 300)}},
		"a component that does not exist": {Send: send, Local: []Base{{Component: 3, Addr: addr}}, Credentials: NewCredentials()},
		"a base without address":          {Send: send, Local: []Base{{Component: RTP}}, Credentials: NewCredentials()},
		"a socket for two bases":          {Send: send, Local: []Base{base, {Component: RTCP, Addr: addr}}, Credentials: NewCredentials()},
		"a long name":                     {Send: send, Local: []Base{base}, Credentials: NewCredentials(), Software: strings.Repeat("x", 128)},
	} {
		if _, err := NewAgent(cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLocalCandidates: what a description lists, in which order, before and after ICE has completed.
func TestLocalCandidates(t *testing.T) {
	n := newNetwork(t)
	bases := localBases(2, "10.0.0.1", "2001:db8::1")
	bases[0].Advertised = netip.MustParseAddrPort("192.0.2.1:7000")
	a := n.party("offerer", 2, Config{Controlling: true, Local: bases})
	n.routes[bases[0].Advertised] = n.routes[bases[0].Addr]
	b := n.party("answerer", 2, Config{}, "198.51.100.1")

	type line struct {
		component int
		priority  uint32
		addr      string
	}
	check := func(p *party, want ...line) {
		t.Helper()
		got := p.LocalCandidates()
		if len(got) != len(want) {
			t.Fatalf("%d candidates, want %d: %v", len(got), len(want), got)
		}
		for i, w := range want {
			if g := got[i]; g.Component != w.component || g.Priority != w.priority || g.Addr.String() != w.addr || g.Type != Host ||
				len(g.Foundation) != 16 {
				t.Errorf("candidate %d is %+v, want %+v", i, g, w)
			}
		}
	}
	check(a, line{1, 2130706431, "192.0.2.1:7000"}, line{1, 2130706175, "[2001:db8::1]:5002"},
		line{2, 2130706430, "10.0.0.1:5001"}, line{2, 2130706174, "[2001:db8::1]:5003"})
	if a.RemoteCandidates() != nil {
		t.Error("remote candidates are listed before ICE has completed")
	}
	meet(a, b)
	n.until(2*time.Second, "completed", in(Completed, a, b))
	check(a, line{1, 2130706431, "192.0.2.1:7000"}, line{2, 2130706430, "10.0.0.1:5001"})
	got := a.RemoteCandidates()
	if len(got) != 2 || got[0].Addr.String() != "198.51.100.1:5000" || got[1].Addr.String() != "198.51.100.1:5001" {
		t.Errorf("remote candidates of the controlling side: %v", got)
	}
	if b.RemoteCandidates() != nil {
		t.Error("the controlled side lists remote candidates")
	}
}
