package call

import (
	"time"

	"github.com/weir-media/weir/media"
)

// Finished is a call as it was in the end. It shares nothing that changes.
type Finished struct {
	*Snapshot
	Why Reason
	At  time.Time
	// Clock is the media plane's at that time, which packets are dated by.
	Clock time.Duration
}

// finish tells of the end of a call whose legs are closed, unless it is another node's.
func (c *Call) finish(why Reason) {
	if c.manager.cfg.Finished == nil || why == ReasonFailed || why == ReasonMerged || c.foreign {
		return
	}
	c.manager.cfg.Finished(&Finished{Snapshot: c.snapshot(), Why: why, At: time.Now(), Clock: media.Now()})
}
