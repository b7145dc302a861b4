package ice

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

// wire is an agent with one socket and what it sends, for tests that play the peer by hand.
type wire struct {
	t    *testing.T
	a    *Agent
	now  time.Time
	sent []packet
	told []Pair
	from []netip.AddrPort // authenticated
}

type packet struct {
	raw []byte
	to  netip.AddrPort
	message
}

var (
	peerCredentials = Credentials{Ufrag: "peer", Pwd: "password of the peer x"}
	ownCredentials  = Credentials{Ufrag: "weir", Pwd: "password of ours xxxxxx"}
	peerAddr        = netip.MustParseAddrPort("198.51.100.7:6000")
	peerCandidate   = Candidate{Foundation: "1", Component: RTP, Priority: Priority(Host, 65535, RTP), Addr: peerAddr}
)

const wireSocket = 7

func newWire(t *testing.T, cfg Config) *wire {
	t.Helper()
	w := &wire{t: t, now: time.Unix(1700000000, 0)}
	cfg.Local = []Base{{Component: RTP, Addr: netip.MustParseAddrPort("192.0.2.1:5000"), Foundation: "f", Socket: wireSocket}}
	cfg.Credentials = ownCredentials
	cfg.Now = func() time.Time { return w.now }
	cfg.Send = func(_ int, pkt []byte, to netip.AddrPort) {
		m, ok := parse(bytes.Clone(pkt))
		if !ok {
			t.Errorf("sends what it does not read: %x", pkt)
		}
		w.sent = append(w.sent, packet{m.raw, to, m})
	}
	cfg.Selected = func(p Pair) { w.told = append(w.told, p) }
	cfg.Authenticated = func(_, _ int, from netip.AddrPort) { w.from = append(w.from, from) }
	a, err := NewAgent(cfg)
	must(t, err)
	w.a = a
	return w
}

func (w *wire) meetPeer(candidates ...Candidate) {
	w.t.Helper()
	must(w.t, w.a.SetRemote(Remote{Credentials: peerCredentials, Candidates: candidates, EndOfCandidates: true}))
}

// pass lets time pass in steps of the pace.
func (w *wire) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(pace) {
		w.a.Tick(w.now)
	}
}

// take returns what was sent since it was last called.
func (w *wire) take() []packet {
	sent := w.sent
	w.sent = nil
	return sent
}

// check is a binding request as the peer would send it, but for what change alters.
func (w *wire) check(change func(*writer)) []byte {
	var out writer
	out.begin(bindingRequest, transactionID{byte(len(w.sent)), 1})
	out.text(attrUsername, w.a.Credentials().Ufrag+":"+peerCredentials.Ufrag)
	out.uint32(attrPriority, 1000)
	if change != nil {
		change(&out)
	}
	return bytes.Clone(out.finish(newIntegrityKey(w.a.Credentials().Pwd)))
}

func controlling(tie uint64) func(*writer) {
	return func(w *writer) { w.uint64(attrControlling, tie) }
}

func nominating(w *writer) {
	w.uint64(attrControlling, 1)
	w.header(attrUseCandidate, 0)
}

// respond answers a check as the peer would.
func respond(to packet, key Credentials) []byte {
	var w writer
	w.begin(bindingSuccess, to.id)
	w.xorMapped(netip.MustParseAddrPort("192.0.2.1:5000"))
	return bytes.Clone(w.finish(newIntegrityKey(key.Pwd)))
}

