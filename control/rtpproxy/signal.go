package rtpproxy

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/weir-media/weir/call"
)

// signal carries out U or L with what follows it.
func (d *Dispatcher) signal(from Client, c *Command) (string, error) {
	req, err := d.request(from, c)
	if err != nil {
		return "", err
	}
	subs, err := d.subcommands(c, req)
	if err != nil {
		return "", err
	}
	if _, _, ok := c.notify(); ok && !d.cfg.Notifier.enabled() {
		return "", codeNotify
	}
	step := d.calls.AnswerPair
	if c.Op == Update {
		step = d.calls.OfferPair
	}
	done, err := step(req)
	if c.Op == Lookup && codeOf(err) == codeSession && err != nil {
		return "0", nil
	}
	if err != nil {
		return "", err
	}
	d.counters.placed(done)
	return port(done.Told) + d.follow(c, subs), nil
}

// request says U or L in the terms of the call model.
func (d *Dispatcher) request(from Client, c *Command) (*call.PairRequest, error) {
	req := &call.PairRequest{PairKey: c.key(), Language: call.RTPproxy, Client: from.From.Addr(), TTL: d.cfg.TTL, SetupTTL: d.cfg.SetupTTL}
	if socket, tag, ok := c.notify(); ok {
		text, err := url.PathUnescape(tag)
		if err != nil {
			return nil, codeURL
		}
		if d.cfg.Notifier.enabled() {
			if full := d.cfg.Notifier.find(socket, from.From.Addr()); full != "" {
				req.Notify = call.Notify{Socket: full, Tag: text}
			} else {
				d.log.Warn("a notification socket is not permitted and is ignored; name it with --rtpproxy-notify", "call", c.CallID, "socket", socket)
			}
		}
	}
	m, err := parseModifiers(c.Modifiers, d.bridged)
	if err != nil {
		return nil, err
	}
	if err := d.apply(req, &m); err != nil {
		return nil, err
	}
	if req.Remote, err = d.remote(c.Words[2], c.Words[3], m.ip6); err != nil {
		return nil, err
	}
	return req, nil
}

// apply puts modifiers into a request.
func (d *Dispatcher) apply(req *call.PairRequest, m *modifiers) (err error) {
	req.Asymmetric, req.Weak, req.NewPort = m.asymmetric, m.weak, m.newPort
	req.PayloadTypes, req.PacketTime = m.codecs, m.ptime
	for i, side := range m.sides {
		req.Interfaces[i] = internal
		if side == 'E' {
			req.Interfaces[i] = external
		}
	}
	label, labelled := strings.CutPrefix(m.local, "{")
	label = strings.TrimSuffix(label, "}")
	plane := d.cfg.Plane
	switch {
	case labelled:
		if !plane.HasFamily(label, 4) && !plane.HasFamily(label, 6) {
			return codeNotLocal
		}
		req.Interfaces = [2]string{label, label}
	case m.local != "":
		if req.Local, err = netip.ParseAddr(m.local); err != nil || !plane.Listens(req.Local) {
			return codeNotLocal
		}
	case m.route != "":
		if req.Local = towards(m.route); !plane.Listens(req.Local) {
			return codeNoRoute
		}
	case len(m.sides) == 0 && !plane.HasFamily("", familyOf(m.ip6)):
		return codeFamily
	}
	return nil
}

func familyOf(ip6 bool) int {
	if ip6 {
		return 6
	}
	return 4
}

// towards returns the local address from which a packet for an address would leave; invalid when there is no route.
func towards(address string) netip.Addr {
	const discard = "9" // nothing is sent
	conn, err := net.Dial("udp", net.JoinHostPort(address, discard))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

// The lengths that the text of an address can have.
const (
	minIPv4, maxIPv4 = len("1.1.1.1"), len("255.255.255.255")
	minIPv6, maxIPv6 = len("::"), len("0000:0000:0000:0000:0000:0000:255.255.255.255")
)

// remote reads address and port of a party. Either may be such that where it is must be found out.
func (d *Dispatcher) remote(host, portText string, ip6 bool) (netip.AddrPort, error) {
	unknown := netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	least, most := minIPv4, maxIPv4
	if ip6 {
		unknown = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		least, most = minIPv6, maxIPv6
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		if addr = d.names.lookup(host, ip6); !addr.IsValid() {
			if len(host) < least || len(host) > most {
				return unknown, nil // what RTPproxy does
			}
			return unknown, codeRemote
		}
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || addr.Zone() != "" {
		return unknown, codeRemote
	}
	if addr = addr.Unmap(); addr.Is6() != ip6 {
		return unknown, codeRemote
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}
