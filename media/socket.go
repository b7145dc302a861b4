package media

import (
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/srtp"
)

const (
	batchSize = 64
	// maxDatagram holds any UDP datagram; only the pages that packets have filled take memory.
	maxDatagram = 1 << 16
	// bufferStride keeps the beginnings of buffers from falling into the same few lines of the processor's caches.
	bufferStride = maxDatagram + 5*64
	// receiveBuffer is some 200 ms of a fast video stream, or a GOP's first frame; the kernel caps it at rmem_max.
	receiveBuffer = 256 << 10
)

// transport moves the datagrams of one leg. Only workers call it; only the leg's own worker calls receive, setTOS and
// close. Other engines than plain sockets fit behind it.
type transport interface {
	// receive fills b with up to max datagrams and never blocks. No datagram is no error.
	receive(b *inBatch, max int) error
	// send sends datagrams of b from first up to, not including, end, and returns the number sent.
	send(b *outBatch, first, end int) (int, error)
	setTOS(tos uint8) error
	// attach has p report under key when there is something to receive, detach ends that.
	attach(p *poller, key int32) error
	detach(p *poller) error
	close() error
}

// inBatch holds the datagrams of one receive. A worker has one.
type inBatch struct {
	n       int
	data    [batchSize][]byte // views of buffers
	from    [batchSize]netip.AddrPort
	tooLong [batchSize]bool

	buffers [batchSize][]byte
	names   [batchSize]unix.RawSockaddrInet6
	iovecs  [batchSize]unix.Iovec
	headers [batchSize]mmsghdr
	size    uint32
}

// outBatch holds the datagrams to send. A worker has one. Data is not copied.
type outBatch struct {
	n       int
	first   int  // not sent yet
	sending bool // flush is at work

	data [batchSize][]byte
	to   [batchSize]*endpoint
	via  [batchSize]*Leg // whose socket sends
	leg  [batchSize]*Leg // whose counts it goes to; nil: nobody's
	from [batchSize]*Leg // that it came to; nil: it is ours

	rooms [batchSize][]byte // where packets are built that are not sent as they came

	iovecs  [batchSize]unix.Iovec
	headers [batchSize]mmsghdr
}

// room returns an empty slice in which the next packet to be queued may be built. It holds any datagram, and what it holds
// stays until flush.
func (b *outBatch) room() []byte { return b.rooms[b.n][:0] }

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func newInBatch() *inBatch {
	b := &inBatch{}
	room := make([]byte, batchSize*bufferStride)
	for i := range batchSize {
		b.buffers[i] = room[i*bufferStride:][:maxDatagram:maxDatagram]
		b.iovecs[i].Base = &b.buffers[i][0]
		b.iovecs[i].SetLen(maxDatagram)
		h := &b.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.iovecs[i]
		h.SetIovlen(1)
	}
	return b
}

func newOutBatch() *outBatch {
	const stride = bufferStride + (srtp.MaxOverhead+63)/64*64
	b := &outBatch{}
	room := make([]byte, batchSize*stride)
	for i := range batchSize {
		b.rooms[i] = room[i*stride:][: maxDatagram+srtp.MaxOverhead : stride]
		h := &b.headers[i].header
		h.Iov = &b.iovecs[i]
		h.SetIovlen(1)
	}
	return b
}

// udpSocket is the portable transport: one non-blocking UDP socket per leg.
type udpSocket struct {
	fd        int
	ip4       bool
	roomy     bool        // its buffer has been set
	fragments atomic.Bool // IPv4: a datagram was too long for its path
}

func listenUDP(local netip.AddrPort) (*udpSocket, error) { return openUDP(local, false) }

// openUDP binds a socket; with floating also to an address that is not this host's yet.
func openUDP(local netip.AddrPort, floating bool) (*udpSocket, error) {
	s := &udpSocket{ip4: local.Addr().Is4()}
	family := unix.AF_INET6
	if s.ip4 {
		family = unix.AF_INET
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	s.fd = fd
	if floating {
		if err := freeBind(fd, s.ip4); err != nil {
			return nil, joinClose(err, s)
		}
	}
	if err := s.bind(local); err != nil {
		return nil, joinClose(fmt.Errorf("bind %v: %w", local, err), s)
	}
	return s, nil
}

func (s *udpSocket) bind(local netip.AddrPort) error {
	if s.ip4 {
		// Datagrams that may not be fragmented need no identification, which the kernel would have to draw for each.
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		return unix.Bind(s.fd, &unix.SockaddrInet4{Addr: local.Addr().As4(), Port: int(local.Port())})
	}
	if err := unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
		return err
	}
	return unix.Bind(s.fd, &unix.SockaddrInet6{Addr: local.Addr().As16(), Port: int(local.Port())})
}

