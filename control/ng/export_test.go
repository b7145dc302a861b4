package ng

import (
	"net/netip"
	"time"
)

// HurryStream and HurryHTTP shorten the patience with clients that do not read, before serving.
func HurryStream(s *Stream, patience time.Duration) { s.patience = patience }
func HurryHTTP(h *HTTP, patience time.Duration)     { h.patience = patience }

// HurryMessages and HurryRequests shorten the time that a message, or a request with its header, may take to come, before serving.
func HurryMessages(s *Stream, whole time.Duration) { s.whole = whole }
func HurryRequests(h *HTTP, whole time.Duration) {
	h.whole, h.server.ReadHeaderTimeout, h.server.ReadTimeout = whole, whole, whole
}

// LimitStream lowers the cap of connections, before serving.
func LimitStream(s *Stream, most int64) { s.Most(most) }

// RoomTo returns the largest payload that leaves in one packet.
func RoomTo(to netip.AddrPort) int { return new(paths).room(to) }
