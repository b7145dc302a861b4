package sdp

import (
	"errors"
	"testing"
)

// FuzzParse demands of any text that it is refused with a *ParseError or survives printing and parsing.
func FuzzParse(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(crlf(g.input), false)
		f.Add(g.printed, true)
	}
	f.Fuzz(func(t *testing.T, text string, rejectBlank bool) {
		o := Options{RejectBlank: rejectBlank, MusicOnHold: "on-hold"}
		d, err := o.Parse(text)
		if err != nil {
			var parseError *ParseError
			if !errors.As(err, &parseError) || !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrIncomplete) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		checkRoundTrip(t, o, d)
		for _, m := range d.Media() {
			for _, c := range m.Crypto {
				if keys, err := c.Keys(); err == nil && len(keys) == 0 {
					t.Error("no keys and no error")
				}
			}
		}
	})
}
