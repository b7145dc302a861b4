package house

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// mostLines is the length above which a file holds more than one thing.
const mostLines = 800

// forbidden are words that leave work undone, and paths of somebody's machine. The patterns are put together so that this file
// does not match them.
var forbidden = []*regexp.Regexp{
	regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`),
	regexp.MustCompile(`(^|[^a-zA-Z0-9_.])/(wo` + `rk|ho` + `me)/`),
}

// faults lists what is wrong with a file.
func faults(file string, text []byte) []string {
	var found []string
	add := func(what string) { found = append(found, file+": "+what) }
	lines := bytes.Count(text, []byte("\n"))
	if generated := strings.HasSuffix(file, "_bpfel.go") || strings.HasSuffix(file, ".sum") || strings.Contains(file, "testdata/"); lines > mostLines && !generated {
		add("longer than 800 lines: it holds more than one thing")
	}
	for _, p := range forbidden {
		if m := p.Find(text); m != nil {
			add("contains " + strings.TrimSpace(string(m)))
		}
	}
	if strings.Contains(file, "bpf/") && (strings.HasSuffix(file, ".c") || strings.HasSuffix(file, ".h")) &&
		!bytes.HasPrefix(text, []byte("// SPDX-License-Identifier: (MIT OR GPL-2.0-only)\n")) {
		add("does not start with its licence")
	}
	if parts := strings.Split(filepath.ToSlash(filepath.Dir(file)), "/"); slices.ContainsFunc(parts, func(p string) bool {
		return p == "utils" || p == "util" || p == "common" || p == "helpers" || p == "types"
	}) {
		add("lies in a package whose name says nothing")
	}
	return found
}

func TestTexts(t *testing.T) {
	walk(t, func(file string) {
		switch filepath.Ext(file) {
		case ".o", ".png", ".pcap":
			return
		}
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range faults(file, text) {
			t.Error(fault)
		}
	})
}

func TestTheTextRulesBite(t *testing.T) {
	for name, c := range map[string]struct{ file, text string }{
		"a long file":      {"a.go", strings.Repeat("x\n", mostLines+1)},
		"unfinished work":  {"a.go", "// TO" + "DO: later\n"},
		"a machine's path": {"a.md", "see /ho" + "me/me/x\n"},
		"no licence":       {"bpf/a.h", "#pragma once\n"},
		"an empty name":    {"utils/a.go", "package utils\n"},
	} {
		if len(faults(c.file, []byte(c.text))) == 0 {
			t.Errorf("%s passes", name)
		}
	}
}

func TestEveryPackageHasOneComment(t *testing.T) {
	comments := make(map[string]int)
	for file := range importsOf(t) {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), file), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(file)
		comments[dir] += 0
		if f.Doc != nil {
			comments[dir]++
		}
	}
	for dir, n := range comments {
		if n != 1 {
			t.Errorf("package %s has %d comments, want one that says what it is for", dir, n)
		}
	}
}

func TestEveryTargetHasASentence(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^([a-z]+):.*$`)
	for _, m := range target.FindAllString(string(text), -1) {
		if !strings.Contains(m, "## ") {
			t.Errorf("Makefile: %q has no ## sentence", m)
		}
	}
}

func TestEveryFuzzTargetHasACorpus(t *testing.T) {
	fuzz := regexp.MustCompile(`(?m)^func (Fuzz\w*)\(`)
	walk(t, func(file string) {
		if !strings.HasSuffix(file, "_test.go") {
			return
		}
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fuzz.FindAllSubmatch(text, -1) {
			seeds, err := os.ReadDir(filepath.Join(root(t), filepath.Dir(file), "testdata", "fuzz", string(m[1])))
			if err != nil || len(seeds) == 0 {
				t.Errorf("%s: %s has no seeds in testdata/fuzz", file, m[1])
			}
		}
	})
}

func TestScriptsCanBeRun(t *testing.T) {
	walk(t, func(file string) {
		if !strings.HasPrefix(file, "scripts/") && !strings.HasPrefix(file, ".ci/") {
			return
		}
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(root(t), file))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(text, []byte("#!/")) != (info.Mode()&0o111 != 0) {
			t.Errorf("%s: a script starts with #!/ and can be run, other files neither", file)
		}
	})
}