func TestRequestIsAnswered(t *testing.T) {
	for _, from := range []string{"198.51.100.7:6000", "[::ffff:198.51.100.7]:6000"} {
		w := newWire(t, Config{Lite: true, Software: "weir"})
		pkt := w.check(controlling(1))
		if v := w.a.Handle(wireSocket, pkt, netip.MustParseAddrPort(from)); v != Request {
			t.Fatalf("verdict %v", v)
		}
		sent := w.take()
		if len(sent) != 1 || sent[0].kind != bindingSuccess || sent[0].to != peerAddr || sent[0].mapped != peerAddr ||
			!bytes.Equal(sent[0].id[:], pkt[8:20]) || !newIntegrityKey(ownCredentials.Pwd).authentic(&sent[0].message) {
			t.Fatalf("answered by %+v", sent)
		}
		if !bytes.HasPrefix(sent[0].raw[headerSize:], []byte{0x80, 0x22, 0, 4, 'w', 'e', 'i', 'r'}) {
			t.Errorf("SOFTWARE does not come first: %x", sent[0].raw)
		}
		if len(w.from) != 1 || w.from[0] != peerAddr {
			t.Errorf("authenticated: %v", w.from)
		}
	}
}

// TestRefusals lists the packets that an agent does not accept, and what it answers.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name    string
		pkt     func(w *wire) []byte
		verdict Verdict
		answer  int // error code
		signed  bool
		count   func(Counters) uint64
	}{
		{"a wrong password", func(w *wire) []byte {
			var out writer
			out.begin(bindingRequest, transactionID{5})
			out.text(attrUsername, "weir:peer")
			return out.finish(newIntegrityKey("guess"))
		}, Unauthenticated, 401, false, func(c Counters) uint64 { return c.Unauthenticated }},
		{"the name of somebody else", func(w *wire) []byte {
			var out writer
			out.begin(bindingRequest, transactionID{5})
			out.text(attrUsername, "wei:peer")
			return out.finish(newIntegrityKey(ownCredentials.Pwd))
		}, Unauthenticated, 401, false, func(c Counters) uint64 { return c.Unauthenticated }},
		{"another peer with our password", func(w *wire) []byte {
			var out writer
			out.begin(bindingRequest, transactionID{5})
			out.text(attrUsername, "weir:fork")
			return out.finish(newIntegrityKey(ownCredentials.Pwd))
		}, Unauthenticated, 401, false, func(c Counters) uint64 { return c.Unauthenticated }},
		{"no signature, and longer than the refusal", func(w *wire) []byte {
			var out writer
			out.begin(bindingRequest, transactionID{5})
			out.text(attrUsername, "weir:peer")
			out.text(attrSoftware, "something that takes some room")
			return out.finish(nil)
		}, Unauthenticated, 400, false, func(c Counters) uint64 { return c.Refused }},
		{"no signature, and shorter than any refusal", func(w *wire) []byte {
			var out writer
			out.begin(bindingRequest, transactionID{5})
			return out.finish(nil)
		}, Unauthenticated, 0, false, func(c Counters) uint64 { return c.Unauthenticated }},
		{"an attribute nobody knows", func(w *wire) []byte {
			return w.check(func(out *writer) { out.uint32(0x7777, 1) })
		}, Request, 420, true, func(c Counters) uint64 { return c.Unknown }},
		{"a response to nothing", func(w *wire) []byte {
			return respond(packet{message: message{id: transactionID{9}}}, peerCredentials)
		}, Stray, 0, false, func(c Counters) uint64 { return c.Stray }},
		{"a response with an empty identifier", func(w *wire) []byte {
			return respond(packet{}, peerCredentials)
		}, Stray, 0, false, func(c Counters) uint64 { return c.Stray }},
		{"an allocation", func(w *wire) []byte {
			var out writer
			out.begin(0x0003, transactionID{5})
			return out.finish(newIntegrityKey(ownCredentials.Pwd))
		}, Malformed, 0, false, func(c Counters) uint64 { return c.Malformed }},
		{"no STUN", func(*wire) []byte { return []byte("\x80\x00 RTP, as it happens, or so") }, Malformed, 0, false,
			func(c Counters) uint64 { return c.Malformed }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, Config{})
			w.meetPeer(peerCandidate)
			w.take()
			before := w.a.Counters()
			if v := w.a.Handle(wireSocket, c.pkt(w), netip.MustParseAddrPort("203.0.113.9:9")); v != c.verdict {
				t.Errorf("verdict %v, want %v", v, c.verdict)
			}
			sent := w.take()
			switch {
			case c.answer == 0 && len(sent) > 0:
				t.Errorf("answered by %+v", sent)
			case c.answer != 0 && (len(sent) != 1 || sent[0].kind != bindingError || sent[0].errorCode != c.answer):
				t.Errorf("answered by %+v, want %d", sent, c.answer)
			case c.answer != 0 && newIntegrityKey(ownCredentials.Pwd).authentic(&sent[0].message) != c.signed:
				t.Errorf("signed: %v", !c.signed)
			}
			if c.count(w.a.Counters()) != c.count(before)+1 {
				t.Errorf("counters %+v", w.a.Counters())
			}
			if len(w.a.pairs) != 1 || len(w.from) != 0 || w.a.State() != Checking {
				t.Errorf("it has changed the agent: %d pairs, %v, %v", len(w.a.pairs), w.from, w.a.State())
			}
		})
	}
}

