// Package fastpath relays RTP inside the kernel: it loads the eBPF programs, attaches them to the network devices that
// own the media addresses, and installs, counts and removes flows.
//
// A flow that is not installed, and a packet that a program doubts, go to the socket as if this package did not exist.
package fastpath
