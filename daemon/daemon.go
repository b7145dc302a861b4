package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/dtls"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
	"github.com/weir-media/weir/sdp"
	"github.com/weir-media/weir/store"
)

// Daemon is everything that runs, built by New and run by Run.
type Daemon struct {
	opts    *Options
	version string
	log     *slog.Logger
	started time.Time

	fast       *fastpath.Plane
	steering   *fastpath.Steering // nil: noSteering says why
	noSteering string
	plane      *media.Plane
	interfaces []media.Interface
	calls      *call.Manager
	disp       *ng.Dispatcher
	ways       []way
	legacy     legacy
	cli        *cli.Server

	certificates *dtls.Certificates
	store        *store.Store // nil: calls end with this process
	unstored     string       // why

	cluster cluster
	exports exports

	book  *logbook
	tuner *tuner
	load  load

	passed atomic.Int64  // when requests last got through, in nanoseconds since 1970; 0: nobody has looked yet
	untold atomic.Bool   // the service manager could not be told something, which the log says
	ending atomic.Bool   // it drains, and ends then
	end    chan struct{} // closed when Run is to end
	finish func()        // closes it

	reloading sync.Mutex
	reloaded  *Options // the latest configuration; nil: opts
}

// New builds a daemon from complete options. Its errors say what to change. What it tells the operator goes to out, its log to
// logTo. On error nothing is left open.
func New(opts *Options, version string, out, logTo io.Writer) (d *Daemon, err error) {
	settings := opts.settings()
	d = &Daemon{end: make(chan struct{}), opts: opts, version: version, started: time.Now(), book: newLogbook(logTo, opts.LogBare)}
	d.finish = sync.OnceFunc(func() { close(d.end) })
	d.book.setLevels(settings.LogLevels)
	d.log = d.book.logger("core")
	d.tuner = newTuner(settings, d.tune)
	defer func() {
		if err != nil {
			d.close()
			d = nil
		}
	}()
	// The sockets come first: a second daemon of the same configuration stops here, before it touches a network device.
	control, err := d.listen()
	if err != nil {
		return d, err
	}
	interfaces, err := resolveInterfaces(opts.interfaces, control)
	if err != nil {
		return d, err
	}
	if err := d.openRedis(); err != nil {
		return d, err
	}
	for _, note := range withoutEffect(opts.flags) {
		d.log.Warn("options are accepted without effect", "options", strings.Join(note.Names, " "), "why", note.Why)
	}
	for _, note := range opts.exposures() {
		d.log.Warn(note)
	}
	if len(d.opts.idleSections) > 0 {
		d.log.Warn("sections of --transcode-config hand audio to others, which has no effect yet", "sections", strings.Join(d.opts.idleSections, " "))
	}
	if err := d.openPlanes(interfaces); err != nil {
		return d, err
	}
	d.interfaces = interfaces
	if err := d.openCalls(); err != nil {
		return d, err
	}
	if err := d.takeOver(); err != nil {
		return d, err
	}
	d.announce(out, interfaces)
	return d, nil
}

func (d *Daemon) openPlanes(interfaces []media.Interface) error {
	mode, err := d.opts.mode()
	if err != nil {
		return err
	}
	var addrs []netip.Addr
	for _, f := range interfaces {
		for _, a := range f.Addresses {
			if !slices.Contains(addrs, a.IP) {
				addrs = append(addrs, a.IP)
			}
		}
	}
	if d.fast, err = fastpath.Open(fastpath.Config{
		Mode: mode, Addrs: addrs, Log: d.log, Table: max(0, d.opts.Table), Outlive: seconds(d.opts.Outlive), BPFFS: d.opts.BPFFS,
	}); err != nil {
		return fmt.Errorf("open the kernel plane: %w", err)
	}
	if d.opts.NoFallback {
		for _, f := range d.fast.Interfaces() {
			if f.Engine == fastpath.None {
				return fmt.Errorf("--no-fallback is set and %s has no kernel plane: %s", f.Name, f.Reason)
			}
		}
	}
	handshakes, err := d.opts.DTLS.handshakes()
	if err != nil {
		return err
	}
	mos, err := d.opts.Quality.mos()
	if err != nil {
		return err
	}
	cfg := media.Config{
		Interfaces: interfaces, Quarantine: quarantine(d.opts.Quarantine), Workers: d.opts.Workers, FastPath: d.fast, Log: d.log,
		Handshakes:   handshakes,
		RTCPInterval: d.opts.Quality.interval(), Measure: d.opts.Quality.Measure, MOS: mos,
		Unfiltered: d.opts.IO == ioShared, Floating: d.opts.Redis.follows(),
	}
	if d.openSteering(addrs); d.steering != nil {
		cfg.Steering = d.steering
	}
	d.plane, err = media.New(cfg)
	if err == nil {
		d.fast.Notify(d.plane.Reconsider)
	}
	return err
}

