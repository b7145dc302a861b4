package media

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/weir-media/weir/nexthop"
)

// Steering hands datagrams to sockets of workers by the local address and port they come to. *fastpath.Steering is one. Its
// methods must be safe for concurrent use.
type Steering interface {
	// Serve makes a bound UDP socket that of a worker for IPv4 or IPv6. Closing it ends that.
	Serve(worker int, ip4 bool, socket int) error
	// Steer hands what comes to local to a worker's socket from now on.
	Steer(local netip.AddrPort, worker int) error
	// Release ends Steer, at once.
	Release(local netip.AddrPort) error
}

// sharing is what the workers of a plane need to serve legs that have no sockets.
type sharing struct {
	steering Steering
	paths    *nexthop.Table
	probe    *portProbe // nil: the kernel cannot be asked
	locals   []netip.Addr
	legs     directory
	floating bool // addresses may come to this host later
}

// newSharing opens what is common to the workers.
func newSharing(cfg *Config, pools []*hostPool) (*sharing, error) {
	if len(pools) == 0 {
		return nil, errors.New("loopback addresses alone, where nothing is to be gained")
	}
	s := &sharing{steering: cfg.Steering, floating: cfg.Floating}
	for _, h := range pools {
		s.locals = append(s.locals, h.addr)
	}
	s.legs = newDirectory(s.locals)
	var err error
	if s.paths, err = nexthop.Open(nexthop.Config{Unfiltered: cfg.Unfiltered, Log: cfg.Log}); err != nil {
		return nil, err
	}
	s.probe = newPortProbe()
	return s, nil
}

func (s *sharing) close() error {
	s.paths.Close()
	if s.probe == nil {
		return nil
	}
	return s.probe.close()
}

// serves tells whether legs of a local address have no sockets.
func (s *sharing) serves(ip netip.Addr) bool {
	return s != nil && s.legs[ip] != nil
}

// listenPair is listenUDP for a pair of ports without sockets. The error is that of bind where another program has one of the
// ports.
func (s *sharing) listenPair(ip netip.Addr, port uint16, w *worker) (rtp, rtcp *steered, err error) {
	first, second := netip.AddrPortFrom(ip, port), netip.AddrPortFrom(ip, port+1)
	taken := false
	if s.probe != nil {
		taken, err = s.probe.taken(first, second)
	} else {
		taken, err = bound(s.floating, first, second)
	}
	switch {
	case err != nil:
		return nil, nil, err
	case taken:
		return nil, nil, os.NewSyscallError("bind", unix.EADDRINUSE)
	}
	place := slices.Index(s.locals, ip)
	return &steered{sharing: s, worker: w.number, local: first, place: place},
		&steered{sharing: s, worker: w.number, local: second, place: place}, nil
}

// bound tells by trying whether other programs have ports.
func bound(floating bool, ports ...netip.AddrPort) (bool, error) {
	for _, local := range ports {
		sock, err := openUDP(local, floating)
		if errors.Is(err, unix.EADDRINUSE) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		if err := sock.close(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// steered is the transport of a leg without a socket: its datagrams come to the worker's shared one and leave by the outlet of
// whichever worker sends them. What cannot leave there, such as a datagram longer than the path takes, goes by a socket of its
// own, which is opened for the first such packet.
type steered struct {
	*sharing
	leg    *Leg
	worker int
	local  netip.AddrPort
	place  int // of the address in sharing.locals
	tos    atomic.Uint32
	aim    atomic.Pointer[aim]

	own atomic.Bool // what comes is for plain, too

	mu     sync.Mutex
	plain  *udpSocket
	closed bool
}

func (s *steered) attach(*poller, int32) error {
	s.legs.put(s.local, s.leg)
	return s.steering.Steer(s.local, s.worker)
}

func (s *steered) detach(p *poller) error {
	err := s.steering.Release(s.local)
	s.legs.take(s.local)
	if s.own.Swap(false) {
		err = errors.Join(err, s.plain.detach(p))
	}
	return err
}

func (s *steered) close() error {
	err := s.steering.Release(s.local)
	s.legs.take(s.local)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.plain != nil {
		err = errors.Join(err, s.plain.close())
	}
	return err
}

// receive finds nothing, as the worker's shared socket has it, until depart.
func (s *steered) receive(b *inBatch, max int) error {
	if s.own.Load() {
		return s.plain.receive(b, max)
	}
	b.n = 0
	return nil
}

// depart has the leg receive by a socket of its own from now on, so that it does not crowd out the other legs of its worker,
// which calls it.
func (s *steered) depart(p *poller, key int32) error {
	if s.own.Load() {
		return nil // the rest of what had come before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return err
	}
	if err := s.plain.attach(p, key); err != nil {
		return err
	}
	s.own.Store(true)
	return s.steering.Release(s.local)
}

func (s *steered) setTOS(tos uint8) error {
	s.tos.Store(uint32(tos))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plain == nil {
		return nil
	}
	return s.plain.setTOS(tos)
}

// foresee has the way to a destination found out before the first packet.
func (s *steered) foresee(to *endpoint) { s.paths.Path(s.local.Addr(), to.addr.Addr()) }

// send sends packets that the outlet cannot.
func (s *steered) send(b *outBatch, first, end int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return 0, err
	}
	return s.plain.send(b, first, end)
}

// open opens the leg's own socket unless it has one. The caller holds mu.
func (s *steered) open() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case s.plain != nil:
		return nil
	}
	sock, err := openUDP(s.local, s.sharing.floating)
	if err != nil {
		return fmt.Errorf("open a socket of the leg's own: %w", err)
	}
	if tos := uint8(s.tos.Load()); tos != 0 {
		if err := sock.setTOS(tos); err != nil {
			return joinClose(err, sock)
		}
	}
	s.plain = sock
	return nil
}
