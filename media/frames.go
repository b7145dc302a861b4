package media

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/nexthop"
)

// Sizes of headers.
const (
	ethernetSize = 14
	ip4Size      = 20
	ip6Size      = 40
	udpSize      = 8
	headersSize  = ethernetSize + ip6Size + udpSize
)

// aim is all that the packets of a leg to one destination have in common. It is immutable.
type aim struct {
	to   *endpoint
	path *nexthop.Path
	hop  *nexthop.Hop // that the headers are for; nil: none

	headers [headersSize]byte // without lengths and checksums
	size    int               // of the headers
	ipSum   uint32            // of the IPv4 header
	udpSum  uint64            // of the pseudo header and the ports, without lengths
}

// frames sends datagrams as whole frames, many with one system call whatever legs they are of. It belongs to one worker.
type frames struct {
	paths  *nexthop.Table
	direct int // socket whose frames go straight to the device
	queued int // socket whose frames go by the device's queueing discipline

	headers  [batchSize][headersSize]byte
	names    [batchSize]unix.RawSockaddrLinklayer
	iovecs   [batchSize][2]unix.Iovec
	messages [batchSize]mmsghdr
}

func newFrames(paths *nexthop.Table) (*frames, error) {
	f := &frames{paths: paths, direct: -1, queued: -1}
	var err error
	for _, fd := range []*int{&f.direct, &f.queued} {
		// Protocol 0: nothing is received.
		if *fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			return nil, joinClose(os.NewSyscallError("socket AF_PACKET", err), f)
		}
	}
	if err := unix.SetsockoptInt(f.direct, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return nil, joinClose(os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", err), f)
	}
	for i := range batchSize {
		h := &f.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&f.names[i]))
		h.Namelen = unix.SizeofSockaddrLinklayer
		h.Iov = &f.iovecs[i][0]
		h.SetIovlen(2)
		f.names[i].Family = unix.AF_PACKET
		f.iovecs[i][0].Base = &f.headers[i][0]
	}
	return f, nil
}

func (f *frames) close() error {
	var err error
	for _, fd := range []int{f.direct, f.queued} {
		if fd >= 0 && err == nil {
			err = os.NewSyscallError("close", unix.Close(fd))
		}
	}
	return err
}

// prepare makes frames of the datagrams of b from first on. It stops before the first that cannot leave as a frame, or not by
// the same socket, and returns its place.
func (f *frames) prepare(b *outBatch, first int) (end, socket int) {
	for end = first; end < b.n; end++ {
		hop := f.frame(b, end)
		if hop == nil {
			break
		}
		by := f.direct
		if hop.Queue {
			by = f.queued
		}
		if end > first && by != socket {
			break
		}
		socket = by
	}
	return end, socket
}