// openSteering lets the userspace plane share sockets, unless the operator or the machine does not.
func (d *Daemon) openSteering(addrs []netip.Addr) {
	if d.opts.IO == ioSockets {
		d.noSteering = "demanded by configuration"
		return
	}
	var err error
	if d.steering, err = fastpath.OpenSteering(addrs); err != nil {
		d.noSteering = err.Error()
	}
}

// quarantine says "none" in the words of the media plane, to which 0 is its own default.
func quarantine(n int) time.Duration {
	if n == 0 {
		return -1
	}
	return seconds(n)
}

// softwareID returns the name of this proxy as other software may see it: letters, digits and dashes.
func softwareID(name, version string) string {
	if name == "" {
		name = "rtpengine-" + version
	}
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, name)
}

func (d *Daemon) openCalls() error {
	learning, _ := d.opts.learning() // checked by Complete
	o := d.opts
	cfg, err := o.DTLS.certificate()
	if err != nil {
		return err
	}
	if d.certificates, err = dtls.NewCertificates(cfg); err != nil {
		return err
	}
	d.openStore()
	var changed func(string)
	if d.store != nil {
		changed = d.store.Changed
	}
	limits := d.tuner.Settings().Limits
	if err := d.openExports(); err != nil {
		return err
	}
	callConfig := call.Config{
		Changed: changed, Switchover: o.Redis.Switchover, TakenOver: d.takenOver,
		Plane: d.plane, Log: d.log,
		Timeout: limits.Timeout, SilentTimeout: limits.SilentTimeout, OfferTimeout: limits.OfferTimeout,
		FinalTimeout: limits.FinalTimeout, DeleteDelay: limits.DeleteDelay, MaxSessions: limits.MaxSessions,
		Admit: func() error {
			s := d.tuner.Settings()
			return d.load.admit(&s)
		},
		Ended:    d.ended,
		Learning: learning, TOS: uint8(o.TOS), SIPSource: o.SIPSource,
		CodecPreferences: o.preferences, PortLatching: o.PortLatching, RelayForeign: o.Foreign == foreignRelay,
		Certificates: d.certificates, DTLSPassive: o.DTLS.Passive, OneAddress: o.OneAddress, Software: softwareID(o.SoftwareID, d.version),
	}
	d.export(&callConfig)
	if d.exports.mqtt, err = d.publisher(); err != nil {
		return err
	}
	d.calls = call.NewManager(callConfig)
	if err := d.legacy.open(d); err != nil {
		return err
	}
	ssrc, err := o.Quality.reporting()
	if err != nil {
		return err
	}
	access, err := o.Access.access()
	if err != nil {
		return err
	}
	d.disp = ng.NewDispatcher(ng.Config{
		Access: access,
		SSRC:   ssrc,
		CLI:    d.commandLines(), Statistics: d.statistics,
		Pages: d.pages(), Updated: d.Updated, Mirror: d.mirror(), Notices: o.Exports.NotifyEvents,
		Calls: d.calls, Parser: &ngproto.Parser{Templates: o.templates}, SDP: sdp.Options{RejectBlank: o.RejectBlank, MusicOnHold: o.MOHAttr}, Log: d.book.logger("control"),
	})
	return nil
}

// listenCLI opens the control socket. A place that cannot be had is an error only if the operator named it: several
// daemons may run side by side with different ports.
func (d *Daemon) listenCLI() error {
	server, err := cli.Listen(d.opts.Socket, d)
	if err != nil {
		if d.opts.flags.Changed("control-socket") {
			return err
		}
		d.log.Warn("status, list and top will not work", "err", err)
		return nil
	}
	d.cli = server
	return nil
}

