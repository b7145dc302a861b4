package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/call"
	"github.com/weir-media/weir/control/cli"
	"github.com/weir-media/weir/fastpath"
	"github.com/weir-media/weir/media"
)

// DefaultNG takes commands only of proxies on this host, until the operator says otherwise.
const DefaultNG = "127.0.0.1:2223"

// DefaultStateDir does not outlive the host: neither do the sockets and flows that are half of a call.
const DefaultStateDir = "/run/weir"

// Options is the configuration as an operator writes it, on the command line or in a file.
type Options struct {
	ConfigFile    string
	ConfigSection string

	Interfaces  []string
	ListenNG    []string
	ListenTCP   []string
	ListenUnix  []string
	ListenHTTP  []string
	ListenHTTPS []string
	Certificate string
	Key         string
	HTTPIdle    int // s
	Socket      string
	PIDFile     string

	PortMin, PortMax int
	Quarantine       int // s
	Learning         string
	Foreign          string
	PortLatching     bool
	SIPSource        bool
	OneAddress       bool
	TOS              int
	RejectBlank      bool
	MOHAttr          string
	SoftwareID       string

	Timeout, SilentTimeout, OfferTimeout, FinalTimeout, DeleteDelay int // s
	MaxSessions                                                     int
	Workers                                                         int

	DTLS dtlsOptions

	Quality qualityOptions
	Tuning  tuningOptions
	Access  accessOptions

	Graphite graphiteOptions
	Redis    redisOptions
	Exports  exportOptions
	MQTT     mqttOptions

	ListenCLI     []string
	ControlPMTU   string
	DrainDeadline int // s

	Legacy legacyOptions

	FastPath   string
	IO         string
	Table      int
	Outlive    int // s
	StateDir   string
	BPFFS      string
	NoFallback bool

	LogLevel    int
	LogStderr   bool
	LogFacility string
	LogBare     bool
	Foreground  bool

	Templates        string
	InterfacesConfig string
	TranscodeConfig  string

	Shot oneShotOptions

	defaultFile, defaultSection string
	given                       map[string][]string // what the command line sets

	flags        *pflag.FlagSet
	templates    map[string]string
	interfaces   []interfaceSpec
	preferences  []call.CodecPreference
	idleSections []string // of TranscodeConfig that ask for what is not there yet
}

// NewOptions returns the defaults, with the configuration file that is read if it exists and its section.
func NewOptions(configFile, section string) *Options {
	return &Options{ConfigFile: configFile, ConfigSection: section, defaultFile: configFile, defaultSection: section}
}

