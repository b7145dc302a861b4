package ice

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// network is packets under way between agents, and a clock that stands still while nobody looks.
type network struct {
	t      *testing.T
	now    time.Time
	events schedule
	serial int
	random *rand.Rand

	loss   float64
	jitter time.Duration
	delay  time.Duration
	routes map[netip.AddrPort]socket // who receives at an address
	nats   []*nat
	// drop, when set, loses the packets it returns true for.
	drop func(from, to netip.AddrPort, pkt []byte) bool
	sent int
}

type socket struct {
	party *party
	id    int
}

// nat rewrites what its inside sends, with another public port for each destination when it is symmetric.
type nat struct {
	inside    netip.Addr
	public    netip.Addr
	symmetric bool
	next      uint16
	out       map[[2]netip.AddrPort]netip.AddrPort
	in        map[netip.AddrPort][2]netip.AddrPort
}

// party is an agent in the network, with what it has told.
type party struct {
	*Agent
	name      string
	net       *network
	cfg       Config
	tick      time.Time
	states    []State
	selected  []Pair
	authentic map[string]int
	sent      int
	addr      map[int]netip.AddrPort // of the sockets
}

func newNetwork(t *testing.T) *network {
	return &network{t: t, now: time.Unix(1700000000, 0), random: rand.New(rand.NewPCG(1, 2)),
		delay: 10 * time.Millisecond, routes: map[netip.AddrPort]socket{}}
}

type event struct {
	at     time.Time
	serial int
	do     func()
}

type schedule []event

func (s schedule) Len() int { return len(s) }
func (s schedule) Less(i, j int) bool {
	return s[i].at.Before(s[j].at) || s[i].at.Equal(s[j].at) && s[i].serial < s[j].serial
}
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)   { *s = append(*s, x.(event)) }
func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

func (n *network) after(d time.Duration, do func()) {
	n.serial++
	heap.Push(&n.events, event{n.now.Add(d), n.serial, do})
}

// run lets time pass.
func (n *network) run(d time.Duration) {
	end := n.now.Add(d)
	for len(n.events) > 0 && !n.events[0].at.After(end) {
		e := heap.Pop(&n.events).(event)
		n.now = e.at
		e.do()
	}
	n.now = end
}

// until lets time pass until something holds; it fails the test if that takes longer than max.
func (n *network) until(max time.Duration, what string, holds func() bool) {
	n.t.Helper()
	end := n.now.Add(max)
	for !holds() {
		if len(n.events) == 0 || n.events[0].at.After(end) {
			n.t.Fatalf("not within %v: %s", max, what)
		}
		e := heap.Pop(&n.events).(event)
		n.now = e.at
		e.do()
	}
}

func (n *network) send(from, to netip.AddrPort, pkt []byte) {
	n.sent++
	for _, t := range n.nats {
		if t.inside == from.Addr() && t.public != to.Addr() {
			from = t.leave(from, to)
		}
	}
	if n.drop != nil && n.drop(from, to, pkt) || n.random.Float64() < n.loss {
		return
	}
	delay := n.delay
	if n.jitter > 0 {
		delay += time.Duration(n.random.Int64N(int64(n.jitter)))
	}
	copied := append([]byte(nil), pkt...)
	n.after(delay, func() {
		for _, t := range n.nats {
			if t.public == to.Addr() {
				key, ok := t.in[to]
				if !ok || key[1] != from && t.symmetric {
					return
				}
				to = key[0]
			}
		}
		if s, ok := n.routes[to]; ok {
			s.party.Handle(s.id, copied, from)
		}
	})
}

func (t *nat) leave(from, to netip.AddrPort) netip.AddrPort {
	key := [2]netip.AddrPort{from, to}
	if !t.symmetric {
		key[1] = netip.AddrPort{}
	}
	if t.out == nil {
		t.out, t.in = map[[2]netip.AddrPort]netip.AddrPort{}, map[netip.AddrPort][2]netip.AddrPort{}
	}
	public, ok := t.out[key]
	if !ok {
		t.next++
		public = netip.AddrPortFrom(t.public, 40000+t.next)
		t.out[key], t.in[public] = public, key
	}
	return public
}

// party adds an agent. Its bases are on the addresses given, with ports from 5000 on for RTP and the next one for RTCP.
func (n *network) party(name string, parts int, cfg Config, addrs ...string) *party {
	n.t.Helper()
	p := &party{name: name, net: n, authentic: map[string]int{}}
	if cfg.Local == nil {
		cfg.Local = localBases(parts, addrs...)
	}
	if cfg.Credentials == (Credentials{}) {
		cfg.Credentials = NewCredentials()
	}
	p.addr = map[int]netip.AddrPort{}
	for _, b := range cfg.Local {
		p.addr[b.Socket] = b.Addr
		n.routes[b.Addr] = socket{p, b.Socket}
	}
	cfg.Send = func(id int, pkt []byte, to netip.AddrPort) {
		p.sent++
		n.send(p.addr[id], to, pkt)
	}
	cfg.Selected = func(s Pair) { p.selected = append(p.selected, s) }
	cfg.State = func(s State) { p.states = append(p.states, s) }
	cfg.Authenticated = func(_, id int, remote netip.AddrPort) { p.authentic[fmt.Sprint(id, " ", remote)]++ }
	cfg.Wake = func(at time.Time) { p.wake(at) }
	cfg.Now = func() time.Time { return n.now }
	cfg.Software = "weir-test"
	a, err := NewAgent(cfg)
	if err != nil {
		n.t.Fatal(err)
	}
	p.Agent, p.cfg = a, cfg
	return p
}

func localBases(parts int, addrs ...string) []Base {
	var list []Base
	for c := 1; c <= parts; c++ {
		for i, a := range addrs {
			addr := netip.MustParseAddr(a)
			list = append(list, Base{Component: c, Addr: netip.AddrPortFrom(addr, uint16(5000+2*i+c-1)),
				Foundation: Foundation([]byte("secret"), addr), Socket: 10*c + i})
		}
	}
	return list
}

func (p *party) wake(at time.Time) {
	p.tick = at
	p.net.after(max(0, at.Sub(p.net.now)), func() {
		if p.tick.Equal(at) {
			p.tick = time.Time{}
			if next := p.Tick(p.net.now); !next.IsZero() {
				p.wake(next)
			}
		}
	})
}

// describe returns what a party's description would say.
func (p *party) describe() Remote {
	return Remote{Credentials: p.Credentials(), Candidates: p.LocalCandidates(), Lite: p.cfg.Lite, EndOfCandidates: true}
}

// meet exchanges descriptions: the offerer's first.
func meet(offerer, answerer *party) {
	must(answerer.net.t, answerer.SetRemote(offerer.describe()))
	must(offerer.net.t, offerer.SetRemote(answerer.describe()))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func in(s State, parties ...*party) func() bool {
	return func() bool {
		for _, p := range parties {
			if p.State() != s {
				return false
			}
		}
		return true
	}
}
