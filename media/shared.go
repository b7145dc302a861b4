package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sharedBuffer is that of a socket which receives for all legs of a worker: some ten thousand packets, which is what a worker
// relays in a few hundredths of a second.
const sharedBuffer = 8 << 20

// lookInterval is after how many full batches in a row a shared socket is looked at for losses.
const lookInterval = 64

// sharedSocket receives for all legs of a worker in one address family. It is the worker's own.
type sharedSocket struct {
	fd  int
	ip4 bool

	room     *inBatch // of the worker
	headers  [batchSize]mmsghdr
	controls [batchSize][controlSize]byte // where datagrams were sent to
	filled   int                          // headers that the last receive has written to

	full  int    // batches in a row
	drops uint32 // of the kernel, when last looked at

	// The address of the last datagram and its table: most have few addresses.
	address netip.Addr
	ports   *portTable
}

// newSharedSocket opens a socket of the family that receives into b. It is bound to a port of the loopback device that nobody knows, as only bound
// ones can be steered to.
func newSharedSocket(ip4 bool, b *inBatch) (*sharedSocket, error) {
	local := netip.IPv6Loopback()
	if ip4 {
		local = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	u, err := listenUDP(netip.AddrPortFrom(local, 0))
	if err != nil {
		return nil, err
	}
	s := &sharedSocket{fd: u.fd, ip4: ip4, room: b, filled: batchSize}
	for i := range batchSize {
		h := &s.headers[i].header
		*h = b.headers[i].header
		h.Control = &s.controls[i][0]
	}
	level, option := unix.IPPROTO_IPV6, unix.IPV6_RECVORIGDSTADDR
	if ip4 {
		level, option = unix.IPPROTO_IP, unix.IP_RECVORIGDSTADDR
	}
	if err := unix.SetsockoptInt(s.fd, level, option, 1); err != nil {
		return nil, joinClose(fmt.Errorf("ask for the destinations of datagrams: %w", err), s)
	}
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, sharedBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, sharedBuffer) // as far as the rights go
	}
	return s, nil
}

func (s *sharedSocket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// receive fills the worker's batch with what there is, and never blocks.
func (s *sharedSocket) receive() error {
	b := s.room
	b.n = 0
	for i := range s.filled {
		h := &s.headers[i].header
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
	s.filled = 0
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&s.headers[0])), batchSize,
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		s.filled = 1 // at most
		return receiveError("recvmmsg", errno)
	}
	b.n, s.filled = int(n), min(int(n)+1, batchSize)
	for i := range b.n {
		b.view(i, int(s.headers[i].length))
	}
	return nil
}

// crowded tells, once in a while, that datagrams get lost because others come too fast, and which leg has a great part in it.
// It is for the batch just received.
func (s *sharedSocket) crowded(legs directory) *Leg {
	if s.room.n < batchSize {
		s.full = 0
		return nil
	}
	if s.full++; s.full%lookInterval != 0 || !s.loses() {
		return nil
	}
	const great = batchSize / 4
	for i := range batchSize - great + 1 {
		l, n := s.leg(legs, i), 0
		for j := i; j < batchSize && l != nil; j++ {
			if s.leg(legs, j) == l {
				n++
			}
		}
		if n >= great {
			return l
		}
	}
	return nil
}

// loses tells whether the kernel has dropped datagrams for lack of room since the last call.
func (s *sharedSocket) loses() bool {
	var info [unix.SK_MEMINFO_VARS]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || size < uint32(unsafe.Sizeof(info)) {
		return false
	}
	before := s.drops
	s.drops = info[unix.SK_MEMINFO_DROPS]
	return s.drops != before
}

// leg returns the leg that the datagram in place i came to, nil when it is closed.
func (s *sharedSocket) leg(legs directory, i int) *Leg {
	local := s.destination(i)
	if local.Addr() != s.address || s.ports == nil {
		s.address, s.ports = local.Addr(), legs[local.Addr()]
	}
	if s.ports == nil {
		return nil
	}
	return s.ports.get(local.Port())
}

// A control message of one address: struct cmsghdr, then the address.
const (
	controlHeader = unix.SizeofCmsghdr
	controlSize   = 64
)

// destination reads the control message of the datagram in place i; the zero value when there is none.
func (s *sharedSocket) destination(i int) netip.AddrPort {
	c := &s.controls[i]
	head := (*unix.Cmsghdr)(unsafe.Pointer(&c[0]))
	switch {
	case head.Level == unix.IPPROTO_IP && head.Type == unix.IP_ORIGDSTADDR:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&c[controlHeader]))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), binary.BigEndian.Uint16(c[controlHeader+2:]))
	case head.Level == unix.IPPROTO_IPV6 && head.Type == unix.IPV6_ORIGDSTADDR:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&c[controlHeader]))
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), binary.BigEndian.Uint16(c[controlHeader+2:]))
	}
	return netip.AddrPort{}
}
