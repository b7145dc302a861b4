package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/nexthop"
)

// outletBuffer is for what a device has not sent yet.
const outletBuffer = 4 << 20

// noSocket stands for "by a socket of the leg's own".
const noSocket = -1

// outlet sends datagrams of any legs without sockets, many with one system call: as frames where their way is known, or else as
// IP packets, for which the kernel finds it. It belongs to one worker.
type outlet struct {
	paths   *nexthop.Table
	direct  int   // socket whose frames go straight to the device
	queued  int   // socket whose frames go by the device's queueing discipline
	packets []int // sockets for IP packets, one for each local address, by its place in the directory
	ttl     map[bool]uint8

	headers  [batchSize][headersSize]byte
	names    [batchSize]unix.RawSockaddrInet6 // or a RawSockaddrLinklayer, or a RawSockaddrInet4
	iovecs   [batchSize][2]unix.Iovec
	messages [batchSize]mmsghdr
}

func newOutlet(s *sharing) (o *outlet, err error) {
	o = &outlet{paths: s.paths, direct: noSocket, queued: noSocket, ttl: map[bool]uint8{true: nexthop.TTL(true), false: nexthop.TTL(false)}}
	defer func() {
		if err != nil {
			err = joinClose(err, o)
			o = nil
		}
	}()
	for _, fd := range []*int{&o.direct, &o.queued} {
		if *fd, err = openOutlet(unix.AF_PACKET, 0); err != nil { // protocol 0: nothing is received
			return o, err
		}
	}
	if err := unix.SetsockoptInt(o.direct, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
		return o, os.NewSyscallError("setsockopt PACKET_QDISC_BYPASS", err)
	}
	for _, local := range s.locals {
		fd, err := openPackets(local, s.floating)
		if err != nil {
			return o, err
		}
		o.packets = append(o.packets, fd)
	}
	for i := range batchSize {
		h := &o.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&o.names[i]))
		h.Iov = &o.iovecs[i][0]
		h.SetIovlen(2)
	}
	return o, nil
}

func openOutlet(family, protocol int) (int, error) {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return noSocket, os.NewSyscallError("socket", fmt.Errorf("a raw one, which needs CAP_NET_RAW: %w", err))
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, outletBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, outletBuffer) // as far as the rights go
	}
	return fd, nil
}

// openPackets opens a socket for IP packets from a local address, which routing rules may ask for. It receives nothing: there
// are no packets of its protocol.
func openPackets(local netip.Addr, floating bool) (int, error) {
	family, name := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: local.As16()})
	if local.Is4() {
		family, name = unix.AF_INET, &unix.SockaddrInet4{Addr: local.As4()}
	}
	fd, err := openOutlet(family, unix.IPPROTO_RAW)
	if err != nil {
		return noSocket, err
	}
	if floating {
		err = freeBind(fd, local.Is4())
	}
	if err == nil {
		err = unix.Bind(fd, name)
	}
	if err != nil {
		return noSocket, errors.Join(fmt.Errorf("bind a raw socket to %v: %w", local, err), unix.Close(fd))
	}
	return fd, nil
}

func (o *outlet) close() error {
	var errs []error
	for _, fd := range append([]int{o.direct, o.queued}, o.packets...) {
		if fd != noSocket {
			errs = append(errs, os.NewSyscallError("close", unix.Close(fd)))
		}
	}
	return errors.Join(errs...)
}

// prepare makes frames or packets of the datagrams of b from first on. It stops before the first that needs another socket and
// returns its place.
func (o *outlet) prepare(b *outBatch, first int) (end, socket int) {
	socket = o.message(b, first)
	if socket == noSocket {
		return first, noSocket
	}
	for end = first + 1; end < b.n && o.message(b, end) == socket; end++ {
	}
	return end, socket
}

