package sdp

import (
	"errors"
	"strconv"
)

// ErrSyntax and ErrIncomplete are the two ways a description can be unusable: the text is no SDP, or it is, but
// lacks something without which the media cannot flow.
var (
	ErrSyntax     = errors.New("failed to parse SDP")
	ErrIncomplete = errors.New("incomplete SDP specification")
)

// ParseError says where and why a text was refused. It matches ErrSyntax or ErrIncomplete with errors.Is.
type ParseError struct {
	Line   int    // counted from 1, 0 when no single line is to blame
	Text   string // the offending line, shortened
	Reason string // why, and where it can be said, what to do
	Kind   error  // ErrSyntax or ErrIncomplete
}

// Error returns kind, line, reason and text in one line.
func (e *ParseError) Error() string {
	s := e.Kind.Error()
	if e.Line > 0 {
		s += ": line " + strconv.Itoa(e.Line)
	}
	s += ": " + e.Reason
	if e.Text != "" {
		s += ": " + strconv.Quote(e.Text)
	}
	return s
}

// Unwrap returns the kind.
func (e *ParseError) Unwrap() error { return e.Kind }