// Register adds the options to fs.
func (o *Options) Register(fs *pflag.FlagSet) {
	o.flags = fs
	fs.SortFlags = false
	fs.StringArrayVarP(&o.Interfaces, "interface", "i", nil,
		"[NAME/]ADDRESS[!ADVERTISED] for media, or ALIAS=NAME; ADDRESS may be a device or \"any\"; repeatable (default any)")
	fs.StringVar(&o.InterfacesConfig, "interfaces-config", "", "sections PREFIX-NAME of the configuration file describe further interfaces")
	fs.StringArrayVarP(&o.ListenNG, "listen-ng", "n", nil, "[ADDRESS:]PORT for the ng protocol over UDP; repeatable (default "+DefaultNG+")")
	fs.StringArrayVarP(&o.ListenTCP, "listen-tcp-ng", "N", nil, "the same over TCP; repeatable")
	fs.StringArrayVar(&o.ListenUnix, "listen-unix-ng", nil, "path of a unix socket for the same; repeatable")
	fs.StringArrayVar(&o.ListenHTTP, "listen-http", nil, "[ADDRESS:]PORT for the ng protocol over HTTP and WebSocket; repeatable")
	fs.StringArrayVar(&o.ListenHTTPS, "listen-https", nil, "the same with TLS; repeatable, needs --https-cert")
	fs.StringVar(&o.Certificate, "https-cert", "", "PEM file with the certificate for --listen-https; changes are noticed")
	fs.StringVar(&o.Key, "https-key", "", "PEM file with its key (default the file of --https-cert)")
	fs.IntVar(&o.HTTPIdle, "http-idle-timeout", 0, "seconds an unused HTTP connection stays open; 0 is no limit")
	fs.IntVarP(&o.PortMin, "port-min", "m", media.DefaultPortMin, "lowest media port")
	fs.IntVarP(&o.PortMax, "port-max", "M", media.DefaultPortMax, "highest media port")
	fs.IntVar(&o.Quarantine, "port-quarantine", int(media.DefaultQuarantine.Seconds()), "seconds a freed media port rests before it is used again")
	fs.StringVar(&o.FastPath, "fast-path", string(fastpath.Auto), "engine of the kernel plane: auto, xdp, tc, xdp-generic or none")
	fs.StringVar(&o.IO, "userspace-io", ioAuto, "how media packets are received and sent that are not relayed in the kernel: auto, shared (few sockets for all ports, whole frames; even past a firewall) or sockets (one for each port)")
	fs.IntVarP(&o.Table, "table", "t", 0, "number that tells the instances of one host apart, like rtpengine's forwarding table; a negative one means userspace only")
	fs.IntVar(&o.Outlive, "outlive", int(fastpath.DefaultOutlive.Seconds()), "seconds that calls in the kernel go on when the daemon has died, unless the next one takes them over; 0 ends them with it")
	fs.StringVar(&o.StateDir, "state-dir", DefaultStateDir, "directory where the next daemon finds the calls of one that has died; \"none\" keeps nothing")
	fs.StringVar(&o.BPFFS, "bpffs", fastpath.DefaultBPFFS, "BPF file system where calls in the kernel outlive the daemon; if there is none one is mounted under /run/weir")
	fs.BoolVarP(&o.NoFallback, "no-fallback", "F", false, "refuse to start where the kernel plane cannot be used")
	fs.StringVar(&o.Learning, "endpoint-learning", "heuristic", "how a party's address is learnt: heuristic, delayed, immediate or off")
	fs.BoolVar(&o.PortLatching, "port-latching", false, "keep the ports told to a party when the other side moves to another port")
	fs.StringVar(&o.Foreign, "foreign-sources", foreignRefuse, "what happens to media from sources other than the learnt one: refuse, or relay unless a message asks for strict source")
	fs.BoolVar(&o.SIPSource, "sip-source", false, "take the signalling source for the media address by default")
	fs.BoolVarP(&o.OneAddress, "save-interface-ports", "S", false, "open ports on one address of an interface only; ICE then has no choice")
	fs.IntVarP(&o.TOS, "tos", "T", 0, "TOS or traffic class of media packets, 0 to 255")
	fs.IntVarP(&o.Timeout, "timeout", "o", int(call.DefaultTimeout.Seconds()), "seconds without packets that end a call")
	fs.IntVarP(&o.SilentTimeout, "silent-timeout", "s", int(call.DefaultSilentTimeout.Seconds()), "the same while the call is on hold")
	fs.IntVarP(&o.FinalTimeout, "final-timeout", "a", 0, "seconds any call may live; 0 is no limit")
	fs.IntVar(&o.OfferTimeout, "offer-timeout", int(call.DefaultOfferTimeout.Seconds()), "seconds an offer may wait for its answer")
	fs.IntVarP(&o.DeleteDelay, "delete-delay", "d", int(call.DefaultDeleteDelay.Seconds()), "seconds between a delete and its effect")
	fs.IntVar(&o.MaxSessions, "max-sessions", -1, "refuse new calls above this number; -1 is no limit")
	fs.IntVar(&o.Workers, "num-threads", 0, "threads of the userspace plane (default one per CPU)")
	fs.BoolVar(&o.RejectBlank, "reject-invalid-sdp", false, "refuse SDP with a blank line instead of reading up to it")
	fs.StringVar(&o.MOHAttr, "moh-attr-name", "", "session attribute that declares music on hold")
	fs.StringVar(&o.Socket, "control-socket", cli.DefaultSocket, "unix socket for status, list and top")
	fs.StringVarP(&o.PIDFile, "pidfile", "p", "", "write the process id to this file")
	fs.IntVarP(&o.LogLevel, "log-level", "L", 6, "0 to 7 as in syslog: 3 errors, 4 warnings, 6 information, 7 debug")
	fs.BoolVarP(&o.LogStderr, "log-stderr", "E", false, "log to standard error (Weir always does)")
	fs.StringVar(&o.LogFacility, "log-facility", "daemon", "syslog facility (the log goes to standard error, where the journal picks it up)")
	fs.BoolVar(&o.LogBare, "no-log-timestamps", false, "log without the time")
	fs.BoolVarP(&o.Foreground, "foreground", "f", false, "stay in the foreground (Weir always does)")
	fs.StringVar(&o.ConfigFile, "config-file", o.ConfigFile, "configuration file; \"none\" reads none")
	fs.StringVar(&o.Templates, "templates", "", "section of the configuration file with signalling templates")
	fs.StringVar(&o.TranscodeConfig, "transcode-config", "", "sections PREFIX-NAME of the configuration file rank pairs of codecs to convert between")
	fs.StringVar(&o.ConfigSection, "config-section", o.ConfigSection, "section of the configuration file")
	fs.StringVar(&o.SoftwareID, "software-id", "", "name of this proxy in descriptions it makes (default rtpengine-VERSION)")
	o.DTLS.register(fs)
	o.Quality.register(fs)
	o.Legacy.register(fs)
	fs.StringArrayVarP(&o.ListenCLI, "listen-cli", "c", nil, "[ADDRESS:]PORT for rtpengine-ctl over TCP; repeatable")
	fs.StringVar(&o.ControlPMTU, "control-pmtu", "", "of IPv4 replies to control requests over UDP: want (never fragmented on the way) or dont (default the system's)")
	fs.IntVar(&o.DrainDeadline, "drain-deadline", 60, "seconds that SIGTERM waits for calls to end before it ends them and the daemon; 0 ends at once. "+
		"A second SIGTERM, and SIGINT, always do")
	o.Tuning.register(fs)
	o.Access.register(fs)
	o.Graphite.register(fs)
	o.Redis.register(fs)
	o.Exports.register(fs)
	o.MQTT.register(fs)
	o.Shot.register(fs)
	registerPeerOptions(fs)
}

