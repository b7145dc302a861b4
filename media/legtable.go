package media

import (
	"sync"
	"sync/atomic"
)

// legTable are the legs of a worker by the keys that their sockets are polled with. Its methods are safe for concurrent use,
// and get takes no lock. The zero value is empty.
type legTable struct {
	mu    sync.Mutex // of put and take
	slots atomic.Pointer[[]atomic.Pointer[Leg]]
	used  int // slots that have ever held a leg
	free  []int32
}

// get returns the leg of a key, nil when it has been taken out.
func (t *legTable) get(key int32) *Leg {
	slots := *t.slots.Load()
	return slots[key].Load()
}

// put returns the key of a leg that is new to the table.
func (t *legTable) put(l *Leg) (key int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.free); n > 0 {
		key = t.free[n-1]
		t.free = t.free[:n-1]
	} else {
		key = int32(t.used)
		t.used++
		t.grow()
	}
	(*t.slots.Load())[key].Store(l)
	return key
}

// take takes the leg of a key out of the table. The key may then become another's.
func (t *legTable) take(key int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	(*t.slots.Load())[key].Store(nil)
	t.free = append(t.free, key)
}

// grow makes room for all keys in use. What get has found in the old slots stays true, as nobody changes them any more.
func (t *legTable) grow() {
	const first = 64
	var old []atomic.Pointer[Leg]
	if p := t.slots.Load(); p != nil {
		old = *p
	}
	if t.used <= len(old) {
		return
	}
	slots := make([]atomic.Pointer[Leg], max(first, 2*len(old)))
	for i := range old {
		slots[i].Store(old[i].Load())
	}
	t.slots.Store(&slots)
}
