package house

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
)

const top = "../.."

// A source is a Go file of the project; its name is the path from the top.
type source struct {
	name   string
	syntax *ast.File
}

// pkg is the directory of the file, which is how the rules name a package.
func (s source) pkg() string { return path.Dir(s.name) }

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// sources parses every Go file of the project.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	visit(t, func(name string, text []byte) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		found = append(found, parse(t, name, text))
	})
	if len(found) == 0 {
		t.Fatal("no Go file was found")
	}
	return found
}

func parse(t *testing.T, name string, text []byte) source {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return source{name, syntax}
}

// visit reads every text file of the project, by its path from the top.
func visit(t *testing.T, do func(name string, text []byte)) {
	t.Helper()
	tree := os.DirFS(top)
	if _, err := fs.Stat(tree, "go.mod"); err != nil {
		t.Fatal(err)
	}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin"):
			return fs.SkipDir
		case !d.Type().IsRegular() || name == ".git": // of a further work tree it is a file
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		// Like git: a file is not text when a zero byte is near its start.
		if !bytes.Contains(text[:min(len(text), 8000)], []byte{0}) {
			do(name, text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
