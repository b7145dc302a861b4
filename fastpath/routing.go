package fastpath

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	forwarding4 = "/proc/sys/net/ipv4/conf/lo/forwarding"
	forwarding6 = "/proc/sys/net/ipv6/conf/lo/forwarding"
)

// allowRouting makes the look-ups of the programs possible: the kernel answers only in the name of a device with
// forwarding on. They go in the name of the loopback device, where forwarding has no other effect.
func (p *Plane) allowRouting(addrs []netip.Addr) {
	if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return a.Unmap().Is4() }) {
		p.noRoute[true] = needsRouting(switchOn(forwarding4), "net.ipv4.conf.lo.forwarding")
	}
	if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.Unmap().Is4() }) {
		p.noRoute[false] = needsRouting(switchOn6(), "net.ipv6.conf.lo.forwarding")
	}
}

func needsRouting(err error, sysctl string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("routes cannot be looked up: run `sysctl -w %s=1` (%w)", sysctl, err)
}

// switchOn sets a sysctl to 1 unless it is on already.
func switchOn(path string) error {
	value, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if v := strings.TrimSpace(string(value)); v != "0" {
		return nil
	}
	return os.WriteFile(path, []byte("1"), 0)
}

// switchOn6 sets IPv6 forwarding on for the loopback device.
//
// Symptom it prevents: the host loses the default route that a router advertised.
// Cause: whichever device starts to forward, the kernel deletes the advertised routes of all devices whose accept_ra is
// not 2. On a device that does not forward, 1 and 2 mean the same, so 2 is safe for the moment of the change.
func switchOn6() (err error) {
	if value, err := os.ReadFile(forwarding6); err != nil {
		return err
	} else if strings.TrimSpace(string(value)) != "0" {
		return nil
	}
	files, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, f := range files {
		if device := filepath.Base(filepath.Dir(f)); device == "all" || device == "default" {
			continue // not devices
		}
		value, readErr := os.ReadFile(f)
		if readErr != nil || strings.TrimSpace(string(value)) != "1" {
			continue // gone meanwhile, or decided otherwise by the operator
		}
		if err := os.WriteFile(f, []byte("2"), 0); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.WriteFile(f, []byte("1"), 0)) }()
	}
	return os.WriteFile(forwarding6, []byte("1"), 0)
}
