package rtpproxy_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/control/rtpproxy"
	"github.com/weir-media/weir/recording"
)

// phoneIP is none of the plane's, so that nobody suspects a loop.
var phoneIP = net.IPv4(127, 0, 0, 9)

// phone is a party with a pair of ports.
type phone struct {
	testing.TB
	rtp, rtcp *net.UDPConn
	seq       uint16
}

func newPhone(t testing.TB) *phone {
	t.Helper()
	for range 100 {
		rtp, err := net.ListenUDP("udp", &net.UDPAddr{IP: phoneIP})
		if err != nil {
			t.Fatal(err)
		}
		rtcp, err := net.ListenUDP("udp", &net.UDPAddr{IP: phoneIP, Port: rtp.LocalAddr().(*net.UDPAddr).Port + 1})
		if err != nil {
			rtp.Close()
			continue
		}
		t.Cleanup(func() { rtp.Close(); rtcp.Close() })
		return &phone{TB: t, rtp: rtp, rtcp: rtcp}
	}
	t.Fatal("no two ports beside each other are free")
	return nil
}

// where returns address and port as commands have them.
func (p *phone) where() string {
	return phoneIP.String() + " " + strconv.Itoa(p.rtp.LocalAddr().(*net.UDPAddr).Port)
}

func rtpPacket(pt uint8, seq uint16, payload []byte) []byte {
	b := []byte{0x80, pt}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, 160*uint32(seq))
	b = binary.BigEndian.AppendUint32(b, 0x01020304)
	return append(b, payload...)
}

// says sends the next packet of audio.
func (p *phone) says(to netip.AddrPort) []byte {
	p.Helper()
	p.seq++
	b := rtpPacket(8, p.seq, bytes.Repeat([]byte{0xd5}, 160))
	p.send(p.rtp, to, b)
	return b
}

func (p *phone) send(by *net.UDPConn, to netip.AddrPort, b []byte) {
	p.Helper()
	if _, err := by.WriteToUDPAddrPort(b, to); err != nil {
		p.Fatal(err)
	}
}

// hears returns the next packet at a port.
func (p *phone) hears(at *net.UDPConn) []byte {
	p.Helper()
	b := make([]byte, 2000)
	if err := at.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.Fatal(err)
	}
	n, err := at.Read(b)
	if err != nil {
		p.Fatalf("nothing came: %v", err)
	}
	return b[:n]
}

// conversation has audio and RTCP pass both ways.
func (r *rig) conversation(caller, callee *phone, towardsCaller, towardsCallee netip.AddrPort) {
	r.Helper()
	for range 3 {
		for _, way := range []struct {
			from, to *phone
			by       netip.AddrPort
		}{{caller, callee, towardsCaller}, {callee, caller, towardsCallee}} {
			if want, got := way.from.says(way.by), way.to.hears(way.to.rtp); !bytes.Equal(got, want) {
				r.Fatalf("got  %x\nwant %x", got, want)
			}
			report := []byte{0x80, 201, 0, 1, 1, 2, 3, 4}
			way.from.send(way.from.rtcp, netip.AddrPortFrom(way.by.Addr(), way.by.Port()+1), report)
			if got := way.to.hears(way.to.rtcp); !bytes.Equal(got, report) {
				r.Fatalf("RTCP: got %x", got)
			}
		}
	}
}

func TestAudioBothWays(t *testing.T) {
	r := newRig(t, nil)
	caller, callee := newPhone(t), newPhone(t)
	towardsCallee := r.port("U c " + caller.where() + " f;1")
	towardsCaller := r.port("L c " + callee.where() + " f;1 t;1")
	r.conversation(caller, callee, towardsCaller, towardsCallee)
	r.until("the packets are counted", func() bool { return r.ask("Q c f;1 t;1") == "60 3 3 6 0" })
	r.wants("Q c t;1 f;1 npkts_ina nrelayed rtpa_nlost rtpa_nrcvd", "3 6 0 3")

	// On hold nothing is sent to the caller; fax passes, too.
	r.port("U c 0.0.0.0 " + strings.Fields(caller.where())[1] + " f;1 t;1")
	callee.says(towardsCallee)
	r.until("the packet went nowhere", func() bool { return strings.HasSuffix(r.ask("Q c f;1"), " 3 4 6 1") })
	r.port("U c " + caller.where() + " f;1 t;1")
	muxed := []byte{0x80, 201, 0, 1, 9, 2, 3, 4} // RTCP at the port of RTP stays there
	callee.send(callee.rtp, towardsCallee, muxed)
	if got := caller.hears(caller.rtp); !bytes.Equal(got, muxed) {
		t.Errorf("muxed RTCP: got %x", got)
	}
	fax := []byte{0, 1, 2, 3, 4}
	callee.send(callee.rtp, towardsCallee, fax)
	if got := caller.hears(caller.rtp); !bytes.Equal(got, fax) {
		t.Errorf("fax: got %x", got)
	}
	r.wants("D c f;1 t;1", "0")
	if got := r.ask("G nsess_created nsess_destroyed nsess_complete nsess_nortp nsess_owrtp nsess_nortcp nsess_owrtcp nsess_timeout"); got != "1 1 1 0 0 0 0 0" {
		t.Errorf("counts are %q", got)
	}
	lines := strings.Split(r.ask("Il"), "\n")
	if len(lines) != 6 || lines[0] != "sessions created: 1" || lines[1] != "active sessions: 0" || lines[2] != "active streams: 0" ||
		!strings.HasPrefix(lines[3], "packets received: ") || lines[4] == "packets transmitted: 0" || !strings.HasPrefix(lines[5], "average load: ") {
		t.Errorf("I is answered with %q", lines)
	}
}

