package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/counts"
)

// Commands runs lines of the command language that operators of rtpengine know. It is safe for concurrent use.
type Commands struct {
	Calls  *call.Manager
	Counts func() *counts.Snapshot
	JSON   func() string // all statistics, as JSON
	Tuner  Tuner
	// Debug has the log tell everything about a call, or no longer.
	Debug func(id string, on bool)
	// Params are the settings that stay as they are, with rtpengine's names for them.
	Params  func() []Param
	Cluster Cluster
}

// Param is one setting.
type Param struct{ Name, Value string }

// command is one word of the language with what may follow it.
type command struct {
	name, hint, about string
	run               func(c *Commands, words []string) string // with the words after this one
	below             []command
}

// Run carries out one line and returns what it prints.
func (c *Commands) Run(line string) string {
	return c.dispatch(commands(), strings.Fields(line))
}

// Changes tells whether a line may change anything: all may but those that are known to read.
func (c *Commands) Changes(line string) bool {
	words := append(strings.Fields(line), make([]string, 5)...)
	switch words[0] {
	case "", "help", "usage", "list", "get", "kslist":
		return false
	case "params":
		return words[1] == "revert"
	case "media":
		return words[1] != "list"
	case "call":
		return words[2] != "info" && (words[2] != "tag" || words[4] != "info")
	}
	return words[0] != "set" || words[1] != "help"
}

// commands is the whole tree, in the order in which help shows it.
func commands() []command {
	return []command{
		{"list", "[help|<subcommand>]", "get information, see 'list help'", nil, listings()},
		{"get", "[help|<subcommand>]", "the same as list", nil, listings()},
		{"terminate", "[all|own|foreign|<callid>]", "end all calls, or one, at once", (*Commands).terminate, nil},
		{"set", "[help|<subcommand>] <value>", "change a setting until the next start, see 'set help'", nil, settings()},
		{"params", "[start|current|diff|revert]", "settings as they were at the start, and as they are", nil, paramCommands()},
		{"ksadd", "<uint>", "follow a keyspace", (*Commands).addKeyspace, nil},
		{"ksrm", "<uint>", "no longer follow a keyspace, and remove its foreign calls", (*Commands).removeKeyspace, nil},
		{"kslist", "", "keyspaces that are followed", (*Commands).listKeyspaces, nil},
		{"active", "", "make all calls this daemon's own", (*Commands).active, nil},
		{"standby", "", "make all calls foreign", (*Commands).standby, nil},
		{"debug", "<callid> [on|off]", "log everything about a call", (*Commands).debug, nil},
		{"call", "<callid> [info|terminate|debug|tag]", "one call", (*Commands).call, nil},
		{"media", "[list|add|reload|evict]", "media files and players in memory", nil, mediaCommands()},
	}
}

// dispatch finds the command that words begin with.
func (c *Commands) dispatch(level []command, words []string) string {
	if len(words) == 0 {
		return "Incomplete command: \n"
	}
	switch words[0] {
	case "help":
		return help(level)
	case "usage":
		return usage()
	}
	i := slices.IndexFunc(level, func(one command) bool { return one.name == words[0] })
	switch {
	case i < 0:
		return "Unknown command: " + words[0] + "\n"
	case level[i].below != nil:
		return c.dispatch(level[i].below, words[1:])
	}
	return level[i].run(c, words[1:])
}

const moreParameters = "More parameters required.\n"

// help lists the commands of one level.
func help(level []command) string {
	var b strings.Builder
	b.WriteString("Available sub-commands at this level:\n")
	for i := range level {
		b.WriteString("\t" + level[i].line() + "\n")
	}
	return b.String()
}

// usage lists all commands.
func usage() string {
	var b strings.Builder
	b.WriteString("    Supported commands are:\n\n")
	var write func(level []command, indent int)
	write = func(level []command, indent int) {
		for i := range level {
			b.WriteString(strings.Repeat(" ", 4*indent) + level[i].line() + "\n")
			write(level[i].below, indent+1)
			if indent == 1 {
				b.WriteString("\n")
			}
		}
	}
	write(commands(), 1)
	return b.String()
}

func (c *command) line() string {
	return fmt.Sprintf("%-50s: %s", strings.TrimSpace(c.name+" "+c.hint), c.about)
}

func (c *Commands) terminate(words []string) string {
	if len(words) == 0 {
		return moreParameters
	}
	switch words[0] {
	case "all":
		c.Calls.TerminateAll()
		return "All calls terminated by operator.\n"
	case "own":
		c.Calls.TerminateOwned(false)
		return "All own calls terminated by operator.\n"
	case "foreign":
		c.Calls.TerminateOwned(true)
		return "All foreign calls terminated by operator.\n"
	}
	if c.Calls.Terminate(words[0]) != nil {
		return "\nCall Id not found (" + words[0] + ").\n\n"
	}
	return "\nCall Id (" + words[0] + ") successfully terminated by operator.\n\n"
}

func (c *Commands) debug(words []string) string {
	if len(words) == 0 {
		return "No call ID specified\n"
	}
	id := words[0]
	if _, err := c.Calls.Look(id); err != nil {
		return "Call ID '" + id + "' not found\n"
	}
	on := true
	if len(words) > 1 {
		switch words[1] {
		case "on", "enable":
		case "off", "disable":
			on = false
		default:
			return "Invalid on/off flag ('" + words[1] + "') specified\n"
		}
	}
	c.Debug(id, on)
	if on {
		return "Enabled debugging for call '" + id + "'\n"
	}
	return "Disabled debugging for call '" + id + "'\n"
}

// call is about one call: its id stands before the command.
func (c *Commands) call(words []string) string {
	if len(words) == 0 {
		return "No call ID specified\n"
	}
	snap, err := c.Calls.Look(words[0])
	if err != nil {
		return "No such call '" + words[0] + "'\n"
	}
	if len(words) == 1 {
		return moreParameters
	}
	switch words[1] {
	case "info":
		return c.describe(snap)
	case "terminate":
		_ = c.Calls.Terminate(words[0]) // it may have ended meanwhile
		return "\nCall '" + words[0] + "' terminated.\n\n"
	case "debug":
		return c.debug(append(words[:1:1], words[2:]...))
	case "tag":
		return tag(snap, words[2:])
	}
	return "Unknown command: " + words[1] + "\n"
}

// tag is about one party of a call.
func tag(snap *call.Snapshot, words []string) string {
	if len(words) == 0 {
		return "No tag specified\n"
	}
	i := slices.IndexFunc(snap.Parties, func(p call.PartySnapshot) bool {
		return p.Party.Tag == words[0] || slices.Contains(p.Party.Aliases, words[0])
	})
	if i < 0 {
		return "No such tag '" + words[0] + "'\n"
	}
	if len(words) == 1 {
		return moreParameters
	}
	switch words[1] {
	case "info":
		var b strings.Builder
		writeParty(&b, snap, &snap.Parties[i])
		return b.String()
	case "delay":
		return "Audio is not mixed here: there is no buffer to delay\n"
	case "detect-dtmf":
		return "Tones in audio are not detected yet\n"
	}
	return "Unknown command: " + words[1] + "\n"
}
