package rtpproxy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// session is a pair as Q shows it: from the side that the command names first.
type session struct {
	call.PairState
	ours, theirs *call.LegPair
}

// queryCounters are the names that Q knows.
var queryCounters = []struct {
	name  string
	value func(*session) string
}{
	{"ttl", func(s *session) string { return number(uint64(max(0, (s.Left+time.Second/2)/time.Second))) }},
	{"npkts_ina", func(s *session) string { return number(received(&s.ours.RTP)) }},
	{"npkts_ino", func(s *session) string { return number(received(&s.theirs.RTP)) }},
	{"nrelayed", func(s *session) string { return number(s.ours.RTP.Out.Packets + s.theirs.RTP.Out.Packets) }},
	{"ndropped", func(s *session) string { return number(s.ours.RTP.Drops.Sum() + s.theirs.RTP.Drops.Sum()) }},
	{"longest_ipi", func(s *session) string { return seconds(s.ours.RTP.LongestGap) }},
	{"rtpa_jlast", func(s *session) string { return milliseconds(s.ours.RTP.Jitter) }},
	{"rtpa_jmax", func(s *session) string { return milliseconds(s.ours.RTP.JitterMax) }},
	{"rtpa_javg", func(s *session) string { return milliseconds(s.ours.RTP.JitterMean) }},
	{"rtpa_nsent", func(s *session) string { return number(received(&s.ours.RTP) + s.ours.RTP.Lost) }},
	{"rtpa_nrcvd", func(s *session) string { return number(received(&s.ours.RTP)) }},
	{"rtpa_ndups", func(*session) string { return "0" }}, // not counted apart from late packets
	{"rtpa_nlost", func(s *session) string { return number(s.ours.RTP.Lost) }},
	{"rtpa_perrs", func(s *session) string { return number(s.ours.RTP.Drops[media.DropBadRTP]) }},
}

// simpleQuery is how many of them Q shows that names none.
const simpleQuery = 5

// milliseconds writes a time as Q has jitter.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%f", d.Seconds()*1000) }

func seconds(d time.Duration) string { return fmt.Sprintf("%f", d.Seconds()) }

// query carries out Q.
func (d *Dispatcher) query(c *Command) (string, error) {
	key := c.key()
	subs, err := d.subcommands(c, nil)
	if err != nil {
		return "", err
	}
	st, side, err := d.calls.QueryPair(&key)
	if err != nil {
		return "", err
	}
	verbose, err := verbosity(c.Modifiers, codeQuery)
	if err != nil {
		return "", err
	}
	s := session{st, &st.Legs[side], &st.Legs[1-side]}
	var items []string
	const named = 4 // words before the names
	if len(c.Words) <= named {
		for _, q := range queryCounters[:simpleQuery] {
			items = append(items, labelled(verbose, q.name, q.value(&s)))
		}
	} else {
		for _, name := range c.Words[named:] {
			i := slices.IndexFunc(queryCounters, func(q struct {
				name  string
				value func(*session) string
			}) bool {
				return q.name == name
			})
			if i < 0 {
				return "", codeCounter
			}
			items = append(items, labelled(verbose, name, queryCounters[i].value(&s)))
		}
	}
	return strings.Join(items, " ") + d.follow(c, subs), nil
}

// processTime returns how long processors have worked for this process.
func processTime() time.Duration {
	var use unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &use) != nil {
		return 0
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// load returns how many processors this process has kept busy since the dispatcher was made.
func (d *Dispatcher) load() float64 {
	return (processTime() - d.startTime).Seconds() / max(time.Since(d.startedAt).Seconds(), 1e-3)
}
