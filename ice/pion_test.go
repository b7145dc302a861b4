package ice

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/ice/v4"
)

// loopback drives an agent over real sockets.
type loopback struct {
	*Agent
	wake chan time.Time
	done sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
}

// newLoopback gives an agent a socket on each address.
func newLoopback(t *testing.T, cfg Config, addrs ...string) *loopback {
	t.Helper()
	l := &loopback{wake: make(chan time.Time, 64)}
	l.changed = sync.NewCond(&l.mu)
	var sockets []*net.UDPConn
	for i, a := range addrs {
		s, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(a), 0)))
		if err != nil {
			t.Fatal(err)
		}
		sockets = append(sockets, s)
		addr := s.LocalAddr().(*net.UDPAddr).AddrPort()
		cfg.Local = append(cfg.Local, Base{Component: RTP, Addr: addr, Foundation: Foundation(nil, addr.Addr()), Socket: i})
	}
	cfg.Credentials = NewCredentials()
	cfg.Send = func(id int, pkt []byte, to netip.AddrPort) {
		sockets[id].WriteToUDPAddrPort(pkt, to) // a closed port of the peer is no error of ours
	}
	cfg.State = func(State) { l.changed.Broadcast() }
	cfg.Selected = func(Pair) { l.changed.Broadcast() }
	cfg.Wake = func(at time.Time) { l.wake <- at }
	var err error
	l.Agent, err = NewAgent(cfg)
	must(t, err)
	for id, s := range sockets {
		l.done.Go(func() {
			buf := make([]byte, 1500)
			for {
				n, from, err := s.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				l.Handle(id, buf[:n], from)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	l.done.Go(func() {
		timer := time.NewTimer(time.Hour)
		for {
			select {
			case <-ctx.Done():
				return
			case at := <-l.wake:
				timer.Reset(time.Until(at))
			case <-timer.C:
				if at := l.Tick(time.Now()); !at.IsZero() {
					timer.Reset(time.Until(at))
				}
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		cancel()
		for _, s := range sockets {
			s.Close()
		}
		l.done.Wait()
	})
	return l
}

// await waits until something holds.
func (l *loopback) await(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	stop := context.AfterFunc(ctx, l.changed.Broadcast)
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !holds() {
		if ctx.Err() != nil {
			t.Fatalf("%s: not in time; state %v, %+v", what, l.State(), l.Counters())
		}
		// Broadcast takes no lock, so that it may come just before Wait: look again after a while at the latest.
		again := time.AfterFunc(50*time.Millisecond, l.changed.Broadcast)
		l.changed.Wait()
		again.Stop()
	}
}

// newPion returns an agent of pion/ice on loopback, gathered.
func newPion(t *testing.T, kind pion.NetworkType, opts ...pion.AgentOption) *pion.Agent {
	t.Helper()
	opts = append(opts, pion.WithNetworkTypes([]pion.NetworkType{kind}), pion.WithIncludeLoopback(),
		pion.WithCandidateTypes([]pion.CandidateType{pion.CandidateTypeHost}), pion.WithMulticastDNSMode(pion.MulticastDNSModeDisabled),
		pion.WithIPFilter(net.IP.IsLoopback))
	a, err := pion.NewAgentWithOptions(opts...)
	must(t, err)
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	gathered := make(chan struct{})
	must(t, a.OnCandidate(func(c pion.Candidate) {
		if c == nil {
			close(gathered)
		}
	}))
	must(t, a.GatherCandidates())
	<-gathered
	return a
}

// pionRemote is what the description of a pion agent would say.
func pionRemote(t *testing.T, a *pion.Agent, lite bool) Remote {
	t.Helper()
	ufrag, pwd, err := a.GetLocalUserCredentials()
	must(t, err)
	list, err := a.GetLocalCandidates()
	must(t, err)
	r := Remote{Credentials: Credentials{ufrag, pwd}, Lite: lite, EndOfCandidates: true}
	for _, c := range list {
		addr, err := netip.ParseAddr(c.Address())
		must(t, err)
		r.Candidates = append(r.Candidates, Candidate{Foundation: c.Foundation(), Component: int(c.Component()), Priority: c.Priority(),
			Addr: netip.AddrPortFrom(addr, uint16(c.Port()))})
	}
	return r
}

// tellPion gives a pion agent the candidates of ours.
func tellPion(t *testing.T, a *pion.Agent, ours *loopback) {
	t.Helper()
	for _, c := range ours.LocalCandidates() {
		line := fmt.Sprintf("%s %d udp %d %s %d typ %s", c.Foundation, c.Component, c.Priority, c.Addr.Addr(), c.Addr.Port(), c.Type)
		parsed, err := pion.UnmarshalCandidate(line)
		must(t, err)
		must(t, a.AddRemoteCandidate(parsed))
	}
}

// TestWithPion lets our agent meet another implementation, over sockets, and restart.
func TestWithPion(t *testing.T) {
	for _, c := range []struct {
		name       string
		cfg        Config
		pionLite   bool
		pionOffers bool
		kind       pion.NetworkType
		addrs      []string
		hide       bool // our candidates: pion learns them from our checks
		hidePions  bool // pion's: we learn them from its checks
	}{
		{name: "full and full, ours controls", cfg: Config{Controlling: true}},
		{name: "full and full, pion controls", pionOffers: true},
		{name: "ours is lite", cfg: Config{Lite: true}, pionOffers: true},
		{name: "pion is lite", cfg: Config{Controlling: true}, pionLite: true},
		{name: "several addresses", cfg: Config{Controlling: true}, addrs: []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}},
		{name: "IPv6", cfg: Config{Controlling: true}, kind: pion.NetworkTypeUDP6, addrs: []string{"::1"}},
		{name: "only our checks tell of us", cfg: Config{Controlling: true}, hide: true},
		{name: "only its checks tell of pion", pionOffers: true, hidePions: true},
		{name: "only its checks tell of pion, and we control", cfg: Config{Controlling: true}, hidePions: true},
		{name: "both say they control", cfg: Config{Controlling: true}, pionOffers: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.kind == 0 {
				c.kind = pion.NetworkTypeUDP4
			}
			if c.addrs == nil {
				c.addrs = []string{"127.0.0.1"}
			}
			if c.kind == pion.NetworkTypeUDP6 && !hasIPv6(t) {
				t.Skip("this host has no IPv6 on loopback")
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			ours := newLoopback(t, c.cfg, c.addrs...)
			opts := []pion.AgentOption{pion.WithICELite(c.pionLite)}
			if c.kind == pion.NetworkTypeUDP6 {
				opts = append(opts, pion.WithUDPMux(muxOnLoopback6(t))) // pion gathers no ::1 of its own
			}
			theirs := newPion(t, c.kind, opts...)

			connect := func() {
				t.Helper()
				if !c.hide {
					tellPion(t, theirs, ours)
				}
				r := pionRemote(t, theirs, c.pionLite)
				if c.hidePions {
					r.Candidates = nil
				}
				must(t, ours.SetRemote(r))
			}
			connect()
			own := ours.Credentials()
			var conn *pion.Conn
			var err error
			if c.pionOffers {
				conn, err = theirs.Dial(ctx, own.Ufrag, own.Pwd)
			} else {
				conn, err = theirs.Accept(ctx, own.Ufrag, own.Pwd)
			}
			if err != nil {
				t.Fatalf("pion: %v; ours: %v %+v", err, ours.State(), ours.Counters())
			}
			defer conn.Close()
			compare := func() {
				t.Helper()
				ours.await(ctx, t, "completed on the same pair", func() bool {
					p, ok := ours.Selected(RTP)
					q, err := theirs.GetSelectedCandidatePair()
					return ours.State() == Completed && ok && err == nil && q != nil &&
						p.Local == addrOf(q.Remote) && p.Remote == addrOf(q.Local)
				})
			}
			compare()
			if c.pionLite {
				return // pion forgets with a restart that it is lite
			}
			must(t, theirs.Restart("", ""))
			own = NewCredentials()
			must(t, ours.Restart(own, nil))
			gathered := make(chan struct{})
			must(t, theirs.OnCandidate(func(found pion.Candidate) {
				if found == nil {
					close(gathered)
				}
			}))
			must(t, theirs.GatherCandidates())
			<-gathered
			must(t, theirs.SetRemoteCredentials(own.Ufrag, own.Pwd))
			connect()
			compare()
		})
	}
}

func addrOf(c pion.Candidate) netip.AddrPort {
	addr, err := netip.ParseAddr(c.Address())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(addr, uint16(c.Port()))
}

func muxOnLoopback6(t *testing.T) pion.UDPMux {
	t.Helper()
	s, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	must(t, err)
	mux := pion.NewUDPMuxDefault(pion.UDPMuxParams{UDPConn: s})
	t.Cleanup(func() { mux.Close() })
	return mux
}

func hasIPv6(t *testing.T) bool {
	t.Helper()
	s, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		return false
	}
	return s.Close() == nil
}
