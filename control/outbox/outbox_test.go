package outbox

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func TestBoxDropsWhatDoesNotFit(t *testing.T) {
	b := New[int](2)
	if !b.Put(1) || !b.Put(2) || b.Put(3) {
		t.Error("the room is not that of two")
	}
	for range 2 {
		<-b.Waiting()
	}
	b.Done(true)
	b.Done(false)
	if sent, dropped := b.Counts(); sent != 1 || dropped != 2 {
		t.Errorf("%d sent and %d dropped, want 1 and 2", sent, dropped)
	}
	if n := testing.AllocsPerRun(100, func() { b.Put(1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTroubleIsSaidOnce(t *testing.T) {
	var out bytes.Buffer
	trouble := Trouble{Log: slog.New(slog.NewTextHandler(&out, nil)), To: "there", What: "nothing can be sent"}
	for _, err := range []error{nil, errors.New("away"), errors.New("away"), nil, nil, errors.New("away")} {
		trouble.Note(err)
	}
	if text := out.String(); strings.Count(text, "nothing can be sent") != 2 || strings.Count(text, "is back") != 1 {
		t.Errorf("said:\n%s", text)
	}
}
