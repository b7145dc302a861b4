// Package media is the userspace packet plane: sockets, port pools, source learning, the relay, and the decision when a
// flow is handed to the kernel plane and taken back.
//
// A Leg is one local port and the peer behind it. Apply gives it immutable Settings; packets read them through an atomic
// pointer, so that no lock is taken on the packet path. Each leg belongs to one worker, a goroutine with its own OS
// thread and epoll, which alone reads the leg's socket, runs its learning and closes it.
//
// Flow control between the planes goes one way: workers and Apply tell the offloader that something changed, and the
// offloader compares what the kernel should do with what it does. Anything that makes a flow unfit takes it out of the
// kernel at once; putting it in may come later, or fail, without harm.
package media
