package ng

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weir-media/weir/ngproto"
)

// maxClients caps how many clients are told apart in the counts; the others are counted as one without an address.
const maxClients = 1000

// Client answers the requests of one address, and counts them. It is safe for concurrent use.
type Client struct {
	disp *Dispatcher
	addr netip.Addr // invalid: it has none

	counts map[ngproto.Command]*commandCount // immutable; the counts are not
	errors atomic.Uint64
}

type commandCount struct{ requests, nanoseconds atomic.Int64 }

// clients are those a dispatcher has met.
type clients struct {
	mu  sync.RWMutex
	all map[netip.Addr]*Client
}

// From returns the client of an address. An invalid one stands for clients that have none.
func (d *Dispatcher) From(addr netip.Addr) *Client {
	addr = addr.Unmap().WithZone("")
	d.clients.mu.RLock()
	c := d.clients.all[addr]
	d.clients.mu.RUnlock()
	if c != nil {
		return c
	}
	d.clients.mu.Lock()
	defer d.clients.mu.Unlock()
	if len(d.clients.all) >= maxClients {
		addr = netip.Addr{}
	}
	if c = d.clients.all[addr]; c == nil {
		c = &Client{disp: d, addr: addr, counts: make(map[ngproto.Command]*commandCount)}
		for _, command := range ngproto.Commands() {
			c.counts[command] = new(commandCount)
		}
		d.clients.all[addr] = c
	}
	return c
}

// Datagram answers one message with a cookie. A repeated cookie gets the reply of the first, and nothing is executed.
// There is no answer (nil) to a message without a cookie.
func (c *Client) Datagram(ctx context.Context, datagram []byte) []byte {
	return c.disp.within(ctx, c, datagram, nil)
}

// Within is Datagram for replies that travel in one packet each. room tells how many bytes such a packet takes towards the
// client and is only asked about large replies; nil is no limit.
func (c *Client) Within(ctx context.Context, datagram []byte, room func() int) []byte {
	return c.disp.within(ctx, c, datagram, room)
}

// Plain answers one dictionary that comes without a cookie. Nothing is remembered.
func (c *Client) Plain(payload []byte) []byte {
	msg, err := ngproto.ParsePlain(payload)
	return c.disp.answer(c, msg, err, nil)
}

// count notes that a command was executed.
func (c *Client) count(command ngproto.Command, began time.Time, failed bool) {
	if n := c.counts[command]; n != nil {
		n.requests.Add(1)
		n.nanoseconds.Add(int64(time.Since(began)))
	}
	if failed {
		c.errors.Add(1)
	}
}

// ClientStats are the counts of one client.
type ClientStats struct {
	Address  netip.Addr // invalid: clients without one
	Commands map[ngproto.Command]CommandStats
	Errors   uint64
}

// CommandStats are the counts of one command.
type CommandStats struct {
	Requests uint64
	Time     time.Duration
}

// Clients returns the counts of every client, in no order.
func (d *Dispatcher) Clients() []ClientStats {
	d.clients.mu.RLock()
	defer d.clients.mu.RUnlock()
	all := make([]ClientStats, 0, len(d.clients.all))
	for addr, c := range d.clients.all {
		st := ClientStats{Address: addr, Commands: make(map[ngproto.Command]CommandStats, len(c.counts)), Errors: c.errors.Load()}
		for command, n := range c.counts {
			st.Commands[command] = CommandStats{Requests: uint64(n.requests.Load()), Time: time.Duration(n.nanoseconds.Load())}
		}
		all = append(all, st)
	}
	return all
}
