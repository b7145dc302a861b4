package rtpproxy

import (
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/call"
)

// subcommand does what stands behind an && and returns what there is to say of it.
type subcommand func() (string, error)

// subcommands reads what follows a command. Nothing is done yet. req is that of U or L.
func (d *Dispatcher) subcommands(c *Command, req *call.PairRequest) ([]subcommand, error) {
	var all []subcommand
	for _, words := range c.Subs {
		sub, err := d.subcommand(c, req, words)
		if err != nil {
			return nil, codeSub
		}
		all = append(all, sub)
	}
	return all, nil
}

func (d *Dispatcher) subcommand(c *Command, req *call.PairRequest, words []string) (subcommand, error) {
	letter, modifiers := upper(words[0][0]), words[0][1:]
	switch {
	case letter == 'D' && len(words) == 1 && (modifiers == "" || strings.EqualFold(modifiers, "w")):
		key := c.key()
		return func() (string, error) { return "", d.calls.ReleasePairs(&key, modifiers != "") }, nil
	case letter == 'S' && len(words) == 2 && (modifiers == "" || strings.EqualFold(modifiers, "r")):
		// L is said by the side that the first tag does not name.
		change, err := parseChange(words[1])
		change.Other = (modifiers != "") != (c.Op == Lookup)
		key := c.key()
		return func() (string, error) { return "", d.calls.AdjustPair(&key, change) }, err
	case letter == 'L' && len(words) == 3 && c.Op == Update && c.To.Text != "":
		m, err := parseModifiers(modifiers, d.bridged)
		if err != nil {
			return nil, err
		}
		other := &call.PairRequest{PairKey: req.PairKey, Language: req.Language}
		if err := d.apply(other, &m); err != nil {
			return nil, err
		}
		if other.Remote, err = d.remote(words[1], words[2], m.ip6); err != nil {
			return nil, err
		}
		return func() (string, error) {
			done, err := d.calls.AnswerPair(other)
			if err != nil {
				return "", err
			}
			d.counters.placed(done)
			return port(done.Told), nil
		}, nil
	}
	return d.mirror(c, words)
}

// mirror reads C, which has the session hear another one.
func (d *Dispatcher) mirror(c *Command, words []string) (subcommand, error) {
	const wanted = 4
	if c.Op != Update || c.To.Text == "" || len(words) != wanted || !strings.EqualFold(words[0], "c") {
		return nil, codeSub
	}
	from, to := ParseTag(words[2]), ParseTag(words[3])
	key := c.key()
	source := call.PairKey{CallID: words[1], FromTag: from.Text, Number: from.Number, ToTag: to.Text, ToNumber: to.Number}
	return func() (string, error) { return "", d.calls.MirrorPair(&key, &source) }, nil
}

// parseChange reads what S sets.
func parseChange(text string) (change call.PairChange, err error) {
	name, value, _ := strings.Cut(text, "=")
	n, err := strconv.ParseUint(value, 10, 31)
	switch {
	case err != nil || n == 0:
		return change, codeSub
	case name == "ttl":
		change.TTL = time.Duration(n) * time.Second
	case name == "tos" && n <= 255:
		change.TOS = uint8(n)
	default:
		return change, codeSub
	}
	return change, nil
}

// follow carries out subcommands in their order and returns what to add to the reply. The first that fails ends it.
func (d *Dispatcher) follow(c *Command, subs []subcommand) string {
	var text strings.Builder
	silent := 0 // those before that had nothing to say, of which is told only when another has
	for _, sub := range subs {
		said, err := sub()
		if err != nil {
			d.log.Warn("subcommand failed", "call", c.CallID, "err", err)
			said = "-1"
		}
		if said == "" {
			silent++
			continue
		}
		text.WriteString(strings.Repeat(" && 0", silent) + " && " + said)
		if silent = 0; err != nil {
			break
		}
	}
	return text.String()
}
