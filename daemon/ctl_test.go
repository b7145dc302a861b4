package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/control/counts"
	"github.com/weir-media/weir/media"
)

// ctl runs rtpengine-ctl.
func ctl(t *testing.T, addr, line string) string {
	t.Helper()
	req, err := cli.ParseCtl(append([]string{"--ip", addr}, strings.Fields(line)...))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := req.Do(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCtlReachesTheDaemon(t *testing.T) {
	addr := freePort(t)
	r := start(t, "", "--listen-cli="+addr, "--timeout=77", "--max-load=50", "--recording-dir=/var/spool/x")
	r.offer(t, "one")
	for _, c := range []struct{ line, want string }{
		{"list timeout", "TIMEOUT=77\n"},
		{"list sessions all", "one | del:n"},
		{"list interfaces", "Interface 'default' address '127.0.0.1' (IPv4)\n Port range: 46000 - 55998\n"},
		{"list jsonstats", `"currentstatistics":`},
		{"params start", "\nspooldir[0] = /var/spool/x\n"},
		{"params start", "\ninterface[0] = default\\127.0.0.1\n"},
		{"list loglevel core", "6\n"},
		{"list loglevel internals", "-1\n"},
		{"set loglevel http 4", "Success setting loglevel to 4\n"},
		{"set controltos 184", "Success setting control-tos to 184\n"},
		{"set timeout 78", "Success setting timeout to 78\n"},
		{"set maxsessions 0", "Success setting maxsessions to 0\n"},
		{"params diff", "log-level-http: 6 => 4\nmax-sessions: -1 => 0\ntimeout: 77000000 => 78000000\ncontrol-tos: 0 => 184\n"},
	} {
		if got := ctl(t, addr, c.line); !strings.Contains(got, c.want) {
			t.Errorf("%q prints\n%s\nwant in it\n%s", c.line, got, c.want)
		}
	}
	if got := r.calls.Limits(); got.MaxSessions != 0 || got.Timeout != 78*time.Second {
		t.Errorf("the limits are %+v", got)
	}
	if status, body := r.get(t, "/cli/list+timeout"); status != 200 || body != "TIMEOUT=78\n" {
		t.Errorf("over HTTP: %d %q", status, body)
	}
	if got := ctl(t, addr, "terminate all"); got != "All calls terminated by operator.\n" || r.calls.Stats().Live != 0 {
		t.Errorf("terminate prints %q and leaves %d", got, r.calls.Stats().Live)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	o, err := complete(t, "", "--mysql-pass=hush", "--redis=hush@127.0.0.1:6379/1", "--janus-secret=hush")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range o.params() {
		if strings.Contains(p.Value, "hush") {
			t.Errorf("%s shows %q", p.Name, p.Value)
		}
	}
}

func TestLoadRefusesCalls(t *testing.T) {
	var l load
	l.cpu.Store(math.Float64bits(80))
	l.average.Store(math.Float64bits(4))
	l.rates.Store(&counts.Rates{Userspace: counts.Rate{Bytes: 100}, Kernel: counts.Rate{Bytes: 1000}})
	for _, c := range []struct {
		name string
		s    cli.Settings
		want error
	}{
		{"no limits", cli.Settings{}, nil},
		{"all below", cli.Settings{MaxCPU: 81, MaxLoad: 4.5, MaxBandwidth: 1100}, nil},
		{"CPU", cli.Settings{MaxCPU: 79}, call.ErrCPULimit},
		{"load average", cli.Settings{MaxLoad: 3.9}, call.ErrLoadLimit},
		{"bandwidth of both planes", cli.Settings{MaxBandwidth: 1099}, call.ErrBandwidthLimit},
	} {
		if err := l.admit(&c.s); !errors.Is(err, c.want) || err != nil && !errors.Is(err, call.ErrSessionLimit) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestLimitsChangeWhileCallsCome would not end if a change held what a new call waits for.
func TestLimitsChangeWhileCallsCome(t *testing.T) {
	r := start(t, "", "--max-load=1000000")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			_ = r.tuner.Change(func(s *cli.Settings) { s.Limits.Timeout = time.Duration(60+i) * time.Second })
		}
	}()
	for i := range 200 {
		r.offer(t, strconv.Itoa(i))
	}
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("a change of the limits does not end")
	}
}

func TestRates(t *testing.T) {
	before := media.Relayed{Kernel: media.Counts{Packets: 100, Bytes: 1000}, Errors: 5}
	now := media.Relayed{Kernel: media.Counts{Packets: 300, Bytes: 5000}, Userspace: media.Counts{Packets: 10}, Errors: 3}
	got := rates(&before, &now, 2*time.Second)
	want := counts.Rates{Kernel: counts.Rate{Packets: 100, Bytes: 2000}, Userspace: counts.Rate{Packets: 5}}
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func TestHostTellsItsLoad(t *testing.T) {
	if busy, all, err := readCPU(); err != nil || busy > all || all == 0 {
		t.Errorf("CPU: %d of %d, %v", busy, all, err)
	}
	if v, err := readAverage(); err != nil || v < 0 {
		t.Errorf("load average: %v, %v", v, err)
	}
}

func TestLogLevels(t *testing.T) {
	var out bytes.Buffer
	b := newLogbook(&out, true)
	var levels cli.LogLevels
	for i, system := range cli.LogSystems() {
		if levels[i] = 6; system == "http" {
			levels[i] = 4
		}
	}
	b.setLevels(levels)
	core, web := b.logger("core"), b.logger("http")
	b.debug("x", true)
	b.debug("x", true)
	b.debug("gone", true)
	b.debug("gone", false)
	core.Info("core-info")
	core.Debug("core-debug")
	web.Info("http-info")
	web.Warn("http-warn")
	core.Debug("about-x", "call", "x")
	core.With("call", "x").Debug("with-x")
	core.WithGroup("g").With("call", "gone").Debug("about-gone")
	levels[0] = -1
	b.setLevels(levels)
	core.Error("silent")
	var got []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "time=") {
			t.Errorf("a bare line has the time: %s", line)
		}
		_, rest, _ := strings.Cut(line, "msg=")
		word, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		got = append(got, word)
	}
	if want := "core-info http-warn about-x with-x"; strings.Join(got, " ") != want {
		t.Errorf("logged %v, want %v", got, want)
	}
	if b.debug("x", false); b.debugged.Load() != 0 || core.Enabled(t.Context(), slog.LevelDebug) {
		t.Errorf("%d calls are still debugged", b.debugged.Load())
	}
}
