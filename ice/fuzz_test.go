package ice

import (
	"net/netip"
	"testing"
	"time"
)

// FuzzMessage demands of any packet that it is refused, or that what was read fits into it; and that nothing unsigned is
// taken for signed.
func FuzzMessage(f *testing.F) {
	key := newIntegrityKey("password")
	var w writer
	w.begin(bindingRequest, transactionID{1})
	w.text(attrSoftware, "x")
	w.text(attrUsername, "ours:theirs")
	w.uint64(attrControlling, 1)
	w.uint32(attrPriority, 1)
	w.uint32(0x7777, 1)
	f.Add(append([]byte(nil), w.finish(key)...))
	w.begin(bindingSuccess, transactionID{2})
	w.xorMapped(netip.MustParseAddrPort("[2001:db8::1]:4"))
	w.errorCode(487, "Role Conflict")
	f.Add(append([]byte(nil), w.finish(nil)...))
	f.Fuzz(func(t *testing.T, pkt []byte) {
		m, ok := parse(pkt)
		if !ok {
			return
		}
		if m.unknownCount > maxUnknown || m.integrity != 0 && m.integrity+4+integritySize > len(pkt) || len(m.username) > len(pkt) {
			t.Errorf("%+v of %d bytes", m, len(pkt))
		}
		if m.integrity == 0 && key.authentic(&m) {
			t.Error("a message without signature is authentic")
		}
	})
}

// FuzzHandle plays a sequence of packets, made of what the fuzzer gives, against an agent in any state. Each step is a
// selector and bytes; the selector says whether they are raw, or attributes that the right password signs.
func FuzzHandle(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, uint8(0))
	f.Add([]byte{0x84, 0x00, 0x25, 0, 0, 0x81, 0x80, 0x29, 0, 8}, uint8(1))
	f.Add([]byte{0x82, 0x80, 0x2a, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, uint8(3))
	f.Add([]byte{0xff, 0xc0, 0x01, 0, 4, 0, 0, 0, 9, 0x10, 0x40}, uint8(6))
	f.Fuzz(func(t *testing.T, script []byte, kind uint8) {
		w := newWire(t, Config{Lite: kind&1 != 0, Controlling: kind&2 != 0})
		if kind&4 != 0 {
			w.meetPeer(peerCandidate)
		}
		own, peer := newIntegrityKey(ownCredentials.Pwd), newIntegrityKey(peerCredentials.Pwd)
		for len(script) > 0 {
			selector := script[0]
			size := min(int(selector&0x1f), len(script)-1)
			body := script[1 : 1+size]
			script = script[1+size:]
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, 100, 7}), 6000+uint16(selector>>5))
			state, authenticated := w.a.State(), len(w.from)
			var verdict Verdict
			switch {
			case selector&0x40 != 0:
				w.now = w.now.Add(time.Duration(size) * time.Second)
				w.a.Tick(w.now)
				continue
			case selector&0x80 == 0:
				verdict = w.a.Handle(wireSocket, body, from)
			case selector&0x20 != 0 && len(w.sent) > 0:
				last := w.sent[len(w.sent)-1]
				var out writer
				out.begin(bindingError, last.id)
				if size > 3 {
					out.begin(bindingSuccess, last.id)
				}
				out.buf = append(out.buf, body...)
				verdict = w.a.Handle(wireSocket, out.finish(peer), last.to)
			default:
				var out writer
				out.begin(bindingRequest, transactionID{selector})
				out.text(attrUsername, "weir:peer")
				out.uint32(attrPriority, uint32(size))
				out.pad()
				out.buf = append(out.buf, body...)
				verdict = w.a.Handle(wireSocket, out.finish(own), from)
			}
			if (verdict == Malformed || verdict == Unauthenticated || verdict == Stray) &&
				(w.a.State() != state || len(w.from) != authenticated) {
				t.Errorf("a packet of verdict %v changed the agent", verdict)
			}
			w.a.Tick(w.now)
		}
		if len(w.a.pairs) > maxPairs || len(w.a.remotes) > maxRemotes+maxReflexive {
			t.Errorf("%d pairs, %d candidates", len(w.a.pairs), len(w.a.remotes))
		}
		if p, ok := w.a.Selected(RTP); ok && !p.Remote.IsValid() {
			t.Errorf("selected %+v", p)
		}
	})
}
