package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cdr"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/control/dtmf"
	"github.com/weir-media/weir/control/homer"
	"github.com/weir-media/weir/control/mqtt"
	"github.com/weir-media/weir/control/ng"
	"github.com/weir-media/weir/control/rtcptext"
	"github.com/weir-media/weir/control/syslog"
	"github.com/weir-media/weir/media"
)

// exportOptions say who is told of what happens in calls.
type exportOptions struct {
	Events       string // gets a datagram for each
	NotifyEvents bool
	DigitGap     int // ms

	Homer         string
	HomerProtocol string
	HomerID       uint32
	HomerNoRTCP   bool
	HomerNG       bool
	HomerNGType   int

	Facilities [logCount]string // empty: that log is not written
	LogName    string

	syslog string // path of its socket
}

// The logs that have a facility of their own.
const (
	logCDR = iota
	logRTCP
	logDTMF
	logCount
)

// logNames are part of the names of options.
var logNames = [logCount]string{"cdr", "rtcp", "dtmf"}

func (o *exportOptions) register(fs *pflag.FlagSet) {
	fs.StringVar(&o.Events, "dtmf-log-dest", "", "HOST:PORT that gets a UDP datagram of JSON for each DTMF event")
	fs.BoolVar(&o.NotifyEvents, "dtmf-log-ng-tcp", false, "tell clients of --listen-tcp-ng and --listen-unix-ng of DTMF events")
	fs.IntVar(&o.DigitGap, "dtmf-digit-delay", int(call.DefaultDigitGap.Milliseconds()), "milliseconds that a DTMF digit may come after the one before and still belong to the same trigger")
	fs.StringVar(&o.Homer, "homer", "", "HOST:PORT of a Homer server that gets RTCP, in HEP version 3")
	fs.StringVar(&o.HomerProtocol, "homer-protocol", "udp", "how it gets that: udp or tcp")
	fs.Uint32Var(&o.HomerID, "homer-id", 2001, "capture id for Homer")
	fs.BoolVar(&o.HomerNoRTCP, "homer-disable-rtcp-stats", false, "send no RTCP to Homer")
	fs.BoolVar(&o.HomerNG, "homer-enable-ng", false, "send ng requests and replies to Homer")
	fs.IntVar(&o.HomerNGType, "homer-ng-capture-proto", 61, "HEP protocol type of those, 0 to 255")
	for i, what := range [logCount]string{"a line for each call that has ended", "what RTCP says, a line for each packet", "DTMF events, a line of JSON for each"} {
		fs.StringVar(&o.Facilities[i], "log-facility-"+logNames[i], "", "syslog facility for "+what)
	}
	fs.StringVar(&o.LogName, "log-name", "rtpengine", "name of the program in those lines")
	o.syslog = syslog.Path
}

func (o *exportOptions) check() error {
	switch {
	case o.DigitGap <= 0:
		return fmt.Errorf("--dtmf-digit-delay %d is not positive", o.DigitGap)
	case o.HomerProtocol != "udp" && o.HomerProtocol != "tcp":
		return fmt.Errorf("--homer-protocol %q is neither udp nor tcp", o.HomerProtocol)
	case o.HomerNGType < 0 || o.HomerNGType > 255:
		return fmt.Errorf("--homer-ng-capture-proto %d is not between 0 and 255", o.HomerNGType)
	case o.Homer == "" && o.HomerNG:
		return errors.New("--homer-enable-ng needs a server: name it with --homer")
	}
	for option, place := range map[string]string{"dtmf-log-dest": o.Events, "homer": o.Homer} {
		if place == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(place); err != nil {
			return fmt.Errorf("--%s %q is no HOST:PORT: %w", option, place, err)
		}
	}
	for i, name := range o.Facilities {
		if name == "" {
			continue
		}
		if _, err := syslog.ParseFacility(name); err != nil {
			return fmt.Errorf("--log-facility-%s: %w", logNames[i], err)
		}
	}
	return nil
}

// exports are those who are told, as they run. Nil ones are not asked for.
type exports struct {
	dtmf  *dtmf.Teller
	homer *homer.Exporter
	mqtt  *mqtt.Publisher
	logs  [logCount]*syslog.Log
}

