package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/control/mqtt"
	"github.com/weir-media/weir/media"
	"github.com/weir-media/weir/ngproto"
)

// mqttOptions say what is published to which MQTT broker.
type mqttOptions struct {
	Host           string
	Port           int
	ALPN           string
	ID             string
	KeepAlive      int // s
	User, Password string
	CAFile, CAPath string
	Cert, Key      string
	QoS            int
	Topic          string
	Interval       int // ms
	Scope          string
}

// The values of --mqtt-publish-scope.
const (
	scopeGlobal  = "global"
	scopeSummary = "summary"
	scopeCall    = "call"
	scopeMedia   = "media"
)

func (o *mqttOptions) register(fs *pflag.FlagSet) {
	fs.StringVar(&o.Host, "mqtt-host", "", "MQTT broker that statistics are published to")
	fs.IntVar(&o.Port, "mqtt-port", 1883, "port of the MQTT broker")
	fs.StringVar(&o.ALPN, "mqtt-tls-alpn", "", "protocol to name with TLS (ALPN)")
	fs.StringVar(&o.ID, "mqtt-id", "", "client id (default a random one)")
	fs.IntVar(&o.KeepAlive, "mqtt-keepalive", 30, "seconds between signs of life")
	fs.StringVar(&o.User, "mqtt-user", "", "user name at the broker")
	fs.StringVar(&o.Password, "mqtt-pass", "", "password at the broker")
	fs.StringVar(&o.CAFile, "mqtt-cafile", "", "PEM file with the certificates to trust; this or the next has TLS be used")
	fs.StringVar(&o.CAPath, "mqtt-capath", "", "directory of such files")
	fs.StringVar(&o.Cert, "mqtt-certfile", "", "PEM file with a certificate to show")
	fs.StringVar(&o.Key, "mqtt-keyfile", "", "PEM file with its key")
	fs.IntVar(&o.QoS, "mqtt-publish-qos", 0, "quality of service of messages, 0 to 2")
	fs.StringVar(&o.Topic, "mqtt-publish-topic", "", "topic of all messages")
	fs.IntVar(&o.Interval, "mqtt-publish-interval", 5000, "milliseconds between them")
	fs.StringVar(&o.Scope, "mqtt-publish-scope", scopeGlobal, "what they say: summary (no calls), global (all calls in the same message), call or media (each in a message of its own)")
}

func (o *mqttOptions) check() error {
	switch {
	case o.Interval < 0:
		return errors.New("--mqtt-publish-interval is negative")
	case o.QoS < 0 || o.QoS > 2:
		return fmt.Errorf("--mqtt-publish-qos %d is none of 0, 1, 2", o.QoS)
	case !slices.Contains([]string{scopeGlobal, scopeSummary, scopeCall, scopeMedia}, o.Scope):
		return fmt.Errorf("--mqtt-publish-scope %q is none of global, summary, call, media", o.Scope)
	case o.KeepAlive < 0 || o.KeepAlive > math.MaxUint16:
		return fmt.Errorf("--mqtt-keepalive %d is not between 0 and 65535", o.KeepAlive)
	case o.Host == "":
		return nil
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("--mqtt-port %d is not between 1 and 65535", o.Port)
	case o.Topic == "":
		return errors.New("--mqtt-host needs a topic: name it with --mqtt-publish-topic")
	case (o.Cert == "") != (o.Key == ""):
		return errors.New("--mqtt-certfile and --mqtt-keyfile go together")
	}
	_, err := o.secure()
	return err
}

// secure returns how TLS is spoken; nil when it is not.
func (o *mqttOptions) secure() (*tls.Config, error) {
	if o.CAFile == "" && o.CAPath == "" {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: o.Host, MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	files := []string{o.CAFile}
	if o.CAFile == "" {
		files = nil
	}
	if o.CAPath != "" {
		more, err := os.ReadDir(o.CAPath)
		if err != nil {
			return nil, fmt.Errorf("--mqtt-capath: %w", err)
		}
		for _, e := range more {
			if path := filepath.Join(o.CAPath, e.Name()); !e.IsDir() {
				files = append(files, path)
			}
		}
	}
	trusted := false
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("certificates for MQTT: %w", err)
		}
		trusted = cfg.RootCAs.AppendCertsFromPEM(text) || trusted
	}
	if !trusted {
		return nil, fmt.Errorf("--mqtt-cafile and --mqtt-capath have no certificate: name a PEM file of the authority that has signed that of %s", o.Host)
	}
	if o.Cert != "" {
		own, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("--mqtt-certfile: %w", err)
		}
		cfg.Certificates = []tls.Certificate{own}
	}
	if o.ALPN != "" {
		cfg.NextProtos = []string{o.ALPN}
	}
	return cfg, nil
}

// publisher returns what publishes; nil when nothing is to be.
func (d *Daemon) publisher() (*mqtt.Publisher, error) {
	o := &d.opts.MQTT
	if o.Host == "" {
		return nil, nil
	}
	secure, err := o.secure()
	if err != nil {
		return nil, err
	}
	statements := &statements{daemon: d, scope: o.Scope, calls: mqtt.Describer{Interface: d.interfaces[0].Name}}
	return mqtt.New(mqtt.Config{
		Address: net.JoinHostPort(o.Host, strconv.Itoa(o.Port)), TLS: secure, ClientID: o.ID, User: o.User, Password: o.Password,
		KeepAlive: seconds(o.KeepAlive), Topic: o.Topic, QoS: byte(o.QoS), Interval: time.Duration(o.Interval) * time.Millisecond,
		Messages: statements.now, Log: d.log,
	}), nil
}

