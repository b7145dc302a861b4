package daemon

import "os"

// heapFloor is how much memory the garbage collector thinks is in use from the start. It runs when the heap has doubled: a
// daemon with few calls has so little that a burst of new ones would have it run tens of times a second, at a quarter of the
// CPU. With this it runs when 64 MB more have been allocated, or as many as the calls take if that is more. The memory is never
// touched, so the system never provides it; what it costs is up to 64 MB of garbage beside the calls.
const heapFloor = 64 << 20

// raiseHeapFloor returns what has to be kept for as long as the floor is to hold. An operator who sets GOGC knows better.
func raiseHeapFloor() []byte {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, heapFloor)
}
