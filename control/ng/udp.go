package ng

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/weir-media/weir/control/socket"
)

// UDP is a socket that requests come by.
type UDP struct {
	*socket.UDP
	paths paths
}

// ListenUDP opens the socket. An unspecified address serves both families where the host has both.
func ListenUDP(addr netip.AddrPort, log *slog.Logger) (*UDP, error) {
	s, err := socket.ListenUDP(addr, socket.Purpose{Language: "ng", Option: "--listen-ng"}, log)
	if err != nil {
		return nil, err
	}
	return &UDP{UDP: s}, nil
}

// Serve has disp answer requests until ctx ends, then closes the socket.
func (u *UDP) Serve(ctx context.Context, disp *Dispatcher) error {
	local := u.Addr()
	return u.UDP.Serve(ctx, func(from netip.AddrPort, datagram []byte) []byte {
		if !disp.Allows(from.Addr()) {
			return nil
		}
		return disp.mirrored(datagram, from, local, func() []byte {
			return disp.From(from.Addr()).Within(ctx, datagram, func() int { return u.paths.room(from) })
		})
	})
}
