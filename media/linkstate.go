package media

import (
	"net/netip"
	"sync"
	"time"

	"github.com/weir-media/weir/ice"
)

// LinkState is how far the way to a media has come. The zero value is that of a media without ICE and DTLS.
type LinkState struct {
	ICE       string         // state of the agent; empty: there is none
	Selected  netip.AddrPort // where ICE sends RTP; zero before it has found a pair
	Checks    ice.Report
	DTLS      string         // state of the session for RTP; empty: there is none
	DTLSRole  string         // ours: active, passive or unknown
	DTLSHeard netip.AddrPort // where the last DTLS packet came from; zero before one has
	DTLSError string         // of the last handshake that failed
}

// State returns how far the link has come.
func (l *Link) State() LinkState {
	var s LinkState
	if agent := l.running.Load(); agent != nil {
		s.Checks = agent.Report()
		s.ICE = s.Checks.State.String()
		if pair, ok := agent.Selected(ice.RTP); ok {
			s.Selected = pair.Remote
		}
	}
	if h := l.handshakes[0].Load(); h != nil {
		if session := h.running.Load(); session != nil {
			s.DTLS = session.State().String()
		}
		if from := h.heard.Load(); from != nil {
			s.DTLSHeard = from.to.addr
		}
		s.DTLSRole = h.role()
		if err := h.trouble.Load(); err != nil {
			s.DTLSError = (*err).Error()
		}
	}
	return s
}

// stranger is the last source of something that was refused on a leg.
type stranger struct {
	mu   sync.Mutex
	from netip.AddrPort
	at   time.Duration
}

func (s *stranger) note(from netip.AddrPort, at time.Duration) {
	s.mu.Lock()
	s.from, s.at = from, at
	s.mu.Unlock()
}

func (s *stranger) read() (from netip.AddrPort, at time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.from, s.at
}
