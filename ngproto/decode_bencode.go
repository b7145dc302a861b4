package ngproto

import "strconv"

// decoder holds what both decoders need: a position in the text and the element budget. Strings are slices of the text.
type decoder struct {
	text     string
	pos      int
	elements int
}

// element books one value against the budget.
func (d *decoder) element() bool {
	d.elements++
	return d.elements <= MaxElements
}

// decodeBencode decodes one dictionary that fills the text. Keys may come in any order and more than once: ng clients
// do not sort them.
func decodeBencode(text string) (Dict, error) {
	d := bencodeDecoder{decoder{text: text}}
	v, ok := d.value(0)
	if !ok || v.kind != KindDict || d.pos != len(text) {
		return nil, &Error{ReasonBadBencode}
	}
	return v.dict, nil
}

type bencodeDecoder struct{ decoder }

func (d *bencodeDecoder) value(depth int) (Value, bool) {
	if d.pos >= len(d.text) || depth > MaxDepth || !d.element() {
		return Value{}, false
	}
	switch c := d.text[d.pos]; {
	case c >= '0' && c <= '9':
		s, ok := d.str()
		return String(s), ok
	case c == 'i':
		return d.integer()
	case c == 'l':
		return d.list(depth)
	case c == 'd':
		return d.dict(depth)
	}
	return Value{}, false
}

func (d *bencodeDecoder) list(depth int) (Value, bool) {
	d.pos++
	var room [usualItems]Value
	items := room[:0]
	for {
		if d.end() {
			return List(exact(items)...), true
		}
		v, ok := d.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		items = append(items, v)
	}
}

func (d *bencodeDecoder) dict(depth int) (Value, bool) {
	d.pos++
	var room [usualKeys]Entry
	entries := room[:0]
	for {
		if d.end() {
			return Map(exact(entries)), true
		}
		key, ok := d.str()
		if !ok {
			return Value{}, false
		}
		v, ok := d.value(depth + 1)
		if !ok {
			return Value{}, false
		}
		entries = append(entries, Entry{key, v})
	}
}

// Room on the stack for the keys of a common offer and for the items of its lists, so that they do not grow step by step and
// take no more memory than they need.
const (
	usualKeys  = 16
	usualItems = 4
)

// exact returns a copy of s that does not keep the room it was made in; nil when there is nothing in it.
func exact[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	c := make([]T, len(s))
	copy(c, s)
	return c
}

// end consumes the "e" that closes a list or dictionary.
func (d *bencodeDecoder) end() bool {
	if d.pos < len(d.text) && d.text[d.pos] == 'e' {
		d.pos++
		return true
	}
	return false
}

// str decodes "<length>:<bytes>". The length has no leading zero.
func (d *bencodeDecoder) str() (string, bool) {
	start, n := d.pos, 0
	for d.pos < len(d.text) && d.text[d.pos] >= '0' && d.text[d.pos] <= '9' {
		n = n*10 + int(d.text[d.pos]-'0')
		if n > MaxString {
			return "", false
		}
		d.pos++
	}
	digits := d.pos - start
	if digits == 0 || digits > 1 && d.text[start] == '0' || d.pos >= len(d.text) || d.text[d.pos] != ':' {
		return "", false
	}
	d.pos++
	if n > len(d.text)-d.pos {
		return "", false
	}
	s := d.text[d.pos : d.pos+n]
	d.pos += n
	return s, true
}

// integer decodes "i<number>e". There are no leading zeros and no minus zero.
func (d *bencodeDecoder) integer() (Value, bool) {
	d.pos++
	start := d.pos
	for d.pos < len(d.text) && d.text[d.pos] != 'e' {
		if d.pos-start > len("-9223372036854775808") {
			return Value{}, false
		}
		d.pos++
	}
	if d.pos >= len(d.text) {
		return Value{}, false
	}
	digits := d.text[start:d.pos]
	d.pos++
	n, ok := plainInteger(digits)
	return Int(n), ok
}

// plainInteger reads a decimal number written the only way: no plus, no leading zero, no minus zero.
func plainInteger(s string) (int64, bool) {
	unsigned := s
	if s != "" && s[0] == '-' {
		unsigned = s[1:]
	}
	if unsigned == "" || unsigned[0] < '0' || unsigned[0] > '9' || unsigned[0] == '0' && len(s) > 1 {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
