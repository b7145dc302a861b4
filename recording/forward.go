package recording

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"github.com/weir-media/weir/media"
)

// Forward is a Tap that passes what it hears on to another host: RTP to a port, RTCP to the next one.
type Forward struct {
	*media.TapQueue
	rtp, rtcp *net.UDPConn
	log       *slog.Logger
}

// NewForward opens the sockets. Close ends it and does not wait.
func NewForward(to netip.AddrPort, log *slog.Logger) (*Forward, error) {
	if to.Port() == 0 || to.Port() == 0xffff || to.Addr().IsUnspecified() {
		return nil, fmt.Errorf("packets cannot be passed on to %v: name an address and the first of two ports", to)
	}
	rtp, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, fmt.Errorf("pass packets on: %w", err)
	}
	rtcp, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to.Addr(), to.Port()+1)))
	if err != nil {
		rtp.Close()
		return nil, fmt.Errorf("pass packets on: %w", err)
	}
	f := &Forward{TapQueue: media.NewTapQueue(queueSize), rtp: rtp, rtcp: rtcp, log: log}
	go f.run()
	return f, nil
}

// Local returns the address that RTP is passed on from.
func (f *Forward) Local() netip.AddrPort {
	local := f.rtp.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
}

// Close ends it; what has been heard is still passed on.
func (f *Forward) Close() error {
	f.TapQueue.Close()
	return nil
}

func (f *Forward) run() {
	var failed uint64 // nobody listens there, say; it may come back
	for more := true; more; {
		<-f.Ready()
		more = f.Take(func(packets []media.TapPacket) {
			for i := range packets {
				conn := f.rtp
				if packets[i].RTCP {
					conn = f.rtcp
				}
				if _, err := conn.Write(packets[i].Data); err != nil {
					failed++
				}
			}
		})
	}
	err := errors.Join(f.rtp.Close(), f.rtcp.Close())
	if dropped := f.Dropped(); err != nil || dropped+failed > 0 {
		f.log.Warn("not all packets could be passed on", "to", f.rtp.RemoteAddr(), "packets_missing", dropped, "packets_failed", failed, "err", err)
	}
}