// freeBind lets a socket be bound to an address that is not this host's yet.
func freeBind(fd int, ip4 bool) error {
	if ip4 {
		return os.NewSyscallError("setsockopt IP_FREEBIND", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1))
	}
	return os.NewSyscallError("setsockopt IPV6_FREEBIND", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1))
}

func (s *udpSocket) setTOS(tos uint8) error {
	if s.ip4 {
		return os.NewSyscallError("setsockopt IP_TOS", unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_TOS, int(tos)))
	}
	return os.NewSyscallError("setsockopt IPV6_TCLASS",
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(tos)))
}

func (s *udpSocket) attach(p *poller, key int32) error { return p.add(s.fd, key) }
func (s *udpSocket) detach(p *poller) error            { return p.remove(s.fd) }

func (s *udpSocket) close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// The calls below are raw: they never block, and telling the scheduler about each would cost as much as some of them.

func (s *udpSocket) receive(b *inBatch, max int) error {
	b.n = 0
	if !s.roomy {
		// Many sockets never receive anything. For the first packets the system's buffer will do, and a smaller one than asked
		// for is no reason to refuse a call.
		s.roomy = true
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if max > 1 {
		return s.receiveMany(b, max)
	}
	b.size = unix.SizeofSockaddrInet6
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&b.buffers[0][0])), maxDatagram,
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, uintptr(unsafe.Pointer(&b.names[0])), uintptr(unsafe.Pointer(&b.size)))
	if errno != 0 {
		return receiveError("recvfrom", errno)
	}
	b.view(0, int(n))
	b.n = 1
	return nil
}

func (s *udpSocket) receiveMany(b *inBatch, max int) error {
	for i := range max {
		b.headers[i].header.Namelen = unix.SizeofSockaddrInet6
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.headers[0])), uintptr(max),
		unix.MSG_DONTWAIT|unix.MSG_TRUNC, 0, 0)
	if errno != 0 {
		return receiveError("recvmmsg", errno)
	}
	for i := range int(n) {
		b.view(i, int(b.headers[i].length))
	}
	b.n = int(n)
	return nil
}

// view shows the datagram in buffer i, of which the kernel told the full length.
func (b *inBatch) view(i, length int) {
	b.tooLong[i] = length > maxDatagram
	b.data[i] = b.buffers[i][:min(length, maxDatagram)]
	b.from[i] = addrPort(&b.names[i])
}

func receiveError(call string, errno unix.Errno) error {
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return nil
	}
	return os.NewSyscallError(call, errno)
}

func (s *udpSocket) send(b *outBatch, first, end int) (int, error) {
	if end-first > 1 {
		return s.sendMany(b, first, end)
	}
	data, to := b.data[first], b.to[first]
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(data))),
		uintptr(len(data)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size))
	if errno == 0 {
		return 1, nil
	}
	if errno == unix.EMSGSIZE && s.allowFragments() {
		return s.send(b, first, end)
	}
	return 0, errno
}

// allowFragments lets the socket fragment from now on. It is false when it does already.
func (s *udpSocket) allowFragments() bool {
	return s.ip4 && !s.fragments.Swap(true) &&
		unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_WANT) == nil
}

func (s *udpSocket) sendMany(b *outBatch, first, end int) (int, error) {
	for i := first; i < end; i++ {
		b.iovecs[i].Base = unsafe.SliceData(b.data[i])
		b.iovecs[i].SetLen(len(b.data[i]))
		b.headers[i].header.Name = (*byte)(unsafe.Pointer(&b.to[i].raw))
		b.headers[i].header.Namelen = b.to[i].size
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&b.headers[first])),
		uintptr(end-first), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if errno == 0 {
		return int(n), nil
	}
	if errno == unix.EMSGSIZE && s.allowFragments() {
		return s.sendMany(b, first, end)
	}
	return 0, errno
}
