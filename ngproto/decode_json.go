package ngproto

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// decodeJSON decodes one JSON object that fills the text (RFC 8259), keeping the order of its keys. Bytes of strings
// that are not UTF-8 pass as they are, since a session description may hold any. true and false become "yes" and "no",
// the words that ng keys use; null is left out, as if its key or item had not been sent.
func decodeJSON(text string) (Dict, error) {
	d := jsonDecoder{decoder: decoder{text: text}}
	v, ok := d.value(0)
	d.blank()
	if !ok || d.pos != len(text) {
		return nil, &Error{ReasonBadJSON}
	}
	if v.kind != KindDict {
		return nil, &Error{ReasonNotJSONObject}
	}
	return v.dict, nil
}

type jsonDecoder struct {
	decoder
	null bool // the value just decoded was null
}

func (d *jsonDecoder) value(depth int) (Value, bool) {
	d.blank()
	d.null = false
	if d.pos >= len(d.text) || depth > MaxDepth || !d.element() {
		return Value{}, false
	}
	switch c := d.text[d.pos]; {
	case c == '"':
		s, ok := d.str()
		return String(s), ok
	case c == '{':
		return d.dict(depth)
	case c == '[':
		return d.list(depth)
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case d.word("true"):
		return String("yes"), true
	case d.word("false"):
		return String("no"), true
	case d.word("null"):
		d.null = true
		return Value{}, true
	}
	return Value{}, false
}

func (d *jsonDecoder) dict(depth int) (Value, bool) {
	d.pos++
	var entries Dict
	if depth == 0 {
		entries = make(Dict, 0, usualKeys)
	}
	if d.blank(); d.byte('}') {
		return Map(entries), true
	}
	for {
		d.blank()
		key, ok := d.str()
		if !ok {
			return Value{}, false
		}
		if d.blank(); !d.byte(':') {
			return Value{}, false
		}
		v, ok := d.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		if !d.null {
			entries = append(entries, Entry{key, v})
		}
		d.null = false
		if d.blank(); d.byte('}') {
			return Map(entries), true
		}
		if !d.byte(',') {
			return Value{}, false
		}
	}
}

func (d *jsonDecoder) list(depth int) (Value, bool) {
	d.pos++
	var items []Value
	if d.blank(); d.byte(']') {
		return List(), true
	}
	for {
		v, ok := d.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		if !d.null {
			items = append(items, v)
		}
		d.null = false
		if d.blank(); d.byte(']') {
			return List(items...), true
		}
		if !d.byte(',') {
			return Value{}, false
		}
	}
}

// number decodes a number: an integer if it is written as one and fits, else a float.
func (d *jsonDecoder) number() (Value, bool) {
	start := d.pos
	d.byte('-')
	whole := d.digits()
	if whole == 0 || whole > 1 && d.text[d.pos-whole] == '0' {
		return Value{}, false
	}
	integer := true
	if d.byte('.') {
		integer = false
		if d.digits() == 0 {
			return Value{}, false
		}
	}
	if d.byte('e') || d.byte('E') {
		integer = false
		if !d.byte('+') {
			d.byte('-')
		}
		if d.digits() == 0 {
			return Value{}, false
		}
	}
	literal := d.text[start:d.pos]
	if integer {
		if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
			return Int(n), true
		}
	}
	f, err := strconv.ParseFloat(literal, 64)
	return Float(f), err == nil
}

func (d *jsonDecoder) digits() int {
	start := d.pos
	for d.pos < len(d.text) && d.text[d.pos] >= '0' && d.text[d.pos] <= '9' {
		d.pos++
	}
	return d.pos - start
}

// str decodes a string. Without escapes it is a slice of the text.
func (d *jsonDecoder) str() (string, bool) {
	if !d.byte('"') {
		return "", false
	}
	start := d.pos
	for d.pos < len(d.text) {
		switch c := d.text[d.pos]; {
		case c == '"':
			s := d.text[start:d.pos]
			d.pos++
			return s, len(s) <= MaxString
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", false
		}
		d.pos++
	}
	return "", false
}

// escaped decodes the rest of a string that began at start and whose first escape is at the present position.
func (d *jsonDecoder) escaped(start int) (string, bool) {
	var b strings.Builder
	for {
		next := strings.IndexAny(d.text[d.pos:], "\"\\\x00\x01\x02\x03\x04\x05\x06\x07\b\t\n\x0b\f\r\x0e\x0f"+
			"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
		if next < 0 {
			return "", false
		}
		b.WriteString(d.text[start : d.pos+next])
		d.pos += next
		if b.Len() > MaxString {
			return "", false
		}
		switch {
		case d.byte('"'):
			return b.String(), true
		case d.byte('\\'):
			if !d.escape(&b) {
				return "", false
			}
		default:
			return "", false
		}
		start = d.pos
	}
}

// escape decodes what follows a backslash.
func (d *jsonDecoder) escape(b *strings.Builder) bool {
	if d.pos >= len(d.text) {
		return false
	}
	c := d.text[d.pos]
	d.pos++
	switch c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		r, ok := d.hex4()
		if !ok {
			return false
		}
		if utf16.IsSurrogate(r) {
			r = d.lowSurrogate(r)
		}
		b.WriteRune(r)
	default:
		return false
	}
	return true
}

// lowSurrogate completes a surrogate pair. A lone half becomes U+FFFD, and what follows it is left for the next step.
func (d *jsonDecoder) lowSurrogate(high rune) rune {
	rest := d.pos
	if d.byte('\\') && d.byte('u') {
		if low, ok := d.hex4(); ok {
			if r := utf16.DecodeRune(high, low); r != utf8.RuneError {
				return r
			}
		}
	}
	d.pos = rest
	return utf8.RuneError
}

func (d *jsonDecoder) hex4() (rune, bool) {
	if len(d.text)-d.pos < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(d.text[d.pos:d.pos+4], 16, 16)
	if err != nil {
		return 0, false
	}
	d.pos += 4
	return rune(n), true
}

func (d *jsonDecoder) word(w string) bool {
	if strings.HasPrefix(d.text[d.pos:], w) {
		d.pos += len(w)
		return true
	}
	return false
}

func (d *jsonDecoder) byte(c byte) bool {
	if d.pos < len(d.text) && d.text[d.pos] == c {
		d.pos++
		return true
	}
	return false
}

func (d *jsonDecoder) blank() {
	for d.pos < len(d.text) {
		switch d.text[d.pos] {
		case ' ', '\t', '\r', '\n':
			d.pos++
		default:
			return
		}
	}
}