// send sends what has been prepared and returns the number.
func (o *outlet) send(socket, first, end int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(socket), uintptr(unsafe.Pointer(&o.messages[first])),
		uintptr(end-first), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// message makes a frame or a packet of the datagram in place i of b, and returns the socket for it.
func (o *outlet) message(b *outBatch, i int) (socket int) {
	s, ok := b.via[i].sock.(*steered)
	if !ok {
		return noSocket
	}
	a := s.aim.Load()
	if to := b.to[i]; a == nil || a.to != to && a.to.addr != to.addr {
		path := o.paths.Path(s.local.Addr(), to.addr.Addr())
		a = newAim(s, to, path, path.Hop(), o.ttl[s.local.Addr().Is4()])
		if b.leg[i] != nil { // media, of which there will be more
			s.aim.Store(a)
		}
	}
	if hop := a.path.Hop(); hop != a.hop || a.tos != s.tos.Load() {
		a = newAim(s, a.to, a.path, hop, o.ttl[s.local.Addr().Is4()])
		s.aim.Store(a)
	}
	data := b.data[i]
	if a.hop == nil {
		if a.path.Gone() {
			s.aim.CompareAndSwap(a, nil) // another path may be had
		}
		if o.paths.Means() == nexthop.Datagrams {
			return noSocket
		}
		socket = o.packets[s.place]
		name := &o.names[i]
		*name = a.to.raw
		name.Port = 0 // would be the protocol
		o.messages[i].header.Namelen = a.to.size
	} else {
		if a.size-ethernetSize+len(data) > a.hop.MTU {
			return noSocket
		}
		if socket = o.direct; a.hop.Queue {
			socket = o.queued
		}
		name := (*unix.RawSockaddrLinklayer)(unsafe.Pointer(&o.names[i]))
		name.Family, name.Ifindex = unix.AF_PACKET, int32(a.hop.Device)
		name.Protocol = *(*uint16)(unsafe.Pointer(&a.headers[ethernetSize-2]))
		o.messages[i].header.Namelen = unix.SizeofSockaddrLinklayer
	}
	h := &o.headers[i]
	a.write(h, data)
	from := 0
	if a.hop == nil {
		from = ethernetSize
	}
	o.iovecs[i][0].Base = &h[from]
	o.iovecs[i][0].SetLen(a.size - from)
	o.iovecs[i][1].Base = unsafe.SliceData(data)
	o.iovecs[i][1].SetLen(len(data))
	return socket
}

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
	hop  *nexthop.Hop // nil: not known, the Ethernet header is blank
	tos  uint32

	headers [headersSize]byte // without lengths and checksums
	size    int               // of the headers
	ipSum   uint32            // of the IPv4 header
	udpSum  uint64            // of the pseudo header and the ports, without lengths
}

// newAim makes the headers of a leg's packets. The TTL is for when no hop says one.
func newAim(s *steered, to *endpoint, path *nexthop.Path, hop *nexthop.Hop, ttl uint8) *aim {
	a := &aim{to: to, path: path, hop: hop, tos: s.tos.Load(), size: headersSize}
	h := &a.headers
	if hop != nil {
		copy(h[:], hop.Ethernet[:])
		ttl = hop.TTL
	}
	source, destination := s.local.Addr(), to.addr.Addr()
	ip := h[ethernetSize:]
	if source.Is4() {
		a.size = ethernetSize + ip4Size + udpSize
		ip[0], ip[1], ip[6], ip[8], ip[9] = 0x45, uint8(a.tos), 0x40, ttl, unix.IPPROTO_UDP // 0x40: do not fragment
		copy(ip[12:], source.AsSlice())
		copy(ip[16:], destination.AsSlice())
		a.ipSum = sum(ip[:ip4Size])
	} else {
		binary.BigEndian.PutUint32(ip, 6<<28|a.tos<<20)
		ip[6], ip[7] = unix.IPPROTO_UDP, ttl
		copy(ip[8:], source.AsSlice())
		copy(ip[24:], destination.AsSlice())
	}
	udp := h[a.size-udpSize : a.size]
	binary.BigEndian.PutUint16(udp, s.local.Port())
	binary.BigEndian.PutUint16(udp[2:], to.addr.Port())
	a.udpSum = unix.IPPROTO_UDP
	for _, part := range [][]byte{udp, source.AsSlice(), destination.AsSlice()} {
		a.udpSum += uint64(sum(part))
	}
	return a
}

// write writes the headers of a packet with some data.
func (a *aim) write(h *[headersSize]byte, data []byte) {
	*h = a.headers
	udp := udpSize + len(data)
	if a.size == headersSize {
		binary.BigEndian.PutUint16(h[ethernetSize+4:], uint16(udp))
	} else {
		length := ip4Size + udp
		binary.BigEndian.PutUint16(h[ethernetSize+2:], uint16(length))
		binary.BigEndian.PutUint16(h[ethernetSize+10:], ^fold(uint64(a.ipSum)+uint64(length)))
	}
	binary.BigEndian.PutUint16(h[a.size-4:], uint16(udp))
	check := ^fold(a.udpSum + 2*uint64(udp) + uint64(sum(data)))
	if check == 0 {
		check = 0xffff // 0 is "none" (RFC 768)
	}
	binary.BigEndian.PutUint16(h[a.size-2:], check)
}
