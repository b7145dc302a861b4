package fastpath

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// followInterval bounds how long what the kernel tells nobody of goes unnoticed: a program taken off by its link.
	followInterval = 2 * time.Second
	// followPause lets changes that come together be looked at once.
	followPause = 50 * time.Millisecond
	// maxNeighbours bounds how many MAC addresses are remembered. Beyond it they are learnt anew.
	maxNeighbours = 4096
)

// follower hears what changes in the network of the host and has the plane follow.
type follower struct {
	plane  *Plane
	socket *nl.NetlinkSocket

	devices, routes chan struct{} // something has changed; each holds one
	done            chan struct{}
	once            sync.Once
	wg              sync.WaitGroup
	ns              netns.NsHandle
	macs            map[netip.Addr]net.HardwareAddr // of neighbours
}

// newFollower begins to listen in the network namespace of the calling thread.
func newFollower(p *Plane) (*follower, error) {
	socket, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR,
		unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_NEIGH)
	if err != nil {
		return nil, fmt.Errorf("listen for changes of the network: %w", err)
	}
	ns, err := netns.Get()
	if err != nil {
		socket.Close()
		return nil, fmt.Errorf("hold the network namespace: %w", err)
	}
	f := &follower{
		ns: ns, plane: p, socket: socket, devices: make(chan struct{}, 1), routes: make(chan struct{}, 1), done: make(chan struct{}),
		macs: make(map[netip.Addr]net.HardwareAddr),
	}
	known, err := dump(func() ([]netlink.Neigh, error) { return p.netlink.NeighList(0, netlink.FAMILY_ALL) })
	if err != nil {
		p.log.Debug("the neighbours cannot be read", "err", err) // next hops live for a second only
	}
	for i := range known {
		f.moved(&known[i])
	}
	return f, nil
}

func (f *follower) start() {
	f.wg.Go(f.listen)
	f.wg.Go(f.run)
}

func (f *follower) stop() {
	if f != nil {
		f.once.Do(func() {
			close(f.done)
			f.socket.Close()
		})
		f.wg.Wait()
		f.ns.Close()
	}
}

func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is known
	}
}

// listen sorts what the kernel says.
func (f *follower) listen() {
	for {
		messages, _, err := f.socket.Receive()
		select {
		case <-f.done:
			return
		default:
		}
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil { // more has happened than there is room for
			note(f.devices)
			note(f.routes)
			time.Sleep(followPause)
			continue
		}
		for _, m := range messages {
			switch m.Header.Type {
			case unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWADDR, unix.RTM_DELADDR:
				note(f.devices)
				note(f.routes)
			case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
				note(f.routes)
			case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
				if n, err := netlink.NeighDeserialize(m.Data); err != nil || f.moved(n) {
					note(f.routes)
				}
			}
		}
	}
}

// moved tells whether a neighbour has another MAC address than before. Most messages are of its state alone.
func (f *follower) moved(n *netlink.Neigh) bool {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok || n.HardwareAddr == nil {
		return false
	}
	before, known := f.macs[addr]
	if known && bytes.Equal(before, n.HardwareAddr) {
		return false
	}
	if len(f.macs) >= maxNeighbours {
		clear(f.macs)
	}
	f.macs[addr] = n.HardwareAddr
	return known // no next hop was made of one that is new
}

func (f *follower) run() {
	if err := f.enter(); err != nil {
		f.plane.log.Warn("changes of network devices are not followed", "err", err)
		return
	}
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		devices, routes, news := false, false, false
		select {
		case <-f.done:
			return
		case <-tick.C:
			devices = true
		case <-f.devices:
			devices, news = true, true
		case <-f.routes:
			routes = true
		}
		if !f.pause() {
			return
		}
		select {
		case <-f.routes:
			routes = true
		default:
		}
		if routes {
			f.plane.forgetHops()
		}
		if devices {
			f.plane.follow(news)
		}
	}
}

// enter has this goroutine, and no other one, run on a thread in the plane's network namespace: programs are attached in that
// of the thread.
func (f *follower) enter() error {
	runtime.LockOSThread() // never unlocked: the runtime ends the thread with the goroutine
	if here, err := netnsCookie(); err == nil && here == f.plane.netns {
		return nil
	}
	return netns.Set(f.ns)
}

// pause waits a little. It reports false when it is time to end.
func (f *follower) pause() bool {
	select {
	case <-f.done:
		return false
	case <-time.After(followPause):
		return true
	}
}

