package media

import (
	"sync"
	"testing"
)

// Legs come and go, and the table grows, while others look them up.
func TestLegTable(t *testing.T) {
	var table legTable
	const owners, rounds = 4, 500
	var all sync.WaitGroup
	for range owners {
		all.Go(func() {
			var keys []int32
			var legs []*Leg
			for i := range rounds {
				l := new(Leg)
				keys, legs = append(keys, table.put(l)), append(legs, l)
				if i%3 == 0 {
					table.take(keys[0])
					keys, legs = keys[1:], legs[1:]
				}
				for k, key := range keys {
					if table.get(key) != legs[k] {
						t.Errorf("key %d is another leg's", key)
						return
					}
				}
			}
			for _, key := range keys {
				table.take(key)
			}
		})
	}
	all.Wait()
	for key := range int32(table.used) {
		if table.get(key) != nil {
			t.Errorf("key %d still has a leg", key)
		}
	}
	if n := len(table.free); n != table.used {
		t.Errorf("%d keys of %d are free", n, table.used)
	}
}
