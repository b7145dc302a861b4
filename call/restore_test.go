package call_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// stored returns a call as it is stored.
func stored(t *testing.T, m *call.Manager, id string) []byte {
	t.Helper()
	doc, err := m.Document(id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := doc.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// restored restores what is stored, once the ports are free.
func restored(t *testing.T, m *call.Manager, text []byte) {
	t.Helper()
	doc, err := call.DecodeDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { err = m.Restore(doc); return !errors.Is(err, media.ErrPort) }) || err != nil {
		t.Fatalf("%v, of\n%s", err, text)
	}
}

// agreed is what is stored without what legs have found out.
func agreed(t *testing.T, text []byte) string {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "ports")
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func endNow(t *testing.T, m *call.Manager, id string) {
	t.Helper()
	now := time.Duration(0)
	if _, err := m.Delete(&call.DeleteRequest{CallID: id, Delay: &now}); err != nil {
		t.Fatal(err)
	}
}

// TestRandomCallsAreTheSameOnceRestored plays anything, restores what has come of it, and goes on.
func TestRandomCallsAreTheSameOnceRestored(t *testing.T) {
	m, _ := newRandomManager(t, 37000)
	c := chance{rand.New(rand.NewPCG(5, 6))}
	alive := 0
	for n := range 200 {
		id, offerer := fmt.Sprint("restored ", n), "a"
		for range 8 {
			text := c.description()
			if c.of(.5) {
				text = c.mixed()
			}
			req := &call.Request{CallID: id, FromTag: c.pick("a", "b"), ToTag: c.pick("", "a", "b", "c"), SDP: parse(t, text), Options: c.wishes()}
			step := m.Offer
			if c.of(.5) {
				step, req.FromTag = m.Answer, offerer
			}
			offerer = req.FromTag
			_, _ = step(req) // many of these make no sense
		}
		if _, err := m.Query(id, "", ""); err != nil {
			continue // it never came to life
		}
		alive++
		before := stored(t, m, id)
		endNow(t, m, id)
		restored(t, m, before)
		if got, want := agreed(t, stored(t, m, id)), agreed(t, before); got != want {
			t.Fatalf("%s:\n%s\nbecomes\n%s", id, want, got)
		}
		_, _ = m.Offer(&call.Request{CallID: id, FromTag: "a", SDP: parse(t, c.description()), Options: c.options()})
		endNow(t, m, id)
	}
	if alive < 100 {
		t.Errorf("only %d calls came to life", alive)
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Error("ports are lost")
	}
}

func TestARestoredCallGoesOnWithItsPeersAndCounts(t *testing.T) {
	m, _ := newManager(t, nil)
	phones := make([]*net.UDPConn, 2)
	for i := range phones {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		phones[i] = conn
	}
	port := func(i int) int { return phones[i].LocalAddr().(*net.UDPAddr).Port }
	offer := func() netip.AddrPort {
		t.Helper()
		text, err := m.Offer(request(t, "c", "a", "", describe("127.0.0.1", port(0))))
		if err != nil {
			t.Fatal(err)
		}
		return netip.AddrPortFrom(loopback, parse(t, text).Media()[0].Port)
	}
	toCaller := offer()
	text, err := m.Answer(request(t, "c", "a", "b", describe("127.0.0.1", port(1))))
	if err != nil {
		t.Fatal(err)
	}
	to := []netip.AddrPort{netip.AddrPortFrom(loopback, parse(t, text).Media()[0].Port), toCaller}
	seq := byte(0)
	talk := func(n int) {
		t.Helper()
		buf := make([]byte, 100)
		for range n {
			seq++
			for i, conn := range phones {
				packet := []byte{0x80, 0, 0, seq, 0, 0, 0, seq, 0, 0, 0, byte(1 + i), 1, 2, 3, 4}
				if _, err := conn.WriteToUDPAddrPort(packet, to[i]); err != nil {
					t.Fatal(err)
				}
				_ = phones[1-i].SetReadDeadline(time.Now().Add(10 * time.Second))
				if got, err := phones[1-i].Read(buf); err != nil || !bytes.Equal(buf[:got], packet) {
					t.Fatalf("packet %d: got %x, %v", seq, buf[:got], err)
				}
			}
		}
	}
	talk(6)
	before, err := m.Query("c", "", "")
	if err != nil {
		t.Fatal(err)
	}
	saved := stored(t, m, "c")
	endNow(t, m, "c")
	restored(t, m, saved)
	talk(4)

	after, err := m.Query("c", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if !after.Created.Equal(before.Created) || !after.LastSignal.Equal(before.LastSignal) || after.State != before.State {
		t.Errorf("before %v %v %v, after %v %v %v", before.Created, before.LastSignal, before.State, after.Created, after.LastSignal, after.State)
	}
	for i, p := range after.Parties {
		now, was := p.Media[0].Streams[0].Stats, before.Parties[i].Media[0].Streams[0].Stats
		if now.In.Packets != 10 || now.Out.Packets != 10 || now.Lost != 0 || now.Source != was.Source || !now.Confirmed || now.SSRC != was.SSRC {
			t.Errorf("party %q: %+v, before %+v", p.Party.Tag, now, was)
		}
		if ingress := p.Media[0].Ingress; len(ingress) != 1 || ingress[0].Packets != 10 || ingress[0].Sequence != 10 {
			t.Errorf("party %q: streams %+v", p.Party.Tag, ingress)
		}
	}
	if again := offer(); again != toCaller {
		t.Errorf("a re-offer tells %v, before it was %v", again, toCaller)
	}
	// A stranger is none the less one.
	stranger, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if _, err := stranger.WriteToUDPAddrPort([]byte{0x80, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 9}, to[0]); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool {
		s, err := m.Query("c", "", "")
		return err == nil && s.Parties[0].Media[0].Streams[0].Stats.Refused == 1
	}) {
		t.Error("a packet of a stranger is not refused")
	}
	if err := m.Restore(mustDecode(t, saved)); !errors.Is(err, call.ErrDocument) {
		t.Errorf("restored twice: %v", err)
	}
}

func mustDecode(t *testing.T, text []byte) *call.Document {
	t.Helper()
	doc, err := call.DecodeDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestACallWhosePortsCannotBeHadLeavesNothing(t *testing.T) {
	m, _ := newManager(t, nil)
	if _, err := m.Offer(request(t, "c", "a", "", describe("127.0.0.1", 4000))); err != nil {
		t.Fatal(err)
	}
	doc := mustDecode(t, stored(t, m, "c"))
	doc.CallID, doc.Aliases = "another", nil
	if err := m.Restore(doc); !errors.Is(err, media.ErrPort) {
		t.Errorf("on ports in use: %v", err)
	}
	endNow(t, m, "c")
	for i := range doc.Ports {
		doc.Ports[i].Local = netip.MustParseAddrPort("127.0.0.1:9")
	}
	if err := m.Restore(doc); !errors.Is(err, media.ErrPort) {
		t.Errorf("on ports of nobody: %v", err)
	}
	if st := m.Stats(); st.Live != 0 {
		t.Errorf("%d calls live", st.Live)
	}
	if !eventually(func() bool { return used(m) == 0 }) {
		t.Error("ports are lost")
	}
}

func TestChangesAreTold(t *testing.T) {
	told := make(chan string, 100)
	m, _ := newManager(t, func(cfg *call.Config) { cfg.Changed = func(id string) { told <- id } })
	expect := func(what string, ids ...string) {
		t.Helper()
		for _, id := range ids {
			select {
			case got := <-told:
				if got != id {
					t.Errorf("%s: told of %q, want %q", what, got, id)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: nothing is told", what)
			}
		}
		for {
			select {
			case <-told: // once more is no harm
			default:
				return
			}
		}
	}
	if _, err := m.Offer(request(t, "c", "a", "", describe("127.0.0.1", 4000))); err != nil {
		t.Fatal(err)
	}
	expect("offer", "c")
	if _, err := m.Answer(request(t, "c", "a", "b", describe("127.0.0.1", 4002))); err != nil {
		t.Fatal(err)
	}
	expect("answer", "c")
	later := time.Hour
	if _, err := m.Delete(&call.DeleteRequest{CallID: "c", Delay: &later}); err != nil {
		t.Fatal(err)
	}
	expect("delete with a delay", "c")
	endNow(t, m, "c")
	expect("delete", "c")
	if _, err := m.Document("c"); !errors.Is(err, call.ErrUnknownCall) {
		t.Errorf("the document of a call that has ended: %v", err)
	}
}
