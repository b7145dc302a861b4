package call

// Reason says why a call ended.
type Reason uint8

// The ways a call can end.
const (
	ReasonDeleted       Reason = iota // a delete request
	ReasonTimeout                     // no packets for --timeout
	ReasonSilentTimeout               // held, and no packets for --silent-timeout
	ReasonOfferTimeout                // never answered within --offer-timeout
	ReasonFinalTimeout                // older than --final-timeout
	ReasonFailed                      // the offer that made it failed
	ReasonShutdown                    // the daemon stopped
	ReasonMerged                      // it became part of another call
	reasonCount
)

var reasonNames = [reasonCount]string{
	"deleted", "media timeout", "silent timeout", "offer timeout", "final timeout", "set-up failed", "shutdown", "merged",
}

func (r Reason) String() string { return reasonNames[r] }

// TimedOut tells whether it was for want of packets or of an answer, or for its age.
func (r Reason) TimedOut() bool {
	return r == ReasonTimeout || r == ReasonSilentTimeout || r == ReasonOfferTimeout || r == ReasonFinalTimeout
}
