package media

import "sync/atomic"

// made counts the packets of a plane that are not relayed as they came.
type made struct {
	played                          atomic.Uint64
	resizedIn, resizedOut, unsuited atomic.Uint64
}

// Resized are packets that were put together anew, for another packet time.
type Resized struct{ In, Out, Discarded uint64 }

func (m *made) resized() Resized {
	return Resized{In: m.resizedIn.Load(), Out: m.resizedOut.Load(), Discarded: m.unsuited.Load()}
}
