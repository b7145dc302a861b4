package counts

import (
	"net/netip"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
)

// Snapshot is everything that is counted, at one moment.
type Snapshot struct {
	Version    string
	PID        int
	Goroutines int
	Uptime     time.Duration

	Calls      call.Stats
	Media      media.Totals
	Interfaces []Interface
	Exits      []fastpath.ReasonCount
	Clients    []Client
	Commands   []string          // names of all
	Short      map[string]string // their short names
	Rates      Rates
	Families   call.Families
	Times      map[string]Times // by command, since they were last taken; only for who takes them
	Replies    int              // that are remembered

	RequestsFailed, RequestFaults uint64

	Stores   []Store
	Followed *Followed // nil: no keyspaces are
	Exports  []Export  // those that are not asked for may be missing

	Draining      bool
	DrainDeadline time.Time // zero: none
	Remaining     int       // calls that a drain waits for
}

// Store is a place where documents of calls are kept.
type Store struct {
	Name    string // file or redis
	Kept    int    // calls that are there
	Pending int    // changes that are not
	Lag     time.Duration
	Written uint64
	Failed  uint64 // attempts
	Dropped uint64 // changes
}

// Followed is how it stands with the calls of other nodes.
type Followed struct {
	Connected      bool
	Taken, Refused uint64 // documents
	Pending        int    // that are not read yet
}

// Export is what was sent to one kind of receiver.
type Export struct {
	To            string
	Sent, Dropped uint64 // messages; one that could not be sent, or found no room, is dropped
}

// The kinds of receivers.
const (
	ToDTMF   = "dtmf"
	ToHomer  = "homer"
	ToMQTT   = "mqtt"
	ToNG     = "ng"
	ToSyslog = "syslog"
)

// Interface is one address of a logical interface. Addresses that several share have the same figures.
type Interface struct {
	Name             string
	Address          netip.Addr
	PortMin, PortMax uint16
	Pool             media.PoolStats
	Traffic          media.Traffic
}

// Client is what one address has asked for.
type Client struct {
	Address  string // empty: of those without one, or beyond the limit of addresses told apart
	Errors   uint64
	Requests map[string]Requests // by command
}

// Requests counts those of one command and the time they took.
type Requests struct {
	Count uint64
	Time  time.Duration
}

// Rates are what was relayed in the last second.
type Rates struct{ Userspace, Kernel Rate }

// Rate is one plane's part of it.
type Rate struct{ Packets, Bytes, Errors uint64 }

// Sum adds the planes up.
func (r *Rates) Sum() Rate {
	return Rate{r.Userspace.Packets + r.Kernel.Packets, r.Userspace.Bytes + r.Kernel.Bytes, r.Userspace.Errors + r.Kernel.Errors}
}

// Times are the extremes of how long requests of one command took.
type Times struct{ Shortest, Longest time.Duration }
