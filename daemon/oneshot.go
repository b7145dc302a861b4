package daemon

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"

	"github.com/weir-media/weir/codec"
	"github.com/weir-media/weir/control/ng"
)

// oneShotOptions have the program do one thing and end.
type oneShotOptions struct {
	Codecs                             bool
	RulesStart, RulesStop, RulesStatus bool
	CheckConfig                        bool
}

func (o *oneShotOptions) register(fs *pflag.FlagSet) {
	fs.BoolVar(&o.CheckConfig, "check-config", false, "check the options and the configuration file, say what is wrong with them, and end")
	fs.BoolVar(&o.Codecs, "codecs", false, "list the codecs and end")
	const rules = "end with success: the kernel plane needs no rules of the packet filter"
	fs.BoolVar(&o.RulesStart, "nftables-start", false, rules)
	fs.BoolVar(&o.RulesStop, "nftables-stop", false, rules)
	fs.BoolVar(&o.RulesStatus, "nftables-status", false, rules)
	for _, name := range []string{"nftables-start", "nftables-stop", "nftables-status"} {
		_ = fs.MarkHidden(name) // it fails for unknown names only
	}
}

// OneShot does what the options ask for instead of a daemon, and tells whether they did. The options are complete.
func (o *Options) OneShot(out io.Writer) (done bool, err error) {
	s := &o.Shot
	rules := 0
	for _, asked := range []bool{s.RulesStart, s.RulesStop, s.RulesStatus} {
		if asked {
			rules++
		}
	}
	switch {
	case rules > 1:
		return true, errors.New("--nftables-start, --nftables-stop and --nftables-status exclude each other")
	case rules == 1:
		fmt.Fprintln(out, "Success")
		return true, nil
	case s.Codecs:
		for _, name := range codec.Names() {
			capability := "passed through"
			if codec.Convertible(name) {
				capability = "passed through and negotiated; audio is not converted yet"
			}
			fmt.Fprintf(out, "%20s: %s\n", name, capability)
		}
		return true, nil
	case s.CheckConfig:
		return true, o.checkAll(out)
	}
	return false, nil
}

// checkAll looks at what only shows on this host, too: addresses and files. It opens no port.
func (o *Options) checkAll(out io.Writer) error {
	if _, err := resolveInterfaces(o.interfaces, nil); err != nil {
		return err
	}
	for _, option := range []struct {
		name  string
		texts []string
	}{
		{"--listen-ng", o.ListenNG}, {"--listen-tcp-ng", o.ListenTCP}, {"--listen-http", o.ListenHTTP}, {"--listen-https", o.ListenHTTPS},
		{"--listen-cli", o.ListenCLI},
	} {
		for _, text := range option.texts {
			if _, err := parseListen(text); err != nil {
				return fmt.Errorf("%s: %w", option.name, err)
			}
		}
	}
	if len(o.ListenHTTPS) > 0 {
		if _, err := ng.TLSConfig(o.Certificate, o.Key, nil); err != nil {
			return err
		}
	}
	for _, note := range withoutEffect(o.flags) {
		fmt.Fprintf(out, "without effect: %s (%s)\n", joined(note.Names), note.Why)
	}
	fmt.Fprintln(out, "the configuration is good")
	return nil
}
