package ngproto

import (
	"slices"
	"strconv"
	"strings"
)

// Encode returns d in the given encoding with its keys in their order, the form for requests, whose order matters.
func Encode(d Dict, enc Encoding) []byte { return appendDict(nil, d, enc) }

// EncodeRequest returns the datagram "<cookie> <dictionary>" that asks for d.
func EncodeRequest(cookie string, d Dict, enc Encoding) []byte {
	return appendDict(append([]byte(cookie), ' '), d, enc)
}

func appendDict(out []byte, d Dict, enc Encoding) []byte {
	if enc == JSON {
		return appendJSONDict(out, d)
	}
	return appendBencodeDict(out, d)
}

func appendBencodeDict(out []byte, d Dict) []byte {
	out = append(out, 'd')
	for _, e := range d {
		out = appendBencode(appendBencodeString(out, e.Key), e.Value)
	}
	return append(out, 'e')
}

func appendBencode(out []byte, v Value) []byte {
	switch v.kind {
	case KindInt:
		return append(strconv.AppendInt(append(out, 'i'), v.num, 10), 'e')
	case KindList:
		out = append(out, 'l')
		for _, item := range v.list {
			out = appendBencode(out, item)
		}
		return append(out, 'e')
	case KindDict:
		return appendBencodeDict(out, v.dict)
	default:
		return appendBencodeString(out, v.Text())
	}
}

func appendBencodeString(out []byte, s string) []byte {
	return append(append(strconv.AppendInt(out, int64(len(s)), 10), ':'), s...)
}

func appendJSONDict(out []byte, d Dict) []byte {
	out = append(out, '{')
	for i, e := range d {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendJSON(append(appendJSONString(out, e.Key), ':'), e.Value)
	}
	return append(out, '}')
}

func appendJSON(out []byte, v Value) []byte {
	switch v.kind {
	case KindInt:
		return strconv.AppendInt(out, v.num, 10)
	case KindFloat:
		return strconv.AppendFloat(out, v.float(), 'g', -1, 64)
	case KindList:
		out = append(out, '[')
		for i, item := range v.list {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendJSON(out, item)
		}
		return append(out, ']')
	case KindDict:
		return appendJSONDict(out, v.dict)
	default:
		return appendJSONString(out, v.str)
	}
}

// appendJSONString quotes s. Bytes that are not UTF-8 stay as they are: a session description must come back unchanged.
func appendJSONString(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	out = append(out, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c == '\n':
			out = append(out, '\\', 'n')
		case c == '\r':
			out = append(out, '\\', 'r')
		case c == '\t':
			out = append(out, '\\', 't')
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendSorted encodes d with sorted keys and each key once, the last value set, in all its levels: the form of replies.
func appendSorted(out []byte, d Dict, enc Encoding) []byte {
	var few [16]Entry // most dictionaries are no longer, and need no memory then
	entries := append(few[:0], d...)
	slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	open, end := byte('d'), byte('e')
	if enc == JSON {
		open, end = '{', '}'
	}
	out = append(out, open)
	first := true
	for i, e := range entries {
		if i+1 < len(entries) && entries[i+1].Key == e.Key {
			continue
		}
		if enc == JSON {
			if !first {
				out = append(out, ',')
			}
			out = append(appendJSONString(out, e.Key), ':')
		} else {
			out = appendBencodeString(out, e.Key)
		}
		first = false
		out = appendSortedValue(out, e.Value, enc)
	}
	return append(out, end)
}

func appendSortedValue(out []byte, v Value, enc Encoding) []byte {
	switch v.kind {
	case KindDict:
		return appendSorted(out, v.dict, enc)
	case KindList:
		if enc == Bencode {
			out = append(out, 'l')
			for _, item := range v.list {
				out = appendSortedValue(out, item, enc)
			}
			return append(out, 'e')
		}
		out = append(out, '[')
		for i, item := range v.list {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendSortedValue(out, item, enc)
		}
		return append(out, ']')
	}
	if enc == JSON {
		return appendJSON(out, v)
	}
	return appendBencode(out, v)
}
