package ngproto

import "strings"

// Keys that expand to further keys and flags.
const (
	expandsFlags    = 1 + iota // the value is a flag string
	expandsTemplate            // the value names one
)

var expandingKeys = table([]row[int]{
	{"rtpp-flags", expandsFlags},
	{"template", expandsTemplate},
})

// expandKey applies a key that expands, and reports whether it is one.
func (r *reader) expandKey(key string, v Value) (bool, error) {
	switch expandingKeys[key] {
	case expandsFlags:
		r.RTPPFlags = true
		return true, r.expand(v.Text())
	case expandsTemplate:
		name := scalar(v).Text()
		text, ok := r.templates[name]
		if !ok {
			r.warn("template: there is no template %q in the configuration", clip(name))
			return true, nil
		}
		return true, r.expand(text)
	}
	return false, nil
}

// expand applies the items of a flag string.
func (r *reader) expand(text string) error {
	if r.expanded++; r.expanded > maxExpanded {
		r.warn("too many templates and flag strings, the rest is left out")
		return nil
	}
	outer := r.inString
	r.inString = true
	defer func() { r.inString = outer }()

	s := flagString{text: text}
	for item, ok := s.next(); ok; item, ok = s.next() {
		switch word := item.value.Text(); {
		case item.key != "":
			if err := r.pair(item); err != nil {
				return err
			}
		case word == "internal" || word == "external":
			r.direction(word)
		case transports[word] != "":
			r.Transport = transports[word]
		case !r.transportWord(word):
			r.flag(word)
		}
	}
	for _, text := range s.broken {
		r.warn("malformed flags: %q", clip(text))
	}
	return nil
}

// pair applies "key=value" of a flag string. What is no key may be a flag with a value, or a flag that holds a "=".
func (r *reader) pair(item flagItem) error {
	if _, ok := keyTable[item.key]; ok || expandingKeys[item.key] != 0 {
		return r.key(item.key, item.value)
	}
	for _, p := range prefixTable {
		if strings.TrimSuffix(p.prefix, "-") == item.key {
			for _, word := range item.value.Strings() {
				p.apply(r, word)
			}
			return nil
		}
	}
	r.flag(item.text)
	return nil
}

// transportWord changes one property of the transport protocol, plain RTP/AVP if there is none yet, and reports whether
// the word is one for that. Protocols are written as in m= lines (RFC 5764 section 8).
func (r *reader) transportWord(word string) bool {
	secure := strings.Contains(r.Transport, "SAVP")
	feedback := strings.HasSuffix(r.Transport, "F")
	dtls := strings.Contains(r.Transport, "TLS")
	switch word {
	case "RTP":
		secure, dtls = false, false
	case "SRTP":
		secure = true
	case "AVP":
		feedback = false
	case "AVPF":
		feedback = true
	case "DTLS":
		secure, dtls = true, true
	default:
		return false
	}
	r.Transport = "RTP/"
	if dtls {
		r.Transport = "UDP/TLS/RTP/"
	}
	if secure {
		r.Transport += "S"
	}
	r.Transport += "AVP"
	if feedback {
		r.Transport += "F"
	}
	return true
}
