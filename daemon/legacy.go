package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/mediaproxy"
	"github.com/weir-media/weir/control/rtpproxy"
	"github.com/weir-media/weir/control/socket"
	"github.com/weir-media/weir/control/xmlrpc"
	"github.com/weir-media/weir/recording"
)

// legacyOptions are those of the older control languages.
type legacyOptions struct {
	RTPproxy     []string // sockets, with their kind
	UDP          []string // of rtpengine's --listen-udp
	Dialect      string   // of those
	SetupTimeout int      // s
	Notify       []string
	Recordings   string
	Prompts      string
	TCP          []string // of rtpengine's --listen-tcp
	URL          string
	Format       int
}

// The values of --listen-udp-replies.
const (
	dialectPeer = "rtpengine"
	dialectFull = "rtpproxy"
)

// defaultRTPproxyPort is the one that clients take when none is named.
const defaultRTPproxyPort = "22222"

func (o *legacyOptions) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&o.RTPproxy, "listen-rtpproxy", nil,
		"udp:[ADDRESS:]PORT, tcp:[ADDRESS:]PORT, unix:PATH (a connection per command) or cunix:PATH (kept open) for the RTPproxy protocol; repeatable")
	fs.StringArrayVarP(&o.UDP, "listen-udp", "u", nil, "[ADDRESS:]PORT for what rtpengine serves of the RTPproxy protocol; repeatable")
	fs.StringArrayVarP(&o.TCP, "listen-tcp", "l", nil, "[ADDRESS:]PORT for the protocol of OpenSER's mediaproxy module; repeatable")
	fs.StringVarP(&o.URL, "b2b-url", "b", "", "URL that is called by XML-RPC when a call has timed out; %% for its host is who made the call")
	fs.IntVarP(&o.Format, "xmlrpc-format", "x", 0, "what is called: 0 as SEMS has it, 1 with the call-id, 2 as Kamailio has it")
	fs.StringVar(&o.Dialect, "listen-udp-replies", dialectPeer, "replies on --listen-udp: those of rtpengine, or the whole protocol of rtpproxy")
	fs.StringArrayVar(&o.Notify, "rtpproxy-notify", nil, "unix:PATH, tcp:HOST:PORT or tcp:%%CC_SELF%%:PORT (the sender of a command) that may be told of timeouts; repeatable")
	fs.StringVar(&o.Recordings, "rtpproxy-recording-dir", "", "directory for what R and C of the RTPproxy protocol record")
	fs.StringVar(&o.Prompts, "rtpproxy-prompt-dir", "", "directory of prompts for P of the RTPproxy protocol, NAME.PAYLOADTYPE each")
	fs.IntVar(&o.SetupTimeout, "rtpproxy-setup-timeout", 0, "seconds without packets that end a session of the RTPproxy protocol before it is answered (default --timeout)")
}

func (o *legacyOptions) check() error {
	switch {
	case o.Dialect != dialectPeer && o.Dialect != dialectFull:
		return fmt.Errorf("--listen-udp-replies %q is neither %s nor %s", o.Dialect, dialectPeer, dialectFull)
	case o.SetupTimeout < 0:
		return fmt.Errorf("--rtpproxy-setup-timeout %d is negative", o.SetupTimeout)
	}
	if _, err := o.caller(nil); err != nil {
		return err
	}
	for _, text := range o.RTPproxy {
		if _, _, err := rtpproxySocket(text); err != nil {
			return err
		}
	}
	return nil
}

// caller returns what calls the URL; nil when there is none.
func (o *legacyOptions) caller(log *slog.Logger) (*xmlrpc.Caller, error) {
	format := xmlrpc.Format(o.Format)
	switch {
	case !format.Valid():
		return nil, fmt.Errorf("--xmlrpc-format %d is none of 0, 1, 2", o.Format)
	case o.URL == "":
		return nil, nil
	}
	c, err := xmlrpc.New(o.URL, format, log)
	if err != nil {
		return nil, fmt.Errorf("--b2b-url: %w", err)
	}
	return c, nil
}

