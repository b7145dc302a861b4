package daemon

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
)

// complete parses a command line, with the given text as configuration file if there is any.
func complete(t *testing.T, file string, args ...string) (*Options, error) {
	t.Helper()
	path := "none"
	if file != "" {
		path = filepath.Join(t.TempDir(), "weir.conf")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := NewOptions(path, "weir")
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.Register(fs)
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return o, o.Complete()
}

func TestRtpenginesCommandLineIsUnderstood(t *testing.T) {
	o, err := complete(t, "", "--table=-1", "-i", "pub/10.0.0.5!203.0.113.9", "--interface=priv/192.168.1.5", "-n", "127.0.0.1:2223",
		"-m", "20000", "-M", "20999", "-L", "7", "-E", "-f", "--delete-delay=0", "--timeout=90", "--log-level-internals=7",
		"-c", "12345", "--listen-http=8080", "--recording-dir=/tmp", "--redis=127.0.0.1:6379/1", "--no-redis-required", "--tos=184")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := o.mode(); m != fastpath.None || err != nil {
		t.Errorf("--table=-1 gives %v, %v", m, err)
	}
	if o.PortMin != 20000 || o.PortMax != 20999 || o.LogLevel != 7 || o.DeleteDelay != 0 || o.Timeout != 90 || o.TOS != 184 {
		t.Errorf("got %+v", o)
	}
	var idle []string
	for _, note := range withoutEffect(o.flags) {
		idle = append(idle, note.Names...)
	}
	if want := []string{"recording-dir"}; !slices.Equal(idle, want) {
		t.Errorf("without effect are said to be %v, want %v", idle, want)
	}
}

func TestConfigurationFile(t *testing.T) {
	const file = `# comment
[other]
timeout = 1
[weir]
interface = pub/10.0.0.5;priv/192.168.1.5
timeout = 10
timeout = 20
port-min = 20000
log-stderr = true
moh-attr-name = with\sblank
`
	o, err := complete(t, file, "--port-min=30000", "--interface=10.9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	if o.Timeout != 20 {
		t.Errorf("timeout %d, want the last one of the section, 20", o.Timeout)
	}
	if o.PortMin != 30000 || !slices.Equal(o.Interfaces, []string{"10.9.9.9"}) {
		t.Errorf("port-min %d, interfaces %v: want the command line's", o.PortMin, o.Interfaces)
	}
	if o.MOHAttr != "with blank" || !o.LogStderr {
		t.Errorf("got %q, %v", o.MOHAttr, o.LogStderr)
	}
	if o, err = complete(t, file); err != nil || len(o.Interfaces) != 2 {
		t.Errorf("interfaces of the file: %v, %v", o.Interfaces, err)
	}
}

func TestSectionsOfTheFile(t *testing.T) {
	const file = `[weir]
interfaces-config = intf
templates = words
transcode-config = conv
interface = 10.0.0.1
[intf-pub]
address = 10.0.0.5
advertised_address = 203.0.113.9
port-min = 20000
port-max = 20999
exclude-ports = 20100;20102
[intf-more]
name = pub
address = fd00::5
[intf-also]
alias = pub
[words]
default = trust-address
webrtc = ICE=force transport-protocol=UDP/TLS/RTP/SAVPF
[conv-up]
source = opus/48000/2
destination = G722
preference = 5
[conv-away]
source = PCMA
destination = PCMU
transform = 192.0.2.1:2223
`
	o, err := complete(t, file)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.templates) != 2 || o.templates["default"] != "trust-address" || !strings.HasPrefix(o.templates["webrtc"], "ICE=force ") {
		t.Errorf("templates %v", o.templates)
	}
	if len(o.preferences) != 1 || o.preferences[0].Rank != 5 || o.preferences[0].Source.Channels != 2 || o.preferences[0].Destination.Name != "G722" {
		t.Errorf("preferences %+v", o.preferences)
	}
	got, err := resolveInterfaces(o.interfaces, []uint16{2223})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Name != "default" || got[1].Name != "pub" || got[2].Name != "also" {
		t.Fatalf("got %+v", got)
	}
	a := got[1].Addresses
	if len(a) != 2 || a[0].Advertised.String() != "203.0.113.9" || a[0].PortMin != 20000 || a[0].PortMax != 20999 ||
		!slices.Equal(a[0].Exclude, []uint16{20100, 20102, 2223}) || a[1].PortMin != 30000 {
		t.Errorf("addresses of pub: %+v", a)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct {
		name, file string
		args       []string
		want       string
	}{
		{"a misspelt key", "[weir]\ntimout = 5\n", nil, `unknown key "timout" (did you mean "timeout"?)`},
		{"a line without =", "[weir]\nhello\n", nil, "line 2"},
		{"an unknown key of an interface", "[weir]\ninterfaces-config = i\n[i-a]\nadress = 10.0.0.1\n", nil, "line 4"},
		{"an interface without address", "[weir]\ninterfaces-config = i\n[i-a]\nport-min = 5\n", nil, "[i-a]: no address"},
		{"an excluded port that is none", "[weir]\ninterfaces-config = i\n[i-a]\naddress = 10.0.0.1\nexclude-ports = 70000\n", nil, "no port"},
		{"a conversion without codecs", "[weir]\ntranscode-config = t\n[t-a]\npreference = 1\n", nil, "[t-a]: it takes a source"},
		{"a conversion without a verdict", "[weir]\ntranscode-config = t\n[t-a]\nsource = PCMA\ndestination = opus\npreference = 0\n", nil, "no verdict"},
		{"a rank that is no number", "[weir]\ntranscode-config = t\n[t-a]\npreference = high\n", nil, "line 4"},
		{"an unknown key of a conversion", "[weir]\ntranscode-config = t\n[t-a]\nsorce = PCMA\n", nil, "line 4"},
		{"templates without a section", "[weir]\ntemplates = t\n", nil, "no section [t]"},
		{"templates without a file", "", []string{"--templates=t"}, "--config-file"},
		{"a line before the first section", "timeout = 5\n", nil, "line 1"},
		{"no such section", "[rtpengine]\n", nil, "no section [weir]"},
		{"a value that is no number", "[weir]\ntimeout = soon\n", nil, "line 2"},
		{"an empty port range", "", []string{"-m", "5000", "-M", "4000"}, "--port-min"},
		{"an unknown engine", "", []string{"--fast-path=warp"}, "xdp-generic"},
		{"an unknown way to send and receive", "", []string{"--userspace-io=warp"}, "sockets"},
		{"an unknown learning mode", "", []string{"--endpoint-learning=guess"}, "heuristic"},
		{"TLS without a certificate", "", []string{"--listen-https=8443"}, "--https-cert"},
		{"a TOS too large", "", []string{"--tos=256"}, "255"},
		{"a missing file that was named", "", []string{"--config-file=/nonexistent/weir.conf"}, "/nonexistent/weir.conf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := complete(t, c.file, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestMissingDefaultFileIsFine(t *testing.T) {
	o := NewOptions(filepath.Join(t.TempDir(), "none.conf"), "weir")
	o.Register(pflag.NewFlagSet("test", pflag.ContinueOnError))
	if err := o.Complete(); err != nil {
		t.Error(err)
	}
}

func TestInterfaces(t *testing.T) {
	resolve := func(texts ...string) ([]media.Interface, error) {
		o := Options{Interfaces: texts, PortMin: 1000, PortMax: 2000}
		if err := o.describeInterfaces(nil); err != nil {
			return nil, err
		}
		return resolveInterfaces(o.interfaces, nil)
	}
	got, err := resolve("pub/10.0.0.5!203.0.113.9", "pub/fd00::5", "priv/192.168.1.5", "alias=priv", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got {
		names = append(names, f.Name)
	}
	if want := []string{"pub", "priv", "alias", "default"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if a := got[0].Addresses; len(a) != 2 || a[0].Advertised != netip.MustParseAddr("203.0.113.9") || a[1].Advertised.IsValid() {
		t.Errorf("addresses of pub: %+v", a)
	}
	if got[2].Addresses[0].IP != got[1].Addresses[0].IP {
		t.Error("the alias has other addresses than what it stands for")
	}
	if got, err := resolve("lo"); err != nil || got[0].Addresses[0].IP != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("a device name: %+v, %v", got, err)
	}
	for spec, want := range map[string]string{
		"0.0.0.0": "any", "alias=nobody": "nobody", "no-such-device": "neither an address nor a network device",
	} {
		if _, err := resolve(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--interface %s: %v, want %q in it", spec, err, want)
		}
	}
}

func TestListen(t *testing.T) {
	for text, want := range map[string]string{
		"2223": "[::]:2223", "127.0.0.1:2223": "127.0.0.1:2223", "[::1]:2223": "[::1]:2223", ":2223": "[::]:2223",
	} {
		if got, err := parseListen(text); err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
	if got, err := parseListen("localhost:2223"); err != nil || got[0].String() != "127.0.0.1:2223" {
		t.Errorf("localhost: %v, %v, want IPv4 first", got, err)
	}
	for _, text := range []string{"", "0", "127.0.0.1:", "127.0.0.1:x", "1:2:3"} {
		if got, err := parseListen(text); err == nil {
			t.Errorf("%q passes as %v", text, got)
		}
	}
}
