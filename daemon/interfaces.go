package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weir-media/weir/media"
)

const resolveTimeout = 5 * time.Second

// interfaceSpec is one address of a logical interface, or an alias of one, as an operator writes it.
type interfaceSpec struct {
	origin     string // where it was written
	name       string
	alias      string // of this interface; the rest is empty then
	address    string
	advertised string
	portMin    int
	portMax    int
	exclude    []uint16
}

// describeInterfaces collects --interface and the sections that --interfaces-config names, in this order. Without any, all
// addresses of the host that are not loopback make the default interface.
func (o *Options) describeInterfaces(file *configFile) error {
	for _, text := range o.Interfaces {
		o.interfaces = append(o.interfaces, o.interfaceOption(text))
	}
	if o.InterfacesConfig != "" {
		for _, section := range file.names {
			name, ok := strings.CutPrefix(section, o.InterfacesConfig+"-")
			if !ok {
				continue
			}
			spec, err := o.interfaceSection(name, file.sections[section])
			if err != nil {
				return fmt.Errorf("%s section [%s]: %w", file.path, section, err)
			}
			o.interfaces = append(o.interfaces, spec)
		}
	}
	if len(o.interfaces) == 0 {
		o.interfaces = append(o.interfaces, o.interfaceOption("any"))
	}
	return nil
}

// interfaceOption reads [NAME/]ADDRESS[!ADVERTISED] or ALIAS=NAME.
func (o *Options) interfaceOption(text string) interfaceSpec {
	spec := interfaceSpec{origin: "--interface " + text, name: "default", portMin: o.PortMin, portMax: o.PortMax}
	if alias, target, ok := strings.Cut(text, "="); ok && !strings.ContainsAny(alias, "/!") {
		spec.name, spec.alias = alias, target
		return spec
	}
	if name, rest, ok := strings.Cut(text, "/"); ok {
		spec.name, text = name, rest
	}
	spec.address, spec.advertised, _ = strings.Cut(text, "!")
	return spec
}

// interfaceSection reads a section of the configuration file.
func (o *Options) interfaceSection(name string, settings []setting) (interfaceSpec, error) {
	spec := interfaceSpec{origin: "interface " + name, name: name, portMin: o.PortMin, portMax: o.PortMax}
	for _, s := range settings {
		var err error
		switch s.key {
		case "name":
			spec.name = s.value
		case "alias":
			spec.alias = s.value
		case "address":
			spec.address = s.value
		case "advertised", "advertised address", "advertised-address", "advertised_address":
			spec.advertised = s.value
		case "port-min":
			spec.portMin, err = strconv.Atoi(s.value)
		case "port-max":
			spec.portMax, err = strconv.Atoi(s.value)
		case "exclude-ports":
			spec.exclude, err = portList(s.value)
		default:
			err = errors.New("the key is none of address, advertised, alias, name, port-min, port-max, exclude-ports")
		}
		if err != nil {
			return spec, fmt.Errorf("line %d: %s = %s: %w", s.line, s.key, s.value, err)
		}
	}
	switch {
	case spec.address == "" && spec.alias == "":
		return spec, errors.New("no address is given; write address = ADDRESS")
	case spec.portMin < 1 || spec.portMax > 65535 || spec.portMin > spec.portMax:
		return spec, fmt.Errorf("port range %d to %d is empty or outside 1 to 65535", spec.portMin, spec.portMax)
	}
	return spec, nil
}

func portList(text string) ([]uint16, error) {
	var ports []uint16
	for item := range strings.SplitSeq(strings.Trim(text, ";"), ";") {
		n, err := strconv.ParseUint(strings.TrimSpace(item), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is no port", item)
		}
		ports = append(ports, uint16(n))
	}
	return ports, nil
}

// resolveInterfaces turns descriptions into logical interfaces, in the order of their names. Ports in control are not for
// media on any of them.
func resolveInterfaces(specs []interfaceSpec, control []uint16) ([]media.Interface, error) {
	var all []media.Interface
	byName := func(name string) int {
		return slices.IndexFunc(all, func(f media.Interface) bool { return f.Name == name })
	}
	for _, spec := range specs {
		if spec.alias != "" {
			i := byName(spec.alias)
			if i < 0 {
				return nil, fmt.Errorf("%s: there is no interface %q before it", spec.origin, spec.alias)
			}
			all = append(all, media.Interface{Name: spec.name, Addresses: all[i].Addresses})
			continue
		}
		ips, err := resolveLocal(spec.address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", spec.origin, err)
		}
		var advertised netip.Addr
		if spec.advertised != "" {
			public, err := resolveHost(spec.advertised)
			if err != nil {
				return nil, fmt.Errorf("%s: advertised address: %w", spec.origin, err)
			}
			advertised = public[0]
		}
		i := byName(spec.name)
		if i < 0 {
			i = len(all)
			all = append(all, media.Interface{Name: spec.name})
		}
		for _, ip := range ips {
			all[i].Addresses = append(all[i].Addresses, media.Address{
				IP: ip, Advertised: advertised, PortMin: uint16(spec.portMin), PortMax: uint16(spec.portMax),
				Exclude: slices.Concat(spec.exclude, control),
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
