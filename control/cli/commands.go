package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/media"
)

// Commands runs lines of the command language that operators of rtpengine know, those that read. It is safe for concurrent use.
type Commands struct {
	Calls *call.Manager
	Plane *media.Plane
	JSON  func() string // all statistics, as JSON
}

// listing is one of the things "list" shows.
type listing struct {
	name, about string
	show        func(c *Commands, args []string) string
}

// listings is never written to. It is in the order in which help shows it.
func listings() []listing {
	return []listing{
		{"numsessions", "print the number of sessions", (*Commands).numSessions},
		{"sessions", "print one-liner session information; with a call-id, details of that session", (*Commands).sessions},
		{"totals", "print total statistics", (*Commands).totals},
		{"maxsessions", "print maximum sessions", func(c *Commands, _ []string) string {
			return fmt.Sprintf("Maximum sessions configured on rtpengine: %d\n", c.Calls.Limits().MaxSessions)
		}},
		{"timeout", "print timeout in seconds", func(c *Commands, _ []string) string {
			return "TIMEOUT=" + whole(c.Calls.Limits().Timeout) + "\n"
		}},
		{"silenttimeout", "print silent-timeout in seconds", func(c *Commands, _ []string) string {
			return "SILENT_TIMEOUT=" + whole(c.Calls.Limits().SilentTimeout) + "\n"
		}},
		{"offertimeout", "print offer-timeout in seconds", func(c *Commands, _ []string) string {
			return "OFFER_TIMEOUT=" + whole(c.Calls.Limits().OfferTimeout) + "\n"
		}},
		{"finaltimeout", "print final-timeout in seconds", func(c *Commands, _ []string) string {
			return "FINAL_TIMEOUT=" + whole(c.Calls.Limits().FinalTimeout) + "\n"
		}},
		{"deletedelay", "print delete-delay in seconds", func(c *Commands, _ []string) string {
			return whole(c.Calls.Limits().DeleteDelay) + "\n"
		}},
		{"jsonstats", "print statistics as JSON", func(c *Commands, _ []string) string { return c.JSON() }},
	}
}

