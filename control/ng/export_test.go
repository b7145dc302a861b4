package ng

import (
	"net/netip"
	"time"
)

// HurryStream and HurryHTTP shorten the patience with clients that do not read, before serving.
func HurryStream(s *Stream, patience time.Duration) { s.patience = patience }
func HurryHTTP(h *HTTP, patience time.Duration)     { h.patience = patience }

// LimitStream lowers the cap of connections, before serving.
func LimitStream(s *Stream, most int64) { s.Most(most) }

// RoomTo returns the largest payload that leaves in one packet.
func RoomTo(to netip.AddrPort) int { return new(paths).room(to) }
