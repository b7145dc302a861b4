package fastpath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// probeTries is how often a probe that was not relayed is sent again: the next hop it needs is good for a second, and this
// process may have been kept waiting for longer.
const probeTries = 3

// The MAC addresses of a probe as it leaves.
var (
	probeTo   = [6]byte{2, 0, 0, 0, 0, 1}
	probeFrom = [6]byte{2, 0, 0, 0, 0, 2}
)

// probeFlow is one that no packet from the network can meet: port 0 is nobody's. Its peers are addresses for documentation
// (RFC 5737, RFC 3849).
func probeFlow(addr netip.Addr) Flow {
	source, to := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	if addr.Is6() {
		source, to = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	}
	return Flow{
		Local: netip.AddrPortFrom(addr, 0), Source: netip.AddrPortFrom(source, 9), DropForeign: true,
		Target: Target{From: netip.AddrPortFrom(addr, 1), To: netip.AddrPortFrom(to, 9), TOS: 0xb8},
	}
}

// probe has a program relay a packet of a flow on each address family of a device, without anything being sent, and looks at
// what comes out. The error says what is wrong with the program on this kernel.
func (p *Plane) probe(d *device, mode Mode, prog *ebpf.Program) error {
	seen := map[bool]bool{}
	for _, addr := range d.Addrs {
		if seen[addr.Is4()] {
			continue
		}
		seen[addr.Is4()] = true
		var err error
		for range probeTries {
			if err = p.probeOnce(d, probeFlow(addr), mode, prog); err == nil {
				break
			}
		}
		if err != nil {
			return fmt.Errorf("the self-test on %v fails: %w", addr, err)
		}
	}
	return nil
}

func (p *Plane) probeOnce(d *device, f Flow, mode Mode, prog *ebpf.Program) (err error) {
	key, value := encodeEndpoint(f.Local), encodeFlow(&f)
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	hop := &value.Target.Hop
	hop.When, hop.Ifindex, hop.Mtu, hop.Dst, hop.Src, hop.Port = uint64(now), uint32(d.Index), 1500, probeTo, probeFrom, relayPortFlagPORT_XMIT
	if err := p.maps.Flows.Update(&key, &value, ebpf.UpdateAny); err != nil {
		if errors.Is(err, unix.E2BIG) {
			return nil // a process before has filled it: its flows work
		}
		return err
	}
	defer func() { err = errors.Join(err, p.maps.Flows.Delete(&key)) }()
	payload := []byte{0x80, 0, 0, 1, 0, 0, 0, 1, 0x77, 0x65, 0x69, 0x72} // the shortest RTP packet
	run := &ebpf.RunOptions{Data: udpFrame(f.Source, f.Local, 0, payload), DataOut: make([]byte, 256)}
	verdict, err := prog.Run(run)
	if err != nil {
		return fmt.Errorf("run the program: %w", err)
	}
	want := uint32(4) // XDP_REDIRECT
	if mode == TC {
		want = 7 // TC_ACT_REDIRECT
	}
	if verdict != want {
		return fmt.Errorf("the verdict is %d instead of %d", int32(verdict), want)
	}
	p.probed(mode).Add(1)
	return checkProbe(run.DataOut, f, payload)
}

// probed counts the probes that went by a hook, which are not traffic.
func (p *Plane) probed(hook Mode) *atomic.Uint64 {
	return &p.probes[slices.Index([]Mode{XDP, TC, XDPGeneric}, hook)]
}

const etherSize = 14

// udpFrame builds an Ethernet frame for a device whose MAC address is zero, as the one of a test run is.
func udpFrame(from, to netip.AddrPort, tos byte, payload []byte) []byte {
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	udp = append(udp, payload...)
	binary.NativeEndian.PutUint16(udp[6:], ^udpSum(from.Addr(), to.Addr(), udp))

	frame := make([]byte, etherSize, 128)
	if from.Addr().Is4() {
		binary.BigEndian.PutUint16(frame[12:], unix.ETH_P_IP)
		ip := []byte{0x45, tos, 0, 0, 0, 0, 0x40, 0, 64, unix.IPPROTO_UDP, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(udp)))
		ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
		binary.NativeEndian.PutUint16(ip[10:], ^sum16(ip))
		frame = append(frame, ip...)
	} else {
		binary.BigEndian.PutUint16(frame[12:], unix.ETH_P_IPV6)
		ip := []byte{0x60 | tos>>4, tos << 4, 0, 0, 0, 0, unix.IPPROTO_UDP, 64}
		binary.BigEndian.PutUint16(ip[4:], uint16(len(udp)))
		frame = append(append(append(frame, ip...), from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	}
	return append(frame, udp...)
}

// udpSum sums a UDP packet with its pseudo header (RFC 768, RFC 8200 section 8.1).
func udpSum(from, to netip.Addr, udp []byte) uint16 {
	var pseudo [4]byte
	binary.BigEndian.PutUint16(pseudo[:], uint16(len(udp)))
	pseudo[3] = unix.IPPROTO_UDP
	if len(udp)%2 != 0 {
		udp = append(udp[:len(udp):len(udp)], 0)
	}
	return sum16(from.AsSlice(), to.AsSlice(), pseudo[:], udp)
}

// checkProbe looks at the addresses, ports, payload and checksums of a relayed probe.
func checkProbe(frame []byte, f Flow, payload []byte) error {
	header := 20
	if f.To.Addr().Is6() {
		header = 40
	}
	if want := etherSize + header + 8 + len(payload); len(frame) != want {
		return fmt.Errorf("the frame has %d bytes instead of %d", len(frame), want)
	}
	ip, udp := frame[etherSize:etherSize+header], frame[etherSize+header:]
	addrs := ip[header-2*len(f.To.Addr().AsSlice()):]
	from, _ := netip.AddrFromSlice(addrs[:len(addrs)/2])
	to, _ := netip.AddrFromSlice(addrs[len(addrs)/2:])
	switch {
	case [6]byte(frame) != probeTo || [6]byte(frame[6:]) != probeFrom:
		return fmt.Errorf("the frame is for another station: %x", frame[:12])
	case from != f.From.Addr() || to != f.To.Addr():
		return fmt.Errorf("the packet goes from %v to %v instead of %v to %v", from, to, f.From, f.To)
	case binary.BigEndian.Uint16(udp) != f.From.Port() || binary.BigEndian.Uint16(udp[2:]) != f.To.Port():
		return fmt.Errorf("the ports are wrong: %x", udp[:4])
	case string(udp[8:]) != string(payload):
		return fmt.Errorf("the payload is %x instead of %x", udp[8:], payload)
	case header == 20 && sum16(ip) != 0xffff:
		return fmt.Errorf("the checksum of the IP header is wrong: %x", ip)
	case udpSum(from, to, udp) != 0xffff:
		return fmt.Errorf("the UDP checksum is wrong: %x", udp)
	}
	return nil
}
