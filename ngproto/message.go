package ngproto

import (
	"bytes"
	"errors"
)

// Encoding is one of the two encodings of a dictionary.
type Encoding uint8

// The encodings.
const (
	Bencode Encoding = iota
	JSON
)

// String returns the name of the encoding.
func (e Encoding) String() string {
	if e == JSON {
		return "json"
	}
	return "bencode"
}

// What a message may hold at most. Anything beyond fails to decode, before memory is spent on it.
const (
	MaxDepth    = 32       // dictionaries and lists within each other
	MaxElements = 16384    // values in one message, of all levels together
	MaxString   = 16 << 20 // bytes in one string; large enough for a media file in a blob
)

// ErrNoCookie is returned for a message without a cookie. Such a message is dropped without a reply.
var ErrNoCookie = errors.New("message has no cookie")

// Message is one decoded datagram.
type Message struct {
	Cookie   string
	Encoding Encoding // of the message, and of the reply
	Dict     Dict
}

// Error is a failure that the client is told of: Reason is the text of the reply.
type Error struct {
	Reason string
}

func (e *Error) Error() string { return e.Reason }

// Parse splits a datagram at its first space and decodes the dictionary. The datagram is copied; the caller may reuse
// it. The error is ErrNoCookie or an *Error; with the latter, Cookie and Encoding are what the reply has to use.
func Parse(datagram []byte) (Message, error) {
	space := bytes.IndexByte(datagram, ' ')
	if space <= 0 {
		return Message{}, ErrNoCookie
	}
	text := string(datagram)
	m, err := parsePayload(text[space+1:])
	m.Cookie = text[:space]
	return m, err
}

// ParsePlain decodes a dictionary that comes without a cookie, as over HTTP and WebSocket. Cookie is empty; the payload
// is copied. The error is an *Error.
func ParsePlain(payload []byte) (Message, error) { return parsePayload(string(payload)) }

func parsePayload(payload string) (m Message, err error) {
	switch {
	case payload == "":
		return m, &Error{ReasonNoPayload}
	case payload[0] == 'd':
		m.Dict, err = decodeBencode(payload)
	case payload[0] == '{':
		m.Encoding = JSON
		m.Dict, err = decodeJSON(payload)
	default:
		err = &Error{ReasonBadFormat}
	}
	return m, err
}
