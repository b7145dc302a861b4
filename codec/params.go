package codec

import "strings"

// params is the value of an a=fmtp line, the usual list of key=value pairs separated by semicolons.
type params []param

type param struct {
	key, value string
	bare       bool // without "="
}

// parseParams reads any text: what is not a pair becomes a key without a value.
func parseParams(text string) params {
	var all params
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			key, value, pair := strings.Cut(part, "=")
			all = append(all, param{strings.TrimSpace(key), strings.TrimSpace(value), !pair})
		}
	}
	return all
}

// get returns the value of the last pair with that key, whatever its case.
func (p params) get(key string) (value string, ok bool) {
	for _, e := range p {
		if strings.EqualFold(e.key, key) {
			value, ok = e.value, true
		}
	}
	return value, ok
}

// or returns the value of a key, or another one if there is none.
func (p params) or(key, otherwise string) string {
	if v, ok := p.get(key); ok {
		return v
	}
	return otherwise
}

func (p params) String() string {
	var b strings.Builder
	for i, e := range p {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(e.key)
		if !e.bare {
			b.WriteString("=" + e.value)
		}
	}
	return b.String()
}
