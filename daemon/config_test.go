package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/control/cli"
)

// TestEveryOptionOfRtpengine walks the list of its options: each is there under all its names, and has an effect or a reason.
func TestEveryOptionOfRtpengine(t *testing.T) {
	o := NewOptions("", "")
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Register(fs)
	idle := make(map[string]bool)
	for i := range idleGroups {
		if len(idleGroups[i].why) < 10 {
			t.Errorf("%s: no reason is given", idleGroups[i].about)
		}
		idleGroups[i].each(func(name, _ string, _ bool) { idle[name] = true })
	}
	// Rows that are no options have tests of their own: sections in TestSectionsOfTheFile, signals in cmd/weir, listeners in
	// TestDefaultListener, the variables with passwords of Redis in TestAddressesOfRedis.
	other := []string{"config section (interfaces-config)", "config section (transcode-config)", "config section (templates)", "environment",
		"environment (systemd)", "signals", "startup check"}
	rows, err := os.ReadFile("testdata/options.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for row := range strings.Lines(string(rows)) {
		text, group, _ := strings.Cut(strings.TrimSpace(row), "\t")
		if slices.Contains(other, group) {
			continue
		}
		names := strings.Split(text, "|")
		for _, name := range names {
			if short, ok := strings.CutPrefix(name, "-"); ok {
				if short == "?" || short == "h" || short == "v" {
					continue // of the program as a whole
				}
				if f := fs.ShorthandLookup(short); f == nil || f.Name != names[0] {
					t.Errorf("-%s is not %s", short, names[0])
				}
				continue
			}
			switch f := fs.Lookup(name); {
			case name == "help" || name == "version":
			case strings.HasPrefix(name, "redis-delete-async"): // rtpengine does not know it, either
				if f != nil {
					t.Errorf("%s is there", name)
				}
			case f == nil:
				t.Errorf("%s is not there", name)
			case len(f.Usage) < 10:
				t.Errorf("%s is not explained", name)
			case idle[name] != strings.HasPrefix(f.Usage, "accepted without effect"):
				t.Errorf("%s: %q, but idle is %v", name, f.Usage, idle[name])
			}
		}
	}
}

func TestPageOfOptionsIsCurrent(t *testing.T) {
	data, err := os.ReadFile("../docs/options.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != OptionsPage() {
		t.Error("docs/options.md is not what the program has: run make docs")
	}
}

func TestMisspeltOptionNamesTheNearest(t *testing.T) {
	o := NewOptions("none", "weir")
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Register(fs)
	for arg, want := range map[string]string{
		"--timout=5": `did you mean "timeout"?`, "--listen-ngg=1": `"listen-ng"`, "--recordingdir=x": `"recording-dir"`, "--xyzzy": "unknown flag: --xyzzy",
	} {
		if err := o.FlagError(fs.Parse([]string{arg})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q in it", arg, err, want)
		}
	}
}

func TestOneShots(t *testing.T) {
	for _, c := range []struct {
		args       []string
		done       bool
		want, fail string
	}{
		{[]string{"--port-min=20000"}, false, "", ""},
		{[]string{"--nftables-status"}, true, "Success\n", ""},
		{[]string{"--nftables-start", "--nftables-stop"}, true, "", "exclude each other"},
		{[]string{"--codecs"}, true, "PCMA: passed through and negotiated", ""},
		{[]string{"--check-config", "--interface=127.0.0.1", "--listen-ng=127.0.0.1:2223"}, true, "the configuration is good\n", ""},
		{[]string{"--check-config", "--interface=127.0.0.1", "--poller-size=5", "--redis=127.0.0.1:6379/1"}, true,
			"without effect: --poller-size (the planes schedule themselves", ""},
		{[]string{"--check-config", "--interface=nosuchdevice"}, true, "", "nosuchdevice"},
		{[]string{"--check-config", "--listen-ng=nowhere:x"}, true, "", "--listen-ng"},
		{[]string{"--check-config", "--interface=127.0.0.1", "--listen-https=1", "--https-cert=/nonexistent"}, true, "", "--https-cert"},
	} {
		o, err := complete(t, "", c.args...)
		if err != nil {
			t.Errorf("%v: %v", c.args, err)
			continue
		}
		var out strings.Builder
		done, err := o.OneShot(&out)
		if done != c.done || !strings.Contains(out.String(), c.want) {
			t.Errorf("%v: done %v, prints %q", c.args, done, out.String())
		}
		if (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%v: %v, want %q", c.args, err, c.fail)
		}
	}
}