// TestFloodIsNotAnswered: thousands of forged requests bring five answers a second, none larger than its request.
func TestFloodIsNotAnswered(t *testing.T) {
	w := newWire(t, Config{Lite: true, Software: "a name that would make the answers longer"})
	var out writer
	for i := range 3000 {
		out.begin(bindingRequest, transactionID{byte(i), byte(i >> 8)})
		out.text(attrUsername, "weir:x")
		pkt := out.finish(newIntegrityKey("guess"))
		w.a.Handle(wireSocket, pkt, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 9))
		if len(w.sent) > 0 && len(w.sent[len(w.sent)-1].raw) > len(pkt) {
			t.Fatal("an answer is larger than the request")
		}
		w.now = w.now.Add(time.Millisecond)
	}
	if c := w.a.Counters(); len(w.sent) != 15 || c.Refused != 15 || c.Unauthenticated != 3000 || len(w.a.remotes) != 0 {
		t.Errorf("%d answers, %+v", len(w.sent), c)
	}
}

// TestForgedResponses: without the peer's password no response counts.
func TestForgedResponses(t *testing.T) {
	w := newWire(t, Config{Controlling: true})
	w.meetPeer(peerCandidate)
	sent := w.take()
	if len(sent) != 1 {
		t.Fatalf("%d checks", len(sent))
	}
	if v := w.a.Handle(wireSocket, respond(sent[0], Credentials{"peer", "guess"}), peerAddr); v != Unauthenticated {
		t.Errorf("verdict %v", v)
	}
	var out writer
	out.begin(bindingError, sent[0].id)
	out.errorCode(487, "Role Conflict")
	if v := w.a.Handle(wireSocket, out.finish(nil), peerAddr); v != Unauthenticated {
		t.Errorf("verdict %v", v)
	}
	if w.a.State() != Checking || !w.a.Controlling() {
		t.Fatalf("forged responses changed it: %v", w.a.State())
	}
	if v := w.a.Handle(wireSocket, respond(sent[0], peerCredentials), peerAddr); v != Response || w.a.State() != Connected {
		t.Errorf("the true response: verdict %v, %v", v, w.a.State())
	}
	if v := w.a.Handle(wireSocket, respond(sent[0], peerCredentials), peerAddr); v != Stray {
		t.Errorf("its repetition: verdict %v", v)
	}
}

// TestAsymmetricResponse: a response from elsewhere fails the pair (RFC 8445, section 7.2.5.2.1).
func TestAsymmetricResponse(t *testing.T) {
	w := newWire(t, Config{Controlling: true})
	w.meetPeer(peerCandidate)
	w.a.Handle(wireSocket, respond(w.take()[0], peerCredentials), netip.MustParseAddrPort("198.51.100.8:6000"))
	if w.a.pairs[0].state != failed {
		t.Error("the pair works")
	}
	if _, ok := w.a.Selected(RTP); ok {
		t.Error("media goes there")
	}
}

