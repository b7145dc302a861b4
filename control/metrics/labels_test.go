package metrics

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// TestLabelsAreClosedLists walks the registry with a snapshot of odd values.
func TestLabelsAreClosedLists(t *testing.T) {
	known := make(map[string][]label)
	for _, f := range families() {
		known[f.name] = f.labels
	}
	s := &counts.Snapshot{Media: media.Totals{NotKernel: map[string]int{"made up": 1}}, Commands: []string{"offer"}, Clients: []counts.Client{{Address: "x"}},
		Interfaces: []counts.Interface{{Name: "x"}}}
	all, err := NewRegistry(func() *counts.Snapshot { return s }).Gather()
	if err != nil {
		t.Fatal(err)
	}
	// Of the libraries' families these have labels, each with few values.
	libraries := map[string]bool{"go_gc_duration_seconds": true, "go_info": true}
	for _, f := range all {
		labels := known[f.GetName()]
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				i := slices.IndexFunc(labels, func(have label) bool { return have.name == l.GetName() })
				switch {
				case libraries[f.GetName()]:
				case i < 0:
					t.Errorf("%s has the label %s, which its row does not list", f.GetName(), l.GetName())
				case labels[i].bounds == "" && !slices.Contains(labels[i].values, l.GetValue()):
					t.Errorf("%s has %s=%q, which is not on its list", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

func TestScrapeOfManyClientsIsFast(t *testing.T) {
	s := &counts.Snapshot{}
	requests := make(map[string]counts.Requests)
	for i := range 33 {
		command := string(rune('A' + i))
		s.Commands = append(s.Commands, command)
		if i < 4 {
			requests[command] = counts.Requests{Count: 1}
		}
	}
	for i := range 1000 {
		s.Clients = append(s.Clients, counts.Client{Address: strconv.Itoa(i), Requests: requests})
	}
	r := NewRegistry(func() *counts.Snapshot { return s })
	best := time.Hour // of several, since other work may hold up any of them
	for range 5 {
		began := time.Now()
		if _, err := r.Gather(); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(began))
	}
	if best > time.Second { // the race detector included
		t.Errorf("a scrape with 1,000 clients takes %v", best)
	}
}
