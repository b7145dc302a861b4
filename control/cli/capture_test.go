package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/internal/testpkt"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/recording"
	"github.com/weir-media/weir/sdp"
)

// managed is a host that has calls, and nothing else.
type managed struct {
	Host
	calls *call.Manager
}

func (h managed) Calls() *call.Manager { return h.calls }

// studio is a call of two parties, a server of its manager, and a client.
type studio struct {
	*testing.T
	client *Client
	calls  *call.Manager
	server *Server
	conns  [2]*net.UDPConn
	to     [2]netip.AddrPort
	heard  atomic.Uint64 // packets by the second party
}

func newStudio(t *testing.T) *studio {
	plane, err := media.New(media.Config{
		Interfaces: []media.Interface{{Name: "default", Addresses: []media.Address{{IP: netip.MustParseAddr("127.0.0.1"), PortMin: 43000, PortMax: 43999}}}},
		Workers:    1,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &studio{T: t, calls: call.NewManager(call.Config{Plane: plane, MaxSessions: -1, Log: slog.New(slog.DiscardHandler)})}
	path := filepath.Join(t.TempDir(), "weir.sock")
	if s.server, err = Listen(path, managed{calls: s.calls}); err != nil {
		t.Fatal(err)
	}
	s.client = NewClient(path)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.server.Serve(ctx) }()
	t.Cleanup(func() {
		s.until("no capture is left", func() bool { return s.server.captures.Load() == 0 })
		cancel()
		<-done
		s.calls.Close()
		if err := plane.Close(); err != nil {
			t.Error(err)
		}
	})
	for i := range s.conns {
		if s.conns[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.conns[i].Close() })
	}
	s.to[1] = s.agree(0, s.calls.Offer, "")
	s.to[0] = s.agree(1, s.calls.Answer, "b")
	go func() {
		b := make([]byte, 2048)
		for {
			if _, err := s.conns[1].Read(b); err != nil {
				return
			}
			s.heard.Add(1)
		}
	}()
	return s
}

// agree has a party send its description, and returns where the other is to send.
func (s *studio) agree(i int, say func(*call.Request) (string, error), toTag string) netip.AddrPort {
	s.Helper()
	port := s.conns[i].LocalAddr().(*net.UDPAddr).Port
	desc, err := sdp.Parse(fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP 0\r\n", port))
	if err != nil {
		s.Fatal(err)
	}
	text, err := say(&call.Request{CallID: "odd id/with?signs", FromTag: "a", ToTag: toTag, SDP: desc})
	if err != nil {
		s.Fatal(err)
	}
	if desc, err = sdp.Parse(text); err != nil {
		s.Fatal(err)
	}
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), desc.Media()[0].Port)
}

func (s *studio) until(what string, ok func() bool) {
	s.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.Fatalf("not within 30 s: %s", what)
		}
	}
}

func (s *studio) capture(o CaptureOptions) *CaptureStream {
	s.Helper()
	stream, err := s.client.Capture("odd id/with?signs", o)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { stream.Close() })
	return stream
}

