package codec

import "strings"

// Format is what a payload type means: an encoding with its parameters.
type Format struct {
	Name      string // encoding name, in any case
	ClockRate int    // Hz
	Channels  int
	Params    string // value of a=fmtp without the payload type
}

// Match tells how well one format fits another.
type Match uint8

// The degrees of a match. Each includes those before it.
const (
	Different  Match = iota
	Compatible       // packets are framed alike, but the parameters differ
	Within           // whatever the second format may send, the first takes
	Same
)

// Compare tells how the other format fits this one. Of an encoding Weir does not know the parameters are not looked at: what they
// mean is up to the parties.
func (f Format) Compare(other Format) Match {
	if !strings.EqualFold(f.Name, other.Name) || f.ClockRate != other.ClockRate || f.Channels != other.Channels {
		return Different
	}
	return f.compareParams(other.Params)
}

func (f Format) compareParams(params string) Match {
	if e := Find(f.Name); e != nil {
		return e.compare(f.Params, params)
	}
	return Same
}

// AnsweredBy tells whether the other format can be the answer to this one. Opus has two channels by definition (RFC 7587, section
// 7) and many parties still write one; G.729 and its annex A understand each other (RFC 3551, section 4.5.6).
func (f Format) AnsweredBy(other Format) bool {
	switch {
	case strings.EqualFold(f.Name, "opus"):
		other.Channels = f.Channels
	case isG729(f.Name) && isG729(other.Name):
		other.Name = f.Name
	}
	return f.Compare(other) >= Compatible
}

func isG729(name string) bool {
	return strings.EqualFold(name, "G729") || strings.EqualFold(name, "G729a")
}

// Printed returns the parameters the way Weir writes them: those of Opus in an order of its own, all others as they came.
func (f Format) Printed() string {
	if strings.EqualFold(f.Name, "opus") {
		return printOpus(f.Params)
	}
	return f.Params
}

// Reply returns the parameters Weir itself answers with when it was offered the format and is going to convert audio of that many
// channels to it.
func (f Format) Reply(channels int) string {
	if strings.EqualFold(f.Name, "opus") {
		return replyOpus(f.Params, channels)
	}
	return f.Params
}

// comparer tells how the second parameters fit the first, for one encoding.
type comparer func(a, b string) Match

func ignoring(string, string) Match { return Same }

// literal is for encodings whose parameters Weir does not understand.
func literal(a, b string) Match {
	if a == b {
		return Same
	}
	return Different
}

// compareILBC looks at the frame size alone; parties that differ use the longer one (RFC 3952, section 5).
func compareILBC(a, b string) Match {
	mode := func(params string) string {
		if v, ok := parseParams(params).get("mode"); ok {
			return v
		}
		return "30"
	}
	if mode(a) == mode(b) {
		return Same
	}
	return Compatible
}
