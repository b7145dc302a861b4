package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/weir-media/weir/control/ng"
)

// way is one socket that control requests come by.
type way struct {
	kind, name string // for people
	transport
}

type transport interface {
	Serve(context.Context, *ng.Dispatcher) error
	io.Closer
}

// listen opens all control sockets and the one of the tools, and returns the UDP ports that are not for media any more.
func (d *Daemon) listen() (taken []uint16, err error) {
	o := d.opts
	if err := d.listenAll("--listen-ng", "ng", "udp", o.udpSockets(), func(a netip.AddrPort) (transport, error) {
		taken = append(taken, a.Port())
		return opened(d.listenUDP(a))
	}); err != nil {
		return nil, err
	}
	if err := d.listenAll("--listen-tcp-ng", "ng", "tcp", o.ListenTCP, func(a netip.AddrPort) (transport, error) {
		s, err := ng.ListenTCP(a, d.book.logger("control"))
		if err != nil {
			return nil, err
		}
		if err := d.mark(s); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}); err != nil {
		return nil, err
	}
	for _, path := range o.ListenUnix {
		s, err := ng.ListenUnix(path, d.book.logger("control"))
		if err != nil {
			return nil, err
		}
		d.ways = append(d.ways, way{"ng", "unix " + path, s})
	}
	if err := d.listenAll("--listen-http", "ng", "http", o.ListenHTTP, d.http(nil)); err != nil {
		return nil, err
	}
	if len(o.ListenHTTPS) > 0 {
		secure, err := ng.TLSConfig(o.Certificate, o.Key, d.log)
		if err != nil {
			return nil, err
		}
		if err := d.listenAll("--listen-https", "ng", "https", o.ListenHTTPS, d.http(secure)); err != nil {
			return nil, err
		}
	}
	legacy, err := d.legacy.listen(d)
	if err != nil {
		return nil, err
	}
	if err := d.listenCtl(); err != nil {
		return nil, err
	}
	return append(taken, legacy...), d.listenCLI()
}

// udpSockets are the addresses for ng over UDP. Without any way in for proxies there is one.
func (o *Options) udpSockets() []string {
	if len(o.ListenNG)+len(o.ListenTCP)+len(o.ListenUnix)+len(o.ListenHTTP)+len(o.ListenHTTPS) == 0 && !o.Legacy.used() {
		return []string{DefaultNG}
	}
	return o.ListenNG
}

// listenUDP opens a socket for ng with the options that it has.
func (d *Daemon) listenUDP(a netip.AddrPort) (*ng.UDP, error) {
	u, err := ng.ListenUDP(a, d.book.logger("control"))
	if err != nil {
		return nil, err
	}
	if err := d.mark(u); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// marked are control sockets whose packets can have a TOS, those that can do without fragments.
type (
	marked       interface{ SetTOS(tos int) error }
	unfragmented interface{ SetPathMTU(discover bool) error }
)

// mark gives a control socket the options that it has.
func (d *Daemon) mark(s marked) error {
	if tos := d.opts.Tuning.ControlTOS; tos != 0 {
		if err := s.SetTOS(tos); err != nil {
			return err
		}
	}
	if u, ok := s.(unfragmented); ok && d.opts.ControlPMTU != "" {
		return u.SetPathMTU(d.opts.ControlPMTU == "want")
	}
	return nil
}

func (d *Daemon) http(secure *tls.Config) func(netip.AddrPort) (transport, error) {
	return func(a netip.AddrPort) (transport, error) {
		return opened(ng.ListenHTTP(a, secure, seconds(d.opts.HTTPIdle), d.book.logger("http")))
	}
}

// listenAll opens a socket for each address that an option gives.
func (d *Daemon) listenAll(option, kind, proto string, texts []string, open func(netip.AddrPort) (transport, error)) error {
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
			d.ways = append(d.ways, way{kind, proto + " " + a.String(), t})
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
