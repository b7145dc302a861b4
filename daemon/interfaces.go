package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weir-media/weir/media"
)

const resolveTimeout = 5 * time.Second

// parseInterfaces turns --interface values into logical interfaces, in the order given. Without any, all addresses of
// the host that are not loopback make the default one.
func parseInterfaces(specs []string, portMin, portMax uint16, exclude []uint16) ([]media.Interface, error) {
	if len(specs) == 0 {
		specs = []string{"any"}
	}
	var all []media.Interface
	for _, spec := range specs {
		if alias, target, ok := strings.Cut(spec, "="); ok && !strings.ContainsAny(alias, "/!") {
			i := slices.IndexFunc(all, func(f media.Interface) bool { return f.Name == target })
			if i < 0 {
				return nil, fmt.Errorf("--interface %s: there is no interface %q before it", spec, target)
			}
			all = append(all, media.Interface{Name: alias, Addresses: all[i].Addresses})
			continue
		}
		name, addr, ok := strings.Cut(spec, "/")
		if !ok {
			name, addr = "default", spec
		}
		addr, public, hasPublic := strings.Cut(addr, "!")
		ips, err := resolveLocal(addr)
		if err != nil {
			return nil, fmt.Errorf("--interface %s: %w", spec, err)
		}
		var advertised netip.Addr
		if hasPublic {
			publics, err := resolveHost(public)
			if err != nil {
				return nil, fmt.Errorf("--interface %s: advertised address: %w", spec, err)
			}
			advertised = publics[0]
		}
		i := slices.IndexFunc(all, func(f media.Interface) bool { return f.Name == name })
		if i < 0 {
			i = len(all)
			all = append(all, media.Interface{Name: name})
		}
		for _, ip := range ips {
			all[i].Addresses = append(all[i].Addresses, media.Address{
				IP: ip, Advertised: advertised, PortMin: portMin, PortMax: portMax, Exclude: exclude,
			})
		}
	}
	return all, nil
}

// resolveLocal returns the local addresses that the address part of an interface means: one address, those of a
// network device, those of the host ("any"), or what a name stands for.
func resolveLocal(text string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		if ip.IsUnspecified() {
			return nil, fmt.Errorf("%s is no address to receive media on; write one of this host's, or \"any\"", ip)
		}
		return []netip.Addr{ip.Unmap()}, nil
	}
	if text == "any" {
		return hostAddresses()
	}
	if dev, err := net.InterfaceByName(text); err == nil {
		ips := addresses(dev)
		if len(ips) == 0 {
			return nil, fmt.Errorf("device %s has no address; give it one (ip address add …) or name another device", text)
		}
		return ips, nil
	}
	ips, err := resolveHost(text)
	if err != nil {
		return nil, fmt.Errorf("%q is neither an address nor a network device (ip -br link lists them), and: %w", text, err)
	}
	return ips[:1], nil
}

// hostAddresses returns the addresses of all devices that are up. A host with nothing but loopback gets that.
func hostAddresses() ([]netip.Addr, error) {
	devs, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("cannot list the network devices: %w", err)
	}
	var ips, loopback []netip.Addr
	for _, dev := range devs {
		switch {
		case dev.Flags&net.FlagUp == 0:
		case dev.Flags&net.FlagLoopback != 0:
			loopback = append(loopback, addresses(&dev)...)
		default:
			ips = append(ips, addresses(&dev)...)
		}
	}
	if len(ips) == 0 {
		ips = loopback
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("no network device of this host is up with an address")
	}
	return ips, nil
}

func addresses(dev *net.Interface) []netip.Addr {
	addrs, err := dev.Addrs()
	if err != nil {
		return nil
	}
	var ips []netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		ips = append(ips, prefix.Addr().Unmap())
	}
	return ips
}

// resolveHost returns what a name stands for, IPv4 first: most proxies that are given the same name take that.
func resolveHost(name string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve %q: %w", name, err)
	}
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	slices.SortStableFunc(ips, func(a, b netip.Addr) int { return cmp.Compare(a.BitLen(), b.BitLen()) })
	return slices.Compact(ips), nil
}

// parseListen reads [ADDRESS:]PORT. Without an address all of the host's are meant; a name stands for all of its own.
func parseListen(text string) ([]netip.AddrPort, error) {
	if !strings.ContainsAny(text, ":") {
		text = "[::]:" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no [ADDRESS:]PORT: %w", text, err)
	}
	n, err := net.LookupPort("udp", port)
	if err != nil || n == 0 {
		return nil, fmt.Errorf("%q is no [ADDRESS:]PORT: bad port %q", text, port)
	}
	ips := []netip.Addr{netip.IPv6Unspecified()}
	if host != "" {
		if ips, err = resolveHost(host); err != nil {
			return nil, err
		}
	}
	var all []netip.AddrPort
	for _, ip := range ips {
		all = append(all, netip.AddrPortFrom(ip, uint16(n)))
	}
	return all, nil
}
