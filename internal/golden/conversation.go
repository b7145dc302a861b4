package golden

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/weir-media/weir/ngproto"
)

// Conversation is what a file holds.
type Conversation struct {
	Title string // the lines in front of the steps
	Steps []Step
}

// Step is one request and what it is answered with.
type Step struct {
	Command string
	Keys    ngproto.Dict // beside command, call-id and sdp
	In, Out string       // descriptions with LF line endings; empty for none
	Error   string       // reason of an error, in the place of Out
}

const (
	stepMark  = "== "
	replyMark = "--"
	errorMark = "error: "
)

// Parse reads a conversation.
func Parse(text string) (*Conversation, error) {
	parts := strings.Split("\n"+text, "\n"+stepMark)
	c := &Conversation{Title: strings.TrimSpace(parts[0])}
	for _, part := range parts[1:] {
		s, err := parseStep(part)
		if err != nil {
			return nil, fmt.Errorf("step %d: %w", len(c.Steps)+1, err)
		}
		c.Steps = append(c.Steps, s)
	}
	if c.Title == "" || len(c.Steps) == 0 {
		return nil, fmt.Errorf("no title or no line that begins with %q", stepMark)
	}
	return c, nil
}

func parseStep(text string) (Step, error) {
	head, body, _ := strings.Cut(text, "\n")
	in, out, ok := strings.Cut("\n"+body, "\n"+replyMark+"\n")
	if !ok {
		return Step{}, fmt.Errorf("no line %q", replyMark)
	}
	s := Step{In: description(in), Out: description(out)}
	command, keys, _ := strings.Cut(head, "{")
	if s.Command = strings.TrimSpace(command); s.Command == "" {
		return Step{}, fmt.Errorf("no command in %q", head)
	}
	if keys != "" {
		if !json.Valid([]byte("{" + keys)) {
			return Step{}, fmt.Errorf("the keys are no JSON object: {%s", keys)
		}
		m, err := ngproto.ParsePlain([]byte("{" + keys))
		if err != nil {
			return Step{}, fmt.Errorf("the keys: %w", err)
		}
		s.Keys = m.Dict
	}
	if reason, ok := strings.CutPrefix(s.Out, errorMark); ok {
		s.Error, s.Out = strings.TrimSpace(reason), ""
	}
	return s, nil
}

// description ends a text with one line feed, unless it is empty.
func description(text string) string {
	if text = strings.Trim(text, "\n"); text == "" {
		return ""
	}
	return text + "\n"
}

// Request is the dictionary that a step sends, with what earlier replies have bound.
func (s Step) Request(callID string, seen *Bindings) ngproto.Dict {
	d := ngproto.Dict{
		{Key: "command", Value: ngproto.String(s.Command)}, {Key: "call-id", Value: ngproto.String(callID)},
	}
	if s.In != "" {
		d.Set("sdp", ngproto.String(crlf(seen.fill(s.In))))
	}
	return append(d, s.Keys...)
}

// Check compares a reply with what the step wants. The error shows both.
func (s Step) Check(reply ngproto.Dict, seen *Bindings) error {
	if s.Error != "" {
		if reply.Text("result") != ngproto.ResultError || reply.Text("error-reason") != s.Error {
			return fmt.Errorf("got %v, want the error %q", reply, s.Error)
		}
		return nil
	}
	if reply.Text("result") != ngproto.ResultOK {
		return fmt.Errorf("got %v", reply)
	}
	if err := seen.match(s.Out, strings.ReplaceAll(reply.Text("sdp"), "\r\n", "\n")); err != nil {
		return err
	}
	if got := reply.Text("sdp"); strings.Count(got, "\n") != strings.Count(got, "\r\n") {
		return fmt.Errorf("a line does not end with CRLF: %q", got)
	}
	return nil
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
