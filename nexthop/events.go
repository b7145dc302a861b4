package nexthop

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// event is something that the kernel tells of: a change of one neighbour, or one that may concern any path.
type event struct{ neighbour *neighbourChange }

type neighbourChange struct {
	entry netlink.Neigh
	gone  bool
}

// events listens to the kernel.
type events struct {
	socket *nl.NetlinkSocket
	queue  chan event
	done   chan struct{}
	wg     sync.WaitGroup
}

func subscribe() (*events, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH, unix.RTNLGRP_LINK, unix.RTNLGRP_TC,
		unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
		unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP)
	if err != nil {
		return nil, fmt.Errorf("follow routes and neighbours: %w", err)
	}
	// Less room than asked for is no reason to go without: what is lost is told, and everything is read again.
	_ = socket.SetReceiveBufferSize(4<<20, true)
	e := &events{socket: socket, queue: make(chan event, 256), done: make(chan struct{})}
	e.wg.Go(e.listen)
	return e, nil
}

func (e *events) listen() {
	for {
		messages, _, err := e.socket.Receive()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			// ENOBUFS: some are lost.
			if !e.tell(event{}) {
				return
			}
			continue
		}
		for _, m := range messages {
			next, ok := decode(m.Header.Type, m.Data)
			if ok && !e.tell(next) {
				return
			}
		}
	}
}

// tell is false after close.
func (e *events) tell(next event) bool {
	select {
	case e.queue <- next:
		return true
	case <-e.done:
		return false
	}
}

func decode(kind uint16, data []byte) (e event, ok bool) {
	if kind != unix.RTM_NEWNEIGH && kind != unix.RTM_DELNEIGH {
		return e, true
	}
	entry, err := netlink.NeighDeserialize(data)
	if err != nil {
		return e, true // whatever it was
	}
	_, ok = keyOf(entry)
	return event{&neighbourChange{*entry, kind == unix.RTM_DELNEIGH}}, ok
}

func (e *events) close() {
	close(e.done)
	e.socket.Close()
	e.wg.Wait()
}
