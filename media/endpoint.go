package media

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// endpoint is an address in the form the kernel takes, made once when the address becomes known. It is immutable.
type endpoint struct {
	addr netip.AddrPort
	raw  unix.RawSockaddrInet6 // or the shorter RawSockaddrInet4
	size uint32
}

func newEndpoint(addr netip.AddrPort) *endpoint {
	e := &endpoint{addr: addr}
	if ip := addr.Addr(); ip.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&e.raw))
		sa.Family, sa.Addr = unix.AF_INET, ip.As4()
		putPort(&sa.Port, addr.Port())
		e.size = unix.SizeofSockaddrInet4
	} else {
		e.raw.Family, e.raw.Addr = unix.AF_INET6, ip.As16()
		putPort(&e.raw.Port, addr.Port())
		e.size = unix.SizeofSockaddrInet6
	}
	return e
}

// putPort writes a port in network byte order.
func putPort(to *uint16, port uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(to))[:], port)
}

// addrPort reads a socket address that the kernel wrote.
func addrPort(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:])
	if sa.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port)
}
