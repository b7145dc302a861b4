package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Setting is one option as it counts.
type Setting struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
	From   string   `json:"from"`             // default, file or command line
	Reload bool     `json:"reload,omitempty"` // a changed value takes effect with a reload
	Note   string   `json:"note,omitempty"`   // why it has no effect
}

const (
	fromDefault = "default"
	fromFile    = "file"
	fromCommand = "command line"
)

// hiddenValue stands for what is not for everybody's eyes.
const hiddenValue = "***"

// Effective returns the options as they count, those at their default only if all is set. They are in the order of the help.
func (o *Options) Effective(all bool) []Setting {
	idle := make(map[string]string)
	for i := range idleGroups {
		idleGroups[i].each(func(name, _ string, _ bool) { idle[name] = idleGroups[i].why })
	}
	var list []Setting
	o.flags.VisitAll(func(f *pflag.Flag) {
		if oneOff(f.Name) || !all && !f.Changed {
			return
		}
		s := Setting{Name: f.Name, Values: values(f), From: fromDefault, Reload: reloadable(f.Name), Note: idle[f.Name]}
		if f.Changed {
			s.From = fromFile
		}
		if _, given := o.given[f.Name]; given {
			s.From = fromCommand
		}
		if secret(f.Name) {
			for i := range s.Values {
				s.Values[i] = masked(f.Name, s.Values[i])
			}
		}
		list = append(list, s)
	})
	return list
}

// masked hides a value that is not for everybody's eyes. Of an address of Redis that is the password before it.
func masked(name, value string) string {
	if !strings.HasPrefix(name, "redis") {
		return hiddenValue
	}
	if i := strings.LastIndexByte(value, '@'); i >= 0 {
		return hiddenValue + value[i:]
	}
	return value
}

// oneOff tells whether an option is about this run alone.
func oneOff(name string) bool {
	return slices.Contains([]string{"help", "version", "check-config", "codecs", "nftables-start", "nftables-stop", "nftables-status",
		"config-file", "config-section", "effective", "json"}, name)
}

// values returns those of an option, in the form of the configuration file.
func values(f *pflag.Flag) []string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}

// WriteEffective writes the settings as a configuration file.
func (o *Options) WriteEffective(out io.Writer, all bool) error {
	var b strings.Builder
	if o.ConfigFile != "" && o.ConfigFile != "none" {
		fmt.Fprintf(&b, "# %s, with the command line and the defaults\n", o.ConfigFile)
	}
	fmt.Fprintf(&b, "[%s]\n", o.ConfigSection)
	for _, s := range o.Effective(all) {
		if len(s.Values) == 0 {
			continue
		}
		escaped := make([]string, len(s.Values))
		for i, v := range s.Values {
			escaped[i] = escape(v)
		}
		if s.From != fromDefault {
			fmt.Fprintf(&b, "# from the %s\n", s.From)
		}
		if s.Note != "" {
			fmt.Fprintf(&b, "# without effect: %s\n", s.Note)
		}
		fmt.Fprintf(&b, "%s = %s\n", s.Name, strings.Join(escaped, ";"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// escape is the opposite of unescape.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`, "\r", `\r`).Replace(s)
	if strings.HasPrefix(s, " ") {
		s = `\s` + s[1:]
	}
	if strings.HasSuffix(s, " ") {
		s = s[:len(s)-1] + `\s`
	}
	return s
}

func joined(names []string) string {
	for i, n := range names {
		names[i] = "--" + n
	}
	return strings.Join(names, " ")
}
