package main

import (
	"path/filepath"
	"slices"
)

// ngAddr is where the proxies listen for commands, inside the proxy host.
const ngAddr = "127.0.0.1:2223"

// The kinds of subject, by who moves the packets.
const (
	kernel    = "kernel"
	userspace = "userspace"
)

// The names of the subjects that others are compared with.
const (
	floorName = "floor"
	peerName  = "rtpengine"
)

// subject is one way of relaying packets.
type subject struct {
	name  string // as --only takes it
	title string
	plane string

	// command gives the command line of the proxy; dir is for its files. It is nil where no proxy runs.
	command func(dir string) []string
	signals bool // also measured in offers and answers per second
}

// programs are the paths of the proxies.
type programs struct{ weir, rtpengine string }

// subjects lists all of them in the order of the report.
func (p programs) subjects() []subject {
	return []subject{
		{name: floorName, title: "bare XDP redirect (the floor)", plane: kernel},
		{name: "weir-xdp", title: "weir, XDP", plane: kernel, command: p.weirOn("xdp"), signals: true},
		{name: "weir-tc", title: "weir, tc", plane: kernel, command: p.weirOn("tc")},
		{name: "weir-userspace", title: "weir, userspace", plane: userspace, command: p.weirOn("none")},
		{name: peerName, title: "rtpengine, userspace", plane: userspace, command: p.peer, signals: true},
	}
}

// interfaces and ports are the same for every proxy.
func commonFlags() []string {
	return []string{
		"--interface=caller/" + proxyToCaller.String(), "--interface=callee/" + proxyToCallee.String(),
		"--listen-ng=" + ngAddr, "--port-min=20000", "--port-max=59999", "--foreground", "--log-stderr",
		"--timeout=3600", // the calls wait for their turn without packets
	}
}

func (p programs) weirOn(engine string) func(dir string) []string {
	return func(dir string) []string {
		return slices.Concat([]string{p.weir, "serve", "--fast-path=" + engine}, commonFlags(),
			[]string{"--log-level=4", "--control-socket=" + filepath.Join(dir, "control"), "--state-dir=" + dir})
	}
}

// peer is rtpengine without its kernel module. One worker thread is the best it can do on one CPU.
func (p programs) peer(dir string) []string {
	return slices.Concat([]string{p.rtpengine, "--config-file=none", "--table=-1", "--num-threads=1"}, commonFlags(),
		[]string{"--log-level=3", "--pidfile=" + filepath.Join(dir, "pid")})
}

// subjectNames are the names --only takes.
func subjectNames() (names []string) {
	for _, s := range (programs{}).subjects() {
		names = append(names, s.name)
	}
	return names
}
