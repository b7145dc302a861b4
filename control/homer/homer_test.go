package homer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// decoded is a HEP packet, read the way the specification has it: chunks of vendor, id, length and data in any order.
type decoded struct {
	numbers  map[uint16]uint64
	from, to netip.Addr
	texts    map[uint16]string
}

func decode(b []byte) (d decoded, err error) {
	d = decoded{numbers: make(map[uint16]uint64), texts: make(map[uint16]string)}
	if len(b) < 6 || string(b[:4]) != "HEP3" || int(binary.BigEndian.Uint16(b[4:])) != len(b) {
		return d, fmt.Errorf("%d bytes begin with %x", len(b), b[:min(6, len(b))])
	}
	for b = b[6:]; len(b) > 0; {
		if len(b) < 6 {
			return d, fmt.Errorf("%d bytes are left", len(b))
		}
		vendor, id, size := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), int(binary.BigEndian.Uint16(b[4:]))
		if vendor != 0 || size < 6 || size > len(b) {
			return d, fmt.Errorf("chunk %d of vendor %d has %d bytes", id, vendor, size)
		}
		data := b[6:size]
		b = b[size:]
		var ok bool
		switch id {
		case 1, 2, 11: // uint8
			ok = len(data) == 1
		case 7, 8: // uint16
			ok = len(data) == 2
		case 9, 10, 12: // uint32
			ok = len(data) == 4
		case 3, 5:
			d.from, ok = netip.AddrFromSlice(data)
		case 4, 6:
			d.to, ok = netip.AddrFromSlice(data)
		case 15, 17:
			d.texts[id], ok = string(data), true
		}
		if !ok {
			return d, fmt.Errorf("chunk %d has %d bytes of data", id, len(data))
		}
		if len(data) <= 4 && id != 3 && id != 4 && id < 15 {
			n := uint64(0)
			for _, octet := range data {
				n = n<<8 | uint64(octet)
			}
			d.numbers[id] = n
		}
	}
	return d, nil
}

func TestPacketsAreWhatTheSpecificationSays(t *testing.T) {
	at := time.Unix(1700000000, 123456789)
	for _, c := range []struct {
		name, from, to string
		family         uint64
	}{
		{"IPv4", "192.0.2.1:4000", "192.0.2.2:5000", 2},
		{"IPv4 in IPv6", "[::ffff:192.0.2.1]:4000", "192.0.2.2:5000", 2},
		{"IPv6", "[2001:db8::1]:4000", "[2001:db8::2]:5000", 10},
	} {
		p := packet{netip.MustParseAddrPort(c.from), netip.MustParseAddrPort(c.to), at, 5, 2001, "a call", []byte("{}")}
		b, err := p.append([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(b[len("before"):])
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for id, want := range map[uint16]uint64{1: c.family, 2: 17, 7: 4000, 8: 5000, 9: 1700000000, 10: 123456, 11: 5, 12: 2001} {
			if got.numbers[id] != want {
				t.Errorf("%s: chunk %d is %d, want %d", c.name, id, got.numbers[id], want)
			}
		}
		if got.from != p.from.Addr().Unmap() || got.to != p.to.Addr().Unmap() || got.texts[17] != "a call" || got.texts[15] != "{}" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	p := packet{payload: make([]byte, 1<<16)}
	if b, err := p.append([]byte("before")); !errors.Is(err, errTooLong) || string(b) != "before" {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	p.payload = nil // of a client without an address
	b, _ := p.append(nil)
	if got, err := decode(b); err != nil || got.from != netip.IPv4Unspecified() {
		t.Errorf("%+v, %v", got, err)
	}
}

var (
	peer = netip.MustParseAddrPort("192.0.2.1:4001")
	ours = netip.MustParseAddrPort("192.0.2.9:30001")
	// bye says nothing that Homer wants to know.
	bye    = []byte{0x81, 203, 0, 1, 0, 0, 0, 7}
	report = []byte{0x80, 201, 0, 1, 0, 0, 0, 7}
)

func run(t *testing.T, e *Exporter) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		e.Run(ctx)
		close(done)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

func TestReportsAndMessagesByUDP(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	e := New(Config{Address: server.LocalAddr().String(), Agent: 7, NGType: 61, Log: slog.New(slog.DiscardHandler)})
	run(t, e)
	e.Report("one", bye, peer, ours)
	e.Report("one", report, peer, ours)
	e.Mirror("two", []byte("1 d7:command4:pinge"), peer, ours)
	for _, want := range []struct {
		kind          uint64
		call, payload string
	}{
		{5, "one", `{"ssrc":7,"type":201,"report_count":0,"report_blocks":[]}`}, {61, "two", "1 d7:command4:pinge"},
	} {
		b := make([]byte, 2048)
		_ = server.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, _, err := server.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(b[:n])
		if err != nil || got.numbers[11] != want.kind || got.numbers[12] != 7 || got.texts[17] != want.call || got.texts[15] != want.payload {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// next reads a HEP packet from a stream.
func next(t *testing.T, conn net.Conn) decoded {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	head := make([]byte, 6)
	if _, err := io.ReadFull(conn, head); err != nil {
		t.Fatal(err)
	}
	b := append(head, make([]byte, int(binary.BigEndian.Uint16(head[4:]))-len(head))...)
	if _, err := io.ReadFull(conn, b[6:]); err != nil {
		t.Fatal(err)
	}
	d, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestServerThatComesBackGetsWhatWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	var said strings.Builder
	e := New(Config{Address: address, TCP: true, NGType: 61, Log: slog.New(slog.NewTextHandler(&said, nil))})
	run(t, e)
	e.Mirror("1", nil, peer, ours)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if got := next(t, conn); got.texts[17] != "1" {
		t.Errorf("the first is %+v", got)
	}
	l.Close()
	conn.Close()
	// It is away: what comes now waits, up to the limit.
	const more = 5
	for i := range room + 1 + more {
		for e.Mirror(fmt.Sprint(i+2), nil, peer, ours); i == 0 && len(e.box.Waiting()) > 0; time.Sleep(time.Millisecond) {
		}
	}
	if _, dropped := e.Counts(); dropped != more {
		t.Errorf("%d messages found no room, want %d", dropped, more)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The first one after the end of the connection may have gone into it before that was known.
	if got := next(t, conn); got.texts[17] != "2" && got.texts[17] != "3" {
		t.Errorf("the first that waited is %+v", got)
	}
}

func TestWhatWaitsIsBoundedInBytes(t *testing.T) {
	e := New(Config{})
	for range 2 * roomBytes / 60000 {
		e.Mirror("call", make([]byte, 60000), peer, ours)
	}
	if _, dropped := e.Counts(); e.bytes.Load() > roomBytes || dropped < roomBytes/60000-1 {
		t.Errorf("%d bytes wait, %d messages were dropped", e.bytes.Load(), dropped)
	}
}