// Complete reads the configuration file for what the command line leaves open, and checks the whole.
func (o *Options) Complete() error {
	o.given = make(map[string][]string)
	o.flags.Visit(func(f *pflag.Flag) { o.given[f.Name] = slices.Clone(values(f)) })
	if err := o.readFile(); err != nil {
		return err
	}
	return o.check()
}

func (o *Options) readFile() error {
	file, err := o.openFile()
	if err != nil {
		return err
	}
	if file != nil {
		if err := o.take(file); err != nil {
			return err
		}
	} else if o.Templates != "" || o.InterfacesConfig != "" || o.TranscodeConfig != "" {
		return errors.New("--templates, --interfaces-config and --transcode-config name sections of a configuration file, and none is read; name it with --config-file")
	}
	if o.Templates != "" {
		settings, err := file.section(o.Templates, "--templates")
		if err != nil {
			return err
		}
		o.templates = make(map[string]string)
		for _, s := range settings {
			o.templates[s.key] = s.value
		}
	}
	if err := o.describeTranscoding(file); err != nil {
		return err
	}
	return o.describeInterfaces(file)
}

// openFile reads the configuration file; nil when there is none and none was asked for.
func (o *Options) openFile() (*configFile, error) {
	if o.ConfigFile == "none" || o.ConfigFile == "" {
		return nil, nil
	}
	file, err := readConfig(o.ConfigFile)
	if errors.Is(err, fs.ErrNotExist) && !o.flags.Changed("config-file") {
		return nil, nil
	}
	return file, err
}

// take sets what the command line leaves open from the options' section of the file.
func (o *Options) take(file *configFile) error {
	values, err := file.section(o.ConfigSection, "--config-section")
	if err != nil {
		return err
	}
	for _, v := range values {
		flag := o.flags.Lookup(v.key)
		if flag == nil {
			return fmt.Errorf("%s line %d: unknown key %q%s", o.ConfigFile, v.line, v.key, o.nearest(v.key))
		}
		if _, given := o.given[v.key]; given {
			continue // the command line replaces the file's value, lists as a whole
		}
		items := []string{v.value}
		if flag.Value.Type() == "stringArray" {
			items = strings.Split(strings.Trim(v.value, ";"), ";")
			for i := range items {
				items[i] = strings.TrimSpace(items[i])
			}
		}
		for _, item := range items {
			if err := o.flags.Set(v.key, item); err != nil {
				return fmt.Errorf("%s line %d: %w", o.ConfigFile, v.line, err)
			}
		}
	}
	return nil
}