// send sends frames that have been prepared and returns their number.
func (f *frames) send(socket, first, end int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(socket), uintptr(unsafe.Pointer(&f.messages[first])),
		uintptr(end-first), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// frame makes a frame of the datagram in place i of b. It returns nil when it must go by a socket.
func (f *frames) frame(b *outBatch, i int) *nexthop.Hop {
	s, ok := b.via[i].sock.(*steered)
	if !ok {
		return nil
	}
	a := s.aim.Load()
	if to := b.to[i]; a == nil || a.to != to && a.to.addr != to.addr {
		a = s.aimAt(to)
		if b.leg[i] != nil { // media, of which there will be more
			s.aim.Store(a)
		}
	}
	hop := a.path.Hop()
	if hop != a.hop || hop == nil {
		if a = a.renew(s, hop); a == nil {
			return nil
		}
		s.aim.Store(a)
	}
	data := b.data[i]
	length := a.size - ethernetSize + len(data) // of the IP packet
	if length > hop.MTU {
		return nil
	}
	h := &f.headers[i]
	*h = a.headers
	udp := udpSize + len(data)
	if a.size == headersSize {
		binary.BigEndian.PutUint16(h[ethernetSize+4:], uint16(udp))
	} else {
		binary.BigEndian.PutUint16(h[ethernetSize+2:], uint16(length))
		binary.BigEndian.PutUint16(h[ethernetSize+10:], ^fold(uint64(a.ipSum)+uint64(length)))
	}
	binary.BigEndian.PutUint16(h[a.size-4:], uint16(udp))
	check := ^fold(a.udpSum + 2*uint64(udp) + uint64(sum(data)))
	if check == 0 {
		check = 0xffff // 0 is "none" (RFC 768)
	}
	binary.BigEndian.PutUint16(h[a.size-2:], check)

	f.names[i].Ifindex = int32(hop.Device)
	f.names[i].Protocol = *(*uint16)(unsafe.Pointer(&hop.Ethernet[12]))
	f.iovecs[i][0].SetLen(a.size)
	f.iovecs[i][1].Base = unsafe.SliceData(data)
	f.iovecs[i][1].SetLen(len(data))
	return hop
}

// foresee has the way to a destination found out before the first packet.
func (s *steered) foresee(to *endpoint) { s.paths.Path(s.local.Addr(), to.addr.Addr()) }

// aimAt begins an aim, which has no headers yet.
func (s *steered) aimAt(to *endpoint) *aim {
	return &aim{to: to, path: s.paths.Path(s.local.Addr(), to.addr.Addr())}
}

// renew makes the headers for a hop. It returns nil when there is none.
func (a *aim) renew(s *steered, hop *nexthop.Hop) *aim {
	if hop == nil {
		if a.path.Gone() {
			s.aim.CompareAndSwap(a, nil) // another path may be had
		}
		return nil
	}
	next := &aim{to: a.to, path: a.path, hop: hop, size: headersSize}
	h := &next.headers
	copy(h[:], hop.Ethernet[:])
	from, to := s.local.Addr(), a.to.addr.Addr()
	ip := h[ethernetSize:]
	if from.Is4() {
		next.size = ethernetSize + ip4Size + udpSize
		ip[0], ip[1], ip[6], ip[8], ip[9] = 0x45, uint8(s.tos.Load()), 0x40, hop.TTL, unix.IPPROTO_UDP // 0x40: do not fragment
		copy(ip[12:], from.AsSlice())
		copy(ip[16:], to.AsSlice())
		next.ipSum = uint32(fold(uint64(sum(ip[:ip4Size]))))
	} else {
		binary.BigEndian.PutUint32(ip, 6<<28|s.tos.Load()<<20)
		ip[6], ip[7] = unix.IPPROTO_UDP, hop.TTL
		copy(ip[8:], from.AsSlice())
		copy(ip[24:], to.AsSlice())
	}
	udp := h[next.size-udpSize : next.size]
	binary.BigEndian.PutUint16(udp, s.local.Port())
	binary.BigEndian.PutUint16(udp[2:], a.to.addr.Port())
	next.udpSum = unix.IPPROTO_UDP + uint64(sum(udp)) + addressSum(from) + addressSum(to)
	return next
}

func addressSum(ip netip.Addr) uint64 { return uint64(sum(ip.AsSlice())) }

// sum adds the words of data (RFC 1071, section 1).
func sum(data []byte) uint32 {
	var total, carry uint64
	for len(data) >= 32 {
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[8:]), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[16:]), carry)
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data[24:]), carry)
		data = data[32:]
	}
	for len(data) >= 8 {
		total, carry = bits.Add64(total, binary.BigEndian.Uint64(data), carry)
		data = data[8:]
	}
	var rest [8]byte
	copy(rest[:], data)
	total, carry = bits.Add64(total, binary.BigEndian.Uint64(rest[:]), carry)
	total, carry = bits.Add64(total, 0, carry)
	return uint32(fold(total)) + uint32(carry)
}

// fold brings a sum of words down to 16 bits.
func fold(total uint64) uint16 {
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
