package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryPackageHasOneComment(t *testing.T) {
	for pkg, n := range comments(sources(t)) {
		if n != 1 {
			t.Errorf("package %s has %d comments, want one that says what it is for", pkg, n)
		}
	}
}

// comments counts the package comments of each package that has more than tests.
func comments(all []source) map[string]int {
	count := make(map[string]int)
	for _, s := range all {
		switch {
		case s.isTest():
		case s.syntax.Doc != nil:
			count[s.pkg()]++
		default:
			count[s.pkg()] += 0
		}
	}
	return count
}

func TestCommentCount(t *testing.T) {
	got := comments([]source{
		parse(t, "none/a.go", []byte("package none\n")),
		parse(t, "none/a_test.go", []byte("// Package none tests.\npackage none\n")),
		parse(t, "one/a.go", []byte("// Package one is.\npackage one\n")),
		parse(t, "one/b.go", []byte("// Apart from the clause.\n\npackage one\n")),
		parse(t, "two/a.go", []byte("// Package two is.\npackage two\n")),
		parse(t, "two/b.go", []byte("// Package two is too.\npackage two\n")),
	})
	for pkg, want := range map[string]int{"none": 0, "one": 1, "two": 2} {
		if n, ok := got[pkg]; !ok || n != want {
			t.Errorf("%s: got %d, want %d", pkg, n, want)
		}
	}
}

func TestSources(t *testing.T) {
	for _, s := range sources(t) {
		for _, fault := range flaws(s) {
			t.Errorf("%s: %s", s.name, fault)
		}
	}
}

// flaws lists what go vet and staticcheck let pass: errors compared without looking into what wraps them, errors wrapped
// so that nobody can look, tests that are skipped without a word.
func flaws(s source) []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			// A test may want exactly this error.
			if (n.Op == token.EQL || n.Op == token.NEQ) && !s.isTest() && (isError(n.X) && wrappable(n.Y) || isError(n.Y) && wrappable(n.X)) {
				add("an error is compared with %s: use errors.Is", n.Op)
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && isError(n.Tag) {
				add("a switch compares an error: use errors.Is")
			}
		case *ast.TypeAssertExpr:
			if isError(n.X) {
				add("the type of an error is asserted: use errors.As")
			}
		case *ast.CallExpr:
			f, ok := n.Fun.(*ast.SelectorExpr)
			switch {
			case !ok:
			case s.isTest() && len(n.Args) == 0 && (f.Sel.Name == "Skip" || f.Sel.Name == "SkipNow"):
				add("a test is skipped without a reason")
			case f.Sel.Name == "Errorf" && isName(f.X, "fmt") && len(n.Args) > 1 && isError(n.Args[len(n.Args)-1]):
				if format, ok := n.Args[0].(*ast.BasicLit); ok && !strings.Contains(format.Value, "%w") {
					add("fmt.Errorf(%s) hides the error: use %%w", format.Value)
				}
			}
		}
		return true
	})
	return found
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// wrappable tells whether an error that is compared with this might wrap it: neither nil nor the number of a system call.
func wrappable(e ast.Expr) bool {
	if s, ok := e.(*ast.SelectorExpr); ok {
		return !isName(s.X, "unix") && !isName(s.X, "syscall")
	}
	return !isName(e, "nil")
}

// isError goes by the name, as there are no types here.
func isError(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && (id.Name == "err" || strings.HasSuffix(id.Name, "Err"))
}

func TestSourceRules(t *testing.T) {
	for _, c := range []struct {
		name, file, statement string
		allowed               bool
	}{
		{"an error compared with nil", "a.go", "_ = err != nil", true},
		{"an error looked into", "a.go", "_ = errors.Is(err, io.EOF)", true},
		{"an error compared", "a.go", "_ = err == io.EOF", false},
		{"an error compared from the right", "a.go", "_ = io.EOF != readErr", false},
		{"an error compared by a test", "a_test.go", "_ = err == io.EOF", true},
		{"a system call's error compared", "a.go", "_ = err != unix.ESRCH", true},
		{"an error in a switch", "a.go", "switch err { case io.EOF: }", false},
		{"an error's type in a switch", "a.go", "switch err.(type) { }", false},
		{"an error's type", "a.go", "_ = err.(*os.PathError)", false},
		{"an error wrapped", "a.go", `_ = fmt.Errorf("read %s: %w", name, err)`, true},
		{"an error hidden", "a.go", `_ = fmt.Errorf("read %s: %v", name, err)`, false},
		{"a test skipped with a reason", "a_test.go", `t.Skip("needs root")`, true},
		{"a test skipped without", "a_test.go", `t.Skip()`, false},
		{"something else skipped", "a.go", `r.Skip()`, true},
		{"a test left without a word", "a_test.go", `t.SkipNow()`, false},
	} {
		s := parse(t, c.file, []byte("package a\nfunc f() {\n"+c.statement+"\n}\n"))
		if found := flaws(s); (len(found) == 0) != c.allowed {
			t.Errorf("%s: got %q", c.name, found)
		}
	}
}

// fuzzTargets names the functions of a file that the go command fuzzes.
func fuzzTargets(s source) []string {
	var names []string
	for _, d := range s.syntax.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.isTest() && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Fuzz") {
			names = append(names, f.Name.Name)
		}
	}
	return names
}

func TestEveryFuzzTargetHasSeeds(t *testing.T) {
	for _, s := range sources(t) {
		for _, name := range fuzzTargets(s) {
			dir := filepath.Join(s.pkg(), "testdata", "fuzz", name)
			if seeds, err := os.ReadDir(filepath.Join(top, dir)); err != nil || len(seeds) == 0 {
				t.Errorf("%s: %s has no seeds in %s", s.name, name, dir)
			}
		}
	}
}

func TestFuzzTargetsAreFound(t *testing.T) {
	s := parse(t, "a_test.go", []byte("package a\nfunc FuzzParse(f *testing.F) {}\nfunc (x y) FuzzNot() {}\nfunc TestParse(t *testing.T) {}\n"))
	if got := fuzzTargets(s); len(got) != 1 || got[0] != "FuzzParse" {
		t.Errorf("got %q, want FuzzParse", got)
	}
}
