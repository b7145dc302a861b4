package rtpproxy_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/rtpproxy"
	"github.com/weir-media/weir/media"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

var quiet = slog.New(slog.DiscardHandler)

// rig is a dispatcher on a real userspace plane on loopback.
type rig struct {
	testing.TB
	*rtpproxy.Dispatcher
	calls  *call.Manager
	plane  *media.Plane
	client rtpproxy.Client
}

type setup struct {
	bridged bool
	plane   media.Config
	call    call.Config
	rtpproxy.Config
}

func newRig(t testing.TB, change func(*setup)) *rig {
	t.Helper()
	s := setup{call: call.Config{MaxSessions: -1}}
	if change != nil {
		change(&s)
	}
	address := func(ip string) []media.Address {
		return []media.Address{{IP: netip.MustParseAddr(ip), PortMin: 28000, PortMax: 29999}}
	}
	interfaces := []media.Interface{{Name: "default", Addresses: append(address("127.0.0.1"), address("::1")...)}}
	if s.bridged {
		interfaces = append(interfaces,
			media.Interface{Name: "internal", Addresses: address("127.0.0.2")}, media.Interface{Name: "external", Addresses: address("127.0.0.3")})
	}
	s.plane.Interfaces, s.plane.Workers, s.plane.Quarantine = interfaces, 1, -1
	plane, err := media.New(s.plane)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t, plane: plane}
	s.call.Plane = plane
	s.call.Ended = func(e *call.Ended) { r.Ended(e) }
	r.calls = call.NewManager(s.call)
	s.Calls, s.Plane = r.calls, plane
	r.Dispatcher = rtpproxy.New(s.Config)
	t.Cleanup(func() {
		r.calls.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// ask returns the reply to a command, without its line end.
func (r *rig) ask(command string) string {
	r.Helper()
	reply, ok := strings.CutSuffix(r.Execute(r.client, command), "\n")
	if !ok {
		r.Fatalf("%q is answered without a line end: %q", command, reply)
	}
	return reply
}

// wants checks a reply.
func (r *rig) wants(command, want string) {
	r.Helper()
	if got := r.ask(command); got != want {
		r.Errorf("%q is answered with %q, want %q", command, got, want)
	}
}

// port returns the address that a reply to U or L tells.
func (r *rig) port(command string) netip.AddrPort {
	r.Helper()
	reply := r.ask(command)
	words := strings.Fields(reply)
	if len(words) < 2 || len(words) > 3 {
		r.Fatalf("%q is answered with %q", command, reply)
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(words[1], words[0]))
	if err != nil || a.Addr().Is6() != (len(words) == 3 && words[2] == "6") || a.Port()%2 != 0 {
		r.Fatalf("%q is answered with %q", command, reply)
	}
	return a
}

// until waits for a condition that must come true.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.Fatalf("did not happen: %s", what)
		}
	}
}

