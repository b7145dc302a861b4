package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// texts are the pages for operators, by their path from the top.
func texts(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, pattern := range []string{"README.md", "CHANGELOG.md", "docs/*.md"} {
		for _, path := range value(filepath.Glob(filepath.Join("../..", pattern)))(t) {
			all[value(filepath.Rel("../..", path))(t)] = string(value(os.ReadFile(path))(t))
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

func TestLinksBetweenPages(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^()#\s]+)(#[^()\s]*)?\)`)
	mention := regexp.MustCompile(`\bdocs/[a-z-]+\.md\b`)
	for name, text := range texts(t) {
		var targets []string
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "://") {
				targets = append(targets, filepath.Join(filepath.Dir(name), m[1]))
			}
		}
		for _, target := range append(targets, mention.FindAllString(text, -1)...) {
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s names %s, which is not there", name, target)
			}
		}
	}
}

func TestEveryPageIsInTheIndex(t *testing.T) {
	all := texts(t)
	index := all["docs/README.md"]
	for name := range all {
		if base := filepath.Base(name); strings.HasPrefix(name, "docs/") && base != "README.md" && !strings.Contains(index, "]("+base+")") {
			t.Errorf("docs/README.md does not list %s", base)
		}
	}
}

// TestTestedConfigurationIsTheOneOnThePage holds the page against what scripts/demo places its calls with.
func TestTestedConfigurationIsTheOneOnThePage(t *testing.T) {
	config := string(value(os.ReadFile("../../scripts/demo.d/kamailio.cfg"))(t))
	if !strings.Contains(texts(t)["docs/first-call.md"], "```\n"+config+"```\n") {
		t.Error("docs/first-call.md does not have scripts/demo.d/kamailio.cfg as it is")
	}
}

// named are the programs whose command lines pages have to get right.
var named = map[string]string{
	"weir": "weir", "bin/weir": "weir", "rtpengine": "rtpengine", "bin/rtpengine": "rtpengine", "/usr/local/bin/rtpengine": "rtpengine",
}

// faultsOf lists what is wrong with a command line on a page; nothing with those of other programs.
func faultsOf(line string) []string {
	words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "$ "))
	if len(words) == 0 || named[words[0]] == "" || len(words) > 1 && words[1] == "…" {
		return nil
	}
	cmd := root(named[words[0]])
	cmd.InitDefaultHelpCmd()
	cmd.InitDefaultCompletionCmd()
	words = words[1:]
	if cmd.HasSubCommands() && len(words) > 0 && regexp.MustCompile(`^[a-z][a-z-]+$`).MatchString(words[0]) {
		below, _, err := cmd.Find(words[:1])
		if err != nil || below == cmd {
			return []string{"there is no command " + words[0]}
		}
		cmd, words = below, words[1:]
	}
	var found []string
	for _, word := range words {
		if strings.HasPrefix(word, "#") || slices.Contains([]string{"&&", "|", ";", "\\"}, word) {
			break
		}
		if m := option.FindString(word); m != "" && !knows(cmd, m) && !(cmd.HasSubCommands() && knows(serveFlags(), m)) {
			found = append(found, cmd.CommandPath()+" has no "+m)
		}
	}
	return found
}

// option is an option at the start of a word.
var option = regexp.MustCompile(`^--[a-z][a-z0-9-]+`)

// serveFlags has every option of the daemon.
func serveFlags() *cobra.Command { return root("rtpengine") }

func knows(cmd *cobra.Command, option string) bool {
	cmd.InitDefaultHelpFlag()
	name := strings.TrimPrefix(option, "--")
	return cmd.Flags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil || name == "version"
}

func TestCommandsAndOptionsOnPagesExist(t *testing.T) {
	options := map[string]bool{"--help": true, "--version": true, "--parts": true} // the last is of the bench
	var collect func(*cobra.Command)
	collect = func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) { options["--"+f.Name] = true })
		for _, below := range cmd.Commands() {
			collect(below)
		}
	}
	for _, called := range []string{"weir", "rtpengine", "rtpengine-ctl"} {
		collect(root(called))
	}
	span := regexp.MustCompile("`([^`\n]+)`")
	for name, text := range texts(t) {
		if name == "docs/benchmark.md" {
			continue // of a program of its own
		}
		fenced := false
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
				continue
			}
			if strings.HasPrefix(line, "    ") || fenced {
				for _, fault := range faultsOf(line) {
					t.Errorf("%s: %q: %s", name, strings.TrimSpace(line), fault)
				}
				continue
			}
			for _, m := range span.FindAllStringSubmatch(line, -1) {
				for _, fault := range faultsOf(m[1]) {
					t.Errorf("%s: %q: %s", name, m[1], fault)
				}
				if o := option.FindString(m[1]); o != "" && !options[o] && !strings.HasSuffix(o, "-") {
					t.Errorf("%s: there is no option %s", name, o)
				}
			}
		}
	}
}

func TestCommandLineRule(t *testing.T) {
	for _, c := range []struct {
		line string
		good bool
	}{
		{"weir status", true},
		{"$ weir drain --deadline=30m --wait && systemctl stop weir --force", true},
		{"weir serve --interface=eth0 # --nothing", true},
		{"bin/rtpengine --listen-ng=2223", true},
		{"bin/rtpengine-ctl --ip 127.0.0.1:9900 list totals", true},
		{"docker run --network host", true},
		{"weir CALL-ID", true},
		{"weir … --json", true},
		{"weir statsu", false},
		{"weir drain --until=30m", false},
		{"weir serve --intreface=eth0", false},
		{"rtpengine --no-such-thing", false},
	} {
		if found := faultsOf(c.line); (len(found) == 0) != c.good {
			t.Errorf("%q: %q", c.line, found)
		}
	}
}