func TestEffectiveConfigurationReadsTheSame(t *testing.T) {
	o, err := complete(t, "[weir]\ninterface = pub/10.0.0.5;priv/192.168.1.5\nmoh-attr-name = \\sa\\sblank\npoller-size = 3\nmysql-pass = hush\n",
		"--timeout=33")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := o.WriteEffective(&out, true); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"# from the command line\ntimeout = 33\n", "# from the file\ninterface = pub/10.0.0.5;priv/192.168.1.5\n",
		"# from the file\n# without effect: the planes schedule themselves", "port-min = 30000\n", "mysql-pass = ***\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("missing %q in\n%s", want, text)
		}
	}
	again, err := complete(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if again.Timeout != 33 || again.MOHAttr != " a blank" || len(again.Interfaces) != 2 {
		t.Errorf("read again it is %d, %q, %v", again.Timeout, again.MOHAttr, again.Interfaces)
	}
	for _, s := range o.Effective(false) {
		if s.From == fromDefault {
			t.Errorf("%s is at its default", s.Name)
		}
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.conf")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const first = "[weir]\ntimeout = 50\nmax-sessions = 5\ntemplates = words\n[words]\ndefault = trust-address\n"
	write(first)
	r := start(t, "", "--config-file="+path, "--delete-delay=7")
	r.offer(t, "one")
	client := cli.NewClient(r.socket)

	check := func(name string, changed, restart []string, limit, seconds int) {
		t.Helper()
		got, err := client.Reload(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		slices.Sort(got.Changed)
		if !slices.Equal(got.Changed, changed) || !slices.Equal(got.Restart, restart) {
			t.Errorf("%s: %+v", name, got)
		}
		if l := r.calls.Limits(); l.MaxSessions != limit || int(l.Timeout.Seconds()) != seconds || l.DeleteDelay.Seconds() != 7 {
			t.Errorf("%s: limits %+v", name, l)
		}
	}
	check("the same file", nil, nil, 5, 50)
	write("[weir]\ntimeout = 51\ntos = 184\nmax-sessions = 6\nlog-level = 7\ndelete-delay = 99\ntemplates = words\n[words]\ndefault = strict-source\n")
	check("another file", []string{"log-level", "max-sessions", "templates", "timeout"}, []string{"tos"}, 6, 51)
	check("once more", nil, []string{"tos"}, 6, 51)

	for name, text := range map[string]string{
		"a misspelt key": "[weir]\ntimeout = 99\ntimout = 5\n", "a bad value": "[weir]\ntimeout = 99\nmax-load = high\n",
		"a bad value in the middle":   "[weir]\ntimeout = 99\nmax-sessions = 1\nlog-level-ice = 9\ncontrol-tos = 4\nlog-level = 3\n",
		"a bad value at the end":      "[weir]\ntimeout = 99\nmax-sessions = 1\nlog-level = 3\ncontrol-tos = 4\nmos = XX\n",
		"an address of somebody else": "[weir]\ntimeout = 99\ninterfaces-config = net\n[net-x]\naddress = nosuchdevice\n",
	} {
		write(text)
		if _, err := client.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %v", name, err)
		}
		now := r.tuner.Settings()
		if now.Limits.Timeout.Seconds() != 51 || now.Limits.MaxSessions != 6 || now.LogLevels[0] != 7 || now.ControlTOS != 0 {
			t.Errorf("%s: the settings are %+v", name, now)
		}
	}
	// What rtpengine-ctl has changed is as the file says again.
	r.commandLines().Run("set maxsessions 1")
	write(first)
	check("the first file", []string{"log-level", "max-sessions", "templates", "timeout"}, nil, 5, 50)
}

func TestLogLevelMoves(t *testing.T) {
	r := start(t, "")
	r.LogMore(5)
	if got := r.tuner.Settings().LogLevels[0]; got != 7 {
		t.Errorf("the level is %d, want 7", got)
	}
	r.LogMore(-1)
	if got := r.tuner.Settings().LogLevels[0]; got != 6 {
		t.Errorf("the level is %d, want 6", got)
	}
}

func TestDefaultListener(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{DefaultNG}},
		{[]string{"--listen-cli=9900"}, []string{DefaultNG}}, // which takes no requests of proxies
		{[]string{"--listen-http=8080"}, nil},
		{[]string{"--listen-ng=192.0.2.1:22222"}, []string{"192.0.2.1:22222"}},
	} {
		o, err := complete(t, "", c.args...)
		if err != nil {
			t.Fatal(err)
		}
		if got := o.udpSockets(); !slices.Equal(got, c.want) {
			t.Errorf("%v listens on %v, want %v", c.args, got, c.want)
		}
	}
}

func FuzzConfigurationFile(f *testing.F) {
	for _, text := range []string{"[weir]\ntimeout = 5\n", "# x\n[a]\nb=c;d\n[a]\nb = e\n", "[", "x=1", "[a]\n=\n", "[a]\nb = \\s\\q\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := parseConfig("weir.conf", text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "weir.conf line ") {
				t.Errorf("an error that does not say where: %v", err)
			}
			return
		}
		for _, name := range file.names {
			for _, s := range file.sections[name] {
				if s.line < 1 || s.line > strings.Count(text, "\n")+1 {
					t.Errorf("%q = %q is said to be in line %d", s.key, s.value, s.line)
				}
				if got := unescape(escape(s.value)); got != s.value {
					t.Errorf("%q escaped and back is %q", s.value, got)
				}
			}
		}
	})
}