// openExports makes them, before there are calls.
func (d *Daemon) openExports() error {
	o, e := &d.opts.Exports, &d.exports
	for i, name := range o.Facilities {
		if name == "" {
			continue
		}
		facility, err := syslog.ParseFacility(name)
		if err != nil {
			return err
		}
		e.logs[i] = syslog.New(syslog.Config{Path: o.syslog, Facility: facility, Name: o.LogName, Log: d.log})
	}
	if o.Homer != "" {
		e.homer = homer.New(homer.Config{
			Address: o.Homer, TCP: o.HomerProtocol == "tcp", Agent: o.HomerID, NGType: uint8(o.HomerNGType), Log: d.log,
		})
	}
	// Calls may ask by themselves for events to be told of.
	cfg := dtmf.Config{Log: d.log}
	if o.Events != "" {
		to, err := net.ResolveUDPAddr("udp", o.Events)
		if err != nil {
			return fmt.Errorf("--dtmf-log-dest %s: %w", o.Events, err)
		}
		cfg.To = netip.AddrPortFrom(to.AddrPort().Addr().Unmap(), to.AddrPort().Port())
	}
	if o.NotifyEvents {
		cfg.Notify = d.notifyDTMF
	}
	if l := e.logs[logDTMF]; l != nil {
		cfg.Line = func(line string) { l.Write(func() string { return line }) }
	}
	e.dtmf = dtmf.New(cfg)
	return nil
}

// export has calls tell.
func (d *Daemon) export(cfg *call.Config) {
	o, e := &d.opts.Exports, &d.exports
	cfg.DigitGap = time.Duration(o.DigitGap) * time.Millisecond
	cfg.Event, cfg.AllEvents = e.dtmf.Take, o.Events != "" || o.NotifyEvents || e.logs[logDTMF] != nil
	if l := e.logs[logCDR]; l != nil {
		cfg.Finished = func(f *call.Finished) { l.Write(func() string { return cdr.Line(f) }) }
	}
	toHomer, toLog := e.homer, e.logs[logRTCP]
	if o.HomerNoRTCP {
		toHomer = nil
	}
	if toHomer == nil && toLog == nil {
		return
	}
	cfg.Report = func(callID string, p *media.TapPacket) {
		if toHomer != nil {
			toHomer.Report(callID, p.Data, p.From, p.To)
		}
		if toLog != nil {
			data := append([]byte(nil), p.Data...)
			toLog.Write(func() string { return rtcptext.Line(callID, data) })
		}
	}
}

// mirror returns who gets copies of ng messages; nil when nobody does.
func (d *Daemon) mirror() ng.Mirror {
	if !d.opts.Exports.HomerNG {
		return nil
	}
	return d.exports.homer.Mirror
}

// run serves until ctx ends.
func (e *exports) run(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { return e.dtmf.Run(ctx) })
	if e.homer != nil {
		group.Go(func() error { e.homer.Run(ctx); return nil })
	}
	if e.mqtt != nil {
		group.Go(func() error { e.mqtt.Run(ctx); return nil })
	}
	for _, l := range e.logs {
		if l != nil {
			group.Go(func() error { l.Run(ctx); return nil })
		}
	}
}

// flush writes the lines about the end of the last calls, when run has ended.
func (e *exports) flush() {
	over, end := context.WithCancel(context.Background())
	end()
	for _, l := range e.logs {
		if l != nil {
			l.Run(over)
		}
	}
}

// exported counts what was sent, and what was not.
func (d *Daemon) exported() []counts.Export {
	e := &d.exports
	var all []counts.Export
	add := func(to string, box interface{ Counts() (sent, dropped uint64) }) {
		sent, dropped := box.Counts()
		all = append(all, counts.Export{To: to, Sent: sent, Dropped: dropped})
	}
	add(counts.ToDTMF, e.dtmf)
	all = append(all, counts.Export{To: counts.ToNG, Dropped: d.disp.Missed()})
	if e.homer != nil {
		add(counts.ToHomer, e.homer)
	}
	if e.mqtt != nil {
		add(counts.ToMQTT, e.mqtt)
	}
	var syslog counts.Export
	for _, l := range e.logs {
		if l != nil {
			sent, dropped := l.Counts()
			syslog.Sent, syslog.Dropped = syslog.Sent+sent, syslog.Dropped+dropped
		}
	}
	syslog.To = counts.ToSyslog
	return append(all, syslog)
}

// notifyDTMF tells clients of ng.
func (d *Daemon) notifyDTMF(e *call.Event, at time.Time) { d.disp.NotifyDTMF(e, at) }
