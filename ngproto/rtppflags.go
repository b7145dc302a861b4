package ngproto

import "strings"

// A flag string, as under "rtpp-flags" and in templates, is a sequence of items separated by blanks:
//
//	item  = word | key "=" value
//	value = word | "[" [blank] [ element *( blank element ) [blank] ] "]"
//	element = value | key "=" value
//
// A bracket whose elements are all "key=value" is a dictionary, else a list. There is no blank around "=". A bracket that breaks
// these rules is left out as a whole.

// flagItem is one item of a flag string.
type flagItem struct {
	text  string // the whole item
	key   string // "" for a bare word
	value Value
}

// flagString walks through the items of a flag string.
type flagString struct {
	text     string
	pos      int
	elements int
	broken   []string // items left out
}

// next returns the next item that makes sense.
func (s *flagString) next() (flagItem, bool) {
	for {
		s.skipBlanks()
		if s.pos >= len(s.text) {
			return flagItem{}, false
		}
		start := s.pos
		item, ok := s.item()
		if ok {
			item.text = s.text[start:s.pos]
			return item, true
		}
		s.broken = append(s.broken, s.text[start:s.pos])
	}
}

// item reads one item; on failure it stands behind what has to be skipped.
func (s *flagString) item() (flagItem, bool) {
	start := s.pos
	for s.pos < len(s.text) && !isBlank(s.text[s.pos]) {
		if s.text[s.pos] == '[' && (s.pos == start || s.text[s.pos-1] == '=') {
			return s.bracketItem(start)
		}
		s.pos++
	}
	word := s.text[start:s.pos]
	key, value, isPair := strings.Cut(word, "=")
	if !isPair {
		return flagItem{value: String(word)}, true
	}
	return flagItem{key: key, value: String(value)}, key != "" && value != ""
}

// bracketItem reads the value of an item that began at start, from its opening bracket on.
func (s *flagString) bracketItem(start int) (flagItem, bool) {
	open := s.pos
	v, ok := s.bracket(1)
	if ok && (s.pos == len(s.text) || isBlank(s.text[s.pos])) && open > start+1 {
		key := s.text[start : open-1]
		return flagItem{key: key, value: v}, !strings.Contains(key, "=")
	}
	s.pos = open
	s.skipBracket()
	return flagItem{}, false
}

// bracket reads a list or dictionary from its opening bracket on.
func (s *flagString) bracket(depth int) (Value, bool) {
	s.pos++
	s.skipBlanks()
	var list []Value
	var dict Dict
	for {
		if s.at(']') && list == nil {
			s.pos++
			return List(), true
		}
		key, v, ok := s.element(depth)
		if !ok {
			return Value{}, false
		}
		if s.elements++; s.elements > MaxElements {
			return Value{}, false
		}
		if key != "" {
			dict = append(dict, Entry{key, v})
			v = String(key + "=" + v.Text())
		}
		list = append(list, v)
		blanks := s.pos
		s.skipBlanks()
		if s.at(']') {
			s.pos++
			if len(dict) == len(list) {
				return Map(dict), true
			}
			return List(list...), true
		}
		if blanks == s.pos {
			return Value{}, false
		}
	}
}

// element reads one element of a bracket and its key, if it has one.
func (s *flagString) element(depth int) (key string, v Value, ok bool) {
	if s.at('[') {
		if depth >= MaxDepth {
			return "", Value{}, false
		}
		v, ok = s.bracket(depth + 1)
		return "", v, ok
	}
	start := s.pos
	for s.pos < len(s.text) && !isBlank(s.text[s.pos]) && s.text[s.pos] != ']' {
		if key == "" && s.text[s.pos] == '=' {
			key = s.text[start:s.pos]
			start = s.pos + 1
			if key == "" {
				return "", Value{}, false
			}
			s.pos++
			if s.at('[') {
				if depth >= MaxDepth {
					return "", Value{}, false
				}
				v, ok = s.bracket(depth + 1)
				return key, v, ok
			}
			continue
		}
		s.pos++
	}
	word := s.text[start:s.pos]
	return key, String(word), word != ""
}

// skipBracket goes behind the bracket that closes the one at the present position, or to the end.
func (s *flagString) skipBracket() {
	depth := 0
	for ; s.pos < len(s.text); s.pos++ {
		switch s.text[s.pos] {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				s.pos++
				return
			}
		}
	}
}

func (s *flagString) skipBlanks() {
	for s.pos < len(s.text) && isBlank(s.text[s.pos]) {
		s.pos++
	}
}

func (s *flagString) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
