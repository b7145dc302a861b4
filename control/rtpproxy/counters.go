package rtpproxy

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// counter numbers what a Dispatcher counts itself.
type counter int

const (
	countCreated counter = iota
	countDestroyed
	countTimeout
	countComplete
	countNoRTP
	countOneWayRTP
	countNoRTCP
	countOneWayRTCP
	countPlayersCreated
	countPlayersDestroyed
	countDuration // ms
	countReceived
	countDuplicates
	countSucceeded
	countErrors
	countReplied
	countStreamsReceived // RTP packets of streams that have ended, and their losses
	countStreamsLost
	counterCount
)

// counters are safe for concurrent use.
type counters struct {
	all [counterCount]atomic.Uint64

	mu      sync.Mutex
	packets uint64    // that had come
	at      time.Time // when the rate was last asked for, or counting began
}

func (c *counters) add(which counter, n uint64) { c.all[which].Add(n) }
func (c *counters) get(which counter) uint64    { return c.all[which].Load() }
func (c *counters) refused()                    { c.add(countReceived, 1); c.add(countErrors, 1); c.add(countReplied, 1) }

// placed counts what came of U or L.
func (c *counters) placed(done call.Placed) {
	if done.Created {
		c.add(countCreated, 1)
	}
	if done.Completed {
		c.add(countComplete, 1)
	}
}

// Ended counts sessions that have ended. It is for call.Config.Ended.
func (d *Dispatcher) Ended(e *call.Ended) {
	if e.Language != call.RTPproxy {
		return
	}
	c := &d.counters
	for i := range e.Pairs {
		p := &e.Pairs[i]
		c.add(countDestroyed, 1)
		if e.Why.TimedOut() {
			c.add(countTimeout, 1)
			if p.Notify.Socket != "" {
				d.cfg.Notifier.tell(p.Notify)
			}
		}
		c.add(countDuration, uint64(max(0, time.Since(p.Created).Milliseconds())))
		var rtp, rtcp int // sides that have sent any
		for side := range p.Legs {
			l := &p.Legs[side]
			if received(&l.RTP) > 0 {
				rtp++
			}
			if received(&l.RTCP) > 0 {
				rtcp++
			}
			c.add(countStreamsReceived, received(&l.RTP))
			c.add(countStreamsLost, l.RTP.Lost)
		}
		for _, kind := range []struct {
			sides        int
			none, oneWay counter
		}{{rtp, countNoRTP, countOneWayRTP}, {rtcp, countNoRTCP, countOneWayRTCP}} {
			switch kind.sides {
			case 0:
				c.add(kind.none, 1)
			case 1:
				c.add(kind.oneWay, 1)
			}
		}
	}
}

func received(s *media.Stats) uint64 { return s.In.Packets + s.Kernel.Packets }

// rate measures packets per second since it was last asked for.
func (c *counters) rate(t *media.Totals) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, now := arrived(t), time.Now()
	passed := now.Sub(c.at)
	r := float64(n-c.packets) / max(passed.Seconds(), 1e-3)
	c.packets, c.at = n, now
	return r
}

// arrived returns the packets that have come to the plane, and been relayed or not.
func arrived(t *media.Totals) uint64 { return relayed(t) + t.Drops.Sum() }

func relayed(t *media.Totals) uint64 { return t.Kernel.Packets + t.Userspace.Packets - t.Played }

