package recording_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"go.uber.org/goleak"

	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/recording"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// The headers are those that the test helper, which is written apart from this package, puts before the same payload.
func TestPacketsHaveTheirHeaders(t *testing.T) {
	for _, ends := range [][2]string{{"192.0.2.1:4000", "192.0.2.2:5000"}, {"[2001:db8::1]:4000", "[2001:db8::2]:5000"}} {
		from, to := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		for _, payload := range [][]byte{{}, {1, 2, 3}, bytes.Repeat([]byte{0xff}, 200)} {
			frame := testpkt.UDP(from, to, payload)
			if from.Addr().Is4() {
				binary.BigEndian.PutUint16(frame[testpkt.UDP4+6:], 0) // IPv4 needs none (RFC 768)
			}
			want := frame[testpkt.IP:]
			got := recording.AppendFrame([]byte("head"), &media.TapPacket{Data: payload, From: from, To: to})
			if want = append([]byte("head"), want...); !bytes.Equal(got, want) {
				t.Errorf("%v:\ngot  %x\nwant %x", ends, got, want)
			}
		}
	}
	long := recording.AppendFrame(nil, &media.TapPacket{Data: make([]byte, 70000), From: netip.MustParseAddrPort("192.0.2.1:1"), To: netip.MustParseAddrPort("192.0.2.2:1")})
	if n := binary.BigEndian.Uint16(long[2:]); int(n) != len(long) {
		t.Errorf("a packet that is too long is written with %d of %d bytes", n, len(long))
	}
}

func TestRecordingsDoNotOverwriteEachOther(t *testing.T) {
	dir := t.TempDir()
	d, err := recording.OpenDirectory(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		r, err := d.Record("call", ".o")
		if err != nil {
			t.Fatal(err)
		}
		for range i {
			r.Packet(&media.TapPacket{Data: []byte("x"), At: media.Now(), From: netip.MustParseAddrPort("192.0.2.1:1"), To: netip.MustParseAddrPort("192.0.2.2:2")})
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"call.o.pcap", "call.o.2.pcap", "call.o.3.pcap"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(data) != 24+i*(16+29) {
			t.Errorf("%s has %d bytes, %v", name, len(data), err)
		}
		if i > 0 {
			if at := time.Unix(int64(binary.LittleEndian.Uint32(data[24:])), 0); time.Since(at) > time.Hour || time.Until(at) > time.Hour {
				t.Errorf("%s: the packet came at %v", name, at)
			}
		}
	}
}

func TestDirectoryMustExist(t *testing.T) {
	if _, err := recording.OpenDirectory(filepath.Join(t.TempDir(), "none"), quiet); err == nil || !strings.Contains(err.Error(), "make it") {
		t.Errorf("got %v", err)
	}
}

func TestForwardNeedsTwoPorts(t *testing.T) {
	for _, to := range []string{"192.0.2.1:0", "192.0.2.1:65535", "0.0.0.0:4000"} {
		if f, err := recording.NewForward(netip.MustParseAddrPort(to), quiet); err == nil {
			f.Close()
			t.Errorf("%s is passed on to", to)
		}
	}
}

func TestForwardKeepsRTPAndRTCPApart(t *testing.T) {
	rtp, rtcp := pair(t)
	f, err := recording.NewForward(rtp.LocalAddr().(*net.UDPAddr).AddrPort(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	f.Packet(&media.TapPacket{Data: []byte("audio")})
	f.Packet(&media.TapPacket{Data: []byte("report"), RTCP: true})
	for conn, want := range map[*net.UDPConn]string{rtp: "audio", rtcp: "report"} {
		b := make([]byte, 100)
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("got %q, %v, want %q", b[:n], err, want)
		}
		if conn == rtp && from.Port() != f.Local().Port() {
			t.Errorf("RTP comes from %v and not from %v", from, f.Local())
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// pair opens two ports beside each other.
func pair(t *testing.T) (rtp, rtcp *net.UDPConn) {
	t.Helper()
	for range 100 {
		rtp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		rtcp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: rtp.LocalAddr().(*net.UDPAddr).Port + 1})
		if err != nil {
			rtp.Close()
			continue
		}
		t.Cleanup(func() { rtp.Close(); rtcp.Close() })
		return rtp, rtcp
	}
	t.Fatal("no two ports beside each other are free")
	return nil, nil
}

func FuzzSafe(f *testing.F) {
	for _, text := range []string{"", "call@192.0.2.1", "../../etc/passwd", "..", ".x", "a/b", "\x00", strings.Repeat("x", 300), "%2F", "ü"} {
		f.Add(text, text+"x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		name := recording.Safe(a)
		if name == "" || len(name) > 200 || name[0] == '.' || strings.ContainsAny(name, "/\x00\\ \n") || filepath.Base(name) != name || !filepath.IsLocal(name) {
			t.Fatalf("%q becomes %q", a, name)
		}
		if a != b && recording.Safe(b) == name {
			t.Fatalf("%q and %q both become %q", a, b, name)
		}
	})
}

func TestCaptureKeepsManyMediasApart(t *testing.T) {
	c := recording.NewCapture(1 << 20)
	taps := make(map[media.Tap]bool)
	for i := range 1200 {
		tap := c.Tap(recording.Interface{Name: strconv.Itoa(i), Description: "media"})
		if taps[tap] = true; tap != c.Tap(recording.Interface{Name: strconv.Itoa(i), Description: "media"}) {
			t.Fatal("an interface has two taps")
		}
		tap.Packet(&media.TapPacket{Data: []byte{1}, At: media.Now(), Sent: i%2 == 1, From: netip.MustParseAddrPort("[2001:db8::1]:1"), To: netip.MustParseAddrPort("[2001:db8::2]:2")})
	}
	c.Close()
	var file bytes.Buffer
	if n, err := c.Write(&file, func() error { return nil }, 0, 0); n != 1200 || err != nil || len(taps) != 1000 {
		t.Errorf("%d packets of %d taps are written, %v", n, len(taps), err)
	}
	r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1200 {
		b, info, options, err := r.ReadPacketDataWithOptions()
		if err != nil || len(b) != 49 || info.InterfaceIndex != min(i, 999) || options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound != (i%2 == 1) ||
			time.Since(info.Timestamp).Abs() > time.Hour {
			t.Fatalf("packet %d: %x, %+v, %+v, %v", i, b, info, options, err)
		}
	}
}

func TestCaptureOfNothingIsAFile(t *testing.T) {
	c := recording.NewCapture(1 << 20)
	c.Close()
	var file bytes.Buffer
	if n, err := c.Write(&file, func() error { return nil }, 0, 0); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if r, err := pcapgo.NewNgReader(&file, pcapgo.DefaultNgReaderOptions); err != nil || r.NInterfaces() != 1 {
		t.Error(err)
	}
	broken := errors.New("no more")
	c = recording.NewCapture(1 << 20)
	if _, err := c.Write(&file, func() error { return broken }, 0, 0); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
