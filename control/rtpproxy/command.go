package rtpproxy

import (
	"strconv"
	"strings"
)

// Limits of a command. What is longer is refused.
const (
	maxCommand = 8 << 10
	maxReply   = 1 << 10
	maxWords   = 23
	maxSubs    = 14
)

// Op is what a command does.
type Op byte

// The commands.
const (
	Version  Op = 'V'
	Feature  Op = 'F' // VF
	Update   Op = 'U'
	Lookup   Op = 'L'
	Delete   Op = 'D'
	Play     Op = 'P'
	Stop     Op = 'S'
	Record   Op = 'R'
	Copy     Op = 'C'
	NoRecord Op = 'N'
	Query    Op = 'Q'
	Info     Op = 'I'
	Stats    Op = 'G'
	Reset    Op = 'X'
)

// form is how a command is written.
type form struct {
	op        Op
	least     int // words, the command included
	most      int
	modifiers bool
	tags      int // where the first tag stands; 0: there is none, and no call-id
	subs      bool
}

// forms are those of all commands by their letter.
var forms = map[byte]form{
	'V': {Version, 1, 1, false, 0, false},
	'U': {Update, 5, 8, true, 4, true},
	'L': {Lookup, 5, 6, true, 4, true},
	'D': {Delete, 3, 4, true, 2, false},
	'P': {Play, 5, 6, true, 4, false},
	'S': {Stop, 3, 4, false, 2, false},
	'R': {Record, 3, 4, true, 2, false},
	'C': {Copy, 4, 5, true, 3, false},
	'N': {NoRecord, 3, 4, true, 2, false},
	'Q': {Query, 3, 4 + len(queryCounters), true, 2, true},
	'I': {Info, 1, 1, true, 0, false},
	'G': {Stats, 1, 1 + len(statCounters), true, 0, false},
	'X': {Reset, 1, 1, false, 0, false},
}

// Command is one command with its words. The text it was parsed from is part of it.
type Command struct {
	Op        Op
	Modifiers string // as sent
	CallID    string
	From, To  Tag
	Words     []string   // all of them, the letter first
	Subs      [][]string // the words of what follows each &&
}

// Tag is a tag with the number of a medium, if it ends in one.
type Tag struct {
	Text   string
	Number int // 0: none
}

// ParseTag cuts the number off a tag.
func ParseTag(text string) Tag {
	if at := strings.LastIndexByte(text, ';'); at >= 0 {
		if n, err := strconv.ParseUint(text[at+1:], 10, 16); err == nil && n > 0 {
			return Tag{text[:at], int(n)}
		}
	}
	return Tag{Text: text}
}

// Parse reads a command. The error is a code of the protocol.
func Parse(text string) (*Command, error) {
	if len(text) > maxCommand {
		return nil, codeSyntax
	}
	c := &Command{}
	words := &c.Words
	for word := range strings.FieldsFuncSeq(text, blank) {
		if word == "&&" {
			if len(c.Subs) == maxSubs {
				return nil, codeSyntax
			}
			c.Subs = append(c.Subs, nil)
			words = &c.Subs[len(c.Subs)-1]
			continue
		}
		if len(*words) == maxWords || strings.IndexByte(word, 0) >= 0 && !(words == &c.Words && len(c.Words) == 0 && hasGarbage(word)) {
			return nil, codeSyntax
		}
		*words = append(*words, word)
	}
	if len(c.Words) == 0 {
		return nil, codeSyntax
	}
	for _, sub := range c.Subs {
		if len(sub) == 0 {
			return nil, codeSyntax
		}
	}
	return c, c.identify()
}

// hasGarbage tells whether zeros in a command may be what Kamailio's module has left there, which only happens behind a packet time.
func hasGarbage(word string) bool {
	f := forms[upper(word[0])]
	z := strings.IndexAny(word, "zZ")
	return (f.op == Update || f.op == Lookup) && z >= 0 && z < strings.IndexByte(word, 0)
}

func blank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\r' || r == '\n' || r == '\v' || r == '\f'
}

// identify finds out which command it is and whether it is whole.
func (c *Command) identify() error {
	head := c.Words[0]
	f, ok := forms[upper(head[0])]
	if !ok {
		return codeUnknown
	}
	c.Op, c.Modifiers = f.op, head[1:]
	if f.op == Version && c.Modifiers != "" && upper(c.Modifiers[0]) == 'F' {
		c.Op, c.Modifiers = Feature, c.Modifiers[1:]
		f.least, f.most = 2, 2
	}
	switch n := len(c.Words); {
	case n < f.least || n > f.most:
		return codeWords
	case !f.modifiers && c.Modifiers != "":
		return codeModifiers
	case !f.subs && len(c.Subs) > 0:
		return codeSub
	}
	if f.tags == 0 {
		return nil
	}
	c.CallID, c.From = c.Words[1], ParseTag(c.Words[f.tags])
	// Seven words of U are without a to-tag, but with a socket to notify.
	if len(c.Words) > f.tags+1 && !(c.Op == Update && len(c.Words) == 7) {
		c.To = ParseTag(c.Words[f.tags+1])
	}
	return nil
}

// notify returns the socket to notify and what to tell it, as sent.
func (c *Command) notify() (socket, tag string, ok bool) {
	if c.Op != Update || len(c.Words) < 7 {
		return "", "", false
	}
	n := len(c.Words)
	return c.Words[n-2], c.Words[n-1], true
}

// upper returns the capital form of a letter, and anything else as it is.
func upper(b byte) byte {
	if b >= 'a' && b <= 'z' {
		return b - 'a' + 'A'
	}
	return b
}
