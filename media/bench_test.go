package media

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRelay relays between sockets on loopback with a few packets under way on each of n flows. Besides the time for
// all, generator included, it reports the processor time of the worker, which on loopback includes delivery to the
// receiving socket.
func BenchmarkRelay(b *testing.B) {
	for _, flows := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) { benchmarkRelay(b, flows) })
	}
}

func benchmarkRelay(b *testing.B, flows int) {
	p, err := New(Config{Workers: 1, Interfaces: []Interface{
		{Name: "x", Addresses: []Address{{IP: loopback4, PortMin: 43000, PortMax: 49999}}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	open := func() *udpSocket {
		s, err := listenUDP(netip.AddrPortFrom(loopback4, 0))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { s.close() })
		return s
	}
	alice, bob := open(), open()
	legs := make([]*endpoint, flows)
	for i := range legs {
		a, _, err := p.OpenPair("x", 4, "")
		if err != nil {
			b.Fatal(err)
		}
		c, _, err := p.OpenPair("x", 4, "")
		if err != nil {
			b.Fatal(err)
		}
		a.Apply(Settings{Signalled: localOf(b, alice), Learning: LearnOff, Sinks: []Sink{{RTP: c}}})
		c.Apply(Settings{Signalled: localOf(b, bob), Learning: LearnOff})
		legs[i] = newEndpoint(a.Local())
	}
	tid := make(chan int)
	p.workers[0].do(func() { tid <- unix.Gettid() })
	worker := <-tid

	in, out := newInBatch(), newOutBatch()
	packet := rtpPacket(1)
	b.ResetTimer()
	cpu := threadTime(b, worker)
	const window = batchSize
	sent, got, last := 0, 0, time.Now()
	for got < b.N {
		if n := min(b.N-sent, window-(sent-got)); n > 0 {
			for i := range n {
				out.data[i], out.to[i] = packet, legs[(sent+i)%flows]
			}
			n, err := alice.send(out, 0, n)
			if err != nil {
				b.Fatal(err)
			}
			sent += n
		}
		if err := bob.receive(in, batchSize); err != nil {
			b.Fatal(err)
		}
		if in.n > 0 {
			last = time.Now()
		} else if time.Since(last) > patience {
			b.Fatalf("%d of %d packets came", got, sent)
		}
		got += in.n
	}
	b.ReportMetric(float64(threadTime(b, worker)-cpu)/float64(b.N), "worker-ns/op")
}

func localOf(tb testing.TB, s *udpSocket) netip.AddrPort {
	tb.Helper()
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		tb.Fatal(err)
	}
	return netip.AddrPortFrom(loopback4, uint16(sa.(*unix.SockaddrInet4).Port))
}

// threadTime returns the processor time of a thread of this process.
func threadTime(tb testing.TB, tid int) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", tid))
	if err != nil {
		tb.Fatal(err)
	}
	ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return time.Duration(ns)
}

// BenchmarkOpenPair opens, sets up and closes the pair of one party, the plane's part of an offer.
func BenchmarkOpenPair(b *testing.B) {
	p, err := New(Config{Workers: 1, Quarantine: -1, Interfaces: []Interface{
		{Name: "x", Addresses: []Address{{IP: loopback4}}},
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	b.ReportAllocs()
	for b.Loop() {
		rtp, rtcp, err := p.OpenPair("x", 4, "call")
		if err != nil {
			b.Fatal(err)
		}
		rtp.Apply(Settings{})
		rtcp.Apply(Settings{Kind: RTCP})
		rtp.Close()
		rtcp.Close()
	}
}
