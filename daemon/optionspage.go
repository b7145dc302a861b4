package daemon

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// OptionsPage returns the page of the documentation that lists all options.
func OptionsPage() string {
	o := NewOptions("", "")
	fs := pflag.NewFlagSet("page", pflag.ContinueOnError)
	o.Register(fs)
	var b strings.Builder
	b.WriteString("# Options\n\nOptions of `weir serve`, on the command line with two dashes, and as keys of the configuration file without them. " +
		"Those marked with\n**reload** take effect with SIGHUP or `weir reload` when the file has another value; the others wait for the next start.\n\n" +
		"This page is made from the program; `make docs` writes it again.\n\n| option | default | reload | |\n|---|---|---|---|\n")
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		preset := f.DefValue
		if preset == "[]" {
			preset = ""
		}
		mark := ""
		if reloadable(f.Name) {
			mark = "reload"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, preset, mark, strings.ReplaceAll(f.Usage, "|", "\\|"))
	})
	b.WriteString("\n## Accepted without effect\n\nSo that rtpengine's command line and configuration file start Weir unchanged. The log names those that are set, and why they do nothing.\n")
	for _, part := range []struct {
		head  string
		never bool
	}{{"There is nothing to do", true}, {"Not there yet", false}} {
		fmt.Fprintf(&b, "\n### %s\n\n| options | about | why |\n|---|---|---|\n", part.head)
		for i := range idleGroups {
			g := &idleGroups[i]
			if g.never != part.never {
				continue
			}
			var names []string
			g.each(func(name, _ string, _ bool) { names = append(names, "`"+name+"`") })
			fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.Join(names, ", "), g.about, g.why)
		}
	}
	b.WriteString("\n`nftables-start`, `nftables-stop` and `nftables-status` print \"Success\" and end: there are no rules to make.\n")
	return b.String()
}
