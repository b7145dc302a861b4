package media

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// portProbe asks the kernel whether UDP ports have sockets (sock_diag(7)). Its methods are safe for concurrent use.
type portProbe struct {
	mu      sync.Mutex
	fd      int
	number  uint32 // of the request
	request []byte
	answers [probedPorts][512]byte
	iovecs  [probedPorts]unix.Iovec
	headers [probedPorts]mmsghdr
}

// probedPorts is how many ports one call may ask for.
const probedPorts = 2

const (
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	diagRequestSize  = unix.SizeofNlMsghdr + 56
)

// newPortProbe returns nil where the kernel does not tell: it must have udp_diag.
func newPortProbe() *portProbe {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil
	}
	p := &portProbe{fd: fd}
	for i := range p.answers {
		p.iovecs[i].Base = &p.answers[i][0]
		p.iovecs[i].SetLen(len(p.answers[i]))
		p.headers[i].header.Iov = &p.iovecs[i]
		p.headers[i].header.SetIovlen(1)
	}
	if !p.works() {
		_ = unix.Close(fd)
		return nil
	}
	return p
}

// works looks for a socket that is there: without udp_diag the kernel says that there is none.
func (p *portProbe) works() bool {
	s, err := listenUDP(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0))
	if err != nil {
		return false
	}
	defer unix.Close(s.fd)
	name, err := unix.Getsockname(s.fd)
	if err != nil {
		return false
	}
	local, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return false
	}
	taken, err := p.taken(netip.AddrPortFrom(netip.AddrFrom4(local.Addr), uint16(local.Port)))
	return err == nil && taken
}

func (p *portProbe) close() error { return os.NewSyscallError("close", unix.Close(p.fd)) }

// taken tells whether a socket would get datagrams from anywhere to one of the ports, of which there are probedPorts at most.
func (p *portProbe) taken(ports ...netip.AddrPort) (taken bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.request = p.request[:0]
	p.number++
	for _, local := range ports {
		p.request = appendDiagRequest(p.request, p.number, local)
	}
	if err := unix.Sendto(p.fd, p.request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, fmt.Errorf("ask whether ports are in use: %w", err)
	}
	for left := len(ports); left > 0; {
		// The kernel has answered before the request was through.
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&p.headers[0])), uintptr(left),
			unix.MSG_WAITFORONE, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return false, fmt.Errorf("ask whether ports are in use: %w", errno)
		}
		for i := range int(n) {
			number, found, err := diagFound(p.answers[i][:min(int(p.headers[i].length), len(p.answers[i]))])
			if number != p.number {
				continue // of a request that was given up
			}
			if err != nil {
				return false, fmt.Errorf("ask whether ports are in use: %w", err)
			}
			taken = taken || found
			left--
		}
	}
	return taken, nil
}

// appendDiagRequest appends struct nlmsghdr and struct inet_diag_req_v2 for the socket of one port.
func appendDiagRequest(b []byte, number uint32, local netip.AddrPort) []byte {
	start := len(b)
	b = append(b, make([]byte, diagRequestSize)...)
	m := b[start:]
	binary.NativeEndian.PutUint32(m, diagRequestSize)
	binary.NativeEndian.PutUint16(m[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST)
	binary.NativeEndian.PutUint32(m[8:], number)
	r := m[unix.SizeofNlMsghdr:]
	r[0], r[1] = unix.AF_INET6, unix.IPPROTO_UDP
	if local.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(r[4:], ^uint32(0)) // any state
	// For UDP the kernel takes the destination for ours.
	binary.BigEndian.PutUint16(r[10:], local.Port())
	copy(r[28:44], local.Addr().AsSlice())
	binary.NativeEndian.PutUint32(r[48:], ^uint32(0)) // no cookie
	binary.NativeEndian.PutUint32(r[52:], ^uint32(0))
	return b
}

// diagFound reads one answer, a description of the socket or an error, and the number of its request.
func diagFound(m []byte) (number uint32, found bool, err error) {
	if len(m) < unix.SizeofNlMsghdr {
		return 0, false, unix.EPROTO
	}
	number = binary.NativeEndian.Uint32(m[8:])
	switch binary.NativeEndian.Uint16(m[4:]) {
	case sockDiagByFamily:
		return number, true, nil
	case unix.NLMSG_ERROR:
		if len(m) >= unix.SizeofNlMsghdr+4 {
			if errno := unix.Errno(-int32(binary.NativeEndian.Uint32(m[unix.SizeofNlMsghdr:]))); errno != unix.ENOENT {
				return number, false, errno
			}
			return number, false, nil
		}
	}
	return number, false, unix.EPROTO
}
