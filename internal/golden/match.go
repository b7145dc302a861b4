package golden

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// kinds are what may stand in braces, by the first word.
var kinds = map[string]string{
	"port":        `\d{1,5}`,
	"port6":       `\d{1,5}`,
	"number":      `\d+`,
	"key":         `[A-Za-z0-9+/]+`,
	"ufrag":       `[A-Za-z0-9]{8}`,
	"pwd":         `[A-Za-z0-9]{26}`,
	"foundation":  `[A-Za-z0-9]{16}`,
	"fingerprint": `[0-9A-F]{2}(?::[0-9A-F]{2})+`,
	"tls-id":      `[0-9a-f]{32}`,
	"loop":        `[0-9a-f]{12}`,
	"id":          `\S+`,
}

var placeholder = regexp.MustCompile(`\{([a-z0-9-]+)( [a-z0-9]+)?(\+1)?\}`)

// Bindings are what placeholders stood for so far in a call. The zero value is ready. It is not safe for concurrent use.
type Bindings struct {
	values map[string]string
}

// fill puts values in the place of the placeholders that have one.
func (b *Bindings) fill(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(word string) string {
		name, plus := strings.CutSuffix(strings.Trim(word, "{}"), "+1")
		value, ok := b.values[name]
		if !ok {
			return word
		}
		if plus {
			value = next(value)
		}
		return value
	})
}

func next(number string) string {
	n, _ := strconv.Atoi(number) // a port, by its expression
	return strconv.Itoa(n + 1)
}

// match compares a text with a pattern line by line and binds what is new.
func (b *Bindings) match(pattern, got string) error {
	want, have := strings.Split(pattern, "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		if i >= len(want) || i >= len(have) {
			return b.difference(i, pattern, got)
		}
		if err := b.line(want[i], have[i]); err != nil {
			return fmt.Errorf("%w\n%w", b.difference(i, pattern, got), err)
		}
	}
	return nil
}

func (b *Bindings) difference(line int, pattern, got string) error {
	return fmt.Errorf("line %d differs; got\n%s\nwant\n%s", line+1, got, b.fill(pattern))
}

// line matches one line: first what it says with all that is bound, then each placeholder that is not.
func (b *Bindings) line(pattern, got string) error {
	pattern = b.fill(pattern)
	var names []string
	expression := "^"
	rest := pattern
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		kind, known := kinds[rest[at[2]:at[3]]]
		if !known || at[6] >= 0 {
			return fmt.Errorf("%s is of an unknown kind, or one more than what is not bound yet", rest[at[0]:at[1]])
		}
		expression += regexp.QuoteMeta(rest[:at[0]]) + "(" + kind + ")"
		names = append(names, strings.Trim(rest[at[0]:at[1]], "{}"))
		rest = rest[at[1]:]
	}
	found := regexp.MustCompile(expression + regexp.QuoteMeta(rest) + "$").FindStringSubmatch(got)
	if found == nil {
		return fmt.Errorf("%q does not match %q", got, pattern)
	}
	for i, name := range names {
		if err := b.bind(name, found[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bindings) bind(name, value string) error {
	if kind, _, _ := strings.Cut(name, " "); kind == "port" || kind == "port6" {
		for other, taken := range b.values {
			if otherKind, _, _ := strings.Cut(other, " "); otherKind == kind && other != name && taken == value {
				return fmt.Errorf("{%s} and {%s} are the same port %s", other, name, value)
			}
		}
		if n, err := strconv.Atoi(value); err != nil || n%2 != 0 {
			return fmt.Errorf("{%s} is the odd port %s", name, value)
		}
	}
	if b.values == nil {
		b.values = make(map[string]string)
	}
	if old, ok := b.values[name]; ok && old != value {
		return fmt.Errorf("{%s} is %q and was %q", name, value, old)
	}
	b.values[name] = value
	return nil
}
