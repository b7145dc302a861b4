package socket

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxDatagram is the largest UDP payload there can be (RFC 768).
const maxDatagram = 65535

// readersPerCore lets commands that wait for their call stand aside while others are read.
const readersPerCore = 4

// Purpose says in messages what a socket is for: the language, and the option that it comes from.
type Purpose struct{ Language, Option string }

// UDP is a socket that requests come by.
type UDP struct {
	conn     *net.UDPConn
	language string
	allowed  func(netip.Addr) bool // nil: everybody is
	log      *slog.Logger
}

// ListenUDP opens the socket. An unspecified address serves both families where the host has both.
func ListenUDP(addr netip.AddrPort, of Purpose, log *slog.Logger) (*UDP, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for %s on udp %v: %w; choose another address with %s, "+
			"or end the process that has it (ss -lunp shows which)", of.Language, addr, err, of.Option)
	}
	if addr.Addr().IsUnspecified() {
		if err := answerFromThere(conn); err != nil {
			conn.Close()
			return nil, fmt.Errorf("listen for %s on udp %v: %w", of.Language, addr, err)
		}
	}
	// A burst of new calls must find room while the readers are busy.
	_ = conn.SetReadBuffer(4 << 20)
	return &UDP{conn: conn, language: of.Language, log: log}, nil
}

// answerFromThere has every request come with the local address it was sent to, so that the reply can leave from the same:
// a client with a connected socket takes no other, and a host may have several.
func answerFromThere(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		if failed != nil { // an IPv4 socket
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	}); err != nil {
		return err
	}
	return failed
}

// fromThere turns the control message of a request into the one that gives its reply the same local address. The device is
// left to the routing table.
func fromThere(oob []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data[:16])})
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])})
		}
	}
	return nil
}

// SetTOS has replies carry a TOS or traffic class.
func (u *UDP) SetTOS(tos int) error {
	return u.option("TOS", unix.IPV6_TCLASS, tos, unix.IP_TOS, tos)
}

// SetPathMTU has replies over IPv4 never be fragmented on the way, or always be where they must.
func (u *UDP) SetPathMTU(discover bool) error {
	mode := unix.IP_PMTUDISC_DONT
	if discover {
		mode = unix.IP_PMTUDISC_WANT
	}
	return u.option("path MTU discovery", 0, 0, unix.IP_MTU_DISCOVER, mode)
}

func (u *UDP) option(what string, ip6, value6, ip4, value4 int) error {
	return option(u.conn, u.language, what, ip6, value6, ip4, value4)
}

// option sets an option of a socket for IPv6, unless it is 0, and for IPv4. A socket of both families takes both.
func option(conn syscall.Conn, language, what string, ip6, value6, ip4, value4 int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed, failed6 error
	if err := raw.Control(func(fd uintptr) {
		if failed6 = unix.ENOPROTOOPT; ip6 != 0 {
			failed6 = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, ip6, value6)
		}
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, ip4, value4)
	}); err != nil {
		return err
	}
	if failed != nil && failed6 != nil {
		return fmt.Errorf("set the %s of the %s socket: %w", what, language, failed)
	}
	return nil
}

// Addr returns the address of the socket.
func (u *UDP) Addr() netip.AddrPort {
	return u.conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Only has datagrams of addresses that are not allowed be dropped. It is called before serving.
func (u *UDP) Only(allowed func(netip.Addr) bool) { u.allowed = allowed }

// Serve has answer called for each datagram until ctx ends, by several goroutines at a time, then closes the socket. What answer
// returns goes back; nil is no reply. It must not keep the datagram.
func (u *UDP) Serve(ctx context.Context, answer func(from netip.AddrPort, datagram []byte) []byte) error {
	stop := context.AfterFunc(ctx, func() { u.conn.Close() })
	defer stop()
	var readers sync.WaitGroup
	for range readersPerCore * runtime.GOMAXPROCS(0) {
		readers.Go(func() { u.read(answer) })
	}
	readers.Wait()
	return ctx.Err()
}

// Close closes the socket of a UDP that is not serving.
func (u *UDP) Close() error {
	if err := u.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close %s socket: %w", u.language, err)
	}
	return nil
}

func (u *UDP) read(answer func(netip.AddrPort, []byte) []byte) {
	buf, oob := make([]byte, maxDatagram), make([]byte, 128)
	for {
		n, nOOB, _, from, err := u.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier reply, which says nothing about this socket
		}
		if u.allowed != nil && !u.allowed(from.Addr()) {
			continue
		}
		reply := answer(from, buf[:n])
		if reply == nil {
			continue
		}
		if _, _, err := u.conn.WriteMsgUDPAddrPort(reply, fromThere(oob[:nOOB]), from); err != nil {
			u.log.Warn(u.language+" reply could not be sent", "to", from, "bytes", len(reply), "err", err)
		}
	}
}
