package rtp

import (
	"errors"
	"testing"
)

func TestEventRoundTrip(t *testing.T) {
	want := Event{Code: 11, End: true, Volume: 10, Duration: 800}
	var got Event
	if err := got.Parse(want.Append(nil)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if got.Digit() != '#' {
		t.Errorf("digit %q, want #", got.Digit())
	}
	if d := (&Event{Code: 16}).Digit(); d != 0 {
		t.Errorf("flash is digit %q", d)
	}
	if err := got.Parse([]byte{1, 2, 3}); !errors.Is(err, ErrShort) {
		t.Errorf("three bytes: %v, want %v", err, ErrShort)
	}
}
