package ngproto

// Reply is the answer to one request: a dictionary whose first key is "result". It is not safe for concurrent use.
type Reply struct {
	Dict Dict
}

// The values of "result".
const (
	ResultOK        = "ok"
	ResultPong      = "pong"
	ResultError     = "error"
	ResultLoadLimit = "load limit"
)

// OK returns a reply with result "ok".
func OK() *Reply { return newReply(ResultOK) }

// Pong returns the reply to ping.
func Pong() *Reply { return newReply(ResultPong) }

// Failure returns an error reply, which carries nothing but the result and the reason.
func Failure(reason string) *Reply { return newReply(ResultError).Set("error-reason", String(reason)) }

// Warning returns a reply with result "ok" and a warning.
func Warning(text string) *Reply { return OK().Set("warning", String(text)) }

// LoadLimit returns the reply to an offer that a limit refuses, for clients that support it (Flags.LoadLimit).
func LoadLimit(message string) *Reply {
	return newReply(ResultLoadLimit).Set("message", String(message))
}

func newReply(result string) *Reply {
	return &Reply{Dict: Dict{{"result", String(result)}}}
}

// Result returns the value of "result".
func (r *Reply) Result() string { return r.Dict.Text("result") }

// Set stores a value under key and returns the reply.
func (r *Reply) Set(key string, v Value) *Reply {
	r.Dict.Set(key, v)
	return r
}

// Encode returns the datagram "<cookie> <dictionary>"; without a cookie, the dictionary alone. Keys come out sorted. A
// float is a number in JSON and a decimal string in bencode, which has no word for it.
func (r *Reply) Encode(cookie string, enc Encoding) []byte {
	out := make([]byte, 0, len(cookie)+r.Dict.size())
	if cookie != "" {
		out = append(append(out, cookie...), ' ')
	}
	return appendSorted(out, r.Dict, enc)
}

// size is about how long d is when encoded, a little more rather than less, so that encoding needs one piece of memory.
func (d Dict) size() int {
	n := 2
	for _, e := range d {
		n += len(e.Key) + 8 + e.Value.size()
	}
	return n
}

func (v Value) size() int {
	switch v.kind {
	case KindDict:
		return v.dict.size()
	case KindList:
		n := 2
		for _, item := range v.list {
			n += item.size() + 1
		}
		return n
	}
	return len(v.str) + len(v.str)/32 + 12 // line ends are longer in JSON
}
