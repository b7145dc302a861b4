package fastpath

import (
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/weir-media/weir/internal/testpkt"
)

// BenchmarkRelay is the time of the programs alone, without driver, redirection and the hook itself.
//
// The kernel runs the programs on one buffer again and again, so a packet has to be relayable once it was relayed: two
// flows pass it to and fro between two ports of the peer.
func BenchmarkRelay(b *testing.B) {
	s := newStage(b)
	for name, f := range map[string]Flow{"IPv4": flow4, "IPv6": flow6} {
		host, to := f.From, f.To
		fro := netip.AddrPortFrom(to.Addr(), to.Port()+2)
		for _, flow := range []Flow{
			{Local: to, Source: host, Target: Target{From: host, To: fro}}, {Local: fro, Source: host, Target: Target{From: host, To: to}},
		} {
			flow.Clocks[0] = Clock{PayloadType: 0, Rate: 8000}
			key, value := encodeEndpoint(flow.Local), encodeFlow(&flow) // Install refuses: the peer's address is not ours
			check(b, s.maps.Flows.Update(&key, &value, ebpf.UpdateAny))
		}
		frame := testpkt.UDP(host, to, testpkt.RTP(0, 1, 0, 1, 160))
		for _, h := range s.testHooks() {
			info := must(h.program.Info())(b)
			instructions := must(info.Instructions())(b)
			b.Run(name+"/"+string(h.mode), func(b *testing.B) {
				inside(b, s.host, func() {
					code, perRun, err := h.program.Benchmark(frame, b.N, b.ResetTimer)
					check(b, err)
					if h.verdicts[code] != relayed {
						b.Fatalf("the last packet was %s", h.verdicts[code])
					}
					b.ReportMetric(float64(perRun.Nanoseconds()), "kernel-ns/op")
					b.ReportMetric(float64(len(instructions)), "instructions")
				})
			})
		}
	}
}