// FlagError names the option that a misspelt one on the command line may mean.
func (o *Options) FlagError(err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		return fmt.Errorf("%w%s", err, o.nearest(unknown.GetSpecifiedName()))
	}
	return err
}

// nearest suggests the option a misspelt key may mean.
func (o *Options) nearest(key string) string {
	best, least := "", max(3, len(key)/3) // more edits make another word
	o.flags.VisitAll(func(f *pflag.Flag) {
		if d := distance(key, f.Name); d < least {
			best, least = f.Name, d
		}
	})
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is the number of letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}

func (o *Options) check() error {
	switch {
	case o.PortMin < 1 || o.PortMax > 65535 || o.PortMin > o.PortMax:
		return fmt.Errorf("port range %d to %d is empty or outside 1 to 65535; set --port-min and --port-max", o.PortMin, o.PortMax)
	case o.TOS < 0 || o.TOS > 255:
		return fmt.Errorf("--tos %d is not between 0 and 255", o.TOS)
	case o.DeleteDelay < 0:
		return fmt.Errorf("--delete-delay %d is negative", o.DeleteDelay)
	case o.Quarantine < 0:
		return fmt.Errorf("--port-quarantine %d is negative", o.Quarantine)
	case o.Outlive < 0:
		return fmt.Errorf("--outlive %d is negative", o.Outlive)
	case o.DrainDeadline < 0:
		return fmt.Errorf("--drain-deadline %d is negative", o.DrainDeadline)
	case o.HTTPIdle < 0:
		return fmt.Errorf("--http-idle-timeout %d is negative", o.HTTPIdle)
	case len(o.ListenHTTPS) > 0 && o.Certificate == "":
		return errors.New("--listen-https needs a certificate: name its PEM file with --https-cert")
	}
	if _, err := o.mode(); err != nil {
		return err
	}
	if o.IO != ioAuto && o.IO != ioShared && o.IO != ioSockets {
		return fmt.Errorf("--userspace-io %q is none of auto, shared, sockets", o.IO)
	}
	if o.Foreign != foreignRefuse && o.Foreign != foreignRelay {
		return fmt.Errorf("--foreign-sources %q is neither refuse nor relay", o.Foreign)
	}
	if _, err := o.DTLS.certificate(); err != nil {
		return err
	}
	if _, err := o.DTLS.handshakes(); err != nil {
		return err
	}
	if err := o.Quality.check(); err != nil {
		return err
	}
	if err := o.Legacy.check(); err != nil {
		return err
	}
	if err := o.Tuning.check(); err != nil {
		return err
	}
	if _, err := o.Access.access(); err != nil {
		return err
	}
	if err := o.Graphite.check(); err != nil {
		return err
	}
	if err := o.Redis.check(); err != nil {
		return err
	}
	if err := o.Exports.check(); err != nil {
		return err
	}
	if err := o.MQTT.check(); err != nil {
		return err
	}
	switch o.ControlPMTU {
	case "", "want", "dont", "don't":
	default:
		return fmt.Errorf("--control-pmtu %q is neither want nor dont", o.ControlPMTU)
	}
	_, err := o.learning()
	return err
}

// The values of --foreign-sources.
const (
	foreignRefuse = "refuse"
	foreignRelay  = "relay"
)

// The values of --userspace-io.
const (
	ioAuto    = "auto"
	ioShared  = "shared"
	ioSockets = "sockets"
)

// mode returns the engines the fast path may use.
func (o *Options) mode() (fastpath.Mode, error) {
	if o.Table < 0 {
		return fastpath.None, nil
	}
	switch m := fastpath.Mode(o.FastPath); m {
	case fastpath.Auto, fastpath.XDP, fastpath.TC, fastpath.XDPGeneric, fastpath.None:
		return m, nil
	}
	return "", fmt.Errorf("--fast-path %q is none of auto, xdp, tc, xdp-generic, none", o.FastPath)
}

func (o *Options) learning() (media.Learning, error) {
	switch o.Learning {
	case "heuristic":
		return media.LearnHeuristic, nil
	case "delayed":
		return media.LearnDelayed, nil
	case "immediate":
		return media.LearnImmediate, nil
	case "off":
		return media.LearnOff, nil
	}
	return 0, fmt.Errorf("--endpoint-learning %q is none of heuristic, delayed, immediate, off", o.Learning)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