// used tells whether any socket is asked for.
func (o *legacyOptions) used() bool { return len(o.RTPproxy)+len(o.UDP)+len(o.TCP) > 0 }

// rtpproxySocket splits a socket into its kind and its place.
func rtpproxySocket(text string) (kind, place string, err error) {
	kind, place, _ = strings.Cut(text, ":")
	switch kind {
	case "unix", "cunix":
		if place == "" {
			return "", "", fmt.Errorf("--listen-rtpproxy %q: no path is given; write %s:PATH", text, kind)
		}
		return kind, place, nil
	case "udp", "tcp", "udp6", "tcp6":
		if place = strings.TrimPrefix(place, "*:"); place == "" || place == "*" {
			place = defaultRTPproxyPort
		} else if _, err := netip.ParseAddr(strings.Trim(place, "[]")); err == nil {
			place = "[" + strings.Trim(place, "[]") + "]:" + defaultRTPproxyPort
		}
		return strings.TrimSuffix(kind, "6"), place, nil
	}
	return "", "", fmt.Errorf("--listen-rtpproxy %q: the kind is none of udp, tcp, unix, cunix; write udp:127.0.0.1:%s, say", text, defaultRTPproxyPort)
}

// legacyWay is one socket of an older control language.
type legacyWay struct {
	kind, name string // for people
	serve      func(context.Context) error
	io.Closer
}

// legacy are the older control languages as they run.
type legacy struct {
	ways       []legacyWay
	rtpproxy   *rtpproxy.Dispatcher // made after the sockets, which serve only then
	mediaproxy *mediaproxy.Dispatcher
	caller     *xmlrpc.Caller // nil: nobody is told of timeouts

	notifier   *rtpproxy.Notifier
	recordings *recording.Directory // nil: there is none
	prompts    *rtpproxy.Prompts    // nil: there are none
}