// Run serves until ctx ends, then ends every call. When the cause is ErrLeave, or one part has failed, which ends the whole, calls
// are left to the next process if it can have them.
func (d *Daemon) Run(ctx context.Context) (err error) {
	cause := ctx
	defer func() {
		if d.store != nil && (err != nil || errors.Is(context.Cause(cause), ErrLeave)) {
			d.leave()
		} else {
			d.close()
		}
	}()
	floor := raiseHeapFloor()
	defer runtime.KeepAlive(floor)
	if d.opts.PIDFile != "" {
		if err := os.WriteFile(d.opts.PIDFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return fmt.Errorf("cannot write the pid file: %w", err)
		}
		defer os.Remove(d.opts.PIDFile)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case <-d.end:
			return context.Canceled // which ends the others
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error { d.disp.Run(ctx); return nil })
	group.Go(func() error { d.load.run(ctx, d.plane); return nil })
	group.Go(func() error { d.watchDrain(ctx); return nil })
	group.Go(func() error { d.calls.Attend(ctx); return nil })
	if p := d.pusher(); p != nil {
		group.Go(func() error { p.Run(ctx); return nil })
	}
	group.Go(func() error {
		d.certificates.Run(ctx, func(err error) { d.log.Error("the DTLS certificate cannot be renewed", "err", err) })
		return nil
	})
	for _, w := range d.ways {
		group.Go(func() error { return w.Serve(ctx, d.disp) })
	}
	d.legacy.run(ctx, group)
	d.exports.run(ctx, group)
	if d.cli != nil {
		group.Go(func() error { return d.cli.Serve(ctx) })
	}
	d.tellReady()
	group.Go(func() error { d.watch(ctx); return nil })
	err = group.Wait()
	d.tellStopping(0)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// close ends calls first, so that every leg gives back its flow and port, then the planes below them.
func (d *Daemon) close() {
	var errs []error
	d.cluster.still()
	if d.store != nil {
		errs = append(errs, d.store.Leave()) // calls that end here may go on at another node
	}
	if d.calls != nil {
		d.calls.Close()
		d.exports.flush()
	}
	for _, w := range d.ways {
		errs = append(errs, w.Close())
	}
	errs = append(errs, d.legacy.close())
	if d.cli != nil {
		errs = append(errs, d.cli.Close())
	}
	if d.plane != nil {
		errs = append(errs, d.plane.Close())
	}
	if d.steering != nil {
		errs = append(errs, d.steering.Close())
	}
	if d.fast != nil {
		errs = append(errs, d.fast.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	errs = append(errs, d.cluster.close())
	if err := errors.Join(errs...); err != nil {
		d.log.Warn("not everything could be closed", "err", err)
	}
}

// announce tells the operator what was chosen and why.
func (d *Daemon) announce(out io.Writer, interfaces []media.Interface) {
	fmt.Fprintf(out, "weir %s, %s %s/%s\n", d.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, f := range interfaces {
		for _, a := range f.Addresses {
			fmt.Fprintf(out, "media   %-10s %s", f.Name, a.IP)
			if a.Advertised.IsValid() {
				fmt.Fprintf(out, ", advertised as %s", a.Advertised)
			}
			fmt.Fprintf(out, ", ports %d to %d\n", a.PortMin, a.PortMax)
		}
	}
	for _, e := range d.engines() {
		fmt.Fprintf(out, "kernel  %-10s %s: %s\n", e.Interface, e.Engine, e.Reason)
	}
	io := d.userspaceIO()
	fmt.Fprintf(out, "userspace          %s: %s\n", io.Engine, io.Reason)
	plane, srtp := "userspace", d.srtp()
	if srtp.Kernel {
		plane = "kernel"
	}
	fmt.Fprintf(out, "%-7s %-10s %s\n", plane, "SRTP", srtp.Reason)
	fmt.Fprintf(out, "life               %s\n", d.outlives())
	for _, w := range d.ways {
		fmt.Fprintf(out, "control %-10s %s\n", w.kind, w.name)
	}
	for _, w := range d.legacy.ways {
		fmt.Fprintf(out, "control %-10s %s\n", w.kind, w.name)
	}
	if d.cli != nil {
		fmt.Fprintf(out, "control tools      %s\n", d.opts.Socket)
	}
}
