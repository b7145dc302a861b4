package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// The sockets of a worker (STEER_* in bpf/steer.c) and the ports of an address.
const (
	steerIPv4 = iota
	steerIPv6
	steerFamilies
	steerPorts = 1 << 16
)

// MaxSteered is the number of workers that Steering can tell apart.
const MaxSteered = 255

// Steering hands UDP datagrams to a few sockets by the local address and port they come to (sk_lookup, kernel 5.9), so that
// a port needs no socket of its own. It ends with the process. Its methods are safe for concurrent use.
type Steering struct {
	addrs   []netip.Addr
	objects steerObjects
	memory  *ebpf.Memory
	link    *link.NetNsLink

	mu     sync.RWMutex // closed, and through it the life of the mapping
	closed bool
}

// OpenSteering loads the program for some local addresses and attaches it to the network namespace of the calling thread. The
// error says what to do about it.
func OpenSteering(addrs []netip.Addr) (*Steering, error) {
	s := &Steering{}
	for _, a := range addrs {
		if a = a.Unmap().WithZone(""); !slices.Contains(s.addrs, a) {
			s.addrs = append(s.addrs, a)
		}
	}
	if len(s.addrs) == 0 {
		return nil, errors.New("there are no addresses to steer")
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(errors.New(explain(err)), s.Close())
	}
	return s, nil
}

func (s *Steering) open() error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err // kernels before 5.11 count maps as locked memory
	}
	spec, err := loadSteer()
	if err != nil {
		return err
	}
	spec.Maps[steerMapAddresses].MaxEntries = uint32(len(s.addrs))
	spec.Maps[steerMapPorts].MaxEntries = uint32(len(s.addrs))
	spec.Maps[steerMapSockets].MaxEntries = MaxSteered * steerFamilies
	if err := spec.LoadAndAssign(&s.objects, nil); err != nil {
		return fmt.Errorf("load the program that steers datagrams: %w", err)
	}
	for i, a := range s.addrs {
		if err := s.objects.Addresses.Put(a.As16(), uint32(i)); err != nil {
			return fmt.Errorf("steer datagrams to %v: %w", a, err)
		}
	}
	if s.memory, err = s.objects.Ports.Memory(); err != nil {
		return err
	}
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	s.link, err = link.AttachNetNs(int(here.Fd()), s.objects.Steer)
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("too many programs look up sockets in this network namespace (`bpftool net` lists them): %w", err)
	}
	return err
}

// Serve makes a bound UDP socket that of a worker for IPv4 or IPv6. Closing the socket ends that.
func (s *Steering) Serve(worker int, ip4 bool, socket int) error {
	if worker < 0 || worker >= MaxSteered {
		return fmt.Errorf("worker %d: there may be %d", worker, MaxSteered)
	}
	family := uint32(steerIPv4)
	if !ip4 {
		family = steerIPv6
	}
	key := uint32(worker)*steerFamilies + family
	if err := s.objects.Sockets.Put(key, uint64(socket)); err != nil {
		return fmt.Errorf("give a socket to the program that steers datagrams: %w", err)
	}
	return nil
}

// Steer hands what comes to local to a worker's socket from now on.
func (s *Steering) Steer(local netip.AddrPort, worker int) error {
	return s.own(local, byte(worker+1))
}

// Release ends Steer.
func (s *Steering) Release(local netip.AddrPort) error { return s.own(local, 0) }

func (s *Steering) own(local netip.AddrPort, owner byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i := slices.Index(s.addrs, local.Addr().Unmap().WithZone(""))
	switch {
	case s.closed:
		return ErrClosed
	case i < 0:
		return fmt.Errorf("datagrams to %v are not steered", local.Addr())
	}
	_, err := s.memory.WriteAt([]byte{owner}, int64(i)*steerPorts+int64(local.Port()))
	return err
}

// Close detaches the program. Datagrams go to the sockets of their ports again, and are refused where there are none.
func (s *Steering) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	return errors.Join(append(errs, s.objects.Close())...)
}
