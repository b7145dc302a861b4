package cli

import "time"

// SetPatience changes how long clients may take.
func (s *Ctl) SetPatience(d time.Duration) { s.patience = d }

// Clients counts those that are being served.
func (s *Ctl) Clients() int { return len(s.room) }
