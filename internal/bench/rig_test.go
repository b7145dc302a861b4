package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/rlimit"
)

// testStreams has callers as they meet a proxy that gives them the port they have themselves.
func testStreams(n int) []stream {
	streams := make([]stream, n)
	for i := range streams {
		port := uint16(10000 + 2*i)
		streams[i] = stream{
			srcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, dstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2},
			src: netip.AddrPortFrom(callerAddr, port), dst: netip.AddrPortFrom(proxyToCaller, port),
			ssrc: uint32(i + 1), sequence: 65530,
		}
	}
	return streams
}

func TestGeneratedPacketsAreValidRTPOfEveryCallInTurn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("loading programs needs root")
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	spec, err := loadRig()
	if err != nil {
		t.Fatal(err)
	}
	const calls, rounds = 3, 400
	spec.Maps[rigMapFlows].MaxEntries = calls
	spec.Variables[rigVarCalls].Set(uint32(calls))
	spec.Variables[rigVarWindow].Set(uint32(calls * rounds))
	var objects rigObjects
	if err := spec.LoadAndAssign(&objects, nil); err != nil {
		t.Fatal(err)
	}
	defer objects.Close()
	streams := testStreams(calls)
	for i, s := range streams {
		flow := s.flow()
		if err := objects.Flows.Put(uint32(i), &flow); err != nil {
			t.Fatal(err)
		}
	}
	for n := range calls * rounds {
		// What comes back from a proxy is a changed packet; nothing of its headers may survive.
		in := append(bytes.Repeat([]byte{0xee}, headersLen), payload()...)
		copy(in[headersLen:headersLen+2], payload())
		_, out, err := objects.Generate.Test(in)
		if err != nil {
			t.Fatal(err)
		}
		s := streams[n%calls]
		checkFrame(t, out, s, s.sequence+uint16(n/calls), uint32(n/calls)*160)
		if t.Failed() {
			t.Fatalf("packet %d", n)
		}
	}
	const drop = 1
	if verdict, _, _ := objects.Generate.Test(streams[0].frame()); verdict != drop {
		t.Errorf("with a full window the verdict is %d", verdict)
	}
}

// checkFrame reads the frame afresh, without the code that wrote it.
func checkFrame(t *testing.T, b []byte, s stream, sequence uint16, stamp uint32) {
	t.Helper()
	if len(b) != 214 {
		t.Fatalf("length %d", len(b))
	}
	if !bytes.Equal(b[:14], append(append(append([]byte{}, s.dstMAC...), s.srcMAC...), 8, 0)) {
		t.Errorf("Ethernet header %x", b[:14])
	}
	ip, udp, rtp := b[14:34], b[34:], b[42:]
	if sumIsZero(ip) == false || ip[9] != 17 || binary.BigEndian.Uint16(ip[2:]) != 200 {
		t.Errorf("IPv4 header %x", ip)
	}
	if src, _ := netip.AddrFromSlice(ip[12:16]); src != s.src.Addr() {
		t.Errorf("source address %v", src)
	}
	if binary.BigEndian.Uint16(udp) != s.src.Port() || binary.BigEndian.Uint16(udp[2:]) != s.dst.Port() {
		t.Errorf("ports %x", udp[:4])
	}
	pseudo := append(append([]byte{}, ip[12:20]...), 0, 17, udp[4], udp[5])
	if udp[6] == 0 && udp[7] == 0 || !sumIsZero(append(pseudo, udp...)) {
		t.Errorf("UDP checksum %x", udp[6:8])
	}
	if rtp[0] != 0x80 || rtp[1] != 0 || binary.BigEndian.Uint32(rtp[8:]) != s.ssrc {
		t.Errorf("RTP header %x", rtp[:12])
	}
	if got := binary.BigEndian.Uint16(rtp[2:]); got != sequence {
		t.Errorf("sequence number %d, want %d", got, sequence)
	}
	if got := binary.BigEndian.Uint32(rtp[4:]); got != stamp {
		t.Errorf("time stamp %d, want %d", got, stamp)
	}
	if !bytes.Equal(rtp[12:], payload()) {
		t.Error("the payload changed")
	}
}

// sumIsZero is the receiver's side of the internet checksum: all words with the checksum add up to all ones.
func sumIsZero(b []byte) bool {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}

func TestFloorRunLosesNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	r, err := newRig()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := r.load(testStreams(10), secured{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.attach(r.proxy, "caller", r.bpf.BareRedirect); err != nil {
		t.Fatal(err)
	}
	if err := r.attach(r.callee, "proxy", r.bpf.Sink); err != nil {
		t.Fatal(err)
	}
	idle := func() (time.Duration, error) { return 0, nil }
	for range 2 {
		s, err := r.run(t.Context(), 20*time.Millisecond, 100*time.Millisecond, idle)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.0f ns a packet, %d packets", s.nsPerPacket, s.packets)
		if s.lost != 0 || s.packets == 0 {
			t.Errorf("lost %d of %d packets", s.lost, s.sent)
		}
	}
}
