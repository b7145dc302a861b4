package ngproto

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/anacrolix/torrent/bencode"
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

// encodeSorted encodes d with sorted keys and each key once, the form of replies.
func encodeSorted(d Dict, enc Encoding) ([]byte, error) {
	if enc == Bencode {
		return bencode.Marshal(native(Map(d), enc))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(native(Map(d), enc)); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// native turns a value into what the encoding packages understand.
func native(v Value, enc Encoding) any {
	switch v.kind {
	case KindInt:
		return v.num
	case KindFloat:
		if enc == JSON {
			return v.float()
		}
		return v.Text()
	case KindList:
		items := make([]any, len(v.list))
		for i, item := range v.list {
			items[i] = native(item, enc)
		}
		return items
	case KindDict:
		entries := make(map[string]any, len(v.dict))
		for _, e := range v.dict {
			entries[e.Key] = native(e.Value, enc)
		}
		return entries
	default:
		if enc == JSON && !utf8.ValidString(v.str) {
			return rawString(v.str)
		}
		return v.str
	}
}

// rawString is a string with bytes that are not UTF-8, which encoding/json would replace.
type rawString string

// MarshalJSON quotes the string as it is.
func (s rawString) MarshalJSON() ([]byte, error) { return appendJSONString(nil, string(s)), nil }