// statCounters are the names that G knows, in the order of the protocol's documents.
var statCounters = []struct {
	name  string
	value func(*counters, *media.Totals) string
}{
	{"nsess_created", own(countCreated)},
	{"nsess_destroyed", own(countDestroyed)},
	{"nsess_timeout", own(countTimeout)},
	{"nsess_complete", own(countComplete)},
	{"nsess_nortp", own(countNoRTP)},
	{"nsess_owrtp", own(countOneWayRTP)},
	{"nsess_nortcp", own(countNoRTCP)},
	{"nsess_owrtcp", own(countOneWayRTCP)},
	{"nplrs_created", own(countPlayersCreated)},
	{"nplrs_destroyed", own(countPlayersDestroyed)},
	{"npkts_rcvd", plane(arrived)},
	{"npkts_played", plane(func(t *media.Totals) uint64 { return t.Played })},
	{"npkts_relayed", plane(relayed)},
	{"npkts_resizer_in", plane(func(t *media.Totals) uint64 { return t.Resized.In })},
	{"npkts_resizer_out", plane(func(t *media.Totals) uint64 { return t.Resized.Out })},
	{"npkts_resizer_discard", plane(func(t *media.Totals) uint64 { return t.Resized.Discarded })},
	{"npkts_discard", plane(func(t *media.Totals) uint64 { return t.Drops.Sum() })},
	{"total_duration", func(c *counters, _ *media.Totals) string {
		return fmt.Sprintf("%f", float64(c.get(countDuration))/1000)
	}},
	{"ncmds_rcvd", own(countReceived)},
	{"ncmds_rcvd_ndups", own(countDuplicates)},
	{"ncmds_succd", own(countSucceeded)},
	{"ncmds_errs", own(countErrors)},
	{"ncmds_repld", own(countReplied)},
	{"rtpa_nsent", func(c *counters, _ *media.Totals) string {
		return number(c.get(countStreamsReceived) + c.get(countStreamsLost))
	}},
	{"rtpa_nrcvd", own(countStreamsReceived)},
	{"rtpa_ndups", nothing},
	{"rtpa_nlost", own(countStreamsLost)},
	{"rtpa_perrs", plane(func(t *media.Totals) uint64 { return t.Drops.Errors() })},
	{"pps_in", func(c *counters, t *media.Totals) string { return fmt.Sprintf("%f", c.rate(t)) }},
}

func own(which counter) func(*counters, *media.Totals) string {
	return func(c *counters, _ *media.Totals) string { return number(c.get(which)) }
}

func plane(of func(*media.Totals) uint64) func(*counters, *media.Totals) string {
	return func(_ *counters, t *media.Totals) string { return number(of(t)) }
}

// nothing is for what is not counted apart from what else is wrong with packets.
func nothing(*counters, *media.Totals) string { return "0" }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// stats carries out G.
func (d *Dispatcher) stats(c *Command) (string, error) {
	verbose, err := verbosity(c.Modifiers, codeStats)
	if err != nil {
		return "", err
	}
	totals := d.cfg.Plane.Totals()
	var items []string
	for _, name := range c.Words[1:] {
		i := 0
		for i < len(statCounters) && statCounters[i].name != name {
			i++
		}
		if i == len(statCounters) {
			return "", codeStatistic
		}
		items = append(items, labelled(verbose, name, statCounters[i].value(&d.counters, &totals)))
	}
	return strings.Join(items, " ") + "\n", nil
}

// verbosity reads the one modifier that G and Q have.
func verbosity(modifiers string, bad code) (verbose bool, err error) {
	for _, letter := range []byte(modifiers) {
		if upper(letter) != 'V' {
			return false, bad
		}
		verbose = true
	}
	return verbose, nil
}

func labelled(verbose bool, name, value string) string {
	if verbose {
		return name + "=" + value
	}
	return value
}

// info carries out I.
func (d *Dispatcher) info(c *Command) (string, error) {
	load := false
	for _, letter := range []byte(c.Modifiers) {
		switch upper(letter) {
		case 'B':
		case 'L':
			load = true
		default:
			return "", codeInfo
		}
	}
	t, n := d.cfg.Plane.Totals(), &d.counters
	created, destroyed := n.get(countCreated), n.get(countDestroyed)
	active := created - min(created, destroyed)
	text := fmt.Sprintf("sessions created: %d\nactive sessions: %d\nactive streams: %d\npackets received: %d\npackets transmitted: %d\n",
		created, active, 2*active, arrived(&t), relayed(&t)+t.Played)
	if load {
		text += fmt.Sprintf("average load: %f\n", d.load())
	}
	return text, nil
}
