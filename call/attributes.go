package call

import (
	"slices"
	"strings"

	"github.com/weir-media/weir/sdp"
)

// AttributeChange is a change to the attribute lines of the outgoing description, all given without "a=".
type AttributeChange struct {
	Scope      string      // a media type, or ScopeSession
	Add        []string    // appended, unless there
	Remove     []string    // a name, a name and the first word of the value, or a whole line
	Substitute [][2]string // what matches the first, as in Remove, becomes the second
}

// ScopeSession is the scope of the session part.
const ScopeSession = "global"

func scopeOf(m *sdp.Media) string {
	if m == nil {
		return ScopeSession
	}
	return m.Type
}

// editor returns what removes and replaces attribute lines as they are printed; nil when nothing is to be done.
func editor(changes []AttributeChange) sdp.Edit {
	if !slices.ContainsFunc(changes, func(c AttributeChange) bool { return len(c.Remove)+len(c.Substitute) > 0 }) {
		return nil
	}
	return func(m *sdp.Media, line string) (string, bool) {
		for i := range changes {
			c := &changes[i]
			if c.Scope != scopeOf(m) {
				continue
			}
			if slices.ContainsFunc(c.Remove, func(pattern string) bool { return matches(line, pattern) }) {
				return "", false
			}
			for _, pair := range c.Substitute {
				if matches(line, pair[0]) && oneLine(pair[1]) {
					return pair[1], true
				}
			}
		}
		return line, true
	}
}

// matches tells whether a pattern means an attribute line: its name, its name with the first word of its value, or all of it.
func matches(line, pattern string) bool {
	rest, ok := strings.CutPrefix(line, pattern)
	return ok && pattern != "" && (rest == "" || rest[0] == ':' || rest[0] == ' ')
}

// appendAttributes adds lines to the sections they are for.
func appendAttributes(out *sdp.Description, changes []AttributeChange) {
	add := func(s *sdp.Section, scope string) {
		for _, c := range changes {
			for _, line := range c.Add {
				a := sdp.Attribute(line)
				if c.Scope == scope && oneLine(line) && !slices.Contains(s.Other, a) && !slices.Contains(s.Appended, a) {
					s.Appended = append(s.Appended, a)
				}
			}
		}
	}
	for _, s := range out.Sessions {
		add(&s.Section, ScopeSession)
		for _, m := range s.Media {
			if !m.Rejected() {
				add(&m.Section, m.Type)
			}
		}
	}
}

// oneLine keeps a request from smuggling further lines into a description.
func oneLine(s string) bool { return s != "" && !strings.ContainsAny(s, "\r\n") }

// hides tells whether sections of a media type are to be kept from the receiver of an offer; "other" stands for all but
// audio, video and the like that have a name of their own.
func hides(types []string, mediaType string) bool {
	named := slices.Contains([]string{"audio", "video", "image", "message", "text", "application"}, mediaType)
	return slices.Contains(types, mediaType) || !named && slices.Contains(types, "other")
}