func whole(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// Run carries out one line and returns what it prints.
func (c *Commands) Run(line string) string {
	words := strings.Fields(line)
	if len(words) == 0 {
		return "Incomplete command: \n"
	}
	switch words[0] {
	case "list", "get":
		return c.list(words[1:])
	case "help", "usage":
		return "Available sub-commands at this level:\n" + help("list", "<subcommand>", "get information")
	case "call":
		switch {
		case len(words) < 3:
			return "More parameters required.\n"
		case words[2] != "info":
			return unknown(words[2])
		}
		return c.session(words[1], "No such call '"+words[1]+"'\n")
	}
	return unknown(words[0])
}

func unknown(word string) string { return "Unknown command: " + word + "\n" }

func help(name, parameters, about string) string {
	return fmt.Sprintf("\t%-50s: %s\n", strings.TrimSpace(name+" "+parameters), about)
}

func (c *Commands) list(words []string) string {
	if len(words) == 0 {
		return "Incomplete command: \n"
	}
	if words[0] == "help" {
		var b strings.Builder
		b.WriteString("Available sub-commands at this level:\n")
		for _, l := range listings() {
			b.WriteString(help(l.name, "", l.about))
		}
		return b.String()
	}
	for _, l := range listings() {
		if l.name == words[0] {
			return l.show(c, words[1:])
		}
	}
	return unknown(words[0])
}

func (c *Commands) numSessions([]string) string {
	live := c.Calls.Stats().Live
	var ip4, ip6, mixed int
	for _, snap := range c.all() {
		four, six := false, false
		for i := range snap.Parties {
			for _, m := range snap.Parties[i].Media {
				for _, s := range m.Streams {
					four, six = four || s.Local.Addr().Is4(), six || s.Local.Addr().Is6()
				}
			}
		}
		switch {
		case four && six:
			mixed++
		case four:
			ip4++
		case six:
			ip6++
		}
	}
	return fmt.Sprintf("Current sessions own: %d\nCurrent sessions foreign: 0\nCurrent sessions total: %d\nCurrent transcoded media: 0\n"+
		"Current sessions ipv4 only media: %d\nCurrent sessions ipv6 only media: %d\nCurrent sessions ip mixed  media: %d\n",
		live, live, ip4, ip6, mixed)
}

// all returns every call once, also those with several ids.
func (c *Commands) all() []*call.Snapshot {
	var all []*call.Snapshot
	for _, id := range c.Calls.List(defaultLimit) {
		if snap, err := c.Calls.Query(id, "", ""); err == nil && snap.CallID == id { // else it ended meanwhile, or the id is an alias
			all = append(all, snap)
		}
	}
	return all
}

func (c *Commands) sessions(words []string) string {
	if len(words) == 0 {
		return "More parameters required.\n"
	}
	switch words[0] {
	case "foreign", "recording":
		return "No " + words[0] + " sessions on this media relay.\n" // there is no such thing yet
	case "all", "own":
		var b strings.Builder
		for _, snap := range c.all() {
			fmt.Fprintf(&b, "ID: %60s | del:%s | creat:%12d | prx:%s | redis:%2d | frgn:%s | rec:%s\n", snap.CallID,
				mark(snap.State == call.StateDeleted), snap.Created.Unix(), "", 0, mark(false), mark(false))
		}
		switch {
		case b.Len() > 0:
			return b.String()
		case words[0] == "all":
			return "No sessions on this media relay.\n"
		}
		return "No own sessions on this media relay.\n"
	}
	return c.session(words[0], "\nCall ID not found ("+words[0]+").\n\n")
}

func mark(set bool) string {
	if set {
		return "y"
	}
	return "n"
}

// session shows one call, or says what is given for an unknown one.
func (c *Commands) session(id, otherwise string) string {
	snap, err := c.Calls.Query(id, "", "")
	if err != nil {
		return otherwise
	}
	deleted := "no"
	if snap.State == call.StateDeleted {
		deleted = "yes"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\ncallid: %s\n", snap.CallID)
	for _, alias := range snap.Aliases {
		fmt.Fprintf(&b, "alias: %s\n", alias)
	}
	fmt.Fprintf(&b, "deletionmark: %s\ncreated: %d\nproxy: \ntos: %d\nlast_signal: %d\nredis_keyspace: 0\nlast redis update: 0\n"+
		"foreign: no\nrecording: no\n\n", deleted, snap.Created.Unix(), snap.TOS, snap.LastSignal.Unix())
	for i := range snap.Parties {
		writeParty(&b, &snap.Parties[i])
	}
	return b.String() + "\n"
}

func writeParty(b *strings.Builder, p *call.PartySnapshot) {
	side := "UNKNOWN"
	switch {
	case p.Party.OfferedBy != 0:
		side = "TO_TAG"
	case p.Party.Role == call.RoleDialogue:
		side = "FROM_TAG"
	}
	fmt.Fprintf(b, "--- Tag '%s', type: %s, label '%s', branch '%s', callduration %.6f\n", p.Party.Tag, side, p.Party.Label,
		p.Party.ViaBranch, time.Since(p.Party.Created).Seconds())
	if len(p.Party.Aliases) > 0 {
		fmt.Fprintf(b, "---     Aliases: '%s'\n", strings.Join(p.Party.Aliases, "', '"))
	}
	for i := range p.Media {
		m := &p.Media[i]
		protocol, codec := string(m.Media.Protocol), m.Codec
		if protocol == "" {
			protocol = "(unknown)"
		}
		if codec == "" {
			codec = "unknown codec"
		}
		fmt.Fprintf(b, "------ Media #%d (%s over %s) using %s\n", i+1, m.Media.Type, protocol, codec)
		for _, s := range m.Streams {
			kind := ""
			if s.RTCP {
				kind = " (RTCP)"
			}
			to := s.Stats.Destination
			address, port := "", uint16(0)
			if to.IsValid() {
				address, port = to.Addr().String(), to.Port()
			}
			fmt.Fprintf(b, "-------- Port %15s:%-5d <> %15s:%-5d%s, SSRC %x, %d p, %d b, %d e, %d uts %d kts\n",
				s.Local.Addr(), s.Local.Port(), address, port, kind, s.Stats.SSRC,
				s.Stats.In.Packets+s.Stats.Kernel.Packets, s.Stats.In.Bytes+s.Stats.Kernel.Bytes, s.Stats.Errors,
				unix(s.Stats.LastUser), unix(s.Stats.LastKernel))
		}
	}
}

// unix turns a time on the media plane's clock into seconds of the epoch; 0 stays 0.
func unix(at time.Duration) int64 {
	if at == 0 {
		return 0
	}
	return time.Now().Add(at - media.Now()).Unix()
}

func (c *Commands) totals([]string) string {
	cs, ms := c.Calls.Stats(), c.Plane.Totals()
	var b strings.Builder
	line := func(about string, n uint64) { fmt.Fprintf(&b, " %-48s:%d\n", about, n) }
	b.WriteString("\nStatistics over currently running sessions:\n\n")
	line("Owned sessions", cs.Live)
	line("Foreign sessions", 0)
	line("Total sessions", cs.Live)
	line("Userspace-only media streams", uint64(ms.UserFlows))
	line("Kernel-only media streams", uint64(ms.KernelFlows))
	b.WriteString("\nTotal statistics (does not include current running sessions):\n\n")
	line("Total managed sessions", cs.Ended)
	line("Total rejected sessions", cs.Rejected)
	line("Total timed-out sessions via TIMEOUT", cs.EndedBy[call.ReasonTimeout])
	line("Total timed-out sessions via SILENT_TIMEOUT", cs.EndedBy[call.ReasonSilentTimeout])
	line("Total timed-out sessions via FINAL_TIMEOUT", cs.EndedBy[call.ReasonFinalTimeout])
	line("Total timed-out sessions via OFFER_TIMEOUT", cs.EndedBy[call.ReasonOfferTimeout])
	line("Total regular terminated sessions", cs.EndedBy[call.ReasonDeleted])
	line("Total relayed packets (userspace)", ms.Userspace.Packets)
	line("Total relayed bytes (userspace)", ms.Userspace.Bytes)
	line("Total relayed packets (kernel)", ms.Kernel.Packets)
	line("Total relayed bytes (kernel)", ms.Kernel.Bytes)
	line("Total relayed packets", ms.Userspace.Packets+ms.Kernel.Packets)
	line("Total relayed bytes", ms.Userspace.Bytes+ms.Kernel.Bytes)
	return b.String()
}