// TestCheckLayout: peers' own tests compare the attributes byte by byte, in the order most implementations have.
func TestCheckLayout(t *testing.T) {
	w := newWire(t, Config{Controlling: true, Software: "weir"})
	w.meetPeer(peerCandidate)
	first := w.take()[0]
	w.a.Handle(wireSocket, respond(first, peerCredentials), peerAddr)
	w.pass(time.Second)
	nomination := w.take()[0]
	order := func(p packet) (kinds []uint16) {
		for at := headerSize; at < len(p.raw); at += 4 + (int(p.raw[at+3])+3)&^3 {
			kinds = append(kinds, uint16(p.raw[at])<<8|uint16(p.raw[at+1]))
		}
		return kinds
	}
	equal := func(p packet, want ...uint16) {
		t.Helper()
		got := order(p)
		if len(got) != len(want) {
			t.Fatalf("attributes %x, want %x", got, want)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("attributes %x, want %x", got, want)
			}
		}
		if string(p.username) != "peer:weir" || p.priority != 0x6effffff || !newIntegrityKey(peerCredentials.Pwd).authentic(&p.message) {
			t.Errorf("%+v", p.message)
		}
	}
	equal(first, attrSoftware, attrUsername, attrControlling, attrPriority, attrIntegrity, attrFingerprint)
	equal(nomination, attrSoftware, attrUsername, attrControlling, attrPriority, attrUseCandidate, attrIntegrity, attrFingerprint)
}

// TestRoleConflicts follows the table of RFC 8445, section 7.3.1.1.
func TestRoleConflicts(t *testing.T) {
	const largest = ^uint64(0)
	for _, c := range []struct {
		name        string
		cfg         Config
		attr        uint16
		tie         uint64
		refused     bool
		controlling bool // afterwards
	}{
		{"both control, ours is larger", Config{Controlling: true}, attrControlling, 0, true, true},
		{"both control, theirs is larger", Config{Controlling: true}, attrControlling, largest, false, false},
		{"nobody controls, ours is larger", Config{}, attrControlled, 0, false, true},
		{"nobody controls, theirs is larger", Config{}, attrControlled, largest, true, false},
		{"a lite agent does not control", Config{Lite: true}, attrControlled, 0, true, false},
		{"no conflict", Config{}, attrControlling, 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWire(t, c.cfg)
			w.meetPeer(peerCandidate)
			w.take()
			w.a.Handle(wireSocket, w.check(func(out *writer) { out.uint64(c.attr, c.tie) }), peerAddr)
			sent := w.take()
			if refused := sent[0].kind == bindingError && sent[0].errorCode == 487; refused != c.refused {
				t.Errorf("refused: %v", refused)
			}
			if w.a.Controlling() != c.controlling {
				t.Errorf("controlling: %v", w.a.Controlling())
			}
		})
	}
}

// TestRefusedRole: a 487 makes the agent switch and check again, with another tie breaker.
func TestRefusedRole(t *testing.T) {
	w := newWire(t, Config{Controlling: true})
	w.meetPeer(peerCandidate)
	tries := 0
	for ; tries < 20 && w.a.pairs[0].state != failed; tries++ {
		first := w.take()[0]
		var out writer
		out.begin(bindingError, first.id)
		out.errorCode(487, "Role Conflict")
		w.a.Handle(wireSocket, out.finish(newIntegrityKey(peerCredentials.Pwd)), peerAddr)
		w.pass(2 * pace)
		if tries == 0 {
			again := w.sent[0]
			if !first.controlling || !again.controlled || again.tieBreaker == first.tieBreaker || w.a.Controlling() {
				t.Fatalf("first %+v, then %+v", first.message, again.message)
			}
		}
	}
	if tries != maxSwitches+1 {
		t.Errorf("a peer that refuses every role is asked %d times", tries)
	}
}