func TestUnknownAddressIsLearnt(t *testing.T) {
	r := newRig(t, nil)
	caller, callee := newPhone(t), newPhone(t)
	towardsCallee := r.port("U c 0.0.0.0 0 f")
	towardsCaller := r.port("L c " + callee.where() + " f t")
	caller.says(towardsCaller)
	callee.hears(callee.rtp)
	want := callee.says(towardsCallee)
	if got := caller.hears(caller.rtp); !bytes.Equal(got, want) {
		t.Errorf("got %x", got)
	}
}

func TestRepacketising(t *testing.T) {
	r := newRig(t, nil)
	caller, callee := newPhone(t), newPhone(t)
	r.port("Uz40 c " + caller.where() + " f")
	towardsCaller := r.port("L c " + callee.where() + " f t")
	caller.says(towardsCaller)
	caller.says(towardsCaller)
	if got := callee.hears(callee.rtp); len(got) != 12+320 {
		t.Errorf("two packets of 20 ms became one of %d bytes", len(got))
	}
	r.until("the packets are counted", func() bool { return r.ask("G npkts_resizer_in npkts_resizer_out npkts_resizer_discard") == "2 1 0" })
}

func TestRecordingStaysInItsDirectory(t *testing.T) {
	outside := t.TempDir()
	inside := filepath.Join(outside, "recordings")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	d, err := recording.OpenDirectory(inside, quiet)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(s *setup) { s.Recordings = d })
	caller, callee := newPhone(t), newPhone(t)
	for _, id := range []string{"c", "../../c", "/etc/passwd", "..", ".hidden"} {
		towardsCallee := r.port("U " + id + " " + caller.where() + " ../f;1")
		towardsCaller := r.port("L " + id + " " + callee.where() + " ../f;1 t;1")
		r.wants("R "+id+" ../f t", "0")
		r.wants("C "+id+" ../../../other t;1 ../f;1", "0")
		r.conversation(caller, callee, towardsCaller, towardsCallee)
		r.wants("N "+id+" ../f t", "0")
		r.wants("N "+id+" ../f t", "E50")
		r.wants("Na "+id+" ../f t", "0")
		r.wants("Rs "+id+" ../f t", "0")
		r.wants("Rs "+id+" t ../f", "0")
		caller.says(towardsCaller)
		callee.hears(callee.rtp)
		callee.says(towardsCallee)
		caller.hears(caller.rtp)
		r.wants("D "+id+" ../f", "0")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the directory there are %v, %v", entries, err)
	}
	entries, err = os.ReadDir(inside)
	if err != nil || len(entries) != 5*3 {
		t.Fatalf("recordings are %v, %v", entries, err)
	}
	sizes := map[string]int64{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			t.Fatalf("%v: %v", e, err)
		}
		sizes[e.Name()] = info.Size()
	}
	const header, packet, report = 24, 16 + 28 + 172, 16 + 28 + 8
	for name, want := range map[string]int64{
		"c=..%2Ff;1.o.pcap": header + 3*packet + 3*report, "%2E.=..%2Ff;1.pcap": header + 2*packet,
		"%2E.%2F..%2F..%2Fother.a.pcap": header + 3*packet + 3*report, "%2E.%2F..%2F..%2Fother.a.2.pcap": header + 3*packet + 3*report,
	} {
		if sizes[name] != want {
			t.Errorf("%s has %d bytes, want %d; all: %v", name, sizes[name], want, sizes)
		}
	}
}

