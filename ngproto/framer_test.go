package ngproto

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

var framed = []string{
	"c1 d7:command4:pinge",
	`c2 {"command":"ping","x":"a}\"]","y":[{},[1]]}`,
	"c3 d1:ai-5e1:bl1:x0:e3:sdp5:a e:de",
	"c4 {}",
}

func TestFramerCutsAtTheEndsOfDictionariesWhateverThePieces(t *testing.T) {
	stream := []byte(strings.Join(framed, "\r\n"))
	for size := 1; size <= len(stream); size++ {
		var f Framer
		var got []string
		for rest := stream; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			for {
				m, err := f.Next()
				if err != nil {
					t.Fatalf("pieces of %d: %v", size, err)
				}
				if m == nil {
					break
				}
				got = append(got, string(m))
			}
		}
		if strings.Join(got, "|") != strings.Join(framed, "|") {
			t.Fatalf("pieces of %d: got %q", size, got)
		}
	}
}

func TestFramerGivesUp(t *testing.T) {
	for name, text := range map[string]string{
		"no dictionary":           "c1 hello",
		"a cookie without end":    strings.Repeat("x", maxCookie+1),
		"a string without end":    "c1 d99999999999999999999:",
		"bencode that is none":    "c1 dxx",
		"a string longer than us": "c1 d1048577:",
		"JSON without end":        "c1 {" + strings.Repeat(" ", MaxMessage),
	} {
		var f Framer
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if m, err := f.Next(); !errors.Is(err, ErrFraming) {
			t.Errorf("%s: got %q, %v", name, m, err)
		}
	}
}

func FuzzFramer(f *testing.F) {
	for _, s := range framed {
		f.Add([]byte(s), 3)
	}
	f.Fuzz(func(t *testing.T, stream []byte, size int) {
		if size < 1 {
			size = 1
		}
		cut := func(size int) (messages [][]byte, err error) {
			var f Framer
			for rest := stream; len(rest) > 0; {
				n := min(size, len(rest))
				_, _ = f.Write(rest[:n])
				rest = rest[n:]
				for {
					m, err := f.Next()
					if err != nil {
						return messages, err
					}
					if m == nil {
						break
					}
					messages = append(messages, bytes.Clone(m))
				}
			}
			return messages, nil
		}
		whole, wholeErr := cut(len(stream) + 1)
		pieces, piecesErr := cut(size)
		if !errors.Is(piecesErr, wholeErr) || len(whole) != len(pieces) {
			t.Fatalf("whole: %q, %v; in pieces of %d: %q, %v", whole, wholeErr, size, pieces, piecesErr)
		}
		for i, m := range whole {
			if !bytes.Equal(m, pieces[i]) {
				t.Fatalf("message %d: %q, in pieces %q", i, m, pieces[i])
			}
		}
	})
}