// A client that does not read costs the call nothing, and itself packets.
func TestSlowClientsLosePackets(t *testing.T) {
	s := newStudio(t)
	stream := s.capture(CaptureOptions{})
	const packets = 6000 // more than all buffers hold
	for i := range uint64(packets) {
		if _, err := s.conns[0].WriteToUDPAddrPort(testpkt.RTP(0, uint16(i), uint32(i), 7, 1300), s.to[0]); err != nil {
			t.Fatal(err)
		}
		s.until("the packet arrives all the same", func() bool { return s.heard.Load() == i+1 })
	}
	stream.Stop()
	data, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	r, err := stream.Report()
	if err != nil {
		t.Fatal(err)
	}
	if r.DroppedQueue == 0 || r.Packets+r.DroppedQueue != 2*packets || r.DroppedKernel != 0 || r.Ended != endedByClient {
		t.Errorf("of %d packets, twice each: %+v", packets, r)
	}
	if n, size := stream.Packets(); n != r.Packets || size != uint64(len(data)) {
		t.Errorf("the client has seen %d packets in %d bytes, the daemon has written %d in %d", n, size, r.Packets, len(data))
	}
	reader, err := pcapgo.NewNgReader(bytes.NewReader(data), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	whole := uint64(0)
	for ; err == nil; whole++ {
		_, _, err = reader.ReadPacketData()
	}
	if whole--; whole != r.Packets || !errors.Is(err, io.EOF) {
		t.Errorf("%d packets can be read, then %v", whole, err)
	}
	heard, dropped := uint64(0), uint64(0)
	for i := range reader.NInterfaces() {
		one, _ := reader.Interface(i)
		heard, dropped = heard+one.Statistics.PacketsReceived, dropped+one.Statistics.PacketsDropped
	}
	if heard != 2*packets || dropped != r.DroppedQueue {
		t.Errorf("the interfaces have heard %d and dropped %d: %+v", heard, dropped, r)
	}
}

func TestCapturesEndWithTheirClientAndAreFew(t *testing.T) {
	s := newStudio(t)
	var streams []*CaptureStream
	for range maxCaptures {
		streams = append(streams, s.capture(CaptureOptions{}))
	}
	if _, err := s.client.Capture("odd id/with?signs", CaptureOptions{}); err == nil || !strings.Contains(err.Error(), "end one first") {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.client.Capture("nobody", CaptureOptions{}); err == nil {
		t.Error("one more, of another call, is taken")
	}
	for _, stream := range streams {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	}
	s.until("all have ended", func() bool { return s.server.captures.Load() == 0 })
	if _, err := s.client.Capture("nobody", CaptureOptions{}); err == nil || !strings.Contains(err.Error(), "unknown call-id") {
		t.Errorf("an unknown call: %v", err)
	}
	short := s.capture(CaptureOptions{Duration: time.Millisecond})
	if _, err := io.Copy(io.Discard, short); err != nil {
		t.Fatal(err)
	}
	if r, err := short.Report(); err != nil || r.Ended != endedByDuration || r.CallID != "odd id/with?signs" {
		t.Errorf("a millisecond: %+v, %v", r, err)
	}
}

func TestCaptureOptionsThatAreRefused(t *testing.T) {
	for _, c := range [][2]string{
		{"duration", "3"}, {"duration", "-3s"}, {"packets", "-1"}, {"packets", "many"}, {"snaplen", "-1"}, {"snaplen", "70000"}, {"only", "up"},
	} {
		var o CaptureOptions
		err := o.parse(func(key string) string {
			if key == c[0] {
				return c[1]
			}
			return ""
		})
		if err == nil || !strings.Contains(err.Error(), c[0]) {
			t.Errorf("%s=%s: %v", c[0], c[1], err)
		}
	}
}

func TestCopiesForACaptureAllocateNothing(t *testing.T) {
	for _, only := range []string{"", OnlySent} {
		c := &capture{Capture: recording.NewCapture(1 << 10), only: only}
		tap := c.Media(call.CapturedMedia{Tag: "a", Type: "audio", Number: 1})
		p := media.TapPacket{Data: make([]byte, 172), Sent: true}
		tap.Packet(&p)
		if n := testing.AllocsPerRun(1000, func() { tap.Packet(&p) }); n != 0 || c.Dropped() == 0 {
			t.Errorf("%v allocations per packet, %d dropped", n, c.Dropped())
		}
	}
}

func FuzzBlockCounter(f *testing.F) {
	block := func(kind uint32, size int) []byte {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		b = binary.LittleEndian.AppendUint32(b, uint32(size))
		return append(b, make([]byte, max(0, size-8))...)
	}
	f.Add([]byte(nil), uint8(1))
	f.Add(append(append(block(0x0a0d0d0a, 28), block(enhancedPacket, 32)...), block(enhancedPacket, 3)...), uint8(5))
	f.Add(block(enhancedPacket, 1<<20), uint8(200))
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		var whole, parts blockCounter
		whole.count(data)
		for rest := data; len(rest) > 0; {
			n := min(len(rest), int(step)+1)
			parts.count(rest[:n])
			rest = rest[n:]
		}
		if whole.packets.Load() != parts.packets.Load() || whole.packets.Load() > uint64(len(data)/8) {
			t.Errorf("%d packets at once, %d in parts", whole.packets.Load(), parts.packets.Load())
		}
	})
}
