package main

import (
	"strings"
	"testing"
	"time"
)

func TestWhatIsLeftOfManyCalls(t *testing.T) {
	before := footprint{RSS: 100 << 10, Goroutines: 16, Descriptors: 29, MapEntries: 2}
	for _, test := range []struct {
		name   string
		change func(*footprint)
		want   string
	}{
		{"nothing", func(*footprint) {}, ""},
		{"memory that moves by itself", func(f *footprint) { f.RSS += 30 << 10; f.Goroutines += 3 }, ""},
		{"less than before", func(f *footprint) { f.RSS, f.Goroutines, f.Descriptors = 0, 0, 0 }, ""},
		{"memory", func(f *footprint) { f.RSS *= 2 }, "102400 KiB of memory"},
		{"a goroutine for each call", func(f *footprint) { f.Goroutines += 1000 }, "1000 goroutines"},
		{"a descriptor", func(f *footprint) { f.Descriptors++ }, "1 descriptors"},
		{"calls with their ports", func(f *footprint) { f.Calls, f.PortPairs = 3, 6 }, "3 calls, 6 pairs of ports"},
		{"an entry of a map", func(f *footprint) { f.MapEntries++ }, "1 entries of maps"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := churn{Before: before, After: before}
			test.change(&c.After)
			c.judge()
			if got := strings.Join(c.Left, ", "); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDelaysAreSummarised(t *testing.T) {
	var took []time.Duration
	for i := range 1000 {
		took = append(took, time.Duration(1000-i)*time.Microsecond)
	}
	var d delay
	d.summarise(took)
	if d.P50 != 501 || d.P99 != 991 || d.Max != 1000 {
		t.Errorf("got %+v", d)
	}
}

func TestPacedOffersAreTimedAndAnswered(t *testing.T) {
	c := fakeProxy(t, func(request string, _ int) string { return answering(request) })
	took, err := c.paced(newCalls("test", 50), 5000)
	if err != nil || len(took) != 50 {
		t.Fatalf("%d delays, %v", len(took), err)
	}
	for _, d := range took {
		if d <= 0 {
			t.Fatalf("an answer after %v", d)
		}
	}
}

func TestMapOfADescriptor(t *testing.T) {
	if id, ok := mapID("pos:\t0\nflags:\t02000002\nmap_type:\t1\nmap_id:\t42\n"); !ok || id != 42 {
		t.Errorf("got %d, %v", id, ok)
	}
	if id, ok := mapID("pos:\t0\nflags:\t02\nino:\t10\n"); ok {
		t.Errorf("a socket is map %d", id)
	}
}