// statements are the messages for MQTT, which tell what has changed since the last ones. They are for one goroutine.
type statements struct {
	daemon *Daemon
	scope  string
	calls  mqtt.Describer
	before *counts.Snapshot
	at     time.Time
}

// now returns those of this moment.
func (s *statements) now() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		at := time.Now()
		if s.scope != scopeSummary {
			s.calls.Begin(at)
		}
		snap := s.daemon.snapshot()
		tree := ngproto.Encode(s.daemon.statisticsOf(snap, s.changes(snap, at)), ngproto.JSON)
		s.before, s.at = snap, at
		if s.scope == scopeSummary {
			yield(mqtt.Stamped(at, json.RawMessage(tree)))
			return
		}
		snaps := s.daemon.calls.Snapshots(-1)
		if s.scope == scopeGlobal {
			all := []mqtt.Call{}
			for _, c := range snaps {
				all = append(all, s.calls.Call(c))
			}
			yield(mqtt.WithCalls(at, tree, all))
			return
		}
		if !yield(mqtt.Stamped(at, json.RawMessage(tree))) {
			return
		}
		for _, c := range snaps {
			if s.scope == scopeCall {
				if !yield(mqtt.Stamped(at, s.calls.Call(c))) {
					return
				}
				continue
			}
			for _, m := range s.calls.Medias(c) {
				if !yield(mqtt.Stamped(at, m)) {
					return
				}
			}
		}
	}
}

// change is what has come to for one interface since a time ago.
type change struct {
	seconds float64
	before  *counts.Interface
}

// changes returns what to compare the i-th interface with; nil the first time.
func (s *statements) changes(now *counts.Snapshot, at time.Time) func(i int) *change {
	if s.before == nil || len(s.before.Interfaces) != len(now.Interfaces) {
		return nil
	}
	return func(i int) *change { return &change{at.Sub(s.at).Seconds(), &s.before.Interfaces[i]} }
}

// add writes what has changed about an interface.
func (c *change) add(out *branch, now *counts.Interface) {
	diff := func(now, then uint64) uint64 {
		if now < then {
			return 0
		}
		return now - then
	}
	rate := func(n uint64) uint64 {
		if c.seconds <= 0 {
			return 0
		}
		return uint64(math.Round(float64(n) / c.seconds))
	}
	a, b := &c.before.Traffic, &now.Traffic
	for _, part := range []struct {
		suffix string
		of     func(uint64) uint64
	}{{"interval", func(n uint64) uint64 { return n }}, {"rate", rate}} {
		var own branch
		own.add("packets_lost", part.of(diff(b.Lost, a.Lost)))
		own.add("duplicates", 0)
		*out = append(*out, ngproto.Entry{Key: part.suffix, Value: ngproto.Map(ngproto.Dict(own))})
		for _, way := range []struct {
			name         string
			packets      [2]uint64
			bytes, wrong [2]uint64
		}{
			{"ingress", [2]uint64{a.In.Packets, b.In.Packets}, [2]uint64{a.In.Bytes, b.In.Bytes}, [2]uint64{a.Errors, b.Errors}},
			{"egress", [2]uint64{a.Out.Packets, b.Out.Packets}, [2]uint64{a.Out.Bytes, b.Out.Bytes}, [2]uint64{}},
		} {
			of := func(n [2]uint64) uint64 { return part.of(diff(n[1], n[0])) }
			counted := traffic(media.Counts{Packets: of(way.packets), Bytes: of(way.bytes)}, of(way.wrong))
			*out = append(*out, ngproto.Entry{Key: way.name + "_" + part.suffix, Value: ngproto.Map(counted)})
		}
	}
	var averages branch
	q, r := &c.before.Pool.Quality, &now.Pool.Quality
	for _, m := range []struct {
		name      string
		then, now media.Sums
		scale     float64
	}{
		{"mos", q.MOS, r.MOS, 10}, {"jitter", q.Jitter, r.Jitter, 1}, {"rtt_e2e", q.RoundTrip, r.RoundTrip, 1},
		{"rtt_dsct", q.RoundTripLeg, r.RoundTripLeg, 1}, {"packetloss", q.Loss, r.Loss, 1},
		{"jitter_measured", q.JitterMeasured, r.JitterMeasured, 1},
	} {
		n := float64(max(1, diff(m.now.Samples, m.then.Samples)))
		sum := float64(diff(m.now.Sum, m.then.Sum)) / m.scale
		squares := float64(diff(m.now.Squares, m.then.Squares)) / (m.scale * m.scale)
		averages.seconds(m.name, sum/n)
		averages.seconds(m.name+"_stddev", deviation(sum, squares, n))
	}
	*out = append(*out, ngproto.Entry{Key: "voip_metrics_interval", Value: ngproto.Map(ngproto.Dict(averages))})
}