// listen opens the sockets and returns the UDP ports that are not for media any more.
func (l *legacy) listen(d *Daemon) (taken []uint16, err error) {
	o := &d.opts.Legacy
	udp := func(option, text string, peer bool) error {
		return eachAddress(option, text, func(a netip.AddrPort) error {
			s, err := socket.ListenUDP(a, socket.Purpose{Language: "rtpproxy", Option: option}, d.book.logger("control"))
			if err != nil {
				return err
			}
			if err := d.mark(s); err != nil {
				return errors.Join(err, s.Close())
			}
			s.Only(d.allows)
			taken = append(taken, a.Port())
			l.ways = append(l.ways, legacyWay{"rtpproxy", "udp " + a.String(), func(ctx context.Context) error { return l.rtpproxy.ServeUDP(ctx, s, peer) }, s})
			return nil
		})
	}
	for _, text := range o.UDP {
		if err := udp("--listen-udp", text, o.Dialect == dialectPeer); err != nil {
			return nil, err
		}
	}
	const option = "--listen-rtpproxy"
	purpose := socket.Purpose{Language: "rtpproxy", Option: option}
	for _, text := range o.RTPproxy {
		kind, place, err := rtpproxySocket(text)
		switch {
		case err != nil:
		case kind == "udp":
			err = udp(option, place, false)
		case kind == "tcp":
			err = eachAddress(option, place, func(a netip.AddrPort) error {
				s, err := socket.ListenTCP(a, purpose, d.book.logger("control"))
				if err == nil {
					s.Only(d.allows)
					if err = d.mark(s); err != nil {
						return errors.Join(err, s.Close())
					}
				}
				return l.stream("tcp "+a.String(), false)(s, err)
			})
		default:
			err = l.stream(kind+" "+place, kind == "unix")(socket.ListenUnix(place, purpose, d.book.logger("control")))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, text := range o.TCP {
		err := eachAddress("--listen-tcp", text, func(a netip.AddrPort) error {
			s, err := socket.ListenTCP(a, socket.Purpose{Language: "mediaproxy", Option: "--listen-tcp"}, d.book.logger("control"))
			if err != nil {
				return err
			}
			if err := d.mark(s); err != nil {
				return errors.Join(err, s.Close())
			}
			s.Only(d.allows)
			l.ways = append(l.ways, legacyWay{"mediaproxy", "tcp " + a.String(), func(ctx context.Context) error { return l.mediaproxy.Serve(ctx, s) }, s})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return taken, nil
}

// stream takes over a socket for connections, each for one command or for many.
func (l *legacy) stream(name string, once bool) func(*socket.Stream, error) error {
	return func(s *socket.Stream, err error) error {
		if err != nil {
			return err
		}
		serve := func(ctx context.Context) error { return l.rtpproxy.ServeStream(ctx, s) }
		if once {
			serve = func(ctx context.Context) error { return l.rtpproxy.ServeOnce(ctx, s) }
		}
		l.ways = append(l.ways, legacyWay{"rtpproxy", name, serve, s})
		return nil
	}
}

// eachAddress calls open for the addresses that an option gives.
func eachAddress(option, text string, open func(netip.AddrPort) error) error {
	addrs, err := parseListen(text)
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	for _, a := range addrs {
		if err := open(a); err != nil {
			return err
		}
	}
	return nil
}

// open makes what serves the sockets.
func (l *legacy) open(d *Daemon) (err error) {
	o := &d.opts.Legacy
	if l.notifier, err = rtpproxy.NewNotifier(o.Notify, d.log); err != nil {
		return fmt.Errorf("--rtpproxy-notify: %w", err)
	}
	if o.Recordings != "" {
		if l.recordings, err = recording.OpenDirectory(o.Recordings, d.log); err != nil {
			return fmt.Errorf("--rtpproxy-recording-dir: %w", err)
		}
	}
	if o.Prompts != "" {
		if l.prompts, err = rtpproxy.OpenPrompts(o.Prompts); err != nil {
			return fmt.Errorf("--rtpproxy-prompt-dir: %w", err)
		}
	}
	l.rtpproxy = rtpproxy.New(rtpproxy.Config{
		Calls: d.calls, Plane: d.plane, SetupTTL: seconds(o.SetupTimeout), Log: d.book.logger("control"),
		Notifier: l.notifier, Recordings: l.recordings, Prompts: l.prompts,
	})
	l.mediaproxy = mediaproxy.New(mediaproxy.Config{Calls: d.calls, Plane: d.plane, Version: d.version, Log: d.book.logger("control")})
	l.caller, err = o.caller(d.log)
	return err
}

// run serves until ctx ends.
func (l *legacy) run(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { l.rtpproxy.Run(ctx); return nil })
	group.Go(func() error { l.notifier.Run(ctx); return nil })
	if l.caller != nil {
		group.Go(func() error { l.caller.Run(ctx); return nil })
	}
	for _, w := range l.ways {
		group.Go(func() error { return w.serve(ctx) })
	}
}

// leave closes the sockets, which takes those of unix away. Calls go on without them.
func (l *legacy) leave() error {
	var errs []error
	for _, w := range l.ways {
		errs = append(errs, w.Close())
	}
	return errors.Join(errs...)
}

func (l *legacy) close() error {
	errs := []error{l.leave()}
	if l.recordings != nil {
		errs = append(errs, l.recordings.Close())
	}
	if l.prompts != nil {
		errs = append(errs, l.prompts.Close())
	}
	return errors.Join(errs...)
}

// ended passes on that a call or a part of it has ended.
func (d *Daemon) ended(e *call.Ended) {
	d.legacy.rtpproxy.Ended(e)
	if d.legacy.caller != nil {
		d.legacy.caller.Ended(e)
	}
}