// forgetHops has all flows look up their next hop with the next packet.
func (p *Plane) forgetHops() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed || p.forget == nil {
		return
	}
	if _, err := p.forget.Run(&ebpf.RunOptions{}); err != nil {
		p.log.Debug("changed routes take a second to be heeded", "err", err)
	}
}

// follow brings devices and programs in line with what the host has now. With news of devices, those without an engine get
// another chance.
func (p *Plane) follow(news bool) {
	p.following.Lock()
	defer p.following.Unlock()
	now, err := findDevices(p.netlink, p.addrs)
	if err != nil {
		p.log.Debug("the network devices cannot be read", "err", err)
		return // the next time, perhaps
	}
	if p.mode == None || p.maps.Flows == nil {
		return
	}
	if news = news && time.Since(p.retried) >= followInterval; news { // what fails may be news itself
		p.retried = time.Now()
	}
	var attach []*device
	for i, d := range now {
		j := slices.IndexFunc(p.devices, func(old *device) bool { return old.Index == d.Index })
		if j < 0 {
			attach = append(attach, d)
			continue
		}
		old := p.devices[j]
		old.Name, old.Addrs, old.link = d.Name, d.Addrs, d.link
		now[i] = old
		if lost, err := old.lost(); lost != "" {
			if err != nil { // as when rights are gone: nobody could change its flows
				p.log.Warn("a program of the kernel plane cannot be looked after, and is taken off", "device", old.Name, "program", lost, "err", err)
			} else {
				p.log.Warn("a program of the kernel plane was taken off", "device", old.Name, "program", lost)
			}
			p.unhold(old)
			attach = append(attach, old)
		} else if old.blocked && !foreign(old.link) || news && old.Engine == None {
			p.unhold(old) // whoever was there has gone
			attach = append(attach, old)
		}
	}
	for _, d := range p.devices {
		if !slices.Contains(now, d) {
			p.unhold(d) // it has gone, or its addresses have
		}
	}
	p.devices = now
	if len(attach) > 0 {
		p.attach(p.mode, attach)
	}
	p.publish()
}

// unhold takes what is left of ours off a device.
func (p *Plane) unhold(d *device) {
	if err := d.detach(); err != nil {
		p.log.Debug("programs of a changed device", "device", d.Name, "err", err)
	}
	p.ports.detached(d.Index)
	d.Engine = None
}

// publish makes known how devices are served, and tells of what is new.
func (p *Plane) publish() {
	all := make([]Interface, 0, len(p.devices))
	for _, d := range p.devices {
		if d.carrier() {
			continue
		}
		shown := d.Interface
		shown.Addrs = slices.Clone(d.Addrs)
		if below := d.below(p.devices); d.Engine == TC && below != nil && below.Engine == XDP {
			shown.Engine, shown.Reason = XDP, "on "+below.Name+" below it"
		}
		if d.link.Attrs().Flags&net.FlagUp == 0 {
			shown.Engine, shown.Reason = None, "the network device is down"
		}
		all = append(all, shown)
	}
	same := func(a, b Interface) bool {
		return a.Index == b.Index && a.Name == b.Name && a.Engine == b.Engine && a.Reason == b.Reason && slices.Equal(a.Addrs, b.Addrs)
	}
	before := p.view.Swap(&all)
	if before != nil && slices.EqualFunc(*before, all, same) {
		return
	}
	for _, now := range all {
		if before == nil || !slices.ContainsFunc(*before, func(old Interface) bool { return same(old, now) }) {
			level := slog.LevelInfo
			if now.Engine == None && before != nil {
				level = slog.LevelWarn
			}
			p.log.Log(context.Background(), level, "kernel plane", "device", now.Name, "engine", now.Engine, "reason", now.Reason)
		}
	}
	if before == nil {
		return
	}
	for _, old := range *before {
		if !slices.ContainsFunc(all, func(now Interface) bool { return now.Index == old.Index }) {
			p.log.Warn("a network device with media addresses has gone", "device", old.Name, "addresses", old.Addrs)
		}
	}
	if fn := p.changed.Load(); fn != nil {
		(*fn)()
	}
}

// Notify has fn called whenever what Serves tells of may have changed. It must not call Close.
func (p *Plane) Notify(fn func()) { p.changed.Store(&fn) }
