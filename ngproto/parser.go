package ngproto

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Parser turns dictionaries into requests. The zero value is ready; a Parser is safe for concurrent use as long as its
// fields are not changed.
type Parser struct {
	// Templates holds the configured signalling templates as rtpp-flags strings. "default" applies to every command that
	// takes flags, one named like a command applies to that command, and any other to requests that name it.
	Templates map[string]string
}

// ParseRequest reads d without templates; see [Parser.Parse].
func ParseRequest(d Dict) (*Request, error) { return new(Parser).Parse(d) }

// Parse reads d. Templates come first, then the keys in the order received, so that later settings win. Keys and flags
// that nobody knows never fail a request. The error is an *Error.
func (p *Parser) Parse(d Dict) (*Request, error) {
	name, ok := d.Get("command")
	if !ok || name.Kind() != KindString {
		return nil, &Error{ReasonNoCommand}
	}
	cmd, ok := lookupCommand(name.Text())
	if !ok {
		return nil, &Error{ReasonUnknownCommand}
	}
	r := reader{
		Request:   &Request{Command: cmd, DeleteDelay: -1},
		templates: p.Templates,
	}
	if keys, ok := literalKeys[cmd]; ok {
		r.literal(d, keys)
		return r.Request, nil
	}
	for _, template := range []string{"default", string(cmd)} {
		if text, ok := p.Templates[template]; ok {
			if err := r.expand(text); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range d {
		if err := r.key(e.Key, e.Value); err != nil {
			return nil, err
		}
	}
	r.boundAttrs()
	return r.Request, nil
}

// Bounds of what one request may cost beside its own size.
const (
	maxNotes    = 16 // entries in Unknown and in Warnings, each
	maxExpanded = 8  // templates and flag strings that one request may expand
	maxNoteSize = 80 // bytes of a client's text repeated in one note

	// Changes of sdp-attr of one kind in one scope, and their bytes. They apply to each section of a description.
	maxChanges     = 128
	maxChangeBytes = 16 << 10
)

// reader fills a Request from one key, flag or flag string after the other.
type reader struct {
	*Request
	templates map[string]string
	expanded  int
	inString  bool // the present key stands in a flag string
}

// literalKeys names the commands that take no flags, with the only keys they read, spelt exactly so.
var literalKeys = map[Command][]string{
	Ping:       {},
	Query:      {"call-id", "from-tag", "to-tag", "via-branch"},
	ListCalls:  {"limit"},
	Statistics: {},
	CLI:        {"body"},
}

func (r *reader) literal(d Dict, keys []string) {
	for _, e := range d {
		switch {
		case e.Key == "command":
		case !slices.Contains(keys, e.Key):
			r.unknown(e.Key)
		default:
			_ = keyTable[e.Key](r, e.Value) // these keys cannot fail
		}
	}
}

// key applies one dictionary key.
func (r *reader) key(key string, v Value) error {
	if apply, ok := keyTable[key]; ok {
		return apply(r, v)
	}
	expands, err := r.expandKey(key, v)
	if !expands {
		r.unknown(key)
	}
	return err
}

// flag applies one word of the flags list.
func (r *reader) flag(word string) {
	if set, ok := flagTable[word]; ok {
		set(r)
		return
	}
	for _, p := range prefixTable {
		if item, ok := strings.CutPrefix(word, p.prefix); ok && item != "" {
			p.apply(r, item)
			return
		}
	}
	r.unknown(word)
}

func (r *reader) unknown(word string) {
	if len(r.Unknown) < maxNotes {
		r.Unknown = append(r.Unknown, clip(word))
	}
}

func (r *reader) warn(format string, args ...any) {
	if len(r.Warnings) < maxNotes {
		r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
	}
}

// bad notes a value that a key cannot have.
func (r *reader) bad(key string, v Value) {
	switch v.Kind() {
	case KindList:
		r.warn("%s: unexpected list", key)
	case KindDict:
		r.warn("%s: unexpected dictionary", key)
	default:
		r.warn("%s: unknown value %q", key, clip(v.Text()))
	}
}

func clip(s string) string {
	if len(s) > maxNoteSize {
		return s[:maxNoteSize] + "..."
	}
	return s
}

// is reports whether the command of the request is one of those given.
func (r *reader) is(commands ...Command) bool { return slices.Contains(commands, r.Command) }

// scalar returns v, or the only item of a list with one item, so that "[x]" is as good as "x".
func scalar(v Value) Value {
	if v.kind == KindList && len(v.list) == 1 {
		return v.list[0]
	}
	return v
}

func textKey(field func(*Request) *string) applyKey {
	return func(r *reader, v Value) error {
		*field(r.Request) = scalar(v).Text()
		return nil
	}
}

func numberKey(key string, field func(*Request) *Number) applyKey {
	return func(r *reader, v Value) error {
		if n, ok := scalar(v).Int(); ok && int64(int32(n)) == n {
			*field(r.Request) = Number{N: int(n), Set: true}
		} else {
			r.bad(key, v)
		}
		return nil
	}
}

func listKey(field func(*Request) *[]string) applyKey {
	return func(r *reader, v Value) error {
		p := field(r.Request)
		*p = append(*p, v.Strings()...)
		return nil
	}
}

func addressKey(key string, field func(*Request) *netip.Addr) applyKey {
	return func(r *reader, v Value) error {
		if addr, err := netip.ParseAddr(scalar(v).Text()); err == nil {
			*field(r.Request) = addr
		} else {
			r.bad(key, v)
		}
		return nil
	}
}

// enumKey sets a field to what the table says the word stands for.
func enumKey[T any](key string, words map[string]T, field func(*Request) *T) applyKey {
	return func(r *reader, v Value) error {
		if to, ok := words[scalar(v).Text()]; ok {
			*field(r.Request) = to
		} else {
			r.bad(key, v)
		}
		return nil
	}
}

// itemsKey applies every word of a list to a set of options.
func itemsKey(key string, item func(*reader, string) bool) applyKey {
	return func(r *reader, v Value) error {
		if v.Kind() == KindDict {
			r.bad(key, v)
		}
		for _, word := range v.Strings() {
			if !item(r, word) {
				r.warn("%s: unknown option %q", key, clip(word))
			}
		}
		return nil
	}
}
