package ngproto

import "errors"

// MaxMessage is the longest message a stream transport takes.
const MaxMessage = 1 << 20

// maxCookie is how far a message on a stream may go without a blank behind its cookie.
const maxCookie = 1024

// ErrFraming is returned for bytes that cannot be the beginning of a message, or of one that is too long. What follows
// on the same stream is lost.
var ErrFraming = errors.New("no ng message begins here")

// Framer cuts a stream of messages "<cookie> <dictionary>" at the ends of the dictionaries, whatever pieces it comes in.
// Each byte is looked at once. It is not safe for concurrent use; the zero value is ready.
type Framer struct {
	buf   []byte
	pos   int // up to here buf has been looked at
	state framerState
	depth int
	size  int // of a bencode string, while its digits are read
}

type framerState uint8

const (
	inCookie framerState = iota
	atDict
	inBencode
	inBencodeInt
	inBencodeSize
	inJSON
	inJSONString
	inJSONEscape
)

// Write appends bytes of the stream. They are copied.
func (f *Framer) Write(p []byte) (int, error) {
	f.buf = append(f.buf, p...)
	return len(p), nil
}

// Next returns the next whole message, nil when there is none yet. The message is valid until the next call. The error
// is ErrFraming.
func (f *Framer) Next() ([]byte, error) {
	for f.pos < len(f.buf) {
		end, err := f.step(f.buf[f.pos])
		if err != nil || f.pos > MaxMessage {
			return nil, ErrFraming
		}
		if end {
			message := f.buf[:f.pos:f.pos]
			f.buf = f.buf[f.pos:]
			f.pos, f.state, f.depth = 0, inCookie, 0
			return message, nil
		}
	}
	if len(f.buf) == 0 {
		f.buf = nil // so that a long message does not hold its memory while the stream is idle
	}
	return nil, nil
}

// Within tells whether a message has begun and is not whole yet.
func (f *Framer) Within() bool { return len(f.buf) > 0 }

// step looks at the byte at pos and moves on. It reports the end of a message.
func (f *Framer) step(c byte) (end bool, err error) {
	f.pos++
	switch f.state {
	case inCookie:
		switch {
		case f.pos == 1 && (c == '\n' || c == '\r' || c == ' '):
			f.buf, f.pos = f.buf[1:], 0 // between messages
		case c == ' ':
			f.state = atDict
		case f.pos > maxCookie:
			return false, ErrFraming
		}
	case atDict:
		switch c {
		case ' ':
		case 'd':
			f.state, f.depth = inBencode, 1
		case '{':
			f.state, f.depth = inJSON, 1
		default:
			return false, ErrFraming
		}
	case inBencode:
		return f.bencode(c)
	case inBencodeInt:
		if c == 'e' {
			f.state = inBencode
		}
	case inBencodeSize:
		switch {
		case c >= '0' && c <= '9':
			if f.size = f.size*10 + int(c-'0'); f.size > MaxMessage {
				return false, ErrFraming
			}
		case c == ':':
			f.pos += f.size
			f.state = inBencode
		default:
			return false, ErrFraming
		}
	case inJSON:
		switch c {
		case '"':
			f.state = inJSONString
		case '{', '[':
			f.depth++
		case '}', ']':
			f.depth--
			return f.depth == 0, nil
		}
	case inJSONString:
		switch c {
		case '"':
			f.state = inJSON
		case '\\':
			f.state = inJSONEscape
		}
	case inJSONEscape:
		f.state = inJSONString
	}
	return false, nil
}

func (f *Framer) bencode(c byte) (end bool, err error) {
	switch {
	case c == 'd' || c == 'l':
		f.depth++
	case c == 'i':
		f.state = inBencodeInt
	case c == 'e':
		f.depth--
		return f.depth == 0, nil
	case c >= '0' && c <= '9':
		f.state, f.size = inBencodeSize, int(c-'0')
	default:
		return false, ErrFraming
	}
	return false, nil
}
