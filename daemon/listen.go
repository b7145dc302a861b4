package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"

	"github.com/weir-media/weir/control/ng"
)

// way is one socket that control requests come by.
type way struct {
	name string // for people
	transport
}

type transport interface {
	Serve(context.Context, *ng.Dispatcher) error
	io.Closer
}

// listen opens all control sockets and the one of the tools, and returns the UDP ports that are not for media any more.
func (d *Daemon) listen() (taken []uint16, err error) {
	o := d.opts
	udp := o.ListenNG
	if len(udp)+len(o.ListenTCP)+len(o.ListenUnix)+len(o.ListenHTTP)+len(o.ListenHTTPS) == 0 && !o.Legacy.used() {
		udp = []string{DefaultNG}
	}
	if err := d.listenAll("--listen-ng", "udp", udp, func(a netip.AddrPort) (transport, error) {
		taken = append(taken, a.Port())
		return opened(ng.ListenUDP(a, d.log))
	}); err != nil {
		return nil, err
	}
	if err := d.listenAll("--listen-tcp-ng", "tcp", o.ListenTCP, func(a netip.AddrPort) (transport, error) {
		return opened(ng.ListenTCP(a, d.log))
	}); err != nil {
		return nil, err
	}
	for _, path := range o.ListenUnix {
		s, err := ng.ListenUnix(path, d.log)
		if err != nil {
			return nil, err
		}
		d.ways = append(d.ways, way{"unix " + path, s})
	}
	if err := d.listenAll("--listen-http", "http", o.ListenHTTP, d.http(nil)); err != nil {
		return nil, err
	}
	if len(o.ListenHTTPS) > 0 {
		secure, err := ng.TLSConfig(o.Certificate, o.Key, d.log)
		if err != nil {
			return nil, err
		}
		if err := d.listenAll("--listen-https", "https", o.ListenHTTPS, d.http(secure)); err != nil {
			return nil, err
		}
	}
	legacy, err := d.legacy.listen(d)
	if err != nil {
		return nil, err
	}
	return append(taken, legacy...), d.listenCLI()
}

func (d *Daemon) http(secure *tls.Config) func(netip.AddrPort) (transport, error) {
	return func(a netip.AddrPort) (transport, error) {
		return opened(ng.ListenHTTP(a, secure, seconds(d.opts.HTTPIdle), d.log))
	}
}

// listenAll opens a socket for each address that an option gives.
func (d *Daemon) listenAll(option, kind string, texts []string, open func(netip.AddrPort) (transport, error)) error {
	for _, text := range texts {
		addrs, err := parseListen(text)
		if err != nil {
			return fmt.Errorf("%s: %w", option, err)
		}
		for _, a := range addrs {
			t, err := open(a)
			if err != nil {
				return err
			}
			d.ways = append(d.ways, way{kind + " " + a.String(), t})
		}
	}
	return nil
}

// opened keeps a nil pointer from hiding in an interface.
func opened[T transport](t T, err error) (transport, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}
