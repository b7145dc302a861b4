package media

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// DefaultPortMin and DefaultPortMax are the range of ports that firewalls of such proxies are usually open for.
	DefaultPortMin = 30000
	DefaultPortMax = 39999
	// DefaultQuarantine is longer than a peer usually goes on sending after the end of a call.
	DefaultQuarantine = 10 * time.Second
)

// Address is one local media address. IP must be an address of this host; Advertised, if valid, is told to peers in its
// place. PortMin and PortMax bound the ports, both included; both 0 means the default range. Ports in Exclude, and with
// them the other port of the pair, are left alone.
type Address struct {
	IP, Advertised   netip.Addr
	PortMin, PortMax uint16
	Exclude          []uint16
}

// Interface is a logical interface: addresses that calls can ask for by name. Interfaces named BASE:SUFFIX form the group
// BASE, whose members take turns.
type Interface struct {
	Name      string
	Addresses []Address
}

// Config configures New.
type Config struct {
	Interfaces []Interface   // the first is the default one; at least one
	Quarantine time.Duration // for which freed ports rest; 0 means the default, negative none
	Handshakes Handshakes
	Workers    int          // threads of the userspace plane; 0 means GOMAXPROCS
	FastPath   FastPath     // nil: userspace only
	Log        *slog.Logger // nil: discard

	// Steering has workers receive for all their legs by one socket in each address family and send whole frames. Nil: every leg
	// has a socket. It must outlive the plane.
	Steering Steering
	// Unfiltered has frames sent although the firewall wants to see the packets that leave.
	Unfiltered bool

	RTCPInterval time.Duration // between reports made here; 0 means the default
	// Floating lets ports be open on addresses that are not this host's yet, for calls of another node whose address will move here.
	Floating bool

	// Measure has streams judged by what arrives here where no RTCP of their hearers does. It takes MOS.Listening.
	Measure bool
	MOS     MOS

	// Clock tells the time on CLOCK_MONOTONIC; nil: Now. Tests have one of their own.
	Clock func() time.Duration

	poll <-chan time.Time // when to poll the fast path; nil: each pollInterval
}

// withDefaults returns c with defaults filled in.
func (c Config) withDefaults() Config {
	switch {
	case c.Quarantine == 0:
		c.Quarantine = DefaultQuarantine
	case c.Quarantine < 0:
		c.Quarantine = 0
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.RTCPInterval <= 0 {
		c.RTCPInterval = DefaultRTCPInterval
	}
	if c.Clock == nil {
		c.Clock = Now
	}
	c.Interfaces = slices.Clone(c.Interfaces)
	for i := range c.Interfaces {
		f := &c.Interfaces[i]
		f.Addresses = slices.Clone(f.Addresses)
		for j := range f.Addresses {
			a := &f.Addresses[j]
			a.IP, a.Advertised = a.IP.Unmap(), a.Advertised.Unmap()
			if a.PortMin == 0 && a.PortMax == 0 {
				a.PortMin, a.PortMax = DefaultPortMin, DefaultPortMax
			}
		}
	}
	return c
}

// check reports everything that makes c unusable.
func (c *Config) check() error {
	if len(c.Interfaces) == 0 {
		return errors.New("no media interface is configured; name one, such as --interface=192.0.2.1")
	}
	var errs []error
	names := make(map[string]bool)
	for _, f := range c.Interfaces {
		if names[f.Name] {
			errs = append(errs, fmt.Errorf("interface %q is configured twice; give both addresses to one of them", f.Name))
		}
		names[f.Name] = true
		if len(f.Addresses) == 0 {
			errs = append(errs, fmt.Errorf("interface %q has no address", f.Name))
		}
		for _, a := range f.Addresses {
			if err := a.check(c.Floating); err != nil {
				errs = append(errs, fmt.Errorf("interface %q: %w", f.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (a *Address) check(floating bool) error {
	if !a.IP.IsValid() || a.IP.IsUnspecified() {
		return fmt.Errorf("%v is no address to receive media on; write one of this host's", a.IP)
	}
	if a.Advertised.IsValid() && a.Advertised.Is4() != a.IP.Is4() {
		return fmt.Errorf("%v cannot be advertised for %v: the address families differ", a.Advertised, a.IP)
	}
	even := evenPorts(a.PortMin, a.PortMax, a.Exclude)
	if len(even) == 0 {
		return fmt.Errorf("the ports %d to %d hold no pair of an even port and the next one; widen the range",
			a.PortMin, a.PortMax)
	}
	if floating {
		return a.checkFree(even, true)
	}
	if err := a.checkLocal(); err != nil {
		return err
	}
	return a.checkFree(even, false)
}

// checkFree tries some ports of the range. Single ones may be in use, by another instance for example; where none is
// free, the range belongs to somebody else.
func (a *Address) checkFree(even []uint16, floating bool) error {
	const tries = 32
	for i, n := range rand.Perm(len(even)) {
		s, err := openUDP(netip.AddrPortFrom(a.IP, even[n]), floating)
		if err == nil {
			return s.close()
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return err
		}
		if i == tries {
			break
		}
	}
	return fmt.Errorf("the ports %d to %d of %v are in use by other programs (ss -lunp shows which); choose another range "+
		"with --port-min and --port-max", a.PortMin, a.PortMax, a.IP)
}

// checkLocal binds a socket, which is the one truth about what this host takes for its own.
func (a *Address) checkLocal() error {
	s, err := listenUDP(netip.AddrPortFrom(a.IP, 0))
	if err == nil {
		return s.close()
	}
	if !errors.Is(err, unix.EADDRNOTAVAIL) {
		return err
	}
	example := "LOCAL"
	if own := hostAddress(a.IP.Is4()); own.IsValid() {
		example = own.String()
	}
	return fmt.Errorf("%v is not an address of this host; if it is the public side of a NAT write interface=%s!%v: %w",
		a.IP, example, a.IP, err)
}

// hostAddress returns an address of this host that fits an example.
func hostAddress(ip4 bool) netip.Addr {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range all {
		prefix, err := netip.ParsePrefix(a.String())
		if ip := prefix.Addr(); err == nil && ip.Is4() == ip4 && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			return ip
		}
	}
	return netip.Addr{}
}

// descriptorReserve is kept for what is not a media socket.
const descriptorReserve = 256

// raiseDescriptorLimit raises the limit of open files to what n sockets need, or as far as the rights go, and returns
// the number of sockets it leaves room for.
func raiseDescriptorLimit(n int) (int, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, fmt.Errorf("read the limit of open files: %w", err)
	}
	need := uint64(n + descriptorReserve)
	// Raising the hard limit takes rights, and the system has a limit of its own.
	for _, hard := range []uint64{max(need, lim.Max), max(min(need, systemDescriptors()), lim.Max), lim.Max} {
		if lim.Cur >= need {
			break
		}
		if want := (unix.Rlimit{Cur: min(need, hard), Max: hard}); unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
			lim = want
			break
		}
	}
	return int(min(max(lim.Cur, descriptorReserve)-descriptorReserve, uint64(n))), nil
}

// systemDescriptors returns the highest limit of open files that the system allows, 0 when it does not tell.
func systemDescriptors() uint64 {
	text, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