// The commands and replies of the protocol's documents. P1 is the port towards the callee, P2 that towards the caller.
func TestVectors(t *testing.T) {
	r := newRig(t, nil)
	p1 := r.ask("U c 192.0.2.10 10000 f")
	p2 := r.ask("L c 192.0.2.20 20000 f t")
	if p1 == p2 || !strings.HasSuffix(p1, " 127.0.0.1") || !strings.HasSuffix(p2, " 127.0.0.1") {
		t.Fatalf("ports are %q and %q", p1, p2)
	}
	r.port("U c2 192.0.2.10 10000 fa;1")
	r.port("L c2 192.0.2.20 20000 fa;1 tb;1")
	long := strings.Repeat("x", 9000)
	for _, c := range [][2]string{
		{"V", "20040107"}, {"v", "20040107"}, {"V x", "E1"}, {"Vx", "E2"},
		{"VF 20050322", "1"}, {"vf 20071116", "1"}, {"VF 20081102", "1"}, {"VF 20081224", "0"}, {"VF 20260309", "1"}, {"VF 20040108", "0"},
		{"VF garbage", "0"}, {"VF", "E1"}, {"VF 1 2", "E1"}, {"VFx 20050322", "E2"},
		{"D", "E1"}, {"Q", "E1"}, {"U a b c", "E1"}, {"L a b c", "E1"}, {"P a b c", "E1"}, {"S a", "E1"}, {"R a", "E1"}, {"C a b", "E1"}, {"N a", "E1"},
		{"I x", "E1"}, {"X x", "E1"}, {"U c 192.0.2.10 10000 f t n g x", "E1"}, {"L c 192.0.2.10 10000 f t x", "E1"},
		{"Z", "E0"}, {"z1", "E0"}, {"\xff", "E0"}, {"", "E5"}, {" ", "E5"}, {"\r\n", "E5"}, {"V\x00", "E5"}, {"U c\x00 192.0.2.10 10000 f", "E5"},
		{long, "E5"}, {strings.Repeat("x ", 30), "E5"}, {"U c 192.0.2.1 1 f 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18", "E1"}, {"U c 192.0.2.1 1 f 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19", "E5"},
		{"U c 192.0.2.1 1 f && 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23", "E3"},
		{"U c 192.0.2.1 1 f && 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24", "E5"},
		{"U c 192.0.2.1 1 f" + strings.Repeat(" && D", 15), "E5"},

		{"U c 192.0.2.10 10000 f", p1}, {"L c 192.0.2.20 20000 f t", p2},
		{"U c 192.0.2.20 20000 t f", p2}, {"L c 192.0.2.20 20000 t f", p1},
		{"ua c 192.0.2.10 10000 f\r\n", p1}, {"UA c 192.0.2.10 10000 f", p1}, {"Us c 192.0.2.10 10000 f", p1},
		{"U c 0.0.0.0 10000 f", p1}, {"U c 192.0.2.10 0 f", p1},
		{"L nope 192.0.2.20 20000 f t", "0"}, {"L c 192.0.2.20 20000 g t", "0"},

		{"Uz0 c 192.0.2.10 10000 f", "E13"}, {"Uz1000 c 192.0.2.10 10000 f", "E13"}, {"Uz c 192.0.2.10 10000 f", "E13"},
		{"Uc c 192.0.2.10 10000 f", "E14"}, {"Uc0c8 c 192.0.2.10 10000 f", "E14"},
		{"Ul c 192.0.2.10 10000 f", "E15"}, {"Ulx c 192.0.2.10 10000 f", "E15"}, {"Ul[::1 c 192.0.2.10 10000 f", "E15"}, {"Ul{} c 192.0.2.10 10000 f", "E15"},
		{"Ur c 192.0.2.10 10000 f", "E16"}, {"Urx c 192.0.2.10 10000 f", "E16"}, {"Ur{default} c 192.0.2.10 10000 f", "E16"},
		{"Ul192.0.2.99 c 192.0.2.10 10000 f", "E31"}, {"Ul[1:2:3:4:5] c 192.0.2.10 10000 f", "E31"}, {"Ul{nowhere} c 192.0.2.10 10000 f", "E31"},
		{"Ur[1:2:3:4:5] c 192.0.2.10 10000 f", "E32"},
		{"Uwe c 192.0.2.10 10000 f", "E11"}, {"Ui c 192.0.2.10 10000 f", "E12"}, {"Ugarbage c 192.0.2.10 10000 f", "E35"}, {"Lq c 192.0.2.10 10000 f t", "E35"},
		{"U6 c 2001:db8::1 10000 f", "E36"}, {"U c5 bad.addr 100 f", "E37"}, {"U c5 192.0.2.1 abc f", "E37"}, {"U c5 192.0.2.1 65536 f", "E37"},
		{"U c5 192.0.2.1 -1 f", "E37"}, {"U6 c5 192.0.2.1 1 f", "E37"}, {"U c5 2001:db8::1 1 f", "E37"},
		{"U c 192.0.2.1 1 f1 t1 unix:/tmp/x tag", "E75"}, {"U c 192.0.2.1 1 f1 unix:/tmp/x tag", "E75"}, {"U c 192.0.2.1 1 f1 unix:/tmp/x %2", "E10"},

		{"U c 192.0.2.1 1 f && M3:1 x", "E3"}, {"U c 192.0.2.1 1 f && Z", "E3"}, {"U cX 192.0.2.1 1 f && Z", "E3"}, {"Q cX f", "E50"},
		{"U c 192.0.2.1 1 f && S ttl=x", "E3"}, {"U c 192.0.2.1 1 f && S ttl=0", "E3"}, {"U c 192.0.2.1 1 f && S tos=256", "E3"},
		{"U c 192.0.2.1 1 f && S speed=1", "E3"}, {"U c 192.0.2.1 1 f && Sx ttl=1", "E3"}, {"U c 192.0.2.1 1 f && D x", "E3"}, {"U c 192.0.2.1 1 f && Dx", "E3"},
		{"U c 192.0.2.1 1 f && L 192.0.2.2 200", "E3"}, {"L c 192.0.2.1 1 f t && L 192.0.2.2 200", "E3"},
		{"I && D", "E3"}, {"G x && D", "E3"}, {"D c f && D", "E3"}, {"U c 192.0.2.1 1 f &&", "E5"}, {"&& D", "E5"},
		{"U c 192.0.2.1 1000 f t && L 192.0.2.2 200", p1 + " && " + p2},
		{"U c 192.0.2.1 1000 f t && S tos=8 && L 192.0.2.2 200", p1 + " && 0 && " + p2},
		{"U c 192.0.2.1 1000 f t && L 192.0.2.2 200 && C other f1 t1", p1 + " && " + p2 + " && -1"},
		{"U c 192.0.2.1 1000 f t && L 192.0.2.2 200 && C other f1 t1 && S ttl=7", p1 + " && " + p2 + " && -1"},
		{"U c 192.0.2.1 1000 f && S ttl=5", p1}, {"Qv c f t ttl", "ttl=5"}, {"L c 192.0.2.20 20000 f t && Sr ttl=60", p2},

		{"Q c f", "60 0 0 0 0"}, {"Q c f t", "60 0 0 0 0"}, {"Q c t f", "60 0 0 0 0"}, {"Q c2 fa;1", "60 0 0 0 0"}, {"Q c2 tb;1 fa;1", "60 0 0 0 0"},
		{"Q c2 tb;1 fa", "60 0 0 0 0"}, {"Q c2 fa tb", "E50"}, {"Q c2 fa;2", "E50"}, {"Q c t", "E50"}, {"Q nope f", "E50"},
		{"Qv c f", "ttl=60 npkts_ina=0 npkts_ino=0 nrelayed=0 ndropped=0"},
		{"Qv c f t ttl longest_ipi rtpa_jlast rtpa_jmax rtpa_javg", "ttl=60 longest_ipi=0.000000 rtpa_jlast=0.000000 rtpa_jmax=0.000000 rtpa_javg=0.000000"},
		{"Q c f t rtpa_nsent rtpa_nrcvd rtpa_ndups rtpa_nlost rtpa_perrs ndropped nrelayed", "0 0 0 0 0 0 0"},
		{"Q c f t nonsense", "E62"}, {"Qx c f", "E19"},

		{"P5 c2 /nofile default fa;1 tb;1", "E60"}, {"P5 c2 /nofile session fa;1 tb;1", "E35"}, {"Px c2 /nofile 0 fa;1", "E17"}, {"P nope x 0 f", "E50"},
		{"S c f t", "0"}, {"S nope f t", "E50"}, {"Sx c f", "E2"},
		{"R c fa tb", "E50"}, {"R c2 fa tb", "E50"}, {"Rs c f t", "E50"}, {"Rp c f t", "E6"}, {"Rx c f t", "E7"}, {"N c f", "E50"}, {"Na c f", "E50"}, {"Nx c f", "E7"}, {"Naq c f", "E6"},
		{"C c2 default fa;1 tb;1", "E65"}, {"C c2 default fa tb", "E50"}, {"Cp c f f t", "E65"}, {"Cx c f f t", "E7"}, {"C c udp:192.0.2.1 f t", "E65"}, {"C nope f f t", "E50"},
		{"G", ""}, {"G nonsense", "E68"}, {"Gx", "E9"}, {"Gx nsess_created", "E9"},
		{"Ix", "E18"}, {"Xx", "E2"},

		{"D2 c f", "E8"}, {"D c2 fb;1", "E50"}, {"D c2 fa;2", "E50"}, {"D nope f", "E50"},
		{"Q c f && D", "60 0 0 0 0"}, {"Q c f", "E50"}, {"D c f", "E50"}, {"D c2 tb fa", "0"}, {"D c2 tb fa", "E50"},
		{"X", "0"}, {"D c6 f", "E50"},
	} {
		r.wants(c[0], c[1])
	}
	if n := len(r.calls.List(10)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

func TestNewPortIsAnotherOne(t *testing.T) {
	r := newRig(t, nil)
	first := r.port("U c 192.0.2.10 10000 f")
	other := r.port("L c 192.0.2.20 20000 f t")
	second := r.port("Un c 192.0.2.10 10000 f")
	if first == second {
		t.Errorf("both ports are %v", first)
	}
	r.wants("U c 192.0.2.10 10000 f", portText(second))
	r.wants("L c 192.0.2.20 20000 f t", portText(other))
}

func portText(a netip.AddrPort) string {
	text := strings.TrimPrefix(a.String(), a.Addr().String()+":")
	return text + " " + a.Addr().String()
}

func TestLocalAddressIsChosen(t *testing.T) {
	r := newRig(t, nil)
	for command, want := range map[string]string{
		"Ul[::1] c1 192.0.2.10 10000 f":                    "::1",
		"Ur127.0.0.1 c2 192.0.2.10 10000 f":                "127.0.0.1",
		"Ul127.0.0.1c0,8z20a c3 192.0.2.10 10000 f":        "127.0.0.1",
		"Ul{default}w c4 192.0.2.10 10000 f":               "127.0.0.1",
		"U6 c5 ::1 10000 f":                                "::1",
		"U6 c6 :: 0 f":                                     "::1",
		"U c7 localhost 10000 f":                           "127.0.0.1",
		"U c8 W3.IT2Nl-t.gTL1SejkyqRuMoYf*E 39d9ashjo tag": "127.0.0.1", // what can be no address is one that is not known
	} {
		if got := r.port(command); got.Addr().String() != want {
			t.Errorf("%q is answered with %v, want %s", command, got, want)
		}
	}
}

func TestBridgeMode(t *testing.T) {
	r := newRig(t, func(s *setup) { s.bridged = true })
	for modifiers, want := range map[string][2]string{
		"":   {"127.0.0.1", "127.0.0.1"},
		"ei": {"127.0.0.3", "127.0.0.2"},
		"IE": {"127.0.0.2", "127.0.0.3"},
		"ee": {"127.0.0.3", "127.0.0.3"},
		"e":  {"127.0.0.3", "127.0.0.1"},
	} {
		call := "c" + modifiers
		callee := r.port("U" + modifiers + " " + call + " 192.0.2.10 10000 f")
		caller := r.port("L " + call + " 192.0.2.20 20000 f t")
		if got := [2]string{caller.Addr().String(), callee.Addr().String()}; got != want {
			t.Errorf("%q: towards caller and callee %v, want %v", modifiers, got, want)
		}
	}
	r.wants("Ueie c 192.0.2.10 10000 f", "E11")
	r.wants("Ueii c 192.0.2.10 10000 f", "E12")
}

func TestHolds(t *testing.T) {
	for name, steps := range map[string][][2]string{
		"the strong hold of a new session": {{"U", "port"}, {"D c f t", "0"}, {"Q c f", "E50"}},
		"a weak session":                   {{"Uw", "port"}, {"D c f t", "0"}, {"Q c f", "60 0 0 0 0"}, {"Dw c t f", "0"}, {"Q c f", "E50"}},
		"weak in vain":                     {{"U", "port"}, {"Dw c f t", "0"}, {"Q c f", "60 0 0 0 0"}, {"D c f t", "0"}, {"Q c f", "E50"}},
		"the other side's weak hold":       {{"U", "port"}, {"Lw c 192.0.2.20 20000 f t", "port"}, {"D c f t", "0"}, {"Q c f", "60 0 0 0 0"}, {"Dw c f t", "0"}, {"Q c f", "E50"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			for _, s := range steps {
				command := s[0]
				if strings.HasPrefix(command, "U") {
					command += " c 192.0.2.10 10000 f"
				}
				if s[1] == "port" {
					r.port(command)
				} else {
					r.wants(command, s[1])
				}
			}
		})
	}
}

func TestEachMediumIsASession(t *testing.T) {
	r := newRig(t, nil)
	audio, video := r.port("U c 192.0.2.10 10000 f;1"), r.port("U c 192.0.2.10 10002 f;2")
	plain := r.port("U c 192.0.2.10 10004 f")
	if audio == video || plain == audio || plain == video {
		t.Fatalf("ports are %v, %v, %v", audio, video, plain)
	}
	r.port("L c 192.0.2.20 20000 f;1 t;1")
	r.wants("U c 192.0.2.10 10002 f;2", portText(video))
	r.wants("D c f;1 t;1", "0")
	r.wants("Q c f;1", "E50")
	r.wants("Q c f;2", "60 0 0 0 0")
	for range 200 { // a place that became free is used again
		r.port("U c 192.0.2.10 10000 f;1")
		r.wants("D c f;1", "0")
	}
	r.wants("D c f t", "0")
	for _, tag := range []string{"f", "f;1", "f;2"} {
		r.wants("Q c "+tag, "E50")
	}
	for n := range call.MaxSections {
		r.port("U d 192.0.2.10 10000 f;" + string(rune('1'+n%9)) + strings.Repeat("0", n/9))
		if n >= 35 {
			break
		}
	}
	r.wants("D d f", "0")
}

func TestSessionsOfAnyCallAreInTheModel(t *testing.T) {
	r := newRig(t, nil)
	r.port("Uc8,0,101 c 192.0.2.10 10000 f;1")
	r.port("L c 192.0.2.20 20000 f;1 t;1")
	snap, err := r.calls.Query("c", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if snap.Language != call.RTPproxy || snap.State != call.StateAnswered || len(snap.Parties) != 2 || snap.Parties[0].Media[0].Codec != "PCMA/8000" {
		t.Errorf("the call is %+v", snap)
	}
	if st := r.calls.Stats().ByLanguage; st[call.RTPproxy].Live != 1 || st[call.RTPproxy].Created != 1 || st[call.NG].Live != 0 {
		t.Errorf("by language: %v", st)
	}
	if _, err := r.calls.Delete(&call.DeleteRequest{CallID: "c", Delay: new(time.Duration)}); err != nil {
		t.Fatal(err)
	}
	r.wants("Q c f;1", "E50")
	if st := r.calls.Stats().ByLanguage; st[call.RTPproxy].Live != 0 {
		t.Errorf("by language: %v", st)
	}
}

func TestGarbageBehindThePacketTimeIsTolerated(t *testing.T) {
	r := newRig(t, nil)
	p := r.ask("USEIZ20c0 c 192.0.2.10 10000 f;1")
	if p != "E11" && p != "E12" {
		t.Fatalf("without a bridge: %q", p)
	}
	p = r.ask("USZ20c0 c 192.0.2.10 10000 f;1")
	for _, garbage := range []string{"?CV", "\x00\x00\x00", "\xa3\xfaU", "c", "\x80"} {
		r.wants("USZ20"+garbage+"c96 c 192.0.2.10 10000 f;1", p)
	}
	r.wants("US\x00Z20c96 c 192.0.2.10 10000 f;1", "E5")
	r.wants("D\x00 c f;1", "E5")
}