func TestCopyingToAnotherHost(t *testing.T) {
	r := newRig(t, nil)
	caller, callee, ear := newPhone(t), newPhone(t), newPhone(t)
	r.port("U c " + caller.where() + " f")
	towardsCaller := r.port("L c " + callee.where() + " f t")
	target := "udp:" + strings.Replace(ear.where(), " ", ":", 1)
	from := r.ask("Cp c " + target + " f t")
	if words := strings.Fields(from); len(words) != 2 || words[1] != "127.0.0.1" {
		t.Fatalf("C is answered with %q", from)
	}
	want := caller.says(towardsCaller)
	if got := ear.hears(ear.rtp); !bytes.Equal(got, want) {
		t.Errorf("got %x", got)
	}
	report := []byte{0x80, 201, 0, 1, 1, 2, 3, 4}
	caller.send(caller.rtcp, netip.AddrPortFrom(towardsCaller.Addr(), towardsCaller.Port()+1), report)
	if got := ear.hears(ear.rtcp); !bytes.Equal(got, report) {
		t.Errorf("RTCP: got %x", got)
	}
	r.wants("C c udp:nonsense t f", "E65")
	r.wants("C c udp:127.0.0.1:70000 t f", "E65")
	r.wants("N c f t", "0")
}

func TestPrompts(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(filepath.Dir(dir), "outside.8")
	for name, data := range map[string][]byte{
		filepath.Join(dir, "hello.8"): bytes.Repeat([]byte{0x42}, 320), filepath.Join(dir, "short.3"): {1}, outside: {1, 2, 3},
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	defer os.Remove(outside)
	prompts, err := rtpproxy.OpenPrompts(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer prompts.Close()
	r := newRig(t, func(s *setup) { s.Prompts = prompts })
	caller, callee := newPhone(t), newPhone(t)
	towardsCallee := r.port("Uc0,8 c " + caller.where() + " f;1")
	r.port("L c " + callee.where() + " f;1 t;1")
	for command, want := range map[string]string{
		"P c ../outside 8 f;1": "E60", "P c /etc/passwd 8 f;1": "E60", "P c hello 0,3 f;1": "E60", "P c short 3 f;1": "E60", "P c hello x f;1": "E60",
		"P c hello session t;1 f;1": "E35", // the callee has listed none
	} {
		r.wants(command, want)
	}
	before := callee.says(towardsCallee)
	caller.hears(caller.rtp)
	r.wants("P2 c hello session f;1 t;1", "0")
	var sequence = binary.BigEndian.Uint16(before[2:])
	for i := range 4 {
		got := caller.hears(caller.rtp)
		if len(got) != 172 || got[1]&0x7f != 8 || !bytes.Equal(got[8:12], before[8:12]) || got[12] != 0x42 || binary.BigEndian.Uint16(got[2:]) != sequence+1 {
			t.Fatalf("packet %d of the prompt is %x", i, got)
		}
		sequence++
	}
	r.until("the prompt has ended", func() bool { return r.ask("G nplrs_created nplrs_destroyed npkts_played") == "1 1 4" })
	callee.says(towardsCallee)
	if got := caller.hears(caller.rtp); binary.BigEndian.Uint16(got[2:]) != sequence+1 || !bytes.Equal(got[8:12], before[8:12]) {
		t.Errorf("after the prompt: %x", got)
	}
	r.wants("P-1 c "+dir+"/hello session f;1 t;1", "0")
	for range 10 {
		caller.hears(caller.rtp)
	}
	r.wants("S c f;1 t;1", "0")
	r.until("the prompt has ended", func() bool { return r.ask("G nplrs_destroyed") == "2" })
	r.wants("P-1 c hello 8 t;1 f;1", "0")
	callee.hears(callee.rtp)
	r.wants("P0 c hello 8 t;1 f;1", "0")
	r.until("the prompt has ended", func() bool { return r.ask("G nplrs_destroyed") == "3" })
	r.wants("P-1 c hello 8 t;1 f;1", "0")
	r.wants("D c f", "0")
	r.until("the prompt has ended with the session", func() bool { return r.ask("G nplrs_destroyed") == "4" })
}

func TestMirroredSession(t *testing.T) {
	r := newRig(t, nil)
	caller, callee, first, second := newPhone(t), newPhone(t), newPhone(t), newPhone(t)
	towardsCallee := r.port("U talk " + caller.where() + " f t")
	towardsCaller := r.port("L talk " + callee.where() + " f t")
	r.ask("U rec " + first.where() + " rf rt && L " + second.where() + " && C talk f t")
	r.conversation(caller, callee, towardsCaller, towardsCallee)
	for _, p := range []*phone{first, second} {
		if got := p.hears(p.rtp); len(got) != 172 {
			t.Errorf("the recorder got %x", got)
		}
	}
	r.wants("D rec rf rt", "0")
	r.conversation(caller, callee, towardsCaller, towardsCallee)
	r.wants("D talk f t", "0")
	if n := len(r.calls.List(9)); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}
