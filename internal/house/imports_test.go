package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/weir-media/weir"

// mayImport says which of our packages a package may import, outside its tests. A key ending in /* stands for the
// packages below it that have no row of their own. The order is the direction: down, never up, never sideways.
var mayImport = map[string][]string{
	"rtp": {}, "sdp": {}, "ngproto": {}, "fastpath": {}, "ice": {},
	"srtp": {"rtp"}, "codec": {"rtp"},
	"media":       {"rtp", "srtp", "ice", "codec", "fastpath"},
	"recording":   {"rtp", "codec", "media"},
	"call":        {"sdp", "media", "rtp", "codec"},
	"store":       {"call"},
	"control/ng":  {"call", "ngproto", "media", "sdp"},
	"control/cli": {"call", "media"},
	"control/*":   {"call", "media"},
	"daemon": {"rtp", "sdp", "ngproto", "fastpath", "ice", "srtp", "codec", "media", "recording", "call", "store",
		"control/ng", "control/cli", "control/*"},
	"cmd/*":      {"daemon", "control/cli", "ngproto"},
	"internal/*": {"internal/*", "ngproto"}, // test helpers and the bench; nothing outside tests imports them
}

func row(pkg string) ([]string, bool) {
	if r, ok := mayImport[pkg]; ok {
		return r, true
	}
	r, ok := mayImport[path.Dir(pkg)+"/*"]
	return r, ok
}

// violation tells what is wrong with pkg importing other; empty when nothing is.
func violation(pkg, other string) string {
	allowed, known := row(pkg)
	if !known {
		return "package " + pkg + " has no row in the import table: add it with a decision"
	}
	if slices.Contains(allowed, other) || slices.Contains(allowed, path.Dir(other)+"/*") {
		return ""
	}
	return pkg + " must not import " + other
}

func TestImportsGoDownward(t *testing.T) {
	for file, imports := range importsOf(t) {
		pkg := filepath.ToSlash(filepath.Dir(file))
		for _, other := range imports {
			if why := violation(pkg, other); why != "" {
				t.Errorf("%s: %s", file, why)
			}
		}
	}
}

func TestTheImportRuleBites(t *testing.T) {
	for _, c := range []struct{ pkg, other string }{
		{"media", "call"}, {"sdp", "media"}, {"control/ng", "control/cli"}, {"call", "ngproto"}, {"daemon", "internal/testpkt"},
		{"brandnew", "sdp"},
	} {
		if violation(c.pkg, c.other) == "" {
			t.Errorf("%s may import %s", c.pkg, c.other)
		}
	}
	if why := violation("call", "media"); why != "" {
		t.Errorf("call must be able to import media: %s", why)
	}
}

// importsOf returns, for every file that is not a test, which of our packages it imports.
func importsOf(t *testing.T) map[string][]string {
	t.Helper()
	found := make(map[string][]string)
	walk(t, func(file string) {
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), file), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		found[file] = nil
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := strings.CutPrefix(name, module+"/"); ok {
				found[file] = append(found[file], other)
			}
		}
	})
	if len(found) == 0 {
		t.Fatal("no Go file was found")
	}
	return found
}

// root is the top of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// walk visits every file of the project, by its path from the top.
func walk(t *testing.T, visit func(file string)) {
	t.Helper()
	top := root(t)
	err := fs.WalkDir(os.DirFS(top), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin"):
			return fs.SkipDir
		case d.Type().IsRegular():
			visit(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
